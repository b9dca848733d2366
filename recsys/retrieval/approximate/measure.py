"""Measuring an index: recall against the exact search with its interval, and queries per second, one by one and in batches.

Imports the exact search.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.retrieval.exact import RankedLists, top_k
from recsys.retrieval.searcher import Searcher

__all__ = ["Sample", "curve_in_words", "interval"]

_SINGLE_QUERIES = 100
_SINGLE_SECONDS = 0.5
_BATCH_SECONDS = 0.5
# What is done once a call must not count for much, and the whole not take long.
_BATCH_QUERIES = 8192
_BATCH_PAIRS = 4 * 10**9


@dataclass(frozen=True)
class Sample:
    """Queries with what each has seen (always given, maybe empty) and the exact answer, to measure searches of `items` by."""

    items: np.ndarray
    queries: np.ndarray
    seen: tuple[np.ndarray, np.ndarray]
    truth: RankedLists
    k: int
    num_threads: int | None = None

    @classmethod
    def of(
        cls,
        items: np.ndarray,
        queries: np.ndarray,
        seen: tuple[np.ndarray, np.ndarray] | None,
        k: int,
        num_threads: int | None,
    ) -> Sample:
        """With the exact answer worked out."""
        seen = seen or (np.zeros(len(queries) + 1, np.int64), np.empty(0, np.int32))
        truth = top_k(queries, items, k, seen=seen, num_threads=num_threads)
        return cls(items, queries, seen, truth, k, num_threads)

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, rows: slice) -> Sample:
        """Some of the queries."""
        indptr, indices = self.seen[0][rows.start : rows.stop + 1], self.seen[1]
        truth = RankedLists(self.truth.positions[rows], self.truth.scores[rows], self.truth.counts[rows])
        return Sample(self.items, self.queries[rows], (indptr, indices), truth, self.k, self.num_threads)

    def halves(self) -> tuple[Sample, Sample]:
        """The first and the second half of the queries."""
        middle = len(self) // 2
        return self.part(slice(0, middle)), self.part(slice(middle, len(self)))

    @property
    def typical_seen(self) -> int:
        """The median number of seen items."""
        return int(np.median(np.diff(self.seen[0])))

    def recalls(self, search: Searcher) -> np.ndarray:
        """(n,) float64: the share of each query's exact list that `search` finds; 1 where that list is empty."""
        lists = search(self.queries, self.items, self.k, seen=self.seen, num_threads=self.num_threads)
        shares = np.ones(len(self))
        for row, (size, count) in enumerate(zip(self.truth.counts, lists.counts, strict=True)):
            if size:
                hits = np.isin(lists.positions[row, :count], self.truth.positions[row, :size], assume_unique=True)
                shares[row] = hits.sum() / size
        return shares

    def single_per_second(self, search: Searcher) -> float:
        """Queries a second when they come one at a time: by the median of their times."""
        seconds: list[float] = []
        begin = time.perf_counter()
        while len(seconds) < _SINGLE_QUERIES and (len(seconds) < 5 or time.perf_counter() - begin < _SINGLE_SECONDS):
            row = len(seconds) % len(self)
            one = self.part(slice(row, row + 1))
            start = time.perf_counter()
            search(one.queries, self.items, self.k, seen=one.seen, num_threads=self.num_threads)
            seconds.append(time.perf_counter() - start)
        return 1 / statistics.median(seconds)

    def batch_per_second(self, search: Searcher) -> float:
        """Queries a second when many come together, as in a job: these again and again. By the best of several times."""
        most = min(_BATCH_QUERIES, max(_BATCH_PAIRS // max(len(self.items), 1), len(self)))
        rows = np.arange(most) % len(self)
        starts, stops = self.seen[0][:-1][rows], self.seen[0][1:][rows]
        indptr = np.concatenate([[0], np.cumsum(stops - starts)])
        indices = self.seen[1][np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], stops - starts)]
        seconds: list[float] = []
        while not seconds or (sum(seconds) < _BATCH_SECONDS and len(seconds) < 20):
            start = time.perf_counter()
            search(self.queries[rows], self.items, self.k, seen=(indptr, indices), num_threads=self.num_threads)
            seconds.append(time.perf_counter() - start)
        return most / min(seconds)


def interval(shares: np.ndarray, z: float = 1.96) -> tuple[float, float]:
    """A 95 % interval of the mean of (n,) shares between 0 and 1: Wilson's (1927, equation 4 as in Brown et al. 2001).

    It takes each query for one trial. A share varies at most as a coin does, so the interval is wide enough, and it does not
    shrink to nothing where all shares are 1.
    """
    n, mean = len(shares), float(shares.mean())
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def curve_in_words(curve: Sequence[dict[str, Any]]) -> str:
    """`recall 0.912 at 8,100 queries a second, 0.954 at 5,000`: at most six points, the last one among them."""
    step = -(-len(curve) // 6)
    points = list(curve[::-step][::-1])
    words = [f"{point['recall']:.3f} at {point['single_per_second']:,.0f}" for point in points]
    words[0] = f"recall {words[0]} queries a second"
    return ", ".join(words)
