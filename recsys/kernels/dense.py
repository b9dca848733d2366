"""Tall thin matrices: Gram matrix and rotation in blocks of rows over worker threads.

Imports `recsys.parallel` and the products' kernels. Blocks do not depend on the number of threads and partial sums are added
in their order, so the bytes of the result do not either.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels import product
from recsys.parallel import Workers

__all__ = ["cross", "gram", "largest_entries", "principal_axes", "read_only", "rotate", "row_blocks"]

_BLOCK_ROWS = 8192


def row_blocks(n_rows: int, rows: int = _BLOCK_ROWS) -> list[slice]:
    """Slices that cut `n_rows` rows into blocks of at most `rows`."""
    return [slice(start, min(start + rows, n_rows)) for start in range(0, n_rows, rows)]


def gram(matrix: np.ndarray, workers: Workers) -> np.ndarray:
    """matrixᵀ matrix, (dim, dim) float64, of an (n, dim) float32 matrix: float32 within a block, float64 across them."""
    dim = matrix.shape[1]
    matrix = read_only(matrix)

    def part(rows: slice) -> np.ndarray:
        panels = product.scratch_panels(dim)
        sums = np.zeros((len(panels) * product.PANEL,) * 2, np.float32)
        product.gram_rows(matrix, rows.start, rows.stop, panels, sums)
        return sums

    total = np.zeros((dim, dim))
    for sums in workers.map(part, row_blocks(len(matrix))):
        total += sums[:dim, :dim]
    upper = np.triu(total)
    return upper + np.triu(upper, 1).T


def principal_axes(gram_matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (dim,) in falling order, never negative, and eigenvectors as columns (dim, dim), float64."""
    values, vectors = np.linalg.eigh(gram_matrix)
    return np.maximum(values[::-1], 0), np.ascontiguousarray(vectors[:, ::-1])


def rotate(matrix: np.ndarray, axes: np.ndarray, workers: Workers, out: np.ndarray | None = None) -> None:
    """out[:, :m] ← matrix[:, :dim] @ axes, for (dim, m) axes, in float32; in place if there is no `out`."""
    target = matrix if out is None else out
    panels, width = product.columns_in_panels(axes.astype(np.float32)), axes.shape[1]
    workers.map(
        lambda rows: product.rotate_rows(matrix, rows.start, rows.stop, panels, target, width), row_blocks(len(matrix), 1024)
    )


def read_only(matrix: np.ndarray) -> np.ndarray:
    """A view that can not be written to. Vectors are such mostly, and kernels are compiled for each kind of array."""
    view = matrix.view()
    view.flags.writeable = False
    return view


def cross(
    a: np.ndarray, b: np.ndarray, pairs: np.ndarray, weights: np.ndarray | None, workers: Workers
) -> tuple[np.ndarray, float, float]:
    """Σ w aᵢ bⱼᵀ (dim of a, dim of b) float64 over pairs (i, j) of rows, (n, 2) int64; and Σ w ‖aᵢ‖², Σ w ‖bⱼ‖².

    a, b : float32;  weights : (n,) float32, None for ones. Each row is read once. float32 within a block, float64 across them.
    """
    given = np.empty(0, np.float32) if weights is None else weights
    a, b = read_only(a), read_only(b)
    dims = a.shape[1], b.shape[1]

    def part(rows: slice) -> tuple[np.ndarray, float, float]:
        ours, theirs = (product.scratch_panels(dim) for dim in dims)
        sums = np.zeros((len(ours) * product.PANEL, len(theirs) * product.PANEL), np.float32)
        return sums, *product.cross_rows(a, b, pairs, given, rows.start, rows.stop, ours, theirs, sums)

    total, a_squares, b_squares = np.zeros(dims), 0.0, 0.0
    for sums, ours, theirs in workers.map(part, row_blocks(len(pairs))):
        total += sums[: dims[0], : dims[1]]
        a_squares += ours
        b_squares += theirs
    return total, a_squares, b_squares


def largest_entries(matrix: np.ndarray) -> np.ndarray:
    """(dim,) of each column of an (n, dim) matrix the entry of largest absolute value, with its sign; of equals the first."""
    largest = np.zeros(matrix.shape[1], matrix.dtype)
    for rows in row_blocks(len(matrix)):
        block = matrix[rows]
        found = np.take_along_axis(block, np.abs(block).argmax(axis=0)[None, :], axis=0)[0]
        largest = np.where(np.abs(found) > np.abs(largest), found, largest)
    return largest
