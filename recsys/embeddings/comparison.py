"""Holding two versions of embeddings, or of a model, against each other: `compare`. May import everything below models."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from recsys.embeddings import drift
from recsys.embeddings.alignment import shared_positions
from recsys.embeddings.biases import without_biases
from recsys.embeddings.columns import labels_by_id
from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.versions import VersionComparison
from recsys.errors import ParameterError
from recsys.fold_in import FoldIn
from recsys.ids import IdMap
from recsys.progress import show_progress
from recsys.retrieval import RankedLists
from recsys.retrieval.exact import require_k

__all__ = ["compare"]

# Queries answered between two moves of the progress bar.
_BLOCK = 4096


class _Model(Protocol):
    """What is used of a model; models are above this room."""

    @property
    def user_embeddings(self) -> Embeddings: ...
    @property
    def item_embeddings(self) -> Embeddings: ...
    @property
    def fold_in_method(self) -> FoldIn | None: ...

    def rank(self, user_positions: np.ndarray, k: int, *, num_threads: int | None) -> RankedLists: ...


def compare(
    before: Embeddings | _Model,
    after: Embeddings | _Model,
    *,
    k: int = 10,
    sample: int | None = 10_000,
    groups: Any = None,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> VersionComparison:
    """What changed from one version of embeddings, or of a model, to the next.

    before, after : two Embeddings with ids in common, or two models: then it is about their items without biases, and users'
        recommended lists are compared too.
    k : neighbours, and items in a list.
    sample : ids, and users, drawn at random for neighbours and lists, by `random_state`; None for all of them.
    groups : a Series or mapping from id to label, to tell changes by group.

    `after` is aligned with `before` first, so that a rotation is no change; neighbours (by cosine) are looked for among the
    shared ids, so that neither are new and gone ones. Raises `DataError` when no id is shared.
    """
    require_k(k)
    _require_sample(sample)
    if isinstance(before, Embeddings) != isinstance(after, Embeddings):
        raise ParameterError("`before` and `after` must be both Embeddings or both models.")
    old, new = _embeddings_of(before, "before"), _embeddings_of(after, "after")
    there, here = shared_positions(old.ids, new.ids)
    alignment = new.alignment_to(old, num_threads=num_threads)
    shared = old.ids.subset(there)
    one = Embeddings(shared, _padded(old.vectors[there], alignment.dim))
    other = Embeddings(shared, alignment.apply(new.vectors[here], num_threads=num_threads))
    table, generator = _per_id(one, other), np.random.default_rng(random_state)
    rows = _drawn(len(shared), sample, generator)
    table.loc[rows, "overlap"] = _neighbour_overlap(one, other, rows, k, num_threads, progress)
    if groups is not None:
        table["group"] = _labels(shared, groups)
    users, n_shared_users = None, 0
    if not (isinstance(before, Embeddings) or isinstance(after, Embeddings)):
        users, n_shared_users = _users_lists(before, after, k, sample, generator, num_threads, progress)
    return VersionComparison(
        k=k,
        before=one,
        after=other,
        gone=_missing(old.ids, there),
        new=_missing(new.ids, here),
        alignment=alignment,
        cka=drift.linear_cka(one.vectors, other.vectors, num_threads),
        spectra=(drift.spectrum(old.vectors, num_threads), drift.spectrum(new.vectors, num_threads)),
        per_id=table,
        users=users,
        n_shared_users=n_shared_users,
    )


def _require_sample(sample: int | None) -> None:
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool) or sample < 1):
        raise ParameterError(f"`sample` must be an int >= 1, or None for all. Got {sample!r}.")


def _labels(ids: IdMap, groups: Any) -> pd.Series:
    """The label of each id, None where it has none."""
    codes, labels = labels_by_id(ids, groups, "groups")
    return pd.Series([None if code < 0 else labels[code] for code in codes], dtype=object)


def _embeddings_of(version: Any, argument: str) -> Embeddings:
    if isinstance(version, Embeddings):
        return version
    if not hasattr(version, "item_embeddings"):
        raise ParameterError(f"`{argument}` must be Embeddings or a model. Got {type(version).__name__}.")
    return without_biases(version.item_embeddings, version.fold_in_method)


def _padded(vectors: np.ndarray, dim: int) -> np.ndarray:
    return np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1])))


def _missing(ids: IdMap, shared: np.ndarray) -> IdMap:
    rest = np.ones(len(ids), bool)
    rest[shared] = False
    return ids.subset(np.flatnonzero(rest))


def _drawn(n: int, sample: int | None, generator: np.random.Generator) -> np.ndarray:
    if sample is None or sample >= n:
        return np.arange(n)
    return np.sort(generator.choice(n, sample, replace=False))


def _per_id(one: Embeddings, other: Embeddings) -> pd.DataFrame:
    lengths, other_lengths = (np.linalg.norm(side.vectors, axis=1) for side in (one, other))
    typical = float(np.sqrt((lengths.astype(np.float64) ** 2).mean())) or 1.0
    columns = {
        one.ids.name: one.ids.series(np.arange(len(one))),
        "displacement": np.linalg.norm(one.vectors - other.vectors, axis=1) / typical,
        "cosine": np.einsum("ij,ij->i", one.units, other.units),
        "norm_before": lengths,
        "norm_after": other_lengths,
        "overlap": np.nan,
    }
    table = pd.DataFrame(columns)
    table.loc[(lengths == 0) | (other_lengths == 0), "cosine"] = np.nan
    return table


def _neighbour_overlap(
    one: Embeddings, other: Embeddings, rows: np.ndarray, k: int, num_threads: int | None, progress: bool
) -> np.ndarray:
    found = np.empty(len(rows))
    with show_progress("Comparing neighbours", len(rows), enabled=progress) as advance:
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            lists = (_ended(side.neighbour_lists(block, k, num_threads=num_threads)) for side in (one, other))
            found[start : start + _BLOCK] = drift.overlap(*lists)
            advance(len(block))
    return found


def _ended(lists: RankedLists, places: np.ndarray | None = None) -> np.ndarray:
    """(n, k) int64 positions, by other numbers if `places` has them, with `drift.ENDED` behind the end of each list."""
    positions = lists.positions.astype(np.int64) if places is None else places[lists.positions]
    return np.where(np.arange(positions.shape[1]) < lists.counts[:, None], positions, drift.ENDED)


def _users_lists(
    before: _Model,
    after: _Model,
    k: int,
    sample: int | None,
    generator: np.random.Generator,
    num_threads: int | None,
    progress: bool,
) -> tuple[pd.DataFrame, int]:
    """For users that both know: user_id, and how much of their list stayed; and how many users that are before drawing."""
    users, items = before.user_embeddings.ids, before.item_embeddings.ids
    there, here = shared_positions(users, after.user_embeddings.ids)
    n_shared, drawn = len(there), _drawn(len(there), sample, generator)
    there, here = there[drawn], here[drawn]
    # Items of the later model by their positions in the earlier one; those it did not have match nothing.
    places = items.positions(after.item_embeddings.ids.to_arrow(), unknown="ignore")
    places[places < 0] = drift.ENDED - 1
    parts = []
    with show_progress("Comparing users' lists", len(there), enabled=progress) as advance:
        for start in range(0, len(there), _BLOCK):
            rows = slice(start, start + _BLOCK)
            old = _same_width(_ended(before.rank(there[rows], k, num_threads=num_threads)), k)
            new = _same_width(_ended(after.rank(here[rows], k, num_threads=num_threads), places), k)
            first = np.where((old[:, 0] == drift.ENDED) & (new[:, 0] == drift.ENDED), np.nan, old[:, 0] == new[:, 0])
            parts.append((drift.overlap(old, new), drift.average_overlap(old, new), first))
            advance(len(old))
    shares = zip(("overlap", "average_overlap", "same_first"), map(np.concatenate, zip(*parts, strict=True)), strict=True)
    return pd.DataFrame({users.name: users.series(there), **dict(shares)}), n_shared


def _same_width(lists: np.ndarray, k: int) -> np.ndarray:
    return np.pad(lists, ((0, 0), (0, k - lists.shape[1])), constant_values=drift.ENDED)
