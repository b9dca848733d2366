"""Re-ranking: lists chosen from a longer pool for diversity and for calibrated popularity (see `Choices`). Knows no ids.

May import kernels, parallel, retrieval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.kernels.dense import row_blocks
from recsys.kernels.rerank import choose
from recsys.parallel import Workers
from recsys.retrieval import RankedLists

__all__ = ["N_GROUPS", "Reranker", "group_shares", "popularity_groups"]

N_GROUPS = 3
_HEAD, _TAIL = 0.2, 0.8
_ROWS = 256


@dataclass(frozen=True)
class Reranker:
    """diversity, calibration : the two weights.
    units : (n_items, dim) float32 item vectors of length 1 (or 0), for likeness.
    groups : (n_items,) int64 popularity group of each item, 0 … N_GROUPS - 1.
    """

    diversity: float
    calibration: float
    units: np.ndarray
    groups: np.ndarray

    def rerank(self, pool: RankedLists, k: int, wanted: np.ndarray, num_threads: int | None) -> RankedLists:
        """Lists of k chosen from the pools. `wanted` (n, N_GROUPS) float64: the user's shares, 0 everywhere for no opinion."""
        k = min(k, pool.positions.shape[1])
        positions, scores = np.zeros((len(pool), k), np.int32), np.zeros((len(pool), k), np.float32)

        def work(rows: slice) -> None:
            choose(
                pool.positions[rows], pool.scores[rows], pool.counts[rows], self.diversity, self.calibration,
                self.units, self.groups, wanted[rows], positions[rows], scores[rows],
            )  # fmt: skip

        with Workers(num_threads) as workers:
            workers.map(work, row_blocks(len(pool), _ROWS))
        return RankedLists(positions, scores, np.minimum(pool.counts, k).astype(np.int32))


def popularity_groups(item_counts: np.ndarray) -> np.ndarray:
    """(n_items,) int64: 0 for the most popular items that together have 20 % of the interactions, 2 for the least popular with
    20 %, 1 for the others (Abdollahpouri et al., UMAP 2021). An item at a border belongs to the more popular side."""
    order = np.argsort(-item_counts, kind="stable")
    sorted_counts = item_counts[order].astype(np.float64)
    before = (np.cumsum(sorted_counts) - sorted_counts) / max(1.0, sorted_counts.sum())
    groups = np.empty(len(item_counts), np.int64)
    groups[order] = np.searchsorted([_HEAD, _TAIL], before, side="right")
    return groups


def group_shares(indptr: np.ndarray, indices: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n, N_GROUPS) float64: the share of each group among a row's entries; 0 everywhere for a row without any."""
    counts = np.diff(indptr)
    cells = np.repeat(np.arange(len(counts)), counts) * N_GROUPS + groups[indices]
    found = np.bincount(cells, minlength=len(counts) * N_GROUPS).reshape(len(counts), N_GROUPS)
    return np.asarray(found / np.maximum(counts, 1)[:, None])
