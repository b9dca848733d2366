"""Nearest vectors under a metric, as exact search by inner product. May import errors and retrieval; knows no ids."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.retrieval import RankedLists
from recsys.retrieval.exact import ExactSearch

__all__ = ["METRICS", "MetricSearch", "require_metric", "unit_rows"]

METRICS = ("cosine", "dot", "euclidean")
# Rows whose distances are computed at a time.
_ROWS = 4096


def require_metric(metric: str) -> None:
    """Raises `ParameterError` unless `metric` is one of `METRICS`."""
    if metric not in METRICS:
        raise ParameterError(
            f"`metric` must be one of {quote_some(METRICS)}. Got {metric!r}.{closest_hint(str(metric), METRICS)}"
        )


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(n, dim) float32: the rows brought to length 1; a zero row stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1)[:, None].astype(vectors.dtype), np.float32)


class MetricSearch:
    """Vectors (n, dim) float32 to be searched under one metric. What it arranges for that is kept for the next call."""

    def __init__(self, vectors: np.ndarray, metric: str) -> None:
        require_metric(metric)
        self._vectors, self._metric = vectors, metric

    def top_k(
        self, queries: np.ndarray, k: int, *, seen: tuple[np.ndarray, np.ndarray], num_threads: int | None
    ) -> RankedLists:
        """The k nearest of each query (m, dim), best first, less those in `seen`: see `recsys.retrieval.top_k`."""
        if self._metric == "dot":
            return self._search.top_k(queries, k, seen=seen, num_threads=num_threads)
        if self._metric == "cosine":
            lists = self._search.top_k(unit_rows(queries), k, seen=seen, num_threads=num_threads)
            return RankedLists(lists.positions, lists.scores, np.where(queries.any(axis=1), lists.counts, 0).astype(np.int32))
        ones = np.ones((len(queries), 2), np.float32)
        lists = self._search.top_k(np.hstack([queries - self._centre, ones]), k, seen=seen, num_threads=num_threads)
        for start in range(0, len(queries), _ROWS):
            rows = slice(start, start + _ROWS)
            steps = self._vectors[lists.positions[rows]] - queries[rows, None]
            lists.scores[rows] = -np.sqrt(np.einsum("qkd,qkd->qk", steps, steps, dtype=np.float64))
        return lists

    @cached_property
    def _search(self) -> ExactSearch:
        if self._metric == "dot":
            return ExactSearch(self._vectors)
        if self._metric == "cosine":
            nonzero = self._vectors.any(axis=1)
            return ExactSearch(unit_rows(self._vectors), None if nonzero.all() else np.flatnonzero(nonzero))
        # ‖x - y‖² = ‖x‖² - 2 (x · y - ‖y‖² / 2): the nearest y has the highest product of (x, 1, 1) and (y, -h, -l), where
        # h + l = ‖y‖² / 2 in two float32 numbers: one alone would lose what tells near ones apart.
        shifted = self._vectors - self._centre
        halves = np.einsum("ij,ij->i", shifted, shifted, dtype=np.float64) / 2
        high = halves.astype(np.float32)
        return ExactSearch(np.hstack([shifted, -high[:, None], -(halves - high).astype(np.float32)[:, None]]))

    @cached_property
    def _centre(self) -> np.ndarray:
        """(dim,) float32. Distances do not depend on where the origin is; the products are smallest around the mean."""
        return np.asarray(self._vectors.mean(axis=0, dtype=np.float64) if len(self._vectors) else 0, np.float32)
