"""The leading eigenvectors of a symmetric matrix that is known by its products with thin blocks. Imports kernels and parallel.

The block Krylov method of Musco & Musco ("Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value
Decomposition", NIPS 2015, algorithm 2), with the Rayleigh-Ritz step of Halko, Martinsson & Tropp (SIAM Review 53, 2011). What
is sought lies in the span of all blocks [B, A B, A² B, …] and not in the last one alone, as subspace iteration has it: the same
number of products gets far nearer, and the blocks can be thinner than the number of vectors sought.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recsys.kernels.dense import gram, row_blocks
from recsys.parallel import Workers

__all__ = ["KrylovSpace", "product_of_columns", "times"]

# A direction of which less than this share is new, in length, is rounding.
_NEW = 1e-6


class KrylovSpace:
    """A growing orthonormal basis and the matrix A within it.

    width : of a block;  size : of the space when it is full, at most n. Each step widens it by one block. Where nothing new is
    left in a block, as where the data have fewer directions, random ones take the place: a full space of size n is all of it.
    """

    def __init__(self, start: np.ndarray, size: int, random_state: int, workers: Workers) -> None:
        n, self._width = start.shape
        self._random_state = random_state
        self._basis = np.zeros((n, min(size, n)), np.float32)
        self._within = np.zeros((self._basis.shape[1],) * 2)
        # Directions known so far, and those of them whose products are known.
        self._known = self._multiplied = 0
        self._widen(start, workers)

    @property
    def is_full(self) -> bool:
        """Whether there is nothing left to multiply."""
        return self._multiplied == self._known

    def step(self, multiply: Callable[[np.ndarray], np.ndarray], workers: Workers) -> None:
        """Takes A's product with the last block, by `multiply`, into the space, and what is new in it as the next block."""
        if self.is_full:
            return
        product = multiply(np.ascontiguousarray(self._basis[:, self._multiplied : self._known]))
        place = slice(self._multiplied, self._known)
        inside = product_of_columns(self._basis[:, : self._known], product, workers)
        self._within[: self._known, place] = inside
        self._within[place, : self._known] = inside.T
        self._multiplied = self._known
        self._widen(product, workers)

    def values(self) -> np.ndarray:
        """Ritz values in falling order: approximate eigenvalues of A, from below. One a multiplied direction, float64."""
        return np.linalg.eigvalsh(self._seen())[::-1]

    def vectors(self, k: int, workers: Workers) -> np.ndarray:
        """(n, k) float32: the orthonormal Ritz vectors of the k largest values."""
        _, axes = np.linalg.eigh(self._seen())
        leading = np.ascontiguousarray(axes[:, ::-1][:, :k])
        return times(self._basis[:, : self._multiplied], leading, workers)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that `restore` takes."""
        sizes = np.array([self._known, self._multiplied])
        return {"basis": self._basis[:, : self._known].copy(), "within": self._within, "sizes": sizes}

    def restore(self, basis: np.ndarray, within: np.ndarray, sizes: np.ndarray) -> None:
        """Takes over the arrays of `state`."""
        self._known, self._multiplied = (int(size) for size in sizes)
        self._basis[:, : self._known] = basis
        self._within = within

    def _seen(self) -> np.ndarray:
        return self._within[: self._multiplied, : self._multiplied]

    def _widen(self, block: np.ndarray, workers: Workers) -> None:
        """Adds what is new in `block` (n, width), which is overwritten, and random directions where that is less."""
        room = min(self._width, self._basis.shape[1] - self._known)
        if room == 0:
            return
        self._add(block, room, workers)
        generator = np.random.default_rng([self._random_state, self._known])
        end = min(self._multiplied + self._width, self._basis.shape[1])
        while self._known < end:
            self._add(generator.standard_normal(block.shape, dtype=np.float32), end - self._known, workers)

    def _add(self, block: np.ndarray, at_most: int, workers: Workers) -> None:
        """Orthonormalised by the eigenvectors of its Gram matrix, twice: once loses digits where little is new."""
        before = self._basis[:, : self._known]
        largest = float(np.sqrt(np.einsum("ij,ij->j", block, block, dtype=np.float64).max(initial=0)))
        if not largest:
            return
        for smallest in (_NEW * largest, 0.5):
            _subtract(block, before, product_of_columns(before, block, workers), workers)
            values, axes = np.linalg.eigh(gram(np.ascontiguousarray(block), workers))
            kept = np.flatnonzero(values > smallest**2)[::-1][:at_most]
            if not len(kept):
                return
            block = times(block, axes[:, kept] / np.sqrt(values[kept]), workers)
        self._basis[:, self._known : self._known + len(kept)] = block
        self._known += len(kept)


def product_of_columns(left: np.ndarray, right: np.ndarray, workers: Workers) -> np.ndarray:
    """leftᵀ right of two tall float32 matrices, float64: float32 within a block of rows, float64 across them."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for part in workers.map(lambda rows: left[rows].T @ right[rows], row_blocks(len(left))):
        total += part
    return total


def times(tall: np.ndarray, small: np.ndarray, workers: Workers) -> np.ndarray:
    """tall @ small, float32."""
    result = np.empty((len(tall), small.shape[1]), np.float32)
    factor = small.astype(np.float32)

    def work(rows: slice) -> None:
        np.matmul(tall[rows], factor, out=result[rows])

    workers.map(work, row_blocks(len(tall)))
    return result


def _subtract(block: np.ndarray, basis: np.ndarray, shares: np.ndarray, workers: Workers) -> None:
    """block -= basis @ shares, in place."""
    factor = shares.astype(np.float32)

    def work(rows: slice) -> None:
        block[rows] -= basis[rows] @ factor

    workers.map(work, row_blocks(len(block)))
