"""Compressed rows (CSR) times thin dense matrices, in blocks of rows over worker threads.

Imports `recsys.parallel` and what compiles kernels. Blocks do not depend on the number of threads and partial sums are added in
their order, so the bytes of the result do not either.

The product with Lᵀ L goes row by row: a row of L Q is made from the row's entries and at once added to where they point. That
needs neither L Q as a whole nor L by columns, and touches the shorter side alone, which lies in the cache.
"""

from __future__ import annotations

import itertools
from typing import TypeAlias

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part
from recsys.parallel import Workers

__all__ = ["Compressed", "add_gram_rows", "add_sketched_rows", "gram_product", "multiply_rows", "product", "sketch"]

# indptr (n + 1,) int64, indices int32 into the m columns, weights float32.
Compressed: TypeAlias = tuple[np.ndarray, ...]

# Entries of a block of rows: far more than a task costs to start, few enough to balance the threads.
_BLOCK_ENTRIES = 200_000

# Partial sums of a product with Lᵀ L: as many as threads may be, and as memory allows.
_MOST_PARTS, _PARTS_BYTES = 16, 256 * 2**20


@fast_part
def _row_product(indptr, indices, weights, row, dense, result):
    """result = weights[row] @ dense[indices[row]], four entries at a time."""
    entry, end = indptr[row], indptr[row + 1]
    for k in range(len(result)):
        result[k] = 0
    while entry + 4 <= end:
        i0, i1, i2, i3 = indices[entry], indices[entry + 1], indices[entry + 2], indices[entry + 3]
        w0, w1, w2, w3 = weights[entry], weights[entry + 1], weights[entry + 2], weights[entry + 3]
        for k in range(len(result)):
            result[k] += w0 * dense[i0, k] + w1 * dense[i1, k] + w2 * dense[i2, k] + w3 * dense[i3, k]
        entry += 4
    while entry < end:
        i0, w0 = indices[entry], weights[entry]
        for k in range(len(result)):
            result[k] += w0 * dense[i0, k]
        entry += 1


@fast_kernel
def multiply_rows(begin, end, indptr, indices, weights, dense, result):
    """result[begin:end] = L[begin:end] @ dense, with dense (m, width) and result (n, width) float32."""
    total = np.empty(dense.shape[1], np.float32)
    for row in range(begin, end):
        _row_product(indptr, indices, weights, row, dense, total)
        for k in range(len(total)):
            result[row, k] = total[k]


@fast_kernel
def add_gram_rows(begin, end, indptr, indices, weights, dense, result):
    """result += L[begin:end].T @ (L[begin:end] @ dense), with dense and result (m, width) float32."""
    total = np.empty(dense.shape[1], np.float32)
    for row in range(begin, end):
        _row_product(indptr, indices, weights, row, dense, total)
        for entry in range(indptr[row], indptr[row + 1]):
            i, weight = indices[entry], weights[entry]
            for k in range(len(total)):
                result[i, k] += weight * total[k]


@fast_kernel
def add_sketched_rows(begin, end, indptr, indices, weights, buckets, signs, result):
    """result[:, buckets[row]] += signs[row] * L[row] for the rows [begin, end); result (m, n_buckets) float32."""
    for row in range(begin, end):
        bucket, sign = buckets[row], signs[row]
        for entry in range(indptr[row], indptr[row + 1]):
            result[indices[entry], bucket] += sign * weights[entry]


def product(rows: Compressed, dense: np.ndarray, workers: Workers) -> np.ndarray:
    """L @ dense, (n, width) float32, of n compressed rows and a dense (m, width) float32 matrix."""
    indptr, indices, weights, dense = _read_only(*rows, dense)
    result = np.empty((len(indptr) - 1, dense.shape[1]), np.float32)

    def work(block: tuple[int, int]) -> None:
        multiply_rows(block[0], block[1], indptr, indices, weights, dense, result)

    workers.map(work, _blocks(indptr, 1 + len(indices) // _BLOCK_ENTRIES))
    return result


def gram_product(rows: Compressed, dense: np.ndarray, workers: Workers) -> np.ndarray:
    """Lᵀ (L @ dense), (m, width) float32; the partial sums of up to 16 blocks of rows are held beside the result."""
    indptr, indices, weights, dense = _read_only(*rows, dense)

    def part(block: tuple[int, int]) -> np.ndarray:
        partial = np.zeros_like(dense)
        add_gram_rows(block[0], block[1], indptr, indices, weights, dense, partial)
        return partial

    fitting = _PARTS_BYTES // max(dense.nbytes, 1)
    n_parts = min(max(fitting, 2), _MOST_PARTS, 1 + len(indices) // _BLOCK_ENTRIES)
    return _sum(workers.map(part, _blocks(indptr, n_parts)), workers)


def sketch(rows: Compressed, n_columns: int, n_buckets: int, generator: np.random.Generator) -> np.ndarray:
    """Lᵀ S, (n_columns, n_buckets) float32, where S puts each row with a random sign into one random bucket.

    The range of Lᵀ is found in one pass over the entries, whatever the number of buckets (Clarkson & Woodruff, "Low Rank
    Approximation and Regression in Input Sparsity Time", STOC 2013).
    """
    indptr, indices, weights = _read_only(*rows)
    n_rows = len(indptr) - 1
    buckets = generator.integers(0, n_buckets, n_rows)
    signs = generator.choice(np.array([-1, 1], np.float32), n_rows)
    result = np.zeros((n_columns, n_buckets), np.float32)
    add_sketched_rows(0, n_rows, indptr, indices, weights, buckets, signs, result)
    return result


def _read_only(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Views that can not be written to: numba compiles a kernel once for those and once for others."""
    views = tuple(np.asarray(array).view() for array in arrays)
    for view in views:
        view.flags.writeable = False
    return views


def _blocks(indptr: np.ndarray, n_blocks: int) -> list[tuple[int, int]]:
    """(begin, end) of runs of rows of about equal work."""
    # A row without entries still costs its product: count it as some entries.
    work = indptr + 4 * np.arange(len(indptr))
    cuts = np.searchsorted(work, np.linspace(0, work[-1], n_blocks + 1)[1:-1])
    edges = np.unique(np.concatenate([[0], cuts, [len(indptr) - 1]]))
    return list(itertools.pairwise(edges.tolist()))


def _sum(parts: list[np.ndarray], workers: Workers) -> np.ndarray:
    """The sum of equally large matrices in their order, made in the first of them."""
    total = parts[0]

    def add(rows: slice) -> None:
        for part in parts[1:]:
            total[rows] += part[rows]

    size = 8192
    workers.map(add, [slice(start, start + size) for start in range(0, len(total), size)])
    return total
