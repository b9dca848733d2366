"""A rotation that spreads every direction over all coordinates. May import kernels."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from recsys.kernels import product

__all__ = ["Turn", "random_signs"]


def random_signs(dim: int, random_state: int) -> np.ndarray:
    """(2, dim) int8 of +1 and -1: all that a `Turn` is made of."""
    return np.random.default_rng(random_state).choice(np.array([-1, 1], np.int8), (2, dim))


class Turn:
    """Random signs and a Hadamard transform of the first coordinates, as many as are a power of two; then of the last ones.

    Orthogonal, and told by 2 · dim bits (Ailon & Chazelle 2009 precondition by signs and one transform). A vector's coordinates
    come out nearly normal, all of about the same size, whatever the vector.
    """

    def __init__(self, signs: np.ndarray) -> None:
        self._signs = signs

    @cached_property
    def axes(self) -> np.ndarray:
        """(dim, dim) float64 orthogonal: turned = vectors @ axes."""
        dim = self._signs.shape[1]
        whole = 1 << (dim.bit_length() - 1)
        axes = np.eye(dim)
        for signs, part in zip(self._signs, (slice(0, whole), slice(dim - whole, dim)), strict=True):
            axes *= signs
            axes[:, part] = axes[:, part] @ _hadamard(whole)
        return axes

    def forward(self, vectors: np.ndarray) -> np.ndarray:
        """(n, dim) float32, turned. Each row's result depends on that row alone."""
        return _rotated(vectors, self._forward)

    def back(self, vectors: np.ndarray) -> np.ndarray:
        """The inverse of `forward`."""
        return _rotated(vectors, self._back)

    @cached_property
    def _forward(self) -> np.ndarray:
        return product.columns_in_panels(self.axes.astype(np.float32))

    @cached_property
    def _back(self) -> np.ndarray:
        return product.columns_in_panels(np.ascontiguousarray(self.axes.T, np.float32))


def _rotated(vectors: np.ndarray, panels: np.ndarray) -> np.ndarray:
    turned = np.array(vectors, np.float32, order="C")
    product.rotate_rows(turned, 0, len(turned), panels, turned, turned.shape[1])
    return turned


def _hadamard(size: int) -> np.ndarray:
    """Sylvester's matrix (size, size), orthonormal and symmetric."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(size))
