"""Vectors kept as one bit a dimension. May import this room's codes, kernels and parallel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recsys.embeddings.compression.codes import (
    CodesWithLengths,
    RowScorer,
    RowsOf,
    as_lengths,
    fitted_lengths,
    unit_blocks,
)
from recsys.kernels import quantised
from recsys.kernels.dense import read_only
from recsys.parallel import Workers

__all__ = ["BinaryCodes"]


@dataclass(frozen=True, eq=False)
class BinaryCodes(CodesWithLengths):
    """Row i is lengths[i] · steps · the signs of the row, +1 or -1.

    codes : (n, width) uint8, bit d of a row, from the lowest of its first byte on, says whether coordinate d is above 0.
    steps : (dim,) float32, the mean size of a coordinate.

    By codes alone a query is its signs too, and what counts is how many differ (Charikar 2002). That proposes; the numbers of
    the query against the signs of the row are the answer.
    """

    storage: ClassVar[str] = "binary"
    turns: ClassVar[bool] = True
    proposes: ClassVar[bool] = True

    codes: np.ndarray
    steps: np.ndarray

    @classmethod
    def encode(cls, vectors: np.ndarray, workers: Workers, *, subspaces: int | None, random_state: int) -> Self:
        """See `Codes`."""
        blocks, units = unit_blocks(vectors)
        sizes = np.zeros(vectors.shape[1])
        for part in workers.map(lambda rows: np.abs(units(rows)).sum(axis=0, dtype=np.float64), blocks):
            sizes += part
        steps = (sizes / max(len(vectors), 1)).astype(np.float32)
        codes = np.packbits(vectors > 0, axis=1, bitorder="little")
        rough = cls(np.ones(len(vectors), np.float16), codes, steps)
        lengths, unit = as_lengths(fitted_lengths(vectors, rough.directions, workers))
        return cls(lengths, codes, steps * unit)

    @property
    def dim(self) -> int:
        """See `Codes`."""
        return len(self.steps)

    def directions(self, rows: RowsOf) -> np.ndarray:
        """See `CodesWithLengths`."""
        bits = np.unpackbits(self.codes[rows], axis=1, count=self.dim, bitorder="little")
        return np.where(bits, self.steps, -self.steps)

    def direction_reach(self) -> np.ndarray:
        """See `CodesWithLengths`."""
        return self.steps

    def scorer(self, queries: np.ndarray) -> RowScorer:
        """See `Codes`; of queries only the signs count, and the mean size of their coordinates."""
        asked = _words(np.packbits(queries > 0, axis=1, bitorder="little"))
        sizes = np.abs(queries).mean(axis=1) * self.steps.mean()

        def score(rows: RowsOf, scores: np.ndarray) -> None:
            lengths = self.lengths[rows].astype(np.float32)
            quantised.score_signs(asked, read_only(_words(self.codes[rows])), self.dim, lengths, scores)
            scores *= sizes[:, None]

        return score


def _words(bytes_: np.ndarray) -> np.ndarray:
    """(n, words) uint64: rows of bytes, filled up with zeros."""
    padded = -(-bytes_.shape[1] // 8) * 8
    if padded > bytes_.shape[1]:
        bytes_ = np.pad(bytes_, ((0, 0), (0, padded - bytes_.shape[1])))
    return np.ascontiguousarray(bytes_).view(np.uint64)
