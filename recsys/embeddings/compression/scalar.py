"""Vectors kept as a small integer a dimension, 8 or 4 bits. May import this room's codes, kernels and parallel."""

from __future__ import annotations

from abc import abstractmethod
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

__all__ = ["Int4Codes", "Int8Codes"]

_MOST = 127
# The 16 numbers u (1 + BEND · u²), u an odd half, times SCALE lie where they stand for a normal variable with the least squared
# error that this form allows, 0.00969 of its variance. Free numbers reach 0.00950 (Max 1960, "Quantizing for Minimum
# Distortion"), equally spaced ones 0.01154; this form is computed faster than 16 numbers are looked up.
_SCALE, _BEND = 0.2405, 0.00872
_HALVES = (np.arange(16) - quantised.NIBBLE_MIDDLE).astype(np.float32)
_LEVELS = _HALVES * (np.float32(1) + np.float32(_BEND) * (_HALVES * _HALVES))
_BORDERS = (_LEVELS[1:] + _LEVELS[:-1]) / 2


@dataclass(frozen=True, eq=False)
class _ScalarCodes(CodesWithLengths):
    """Row i is lengths[i] · (middles + steps · levels of codes[i]).

    codes : (n, width) integers;  middles, steps : (dim,) float32, one a dimension.
    """

    codes: np.ndarray
    middles: np.ndarray
    steps: np.ndarray

    @classmethod
    def encode(cls, vectors: np.ndarray, workers: Workers, *, subspaces: int | None, random_state: int) -> Self:
        """Codes of the rows brought to length 1; then the lengths that fit the codes best."""
        blocks, units = unit_blocks(vectors)
        summaries = workers.map(lambda rows: cls._summary(units(rows)), blocks)
        middles, steps = cls._scales(summaries, len(vectors), vectors.shape[1])
        divisors = np.where(steps > 0, steps, 1)
        parts = workers.map(lambda rows: cls._coded((units(rows) - middles) / divisors), blocks)
        codes = np.concatenate([np.empty((0, cls._width(vectors.shape[1])), parts[0].dtype if parts else np.uint8), *parts])
        rough = cls(np.ones(len(vectors), np.float16), codes, middles, steps)
        lengths, unit = as_lengths(fitted_lengths(vectors, rough.directions, workers))
        return cls(lengths, codes, middles * unit, steps * unit)

    @classmethod
    @abstractmethod
    def _summary(cls, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two (dim,) arrays about a block of rows of length 1."""

    @classmethod
    @abstractmethod
    def _scales(cls, summaries: list[tuple[np.ndarray, np.ndarray]], n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
        """Middles and steps, float32, from the summaries of all blocks."""

    @staticmethod
    @abstractmethod
    def _coded(places: np.ndarray) -> np.ndarray:
        """The codes of numbers in units of the steps from the middles."""

    @staticmethod
    def _width(dim: int) -> int:
        return dim

    @property
    def dim(self) -> int:
        """See `Codes`."""
        return len(self.steps)

    @abstractmethod
    def _levels(self, codes: np.ndarray) -> np.ndarray:
        """(m, dim) float32."""

    def directions(self, rows: RowsOf) -> np.ndarray:
        """See `CodesWithLengths`."""
        values = self._levels(self.codes[rows])
        values *= self.steps
        values += self.middles
        return values

    _highest: ClassVar[float]

    def direction_reach(self) -> np.ndarray:
        """See `CodesWithLengths`."""
        return np.asarray(np.abs(self.middles) + self._highest * self.steps, np.float32)


@dataclass(frozen=True, eq=False)
class Int8Codes(_ScalarCodes):
    """255 equal steps over the range that a dimension has among the directions. codes : (n, dim) int8."""

    storage: ClassVar[str] = "int8"
    _highest: ClassVar[float] = float(_MOST)

    @classmethod
    def _summary(cls, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return units.min(axis=0), units.max(axis=0)

    @classmethod
    def _scales(cls, summaries: list[tuple[np.ndarray, np.ndarray]], n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
        if not summaries:
            return np.zeros(dim, np.float32), np.zeros(dim, np.float32)
        lows, highs = (np.array(ends) for ends in zip(*summaries, strict=True))
        low, high = lows.min(axis=0), highs.max(axis=0)
        return ((low + high) / 2).astype(np.float32), ((high - low) / (2 * _MOST)).astype(np.float32)

    @staticmethod
    def _coded(places: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.rint(places), -_MOST, _MOST), np.int8)

    def _levels(self, codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.float32)

    def scorer(self, queries: np.ndarray) -> RowScorer:
        """See `Codes`."""
        weights, offsets = queries * self.steps, queries @ self.middles

        def score(rows: RowsOf, scores: np.ndarray) -> None:
            quantised.score_bytes(weights, offsets, read_only(self.codes[rows]), self.lengths[rows].astype(np.float32), scores)

        return score


@dataclass(frozen=True, eq=False)
class Int4Codes(_ScalarCodes):
    """16 numbers a dimension, which stand for a normal variable best: turned rows have coordinates that are nearly normal.

    codes : (n, half) uint8: byte j holds dimension j in its low half and dimension half + j in its high one.
    """

    storage: ClassVar[str] = "int4"
    turns: ClassVar[bool] = True
    _highest: ClassVar[float] = float(_LEVELS[-1])

    @classmethod
    def _summary(cls, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return units.sum(axis=0, dtype=np.float64), np.einsum("ij,ij->j", units, units, dtype=np.float64)

    @classmethod
    def _scales(cls, summaries: list[tuple[np.ndarray, np.ndarray]], n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
        sums, squares = np.zeros(dim), np.zeros(dim)
        for sum_, square in summaries:
            sums += sum_
            squares += square
        means = sums / max(n, 1)
        deviations = np.sqrt(np.maximum(squares / max(n, 1) - means**2, 0))
        # What is left of equal numbers is rounding.
        deviations[deviations < 1e-6 * np.abs(means)] = 0
        return means.astype(np.float32), (_SCALE * deviations).astype(np.float32)

    @staticmethod
    def _coded(places: np.ndarray) -> np.ndarray:
        nibbles = np.searchsorted(_BORDERS, places).astype(np.uint8)
        half = -(-nibbles.shape[1] // 2)
        packed = nibbles[:, :half].copy()
        packed[:, : nibbles.shape[1] - half] |= nibbles[:, half:] << 4
        return np.asarray(packed)

    @staticmethod
    def _width(dim: int) -> int:
        return -(-dim // 2)

    def _levels(self, codes: np.ndarray) -> np.ndarray:
        return np.asarray(_LEVELS[np.concatenate([codes & 15, codes >> 4], axis=1)[:, : self.dim]])

    def scorer(self, queries: np.ndarray) -> RowScorer:
        """See `Codes`."""
        weights = np.zeros((len(queries), 2 * self.codes.shape[1]), np.float32)
        weights[:, : self.dim] = queries * self.steps
        offsets = queries @ self.middles

        def score(rows: RowsOf, scores: np.ndarray) -> None:
            lengths = self.lengths[rows].astype(np.float32)
            quantised.score_nibbles(weights, offsets, read_only(self.codes[rows]), _BEND, lengths, scores)

        return score
