"""What a store refuses to publish: what breaks the things that readers rely on. May import this room's class."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.store.rows import VECTOR
from recsys.embeddings.store.versions import StoreVersion
from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap

__all__ = ["gone_ids", "refuse_missing", "require_contract", "require_publishable", "require_share"]

_STRETCH = 2**16


def require_share(value: object, argument: str) -> float:
    """Raises `ParameterError` unless it is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ParameterError(f"`{argument}` must be a share from 0 to 1. Got {value!r}.")
    return float(value)


def require_publishable(embeddings: object, metric: str, biases: int) -> Embeddings:
    """What holds of every version, whatever was there before. Raises `DataError`, `ParameterError`."""
    if not isinstance(embeddings, Embeddings):
        raise ParameterError(
            f"`embeddings` must be Embeddings. Got {type(embeddings).__name__}. Hint: publish_model publishes a model's."
        )
    if not len(embeddings) or not embeddings.dim:
        raise DataError(f"Embeddings without vectors can not be published. Got shape {embeddings.vectors.shape}.")
    if embeddings.ids.name == VECTOR:
        raise DataError(f"{VECTOR!r} is the name of the column of vectors, so ids can not have it.")
    if not isinstance(biases, int) or isinstance(biases, bool) or not 0 <= biases <= embeddings.dim:
        raise ParameterError(f"`biases` must be a number of columns from 0 to {embeddings.dim}. Got {biases!r}.")
    # Written in place, the vectors may have changed since they were checked.
    _refuse_rows(embeddings, lambda rows: np.asarray(~np.isfinite(rows).all(axis=1)), "Every vector must be finite")
    if metric == "cosine":
        _refuse_rows(embeddings, lambda rows: np.asarray(~rows.any(axis=1)), "Under cosine no vector may be zero")
    return embeddings


def _refuse_rows(embeddings: Embeddings, is_bad: Callable[[np.ndarray], np.ndarray], rule: str) -> None:
    for start in range(0, len(embeddings), _STRETCH):
        bad = np.flatnonzero(is_bad(embeddings.vectors[start : start + _STRETCH]))
        if len(bad):
            named = quote_some(embeddings.ids.ids_at(bad + start).to_pylist())
            raise DataError(f"{rule}, so nothing was published. Not so: {named}.")


def require_contract(embeddings: Embeddings, metric: str, biases: int, before: StoreVersion) -> None:
    """Raises `DataError` that names all in which the new version differs from what readers of `before` rely on."""
    kinds = {True: "integers", False: "strings"}
    pairs = [
        ("dimensions", before.dim, embeddings.dim),
        ("metric", before.metric, metric),
        ("ids are", kinds[before.integer_ids], kinds[embeddings.ids.is_integer]),
        ("ids name", before.ids, embeddings.ids.name),
        ("columns of biases", before.biases, biases),
    ]
    broken = [f"{what}: {old} before, {new} now" for what, old, new in pairs if old != new]
    if broken:
        raise DataError(
            f"The contract of version {before.version} would be broken, so nothing was published ({'; '.join(broken)}). "
            "Hint: new_contract=True publishes it all the same; a store of its own keeps the readers of this one safe."
        )


def gone_ids(before: IdMap, after: IdMap) -> IdMap:
    """Those of `before` that `after` does not have."""
    return before.subset(np.flatnonzero(after.positions(before.to_arrow(), unknown="ignore") < 0))


def refuse_missing(gone: IdMap, before: StoreVersion, max_missing: float) -> None:
    """Raises `DataError` when more than the share `max_missing` of the ids of `before` are gone."""
    share = len(gone) / before.n
    if share > max_missing:
        raise DataError(
            f"{len(gone):,} of the {before.n:,} {before.ids}s of version {before.version} are missing ({share:.1%}, at most "
            f"{max_missing:.1%} may be), so nothing was published: {quote_some(gone.to_arrow().to_pylist())}. "
            f"Hint: max_missing={_next_share(share)} lets them go."
        )


def _next_share(share: float) -> float:
    """A round number that is not below it."""
    return math.ceil(share * 100) / 100
