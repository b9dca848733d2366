"""`Codes`: what every way of keeping vectors as codes looks like. May import errors, kernels and parallel.

A row is kept as a code and, mostly, the length that its decoded direction is multiplied with: then a code only has to tell
directions, and long and short rows are told equally well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self, TypeAlias

import numpy as np

from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers

__all__ = ["Codes", "CodesWithLengths", "RowScorer", "RowsOf", "as_lengths", "fitted_lengths", "row_lengths", "unit_blocks"]

RowsOf: TypeAlias = slice | np.ndarray
# Fills scores (n_queries, n) float32 for the rows asked for.
RowScorer: TypeAlias = Callable[[RowsOf, np.ndarray], None]


@dataclass(frozen=True, eq=False)
class Codes(ABC):
    """Rows of `dim` numbers as codes. The fields are arrays, which are what is saved. Immutable."""

    storage: ClassVar[str]
    """What it is called."""
    turns: ClassVar[bool] = False
    """Whether rows are turned before they are encoded, so that every direction is spread over all coordinates."""
    proposes: ClassVar[bool] = False
    """Whether scores by codes are too coarse to be an answer: what they propose is scored again."""

    @classmethod
    @abstractmethod
    def encode(cls, vectors: np.ndarray, workers: Workers, *, subspaces: int | None, random_state: int) -> Self:
        """The codes of `vectors` (n, dim) float32, finite."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def dim(self) -> int:
        """Numbers in a row."""

    @abstractmethod
    def decoded(self, rows: RowsOf) -> np.ndarray:
        """(m, dim) float32, a new array: what the codes of some rows stand for."""

    @abstractmethod
    def reach(self, lengths: np.ndarray | None) -> np.ndarray:
        """(dim,) float32: no row's coordinate is larger, of rows divided by their `lengths` (n,) unless None."""

    def scorer(self, queries: np.ndarray) -> RowScorer | None:
        """Scores of queries (m, dim) straight from the codes; None where decoding is as quick."""
        return None

    def taken(self, positions: np.ndarray) -> Self:
        """The codes of some rows."""
        arrays = self.arrays()
        return type(self)(**{name: array[positions] if name in self.by_row else array for name, array in arrays.items()})

    by_row: ClassVar[tuple[str, ...]] = ("codes",)
    """The fields that have an entry a row."""

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        """Of `arrays`."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `arrays`."""
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class CodesWithLengths(Codes):
    """Codes of directions, multiplied with a length each. lengths : (n,) float16, in units of the longest."""

    lengths: np.ndarray
    by_row: ClassVar[tuple[str, ...]] = ("codes", "lengths")

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def directions(self, rows: RowsOf) -> np.ndarray:
        """(m, dim) float32: the decoded rows before they are multiplied with their lengths."""

    @abstractmethod
    def direction_reach(self) -> np.ndarray:
        """(dim,) float32: no coordinate of a direction is larger."""

    def decoded(self, rows: RowsOf) -> np.ndarray:
        """See `Codes`."""
        decoded = self.directions(rows)
        decoded *= self.lengths[rows].astype(np.float32)[:, None]
        return decoded

    def reach(self, lengths: np.ndarray | None) -> np.ndarray:
        """See `Codes`."""
        own = self.lengths.astype(np.float32)
        if lengths is not None:
            own = np.divide(own, lengths, out=np.zeros_like(own), where=lengths > 0)
        return np.asarray(self.direction_reach() * own.max(initial=0))


def row_lengths(vectors: np.ndarray) -> np.ndarray:
    """(n,) float32 Euclidean lengths, summed in float64."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)), np.float32)


def unit_blocks(vectors: np.ndarray) -> tuple[list[slice], Callable[[slice], np.ndarray]]:
    """Blocks of rows, and what gives a block's rows brought to length 1; a zero row stays zero."""

    def units(rows: slice) -> np.ndarray:
        lengths = row_lengths(vectors[rows])
        return np.asarray(vectors[rows] / np.where(lengths > 0, lengths, 1)[:, None])

    return row_blocks(len(vectors)), units


def fitted_lengths(vectors: np.ndarray, directions: Callable[[slice], np.ndarray], workers: Workers) -> np.ndarray:
    """(n,) float32: the f that makes ‖x - f y‖ least for each row x and its decoded direction y: x · y / y · y."""

    def part(rows: slice) -> np.ndarray:
        decoded = directions(rows)
        products = np.einsum("ij,ij->i", vectors[rows], decoded, dtype=np.float64)
        squares = np.einsum("ij,ij->i", decoded, decoded, dtype=np.float64)
        return np.asarray(np.divide(products, squares, out=np.zeros_like(products), where=squares > 0), np.float32)

    return np.concatenate([np.empty(0, np.float32), *workers.map(part, row_blocks(len(vectors)))])


def as_lengths(lengths: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """(n,) float16 lengths in units of the longest, and that unit: float16 alone would not hold every scale."""
    unit = np.float32(np.abs(lengths).max(initial=0))
    return (lengths / unit if unit > 0 else lengths).astype(np.float16), unit
