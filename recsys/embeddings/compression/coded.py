"""`CodedVectors`: rows as codes, with what leads from the codes back to the vectors. May import errors, parallel, this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recsys.embeddings.compression.codes import Codes, RowsOf
from recsys.embeddings.compression.plain import Float16Codes, Float32Codes
from recsys.embeddings.compression.scalar import Int4Codes, Int8Codes
from recsys.embeddings.compression.signs import BinaryCodes
from recsys.embeddings.compression.subspaces import ProductCodes
from recsys.embeddings.compression.turn import Turn, random_signs
from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers

__all__ = ["STORAGES", "CodedVectors", "require_storage"]

_KINDS: tuple[type[Codes], ...] = (Float32Codes, Float16Codes, Int8Codes, Int4Codes, ProductCodes, BinaryCodes)
_BY_NAME = {kind.storage: kind for kind in _KINDS}
STORAGES = tuple(_BY_NAME)
_AROUND = ("turn", "kept")


def require_storage(storage: str) -> None:
    """Raises `ParameterError` unless `storage` is one of `STORAGES`."""
    if storage not in STORAGES:
        hint = closest_hint(str(storage), STORAGES)
        raise ParameterError(f"`storage` must be one of {quote_some(STORAGES, 9)}. Got {storage!r}.{hint}")


@dataclass(frozen=True, eq=False)
class CodedVectors:
    """Vectors (n, dim): the first columns as codes, turned or not, and the last ones, of biases, as they are.

    turn : (2, columns) int8 signs of the `Turn` before coding, or None.  kept : (n, columns left) float32.
    """

    codes: Codes
    turn: np.ndarray | None
    kept: np.ndarray

    @classmethod
    def encode(
        cls, vectors: np.ndarray, storage: str, kept: int, workers: Workers, *, subspaces: int | None, random_state: int
    ) -> CodedVectors:
        """Encodes (n, dim) float32; the last `kept` columns stay as they are."""
        kind = _BY_NAME[storage]
        coded, left = vectors[:, : vectors.shape[1] - kept], vectors[:, vectors.shape[1] - kept :]
        turn = random_signs(coded.shape[1], random_state) if kind.turns else None
        codes = kind.encode(_turned(coded, turn, workers), workers, subspaces=subspaces, random_state=random_state)
        return cls(codes, turn, np.array(left, np.float32))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self.codes.dim + int(self.kept.shape[1])

    @property
    def storage(self) -> str:
        """How the codes are made: one of `STORAGES`."""
        return self.codes.storage

    def vectors(self, rows: RowsOf) -> np.ndarray:
        """(m, dim) float32: what some rows stand for. Each depends on its own code alone."""
        decoded = self.codes.decoded(rows)
        if self._turn is not None:
            decoded = self._turn.back(decoded)
        return np.hstack([decoded, self.kept[rows]]) if self.kept.shape[1] else decoded

    def all_vectors(self, num_threads: int | None = None) -> np.ndarray:
        """(n, dim) float32."""
        whole = np.empty((len(self), self.dim), np.float32)

        def decode(rows: slice) -> None:
            whole[rows] = self.vectors(rows)

        with Workers(num_threads) as workers:
            workers.map(decode, row_blocks(len(self)))
        return whole

    def part(self, queries: np.ndarray) -> np.ndarray:
        """(m, dim) float32: the columns of longer queries, the leading and the kept ones, that these vectors are about."""
        if queries.shape[1] == self.dim:
            return queries
        return np.hstack([queries[:, : self.codes.dim], queries[:, queries.shape[1] - self.kept.shape[1] :]])

    def asked(self, queries: np.ndarray) -> np.ndarray:
        """(m, columns of codes) float32: the part of queries (m, dim) that is multiplied with the codes."""
        part = queries[:, : self.codes.dim]
        return np.ascontiguousarray(part) if self._turn is None else self._turn.forward(part)

    @cached_property
    def _turn(self) -> Turn | None:
        return None if self.turn is None else Turn(self.turn)

    def taken(self, positions: np.ndarray) -> CodedVectors:
        """Some rows."""
        return CodedVectors(self.codes.taken(positions), self.turn, self.kept[positions])

    # ---- as arrays ----------------------------------------------------------------------------------------------

    @property
    def n_bytes(self) -> int:
        """Of codes, codebooks, scales and all else."""
        return sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, to be saved."""
        around = {"turn": self.turn, "kept": self.kept if self.kept.shape[1] else None}
        return self.codes.arrays() | {name: array for name, array in around.items() if array is not None}

    @classmethod
    def array_names(cls, storage: str) -> tuple[str, ...]:
        """Of all that `arrays` may hold; the last ones only where they are needed."""
        return (*_BY_NAME[storage].array_names(), *_AROUND)

    @classmethod
    def from_arrays(cls, storage: str, arrays: Mapping[str, Any]) -> CodedVectors:
        """The inverse of `arrays`."""
        kind = _BY_NAME[storage]
        codes = kind.from_arrays({name: arrays[name] for name in kind.array_names()})
        kept = arrays.get("kept")
        return cls(codes, arrays.get("turn"), np.empty((len(codes), 0), np.float32) if kept is None else kept)


def _turned(vectors: np.ndarray, turn: np.ndarray | None, workers: Workers) -> np.ndarray:
    if turn is None:
        return np.ascontiguousarray(vectors)
    forward = Turn(turn).forward
    parts = workers.map(lambda rows: forward(vectors[rows]), row_blocks(len(vectors)))
    return np.concatenate([np.empty((0, vectors.shape[1]), np.float32), *parts])
