"""The best items so far of each query of a group, kept until they prove their lists. May import kernels and parallel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.kernels import topk
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers

__all__ = [
    "MARGIN",
    "QUERY_ROWS",
    "QueryShortlists",
    "RankedLists",
    "Seen",
    "Shortlists",
    "empty_lists",
    "inverse",
    "norms_of",
    "search_until_proven",
]

# More than k are kept by fast sums, scored again exactly, and cut. Where that does not prove a list, many more are.
MARGIN, _MORE = 8, 8
QUERY_ROWS = 1024
# Entries that the shortlists of one group of queries may hold.
_SHORTLIST_ENTRIES = 2**22


@dataclass(frozen=True)
class RankedLists:
    """Ranked lists, best first: positions (n, k) int32, scores (n, k) float32, counts (n,) int32.

    Only the first counts[r] entries of row r are valid: fewer than k when fewer than k items are left by the filters.
    """

    positions: np.ndarray
    scores: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)


def empty_lists(n_queries: int, k: int) -> RankedLists:
    """Lists with room for k, of count 0."""
    return RankedLists(np.zeros((n_queries, k), np.int32), np.zeros((n_queries, k), np.float32), np.zeros(n_queries, np.int32))


def search_until_proven(
    fill: Callable[[np.ndarray, int], np.ndarray], rows: np.ndarray, kept: int, n_items: int, workers: Workers
) -> None:
    """Calls `fill(rows, kept)` for groups of rows; those that it returns, as not proven, again with more kept."""
    kept = min(kept, n_items)
    size = min(QUERY_ROWS, max(1, _SHORTLIST_ENTRIES // max(kept, 1)))
    unproven = workers.map(lambda block: fill(rows[block], kept), row_blocks(len(rows), size))
    again = np.concatenate([np.empty(0, np.int64), *unproven])
    if len(again):
        search_until_proven(fill, again, kept * _MORE, n_items, workers)


@dataclass(frozen=True)
class Seen:
    """What each query must not get: `items` as (indptr, indices), None for nothing, item positions that rise within a query.

    place : (n_items,) int32, where each item stands among those that pass, -1 for nowhere; None where that is its position.
    """

    items: tuple[np.ndarray, np.ndarray] | None
    place: np.ndarray | None

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """places, begins, ends: places[begins[r] : ends[r]] must not get to query rows[r]; they rise."""
        if self.items is None:
            return np.empty(0, np.int32), np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        indptr, indices = self.items
        begins, ends = np.asarray(indptr[rows], np.int64), np.asarray(indptr[rows + 1], np.int64)
        if self.place is None:
            return indices, begins, ends
        places = np.empty((ends - begins).sum(), np.int32)
        topk.renumber(indptr, indices, rows, self.place, begins, ends, places)
        return places, begins, ends


def inverse(labels: np.ndarray, n_items: int) -> np.ndarray:
    """(n_items,) int32: the place of each item among `labels`, -1 for none."""
    place = np.full(n_items, -1, np.int32)
    place[labels] = np.arange(len(labels), dtype=np.int32)
    return place


class Shortlists:
    """The best `kept` of `n_items` so far for each of some rows of queries.

    slack : (n,) float32, what rounding may have taken from a score, or added to it.
    """

    def __init__(self, rows: np.ndarray, kept: int, n_items: int, slack: np.ndarray, seen: Seen) -> None:
        self.rows, self.kept, self.slack, self._n_items = rows, kept, slack, n_items
        self._seen = seen.of(rows)
        room = min(2 * kept + 16, n_items)
        self.scores = np.zeros((len(rows), room), np.float32)
        self.positions = np.zeros((len(rows), room), np.int32)
        self.counts = np.zeros(len(rows), np.int32)
        self.bars = np.full(len(rows), -np.inf, np.float32)
        # Bars that were only guessed: a list that they leave short may lack what is below them.
        self._guesses = self.bars.copy()

    def mask_sampled(self, scores: np.ndarray, sampled: np.ndarray) -> None:
        """Takes what all queries have seen out of scores of a sample; sampled : (n_items,) the column of each item, or -1."""
        topk.mask_sampled(scores, *self._seen, sampled)

    def guess(self, scores: np.ndarray, rank: int) -> None:
        """Begins with bars at the score of that rank among those of a sample of items, (n, size)."""
        topk.nth_largest(scores, rank, self._guesses)
        self.bars[:] = self._guesses

    def mask(self, scores: np.ndarray, lines: np.ndarray, block: slice) -> None:
        """Takes what the queries `lines` of this group have seen out of a block of scores. Blocks must come in rising order."""
        topk.mask_columns(scores, lines, block.start, block.stop, *self._seen)

    def enter(self, scores: np.ndarray, lines: np.ndarray, labels: np.ndarray) -> None:
        """Takes a block of whole scores in."""
        topk.keep_best(scores, lines, labels, self.kept, self.scores, self.positions, self.counts, self.bars)

    def cut(self) -> None:
        """Leaves the best `kept`."""
        topk.cut_to(self.kept, self.scores, self.positions, self.counts, self.bars)

    def hand_over(self, lists: RankedLists) -> np.ndarray:
        """Writes the shortlists, cut and scored exactly, to the rows of `lists`; returns the rows that are not proven."""
        k = lists.positions.shape[1]
        lists.positions[self.rows] = self.positions[:, :k]
        lists.scores[self.rows] = self.scores[:, :k]
        lists.counts[self.rows] = np.minimum(self.counts, k)
        all_in = (self.slack == 0) | (self.counts < self.kept) | (self.kept == self._n_items)
        # What was left out scores at most the bar and what rounding may have taken; one float32 further, so that rounding does
        # not make it equal to the last of the list.
        others = (self.bars.astype(np.float64) + self.slack).astype(np.float32)
        proven = all_in | (self.scores[:, k - 1] > np.nextafter(others, np.float32(np.inf)))
        proven &= (self.counts == self.kept) | (self._guesses == -np.inf)
        return np.asarray(self.rows[~proven])


class QueryShortlists(Shortlists):
    """Those of queries (n, dim) float32, by dot products with items of which none is longer than `longest`."""

    def __init__(
        self,
        rows: np.ndarray,
        kept: int,
        n_items: int,
        queries: np.ndarray,
        longest: float,
        seen: Seen,
    ) -> None:
        self.queries, self.norms = queries, norms_of(queries)
        dim = queries.shape[1]
        # A sum of dim products is off by less than dim · 2⁻²⁴ of the norms' product; new axes and bounds add as much.
        # One product alone is rounded as the score itself is.
        unit = 4 * (dim + 4) * 2.0**-24 if dim > 1 else 0.0
        super().__init__(rows, kept, n_items, np.asarray(unit * longest * self.norms, np.float32), seen)

    def enter_possible(
        self, lines: np.ndarray, columns: np.ndarray, bounds: np.ndarray, vectors: np.ndarray, labels: np.ndarray
    ) -> None:
        """Scores pairs of a query and one of `vectors`, in rising order within a query, and takes them in unless seen.

        bounds : (n,) float32, which the scores are not above;  labels : the position at each place.
        """
        topk.keep_found(
            lines, columns, bounds, self.queries, vectors, labels, *self._seen,
            self.kept, self.scores, self.positions, self.counts, self.bars,
        )  # fmt: skip

    def reached_by(self, norm: float) -> np.ndarray:
        """(n,) bool: for which queries items of at most this norm may be good enough."""
        return np.asarray(self.norms * norm * (1 + 1e-9) >= self.bars.astype(np.float64) - self.slack)


def norms_of(vectors: np.ndarray) -> np.ndarray:
    """(n,) float64: the lengths of (n, dim) vectors."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)))
