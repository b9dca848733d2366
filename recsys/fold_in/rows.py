"""`Rows`: the entries of the rows that a fold-in solves. May import interactions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from recsys.interactions import Interactions

__all__ = ["BLOCK_WORK", "Rows", "read_only"]

# Entries of a block of short rows: far more than a task costs to start, few enough to balance the threads.
BLOCK_WORK = 100_000


@dataclass(frozen=True)
class Rows:
    """Entries of the rows to be solved: indptr (n + 1,) int64, positions on the fixed side int32, weights float32."""

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, data: Interactions, side: str) -> Rows:
        """All rows of one side of `data`, "users" or "items"; no copy."""
        return cls(data.indptr, data.indices, data.weights) if side == "users" else cls(*data.by_item)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: entries of each row."""
        return np.diff(self.indptr)

    def take(self, positions: np.ndarray) -> Rows:
        """The rows at `positions`, in that order."""
        counts = self.counts[positions]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(self.indptr[positions] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Rows(*(read_only(array) for array in (indptr, self.indices[entries], self.weights[entries])))

    def blocks(self) -> list[tuple[int, int]]:
        """(begin, end) of runs of rows of about equal work, whatever the number of threads."""
        # A row without entries still costs its vector: count it as some entries.
        work = self.indptr + 16 * np.arange(len(self.indptr))
        cuts = np.searchsorted(work, np.arange(0, work[-1], BLOCK_WORK)[1:])
        edges = np.unique(np.concatenate([[0], cuts, [len(self)]]))
        return list(itertools.pairwise(edges.tolist()))


def read_only(array: np.ndarray) -> np.ndarray:
    """The array itself, no longer writeable: numba compiles a kernel once for each, and those of Interactions are read-only."""
    array.flags.writeable = False
    return array
