"""`Scores`: how users, given as rows, score the items; what every kind of model brings to recommending. Knows no ids.

May import kernels, parallel and retrieval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.kernels.pairs import score_pairs
from recsys.parallel import Workers
from recsys.retrieval import RankedLists, Searcher

__all__ = ["Scores", "VectorScores"]

_PAIRS_A_BLOCK = 2**16


class Scores(Protocol):
    """The scores of every row and item. A pair's score is the same float32 number whichever way it is asked for."""

    def search(
        self,
        rows: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None,
        candidates: np.ndarray | None,
        num_threads: int | None,
    ) -> RankedLists:
        """The k best items of each of `rows`, ties by position; arguments as `recsys.retrieval.top_k` has them."""

    def pairs(self, rows: np.ndarray, columns: np.ndarray, num_threads: int | None) -> np.ndarray:
        """(n,) float32: the scores of rows[i] and items columns[i]."""


@dataclass(frozen=True, eq=False)
class VectorScores:
    """Dot products of users (n, dim) and items (m, dim), float32; searched by `searcher`, exactly or by an index."""

    users: np.ndarray
    items: np.ndarray
    searcher: Searcher

    def search(
        self,
        rows: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None,
        candidates: np.ndarray | None,
        num_threads: int | None,
    ) -> RankedLists:
        """See `Scores`."""
        queries = self.users[rows]
        return self.searcher(queries, self.items, k, seen=seen, candidates=candidates, num_threads=num_threads)

    def pairs(self, rows: np.ndarray, columns: np.ndarray, num_threads: int | None) -> np.ndarray:
        """Float64 dot products rounded once."""
        scores = np.empty(len(rows), np.float32)
        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)

        def work(begin: int) -> None:
            end = min(begin + _PAIRS_A_BLOCK, len(rows))
            score_pairs(begin, end, rows, columns, self.users, self.items, scores)

        with Workers(num_threads) as workers:
            workers.map(work, range(0, len(rows), _PAIRS_A_BLOCK))
        return scores
