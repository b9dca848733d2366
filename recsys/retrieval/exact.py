"""Exact maximum inner product: every item that could be in a list is scored, most others never are.

Many queries are screened (`screening`), few are multiplied with all items as they come. Either way more than k are kept, scored
again in float64, and the list is proven: its last score is above everything that was left out, rounding allowed for. Memory is
bounded by the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.errors import ParameterError
from recsys.kernels import topk
from recsys.kernels.dense import read_only, row_blocks
from recsys.kernels.screening import MULTIPLIES_BYTES
from recsys.parallel import Workers
from recsys.retrieval.screening import Screen, screened
from recsys.retrieval.shortlists import (
    MARGIN,
    QueryShortlists,
    RankedLists,
    Seen,
    empty_lists,
    inverse,
    norms_of,
    search_until_proven,
)

__all__ = ["ExactSearch", "RankedLists", "RepeatedSearch", "require_k", "top_k"]

_ITEM_ROWS = 512
# Bars are guessed for lists of up to this share of the items.
_GUESSED_SHARE = 0.1
# So many queries are worth sorting the items for, and vectors of so many dimensions coding them.
_WORTH_SORTING, _WORTH_CODING = 64, 8


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
        self._items = read_only(np.ascontiguousarray(items, dtype=np.float32))
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
        arranged = self._sorted if len(queries) >= _WORTH_SORTING else self._as_they_come
        n = len(arranged.labels)
        k = min(k, n)
        kept = min(k + MARGIN, n)
        lists = empty_lists(len(queries), k)
        search = _Search(queries, self._items, self._longest, arranged, Seen(seen, arranged.place), lists, kept)
        with Workers(num_threads) as workers:
            search_until_proven(search.fill, np.arange(len(queries) if k else 0), kept, n, workers)
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
        return _Arranged(labels, inverse(labels, len(self._items)), self._items[labels])

    @cached_property
    def _sorted(self) -> _Arranged:
        """By falling norm, ties by position."""
        items = self._as_they_come
        norms = norms_of(items.columns)
        order = np.argsort(-norms, kind="stable")
        labels, columns, norms = items.labels[order], items.columns[order], norms[order]
        codes = MULTIPLIES_BYTES and columns.shape[1] >= _WORTH_CODING
        screen = Screen.of(columns) if codes else None
        return _Arranged(labels, inverse(labels, len(self._items)), columns, norms, screen)


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


@dataclass(frozen=True)
class _Arranged:
    """Items by place.

    labels : (n,) int32, the item at each place;  place : (n_items,) int32, its inverse, None where both are the same.
    columns : (n, dim) float32;  norms : (n,) float64, if they fall;  screen : by what they are searched then.
    """

    labels: np.ndarray
    place: np.ndarray | None
    columns: np.ndarray
    norms: np.ndarray | None = None
    screen: Screen | None = None


@dataclass(frozen=True)
class _Search:
    """All queries, and the lists that are filled group by group.

    longest : the largest norm of an item;  kept : how many items are kept a query, at first.
    """

    queries: np.ndarray
    items: np.ndarray
    longest: float
    arranged: _Arranged
    seen: Seen
    lists: RankedLists
    kept: int

    def fill(self, rows: np.ndarray, kept: int) -> np.ndarray:
        """Fills the lists of `rows` and returns those of them that are not proven."""
        best = QueryShortlists(rows, kept, len(self.arranged.labels), self.queries[rows], self.longest, self.seen)
        items = self.arranged
        if items.screen is not None:
            guess = kept == self.kept and kept < len(items.labels) * _GUESSED_SHARE
            screened(items.screen, best, items.columns, items.labels, guess=guess)
        else:
            _pass_by(best, items)
        best.cut()
        if items.screen is None:
            topk.rescore(best.queries, self.items, best.scores, best.positions, best.counts)
        topk.sort_lists(best.scores, best.positions, best.counts)
        return best.hand_over(self.lists)


def _pass_by(best: QueryShortlists, items: _Arranged) -> None:
    """Items pass by the queries of a group until none of these can be reached any more."""
    rows = np.arange(len(best.queries))
    for block in row_blocks(len(items.labels), _ITEM_ROWS):
        if items.norms is not None and not best.reached_by(items.norms[block.start]).any():
            return
        scores = np.matmul(best.queries, items.columns[block].T)
        best.mask(scores, rows, block)
        best.enter(scores, rows, items.labels[block])
