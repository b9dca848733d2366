"""Vectors kept as floating-point numbers of 32 or 16 bits. May import this room's codes, errors and parallel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recsys.embeddings.compression.codes import Codes, RowsOf
from recsys.errors import DataError
from recsys.parallel import Workers

__all__ = ["Float16Codes", "Float32Codes"]


@dataclass(frozen=True, eq=False)
class Float32Codes(Codes):
    """The numbers as they are. codes : (n, dim) float32."""

    storage: ClassVar[str] = "float32"
    kind: ClassVar[np.dtype] = np.dtype(np.float32)

    codes: np.ndarray

    @classmethod
    def encode(cls, vectors: np.ndarray, workers: Workers, *, subspaces: int | None, random_state: int) -> Self:
        """See `Codes`."""
        with np.errstate(over="ignore"):
            codes = vectors.astype(cls.kind)
        if not np.isfinite(codes).all():
            raise DataError(
                f"{cls.storage} holds numbers up to {np.finfo(cls.kind).max:,.0f}, and the largest of these is "
                f"{np.abs(vectors).max():,.0f}. Hint: storage='float32' holds them, and 'int8' any scale."
            )
        return cls(codes)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def dim(self) -> int:
        """See `Codes`."""
        return int(self.codes.shape[1])

    def decoded(self, rows: RowsOf) -> np.ndarray:
        """See `Codes`."""
        return self.codes[rows].astype(np.float32)

    def reach(self, lengths: np.ndarray | None) -> np.ndarray:
        """See `Codes`."""
        if lengths is not None:
            return np.ones(self.dim, np.float32)
        return np.asarray(np.maximum(self.codes.max(axis=0, initial=0), -self.codes.min(axis=0, initial=0)), np.float32)


@dataclass(frozen=True, eq=False)
class Float16Codes(Float32Codes):
    """Rounded to 11 significant bits. codes : (n, dim) float16."""

    storage: ClassVar[str] = "float16"
    kind: ClassVar[np.dtype] = np.dtype(np.float16)
