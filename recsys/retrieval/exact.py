"""Exact maximum inner product: blocked matrix product, filter, top-k. Memory is bounded by the blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import ParameterError
from recsys.kernels import topk
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers

__all__ = ["RankedLists", "top_k"]

_QUERY_ROWS = 128
_ITEM_ROWS = 2048
# A few more than k are kept by the fast product, then scored again exactly and cut: rounding can not cost a place.
_MARGIN = 8


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

    Scores are float64 dot products rounded to float32. The same bytes for any number of threads.
    """
    require_k(k)
    pool = items if candidates is None else items[candidates]
    if seen is not None and candidates is not None:
        seen = _renumbered(seen, candidates, len(items))
    k = min(k, len(pool))
    lists = RankedLists(
        np.zeros((len(queries), k), np.int32), np.zeros((len(queries), k), np.float32), np.zeros(len(queries), np.int32)
    )

    def rank(rows: slice) -> None:
        block_seen = None if seen is None else (seen[0][rows.start : rows.stop + 1], seen[1])
        positions, scores, counts = _rank_block(np.ascontiguousarray(queries[rows]), pool, k, block_seen)
        counts = np.minimum(counts, k)
        lists.positions[rows] = positions[:, :k] if candidates is None else candidates[positions[:, :k]]
        lists.scores[rows], lists.counts[rows] = scores[:, :k], counts

    with Workers(num_threads) as workers:
        workers.map(rank, row_blocks(len(queries), _QUERY_ROWS) if k else [])
    return lists


def require_k(k: int) -> None:
    """Raises `ParameterError` unless k is an int >= 1."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ParameterError(f"`k` must be an int >= 1. Got {k!r}.")


def _rank_block(
    queries: np.ndarray, pool: np.ndarray, k: int, seen: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kept = min(k + _MARGIN, len(pool))
    best_scores = np.empty((len(queries), kept), np.float32)
    best_positions = np.zeros((len(queries), kept), np.int32)
    counts = np.zeros(len(queries), np.int32)
    cursors = None if seen is None else seen[0][:-1].copy()
    buffer = np.empty((len(queries), min(_ITEM_ROWS, len(pool))), np.float32)
    for rows in row_blocks(len(pool), _ITEM_ROWS):
        width = rows.stop - rows.start
        scores = buffer if width == buffer.shape[1] else np.empty((len(queries), width), np.float32)
        np.matmul(queries, pool[rows].T, out=scores)
        if seen is not None:
            topk.mask_columns(scores, rows.start, *seen, cursors)
        topk.keep_best(scores, rows.start, best_scores, best_positions, counts)
    topk.rescore_sorted(queries, pool, best_scores, best_positions, counts)
    return best_positions, best_scores, counts


def _renumbered(seen: tuple[np.ndarray, np.ndarray], candidates: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """`seen` in positions among the candidates; what is no candidate goes."""
    place = np.full(n_items, -1, np.int32)
    place[candidates] = np.arange(len(candidates), dtype=np.int32)
    indptr, indices = seen
    renumbered = place[indices]
    kept = renumbered >= 0
    before = np.concatenate([[0], np.cumsum(kept)])
    return before[indptr], renumbered[kept]
