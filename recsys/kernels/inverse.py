"""The inverse of a large symmetric matrix in its own place: blocks of matrix products over worker threads.

Imports `recsys.parallel` and the products' kernels. Neither blocks nor the bytes of the result depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recsys.kernels import product
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers

__all__ = ["PIVOT_ROWS", "invert", "working_bytes"]

PIVOT_ROWS = 512
# Rows and columns of the part of a product that is made before it is subtracted: it stays in a cache. Multiples of the tiles.
_ROWS = 128
_PANELS = 16


def working_bytes(n: int) -> int:
    """What `invert` needs beside an (n, n) matrix, for one thread."""
    return 3 * 4 * n * min(n, PIVOT_ROWS) + 5 * 8 * PIVOT_ROWS**2


def invert(matrix: np.ndarray, workers: Workers, done: Callable[[], object]) -> None:
    """matrix ← matrix⁻¹, in place: (n, n) float32, symmetric, positive definite. `done` is called after each PIVOT_ROWS rows.

    The sweep operator by blocks (Goodnight 1979, "A Tutorial on the SWEEP Operator"): sweeping all rows leaves the negative
    inverse. It needs n³ multiplications and additions, which is the least for an inverse, and all are matrix products. Only
    the lower triangle is worked on; it is mirrored at the end.
    """
    for pivot in row_blocks(len(matrix), PIVOT_ROWS):
        _sweep(matrix, pivot, workers)
        done()
    workers.map(lambda rows: _finish(matrix, rows), row_blocks(len(matrix), PIVOT_ROWS))


def _sweep(matrix: np.ndarray, pivot: slice, workers: Workers) -> None:
    """With A the block of the pivot rows and P their other columns: A ← -A⁻¹, P ← A⁻¹ P, all else loses Pᵀ A⁻¹ P."""
    inverse = np.linalg.inv(_mirrored(matrix[pivot, pivot]).astype(np.float64)).astype(np.float32)
    across = np.concatenate([matrix[pivot, : pivot.start].T, matrix[pivot.start :, pivot]])
    scaled, axes = across.copy(), product.columns_in_panels(inverse)
    workers.map(
        lambda rows: product.rotate_rows(scaled, rows.start, rows.stop, axes, scaled, len(inverse)),
        row_blocks(len(matrix), _ROWS),
    )
    columns = product.scratch_panels(len(matrix), across.shape[1])
    step = product.PANEL * _PANELS

    def pack(block: slice) -> None:
        part = columns[block.start // product.PANEL : -(-block.stop // product.PANEL)]
        product.pack_rows(across, np.arange(block.start, block.stop), part)

    def subtract(rows: slice) -> None:
        own = np.zeros((product.padded_rows(rows.stop - rows.start), scaled.shape[1]), np.float32)
        own[: rows.stop - rows.start] = scaled[rows]
        for block in row_blocks(rows.stop, step):
            part = columns[block.start // product.PANEL : -(-block.stop // product.PANEL)]
            products = np.empty((len(own), len(part) * product.PANEL), np.float32)
            product.multiply(own, part, 0, own.shape[1], products)
            matrix[rows, block] -= products[: rows.stop - rows.start, : block.stop - block.start]

    workers.map(pack, row_blocks(len(matrix), step))
    others = [rows for rows in row_blocks(len(matrix), _ROWS) if not pivot.start <= rows.start < pivot.stop]
    # The longest first, so that no thread is left with a long one at the end.
    workers.map(subtract, others[::-1])
    matrix[pivot, : pivot.start] = scaled[: pivot.start].T
    matrix[pivot.start :, pivot] = scaled[pivot.start :]
    matrix[pivot, pivot] = -inverse


def _mirrored(block: np.ndarray) -> np.ndarray:
    lower = np.tril(block)
    return np.asarray(lower + np.tril(block, -1).T)


def _finish(matrix: np.ndarray, rows: slice) -> None:
    """Turns the sign of these rows' lower triangle and mirrors it."""
    matrix[rows, : rows.stop] *= -1
    matrix[: rows.start, rows] = matrix[rows, : rows.start].T
    matrix[rows, rows] = _mirrored(matrix[rows, rows])
