"""`Split`, what every cut yields, and how its parts are made from masks. May import errors and interactions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.interactions import Interactions

__all__ = ["Split", "known_in", "last_of_rows", "make_parts", "n_marked_ids", "share"]


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of a cut; `train, test = split` takes the two that every split has.

    fold_in : only from `users`: the entries by which a model gets to know the users of `test`.
    """

    train: Interactions
    test: Interactions
    fold_in: Interactions | None = None

    def __iter__(self) -> Iterator[Interactions]:
        return iter((self.train, self.test))


def make_parts(data: Interactions, settings: dict[str, Any], *, hint: str, **masks: np.ndarray) -> Split:
    """The entries of each mask as Interactions that know how they were cut. `hint` says why a part can be empty."""
    about = settings | {"of": data.fingerprint}
    if "split" in data.provenance:
        about["earlier"] = data.provenance["split"]
    parts = {}
    for name, mask in masks.items():
        part = data.select(mask)
        if not len(part):
            raise DataError(f"split.{settings['by']} leaves the part `{name}` without entries: {hint}")
        parts[name] = replace(part, provenance={**data.provenance, "split": {**about, "part": name}})
    return Split(**parts)


def share(fraction: float, counts: np.ndarray) -> np.ndarray:
    """fraction · counts to the nearest whole number, halves up; 0.285 · 100 is 28.4999…96 in binary and counts as a half."""
    return np.floor(fraction * counts + 0.5 + 1e-9).astype(np.int64)


def last_of_rows(data: Interactions, order: np.ndarray, n_last: np.ndarray) -> np.ndarray:
    """(n_interactions,) bool: the last n_last[user] entries of each row, where `order` lists entries row by row."""
    counts = data.user_counts
    from_end = np.repeat(data.indptr[1:], counts) - np.arange(data.n_interactions)
    chosen = np.zeros(data.n_interactions, dtype=bool)
    chosen[order[from_end <= np.repeat(n_last, counts)]] = True
    return chosen


def known_in(data: Interactions, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which users and which items have an entry under `mask`: two boolean arrays by position."""
    known_user, known_item = np.zeros(data.n_users, dtype=bool), np.zeros(data.n_items, dtype=bool)
    known_user[data.row_positions()[mask]] = True
    known_item[data.indices[mask]] = True
    return known_user, known_item


def n_marked_ids(positions: np.ndarray, wanted: np.ndarray) -> int:
    """How many different positions there are among those that `wanted` (bool by position) marks."""
    present = np.zeros(len(wanted), dtype=bool)
    present[positions] = True
    return int((present & wanted).sum())
