"""`JudgedLists`: ranked lists held against what is relevant: all that a metric looks at.

May import errors, kernels, this folder's catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import DataError
from recsys.kernels import metrics as kernels

if TYPE_CHECKING:
    from recsys.evaluation.catalogue import Catalogue
    from recsys.retrieval import RankedLists

__all__ = ["JudgedLists", "RelevantPairs"]


@dataclass(frozen=True, eq=False)
class RelevantPairs:
    """The relevant items of some lists and what became of them, in compressed rows, one row a list.

    indptr : (n_lists + 1,) int64, from 0.
    places : (n_pairs,) int32, where in the list the item stands, from 0; -1 where it does not.
    gains : (n_pairs,) float32, how relevant it is: the weight in the test set.
    wins : (n_pairs,) float64, the share of the other candidates that score below it, ties half; None where nobody asked.
    """

    indptr: np.ndarray
    places: np.ndarray
    gains: np.ndarray
    wins: np.ndarray | None = None

    @property
    def n_relevant(self) -> np.ndarray:
        """(n_lists,) int64"""
        return np.diff(self.indptr)

    def rows(self, rows: slice) -> RelevantPairs:
        """Those of a block of lists; views, no copies but for the row pointers."""
        indptr = self.indptr[rows.start : rows.stop + 1]
        entries = slice(indptr[0], indptr[-1])
        wins = None if self.wins is None else self.wins[entries]
        return RelevantPairs(indptr - indptr[0], self.places[entries], self.gains[entries], wins)

    def select(self, keep: np.ndarray) -> tuple[np.ndarray, RelevantPairs]:
        """The pairs of the mask (n_pairs,): the rows that have any, rising, and their pairs."""
        kept = np.diff(np.concatenate([[0], np.cumsum(keep)])[self.indptr])
        rows = np.flatnonzero(kept)
        indptr = np.concatenate([[0], np.cumsum(kept[rows])])
        wins = None if self.wins is None else self.wins[keep]
        return rows, RelevantPairs(indptr, self.places[keep], self.gains[keep], wins)


@dataclass(frozen=True, eq=False)
class JudgedLists:
    """Ranked lists held against the relevant items. Built once, read by every metric.

    hits : (n_lists, width) bool, True where the item at that place is relevant; False beyond the end of a list.
    n_relevant : (n_lists,) int64, how many items are relevant, at least 1, also those that no list can hold.

    What only some metrics look at, and ask for by `require`:

    pairs : the relevant items one by one, with gains and wins.
    shown : the lists themselves;  users : (n_lists,) whose they are, by position in the history;  catalogue : the items.

    Raises `DataError` when the parts do not fit together.
    """

    hits: np.ndarray
    n_relevant: np.ndarray
    pairs: RelevantPairs | None = None
    shown: RankedLists | None = None
    users: np.ndarray | None = None
    catalogue: Catalogue | None = None

    def __post_init__(self) -> None:
        if self.hits.dtype != np.bool_ or self.hits.ndim != 2 or self.n_relevant.shape != self.hits.shape[:1]:
            raise DataError(
                "JudgedLists.hits must be bool of shape (n_lists, width) and n_relevant of shape (n_lists,). "
                f"Got {self.hits.dtype} of shape {self.hits.shape} and shape {self.n_relevant.shape}."
            )
        if (self.n_relevant < 1).any():
            row = int(np.flatnonzero(self.n_relevant < 1)[0])
            raise DataError(f"A list without relevant items has no value and must be left out. List {row} is one.")

    @classmethod
    def from_ranked(
        cls, lists: RankedLists, indptr: np.ndarray, relevant: np.ndarray, n_relevant: np.ndarray | None = None
    ) -> JudgedLists:
        """List r of `lists` against relevant[indptr[r]:indptr[r + 1]], item positions (int32) that rise.

        n_relevant : (n_lists,) int64, at least as many: relevant items that have no position are counted here alone. Every
            relevant item has a gain of 1.
        """
        n_lists, width = lists.positions.shape
        if lists.counts.shape != (n_lists,) or len(indptr) != n_lists + 1 or (lists.counts > width).any():
            raise DataError(
                f"There are {n_lists} lists of up to {width} items, and relevant items for {len(indptr) - 1} lists."
            )
        places = kernels.find_places(lists.positions, lists.counts, indptr, relevant)
        pairs = RelevantPairs(indptr, places, np.ones(len(places), np.float32))
        hits = kernels.mark_hits(indptr, places, width)
        return cls(hits, np.diff(indptr) if n_relevant is None else n_relevant, pairs, shown=lists)

    @classmethod
    def from_pairs(cls, pairs: RelevantPairs, width: int, **parts: Any) -> JudgedLists:
        """Lists of up to `width` items of which the places of the relevant ones are known; `parts` as in the constructor."""
        return cls(kernels.mark_hits(pairs.indptr, pairs.places, width), pairs.n_relevant, pairs, **parts)

    def require(self, part: str) -> Any:
        """One of the optional parts. Raises `DataError` where it was not given."""
        value = getattr(self, part)
        if value is None:
            raise DataError(f"This metric looks at JudgedLists.{part}, which was not given.")
        return value

    @cached_property
    def hit_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the kernels of hits take: hit_indptr, hit_places, n_relevant."""
        return *kernels.gather_hits(self.hits), self.n_relevant
