"""Exact maximum inner product: every item that could be in a list is scored, most others never are.

Items pass in blocks of falling norm. A query is done when its norm times the next block's can not reach the worst score that it
keeps. Of the others only the leading dimensions are multiplied, in axes in which these carry the most, and by Cauchy and
Schwarz the rest can be bounded: few scores have to be completed. Where vectors are such that nothing can be skipped, whole
products are made. The bounds, and how the lists are proven, allow for what rounding may do. Memory is bounded by the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.errors import ParameterError
from recsys.kernels import product, topk
from recsys.kernels.dense import gram, principal_axes, rotate, row_blocks
from recsys.parallel import Workers
from recsys.retrieval.shortlists import MARGIN, RankedLists, Shortlists, empty_lists, search_until_proven

__all__ = ["ExactSearch", "RankedLists", "RepeatedSearch", "require_k", "top_k"]

_ITEM_ROWS = 512
# So many queries are worth sorting, turning and packing the items for.
_WORTH_ARRANGING = 64
# Share of pairs above which completing them costs more than multiplying all dimensions, and for how many blocks.
_COMPLETED_SHARE, _PAUSE = 0.12, 8
# Vectors are turned when the leading half of their axes carries less than this share of what it could.
_CARRIED_SHARE = 0.99


def top_k(
    queries: np.ndarray,
    items: np.ndarray,
    k: int,
    *,
    seen: tuple[np.ndarray, np.ndarray] | None = None,
    candidates: np.ndarray | None = None,
    num_threads: int | None = None,
) -> RankedLists:
    """The k items of highest inner product with each query; ties go to the lower position.

    queries : (n, dim) float32;  items : (n_items, dim) float32.
    seen : (indptr, indices) of item positions that must not appear, by query, rising within a query.
    candidates : rising item positions; no others are considered.

    Scores are float64 dot products rounded to float32. The same bytes for any number of threads. Those who search the same
    items again and again keep an `ExactSearch`, or call a `RepeatedSearch`.
    """
    return ExactSearch(items, candidates).top_k(queries, k, seen=seen, num_threads=num_threads)


def require_k(k: int) -> None:
    """Raises `ParameterError` unless k is an int >= 1."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ParameterError(f"`k` must be an int >= 1. Got {k!r}.")


class ExactSearch:
    """Searches items, (n_items, dim) float32, or only the `candidates` among them, arranged once, when it is worth it."""

    def __init__(self, items: np.ndarray, candidates: np.ndarray | None = None) -> None:
        self._items = np.ascontiguousarray(items, dtype=np.float32)
        self._candidates = candidates

    def top_k(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """As the function `top_k`."""
        require_k(k)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        arranged = self._sorted if len(queries) >= _WORTH_ARRANGING else self._as_they_come
        k = min(k, len(arranged.labels))
        lists = empty_lists(len(queries), k)
        search = _Search(queries, self._items, self._longest, arranged, arranged.in_places(seen), lists)
        with Workers(num_threads) as workers:
            search_until_proven(search.fill, np.arange(len(queries) if k else 0), k + MARGIN, len(arranged.labels), workers)
        return lists

    @cached_property
    def _longest(self) -> float:
        """The largest norm."""
        squares = np.einsum("ij,ij->i", self._items, self._items)
        return float(np.sqrt(squares.max(initial=0)) * (1 + 1e-3))

    @cached_property
    def _as_they_come(self) -> _Arranged:
        if self._candidates is None:
            return _Arranged(np.arange(len(self._items), dtype=np.int32), None, self._items)
        labels = np.asarray(self._candidates, np.int32)
        return _Arranged(labels, _inverse(labels, len(self._items)), self._items[labels])

    @cached_property
    def _sorted(self) -> _Sorted:
        """By falling norm, ties by position, in axes of falling weight."""
        labels = self._as_they_come.labels
        norms = _norms(self._items[labels])
        order = np.argsort(-norms, kind="stable")
        labels = labels[order]
        vectors, dim = self._items[labels], self._items.shape[1]
        with Workers(1) as workers:
            axes = _better_axes(gram(vectors, workers))
            if axes is not None:
                rotate(vectors, axes, workers)
        panels = product.columns_in_panels(vectors.T)
        tails = vectors[:, dim // 2 :].copy()
        return _Sorted(labels, _inverse(labels, len(self._items)), panels, axes, norms[order], tails, _upwards(_norms(tails)))


class RepeatedSearch:
    """`top_k` for those who search the same items again and again: what was arranged last is kept for the next call."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray | None, ExactSearch] | None = None

    def __call__(
        self,
        queries: np.ndarray,
        items: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """As the function `top_k`."""
        last = self._last
        if last is None or last[0] is not items or last[1] is not candidates:
            last = self._last = items, candidates, ExactSearch(items, candidates)
        return last[2].top_k(queries, k, seen=seen, num_threads=num_threads)


def _norms(vectors: np.ndarray) -> np.ndarray:
    """(n,) float64."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)))


def _upwards(numbers: np.ndarray) -> np.ndarray:
    """float32 numbers that are not below the float64 ones, also after a product and a sum."""
    return np.asarray(numbers * (1 + 1e-6), np.float32)


def _inverse(labels: np.ndarray, n_items: int) -> np.ndarray:
    """(n_items,) int32: the place of each item among `labels`, -1 for none."""
    place = np.full(n_items, -1, np.int32)
    place[labels] = np.arange(len(labels), dtype=np.int32)
    return place


def _better_axes(gram_matrix: np.ndarray) -> np.ndarray | None:
    """(dim, dim) axes in which the leading half carries the most; None where the present ones are about as good."""
    half = len(gram_matrix) // 2
    eigenvalues, axes = principal_axes(gram_matrix)
    if np.diag(gram_matrix)[:half].sum() >= _CARRIED_SHARE * eigenvalues[:half].sum():
        return None
    return axes


@dataclass(frozen=True)
class _Arranged:
    """Items by place, as they come.

    labels : (n,) int32, the item at each place;  place : (n_items,) int32, its inverse, None where both are the same.
    columns : (n, dim) float32.
    """

    labels: np.ndarray
    place: np.ndarray | None
    columns: np.ndarray

    def in_places(self, seen: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray] | None:
        """`seen` by places, rising within a query; what has no place goes."""
        if seen is None or self.place is None:
            return seen
        indptr, indices = np.empty(len(seen[0]), np.int64), np.empty(seen[0][-1] - seen[0][0], np.int32)
        topk.renumber(*seen, self.place, indptr, indices)
        return indptr, indices


@dataclass(frozen=True)
class _Sorted(_Arranged):
    """Items by falling norm.

    columns : (n_panels, dim, PANEL), turned into `axes` (dim, dim) unless that is None.
    norms : (n,) float64, falling;  tails : (n, rest) the last dimensions of each item;  rests : (n,) their norms.
    """

    axes: np.ndarray | None
    norms: np.ndarray
    tails: np.ndarray
    rests: np.ndarray


@dataclass(frozen=True)
class _Search:
    """All queries, and the lists that are filled group by group. longest : the largest norm of an item."""

    queries: np.ndarray
    items: np.ndarray
    longest: float
    arranged: _Arranged
    seen: tuple[np.ndarray, np.ndarray] | None
    lists: RankedLists

    def fill(self, rows: np.ndarray, kept: int) -> np.ndarray:
        """Fills the lists of `rows` and returns those of them that are not proven."""
        best = _Shortlists(self, rows, kept)
        if isinstance(self.arranged, _Sorted):
            _SortedPass(best, self.arranged).run()
        else:
            _pass_as_they_come(best, self.arranged)
        best.cut()
        topk.rescore_sorted(best.queries, self.items, best.scores, best.positions, best.counts)
        return best.hand_over(self.lists)


class _Shortlists(Shortlists):
    """Those of a group, with its queries and their lengths."""

    def __init__(self, search: _Search, rows: np.ndarray, kept: int) -> None:
        self.queries = search.queries[rows]
        self.norms = _norms(self.queries)
        dim = self.queries.shape[1]
        # A sum of dim products is off by less than dim · 2⁻²⁴ of the norms' product; new axes and the bounds add as much.
        # One product alone is rounded as the score itself is.
        unit = 4 * (dim + 4) * 2.0**-24 if dim > 1 else 0.0
        slack = np.asarray(unit * search.longest * self.norms, np.float32)
        super().__init__(rows, kept, len(search.arranged.labels), slack, search.seen)


def _pass_as_they_come(best: _Shortlists, items: _Arranged) -> None:
    rows = np.arange(len(best.queries))
    for block in row_blocks(len(items.labels), _ITEM_ROWS):
        scores = np.matmul(best.queries, items.columns[block].T)
        best.mask(scores, rows, block)
        best.enter(scores, rows, items.labels[block])


class _SortedPass:
    """Sorted items pass by a group of queries, of which those that are done leave."""

    def __init__(self, best: _Shortlists, items: _Sorted) -> None:
        self._best, self._items = best, items
        queries = best.queries
        self._queries = queries if items.axes is None else queries @ items.axes.astype(np.float32)
        self._depth = queries.shape[1] - items.tails.shape[1]
        self._tails = self._queries[:, self._depth :].copy()
        self._rests = _upwards(_norms(self._tails))
        # One for all blocks: memory that is asked for anew is also handed out page by page anew.
        self._room = np.empty(product.padded_rows(len(queries)) * _ITEM_ROWS, np.float32)
        self._go_on_with(np.arange(len(queries)))

    def run(self) -> None:
        """Fills the shortlists."""
        whole = 1  # blocks to be multiplied in all dimensions: the first, which fills the lists, and where bounds do not help
        for block in row_blocks(len(self._items.labels), _ITEM_ROWS // product.PANEL * product.PANEL):
            self._leave(self._items.norms[block.start])
            if not len(self._active):
                return
            if whole:
                self._enter_whole(block, self._multiply(block, 0, self._queries.shape[1]))
                whole -= 1
            elif not self._enter_possible(block):
                whole = _PAUSE

    def _go_on_with(self, active: np.ndarray) -> None:
        self._active = active
        self._rows = np.empty((product.padded_rows(len(active)), self._queries.shape[1]), np.float32)
        self._rows[: len(active)] = self._queries[active]
        self._rows[len(active) :] = 0

    def _leave(self, norm: float) -> None:
        """Queries for which items of at most this norm are not good enough are done."""
        best, active = self._best, self._active
        stays = best.norms[active] * norm * (1 + 1e-9) >= best.bars[active].astype(np.float64) - best.slack[active]
        if not stays.all():
            self._go_on_with(active[stays])

    def _multiply(self, block: slice, begin: int, end: int, scores: np.ndarray | None = None) -> np.ndarray:
        """The active queries by a block of items over the dimensions [begin, end), added to `scores` if there are any."""
        panels = self._items.columns[block.start // product.PANEL : -(-block.stop // product.PANEL)]
        if scores is None:
            shape = len(self._rows), len(panels) * product.PANEL
            scores = self._room[: shape[0] * shape[1]].reshape(shape)
        product.multiply(self._rows, panels, begin, end, scores)
        return scores

    def _enter_whole(self, block: slice, scores: np.ndarray) -> None:
        self._best.mask(scores, self._active, block)
        self._best.enter(scores, self._active, self._items.labels[block])

    def _enter_possible(self, block: slice) -> bool:
        """Completes the scores that could enter; all of them, and returns False, where these are too many."""
        best, items = self._best, self._items
        scores = self._multiply(block, 0, self._depth)
        rests = items.rests[block]
        possible = topk.count_possible(scores, self._active, rests, self._rests, best.slack, best.bars)
        if possible > _COMPLETED_SHARE * len(self._active) * len(rests):
            self._enter_whole(block, self._multiply(block, self._depth, self._queries.shape[1], scores))
            return False
        best.mask(scores, self._active, block)
        topk.keep_possible(
            scores, self._active, items.labels[block], items.tails[block], rests, self._tails, self._rests, best.slack,
            best.kept, best.scores, best.positions, best.counts, best.bars,
        )  # fmt: skip
        return True
