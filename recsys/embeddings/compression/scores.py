"""`CompressedScores`: how users score items that are kept as codes. May import kernels, parallel, retrieval and this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.embeddings.compression.compressed import CompressedEmbeddings
from recsys.kernels.pairs import score_pairs
from recsys.parallel import Workers
from recsys.retrieval import RankedLists

__all__ = ["CompressedScores"]

_PAIRS_A_BLOCK = 2**16


@dataclass(frozen=True, eq=False)
class CompressedScores:
    """Dot products of users with compressed items; fulfils `recsys.recommending.scores.Scores`.

    users_at : from row numbers to vectors (n, dim) float32.
    """

    users_at: Callable[[np.ndarray], np.ndarray]
    items: CompressedEmbeddings

    def search(
        self,
        rows: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None,
        candidates: np.ndarray | None,
        num_threads: int | None,
    ) -> RankedLists:
        """The k best items of each of `rows` by their codes."""
        queries = self.users_at(np.asarray(rows))
        return self.items.search_codes(queries, k, seen=seen, candidates=candidates, num_threads=num_threads)

    def pairs(self, rows: np.ndarray, columns: np.ndarray, num_threads: int | None) -> np.ndarray:
        """Float64 dot products rounded once, as lists have them; a block of pairs is decoded at a time."""
        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        scores = np.empty(len(rows), np.float32)

        def work(begin: int) -> None:
            block = slice(begin, min(begin + _PAIRS_A_BLOCK, len(rows)))
            users, own_users = np.unique(rows[block], return_inverse=True)
            items, own_items = np.unique(columns[block], return_inverse=True)
            sides = (np.ascontiguousarray(self.users_at(users)), self.items.vectors_at(items))
            score_pairs(0, len(own_users), own_users, own_items, *sides, scores[block])

        with Workers(num_threads) as workers:
            workers.map(work, range(0, len(rows), _PAIRS_A_BLOCK))
        return scores
