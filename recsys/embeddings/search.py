"""Nearest vectors under a metric, as a search by inner product, exact or by an index. May import errors, retrieval; no ids."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.retrieval import RankedLists
from recsys.retrieval.approximate import ItemIndex
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
    """Vectors (n, dim) float32 to be searched under one metric. What it arranges for that is kept for the next call.

    Each metric is an inner product of other rows (`rows`) with other queries (`as_queries`), so that exact search and
    approximate indexes, which know inner products, serve all.
    """

    def __init__(self, vectors: np.ndarray, metric: str) -> None:
        require_metric(metric)
        self._vectors, self._metric = vectors, metric

    def top_k(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray],
        num_threads: int | None,
        index: ItemIndex | None = None,
    ) -> RankedLists:
        """The k nearest of each query (m, dim), best first, less those in `seen`: see `recsys.retrieval.top_k`.

        index : one over `rows`, to search by; None for the exact search.
        """
        asked = self.as_queries(queries)
        if index is None:
            lists = self._exact.top_k(asked, k, seen=seen, num_threads=num_threads)
        else:
            lists = index.top_k(asked, self.rows, k, seen=seen, candidates=self._candidates, num_threads=num_threads)
        if self._metric == "cosine":
            return RankedLists(lists.positions, lists.scores, np.where(queries.any(axis=1), lists.counts, 0).astype(np.int32))
        if self._metric == "euclidean":
            self._set_distances(lists, queries)
        return lists

    def _set_distances(self, lists: RankedLists, queries: np.ndarray) -> None:
        for start in range(0, len(queries), _ROWS):
            rows = slice(start, start + _ROWS)
            steps = self._vectors[lists.positions[rows]] - queries[rows, None]
            lists.scores[rows] = -np.sqrt(np.einsum("qkd,qkd->qk", steps, steps, dtype=np.float64))

    def as_queries(self, vectors: np.ndarray) -> np.ndarray:
        """(m, dim or dim + 2) float32: what is multiplied with `rows` in the place of `vectors` (m, dim)."""
        if self._metric == "dot":
            return vectors
        if self._metric == "cosine":
            return unit_rows(vectors)
        return np.hstack([vectors - self._centre, np.full((len(vectors), 2), self._scale, np.float32)])

    @cached_property
    def rows(self) -> np.ndarray:
        """(n, dim or dim + 2) float32: the higher the product with a row, the nearer its vector."""
        if self._metric == "dot":
            return self._vectors
        if self._metric == "cosine":
            return unit_rows(self._vectors)
        # ‖x - y‖² = ‖x‖² - 2 (x · y - ‖y‖² / 2): the nearest y has the highest product of (x, s, s) and (y, -h / s, -l / s),
        # where h + l = ‖y‖² / 2 in two float32 numbers: one alone would lose what tells near ones apart.
        shifted = self._vectors - self._centre
        halves = np.einsum("ij,ij->i", shifted, shifted, dtype=np.float64) / 2
        high = halves.astype(np.float32)
        low = (halves - high).astype(np.float32)
        return np.hstack([shifted, -high[:, None] / self._scale, -low[:, None] / self._scale])

    @cached_property
    def _exact(self) -> ExactSearch:
        return ExactSearch(self.rows, self._candidates)

    @cached_property
    def _candidates(self) -> np.ndarray | None:
        """Positions that may be found; None for all. A zero vector is nobody's neighbour by cosine."""
        if self._metric != "cosine":
            return None
        nonzero = self._vectors.any(axis=1)
        return None if nonzero.all() else np.flatnonzero(nonzero)

    @cached_property
    def _scale(self) -> np.float32:
        """A typical length of `shifted`, so that its columns and the last two weigh alike where directions are compared. A
        power of two, by which products are exact."""
        shifted = self._vectors - self._centre
        square = float(np.einsum("ij,ij->", shifted, shifted, dtype=np.float64)) / max(len(shifted), 1)
        return np.float32(2.0 ** round(np.log2(square) / 2)) if square > 0 else np.float32(1)

    @cached_property
    def _centre(self) -> np.ndarray:
        """(dim,) float32. Distances do not depend on where the origin is; the products are smallest around the mean."""
        return np.asarray(self._vectors.mean(axis=0, dtype=np.float64) if len(self._vectors) else 0, np.float32)
