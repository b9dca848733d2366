"""Alternating least squares: the rows of one side solved while the other side is fixed, and the observed part of the loss.

Every row is a linear system  (diag(dense + ridge) + Σ_j a_j y_j y_jᵀ) x = Σ_j b_j y_j  over its entries j, where
a_j = a₁ w_j + a₀ and b_j = b₁ w_j + b₀ come from the entry's one weight w_j; `terms` holds (a₁, a₀, b₁, b₀). The part of
the matrix that all rows share is diagonal because the fixed side comes rotated into the eigenvectors of its Gram matrix.
That makes the diagonal of the whole matrix cheap and a good preconditioner for conjugate gradients, which cost
4 · entries · factors operations a step.

Arithmetic is cheap beside fetching the vectors y_j, so each kernel fetches them where they are near. A short row's vectors
are copied side by side once and stay in the cache for all steps. Long rows are solved together: the fixed side passes by in
tiles that fit the cache, and every row takes from a tile all that it needs before the next one comes.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part

__all__ = ["observed_loss", "short_row_entries", "solve_long_rows", "solve_short_rows", "tile_rows"]

# Floats of vectors that a second-level cache holds with room to spare.
_CACHED_FLOATS = 160 * 1024

# Entries of a long row that are taken from a tile at a time: they fit the first-level cache.
_TILE_BLOCK = 64

# Residuals below this are zero for any purpose, and their squares would leave the range of float32.
_VANISHED = np.float32(1e-30)


def short_row_entries(factors: int) -> int:
    """The most entries a row may have for `solve_short_rows`."""
    return max(64, _CACHED_FLOATS // factors)


def tile_rows(factors: int) -> int:
    """Vectors of the fixed side that `solve_long_rows` holds in the cache at a time."""
    return max(512, _CACHED_FLOATS // factors)


@fast_part
def _gather(fixed, indices, weights, terms, begin, count, block, a, b):
    """block[:count] = fixed[indices[begin : begin + count]], and the entries' a and b."""
    for j in range(count):
        row = fixed[indices[begin + j]]
        a[j] = terms[0] * weights[begin + j] + terms[1]
        b[j] = terms[2] * weights[begin + j] + terms[3]
        for k in range(block.shape[1]):
            block[j, k] = row[k]


@fast_part
def _dots(block, j, vector):
    """block[j : j + 4] @ vector"""
    s0 = s1 = s2 = s3 = np.float32(0)
    for k in range(len(vector)):
        v = vector[k]
        s0 += block[j, k] * v
        s1 += block[j + 1, k] * v
        s2 += block[j + 2, k] * v
        s3 += block[j + 3, k] * v
    return s0, s1, s2, s3


@fast_part
def _dot(block, j, vector):
    """block[j] @ vector"""
    total = np.float32(0)
    for k in range(len(vector)):
        total += block[j, k] * vector[k]
    return total


@fast_part
def _add_products(block, a, count, vector, result):
    """result += block[:count].T @ (a[:count] * (block[:count] @ vector)), four rows at a time."""
    j = 0
    while j + 4 <= count:
        s0, s1, s2, s3 = _dots(block, j, vector)
        s0, s1, s2, s3 = s0 * a[j], s1 * a[j + 1], s2 * a[j + 2], s3 * a[j + 3]
        for k in range(len(result)):
            result[k] += s0 * block[j, k] + s1 * block[j + 1, k] + s2 * block[j + 2, k] + s3 * block[j + 3, k]
        j += 4
    while j < count:
        s0 = a[j] * _dot(block, j, vector)
        for k in range(len(result)):
            result[k] += s0 * block[j, k]
        j += 1


@fast_part
def _add_residual(block, a, b, count, x, residual, diagonal):
    """residual += block[:count].T @ (b - a * (block[:count] @ x));  diagonal += a @ block[:count]**2"""
    j = 0
    while j + 4 <= count:
        s0, s1, s2, s3 = _dots(block, j, x)
        a0, a1, a2, a3 = a[j], a[j + 1], a[j + 2], a[j + 3]
        s0, s1, s2, s3 = b[j] - a0 * s0, b[j + 1] - a1 * s1, b[j + 2] - a2 * s2, b[j + 3] - a3 * s3
        for k in range(len(x)):
            y0, y1, y2, y3 = block[j, k], block[j + 1, k], block[j + 2, k], block[j + 3, k]
            residual[k] += s0 * y0 + s1 * y1 + s2 * y2 + s3 * y3
            diagonal[k] += a0 * y0 * y0 + a1 * y1 * y1 + a2 * y2 * y2 + a3 * y3 * y3
        j += 4
    while j < count:
        a0 = a[j]
        s0 = b[j] - a0 * _dot(block, j, x)
        for k in range(len(x)):
            y0 = block[j, k]
            residual[k] += s0 * y0
            diagonal[k] += a0 * y0 * y0
        j += 1


@fast_part
def _begin(residual, diagonal, direction):
    """Sets the first direction. Returns rho, the residual's square in the norm of the inverse diagonal."""
    rho = np.float32(0)
    for k in range(len(residual)):
        direction[k] = residual[k] / diagonal[k]
        rho += residual[k] * direction[k]
    return rho


@fast_part
def _step(x, residual, diagonal, direction, product, rho):
    """One conjugate gradient step along `direction`, whose product with the matrix is `product`. Returns the new rho."""
    curvature = np.float32(0)
    for k in range(len(x)):
        curvature += direction[k] * product[k]
    length = rho / curvature
    new_rho = np.float32(0)
    for k in range(len(x)):
        x[k] += length * direction[k]
        residual[k] -= length * product[k]
        new_rho += residual[k] * residual[k] / diagonal[k]
    momentum = new_rho / rho
    for k in range(len(x)):
        direction[k] = residual[k] / diagonal[k] + momentum * direction[k]
    return new_rho


@fast_part
def _is_solved(rho, tolerance, x, diagonal):
    """Whether the estimated error of x is below `tolerance` of its size, both in the norm of the diagonal."""
    size = np.float32(0)
    for k in range(len(x)):
        size += diagonal[k] * x[k] * x[k]
    return rho <= max(tolerance * tolerance * size, _VANISHED)


@fast_part
def _relax(x, before, relaxation):
    """x = before + relaxation * (x - before)"""
    for k in range(len(x)):
        x[k] = before[k] + relaxation * (x[k] - before[k])


@fast_kernel
def solve_short_rows(rows, indptr, indices, weights, terms, fixed, dense, ridge, steps, tolerance, relaxation, solution):
    """Improves solution[rows] by at most `steps` preconditioned conjugate gradient steps from where it stands.

    rows : (n,) int64, each with at most `short_row_entries` entries;  a row without entries becomes zero.
    indptr, indices, weights, terms : the entries of all rows; indices point into `fixed` (n_fixed, factors).
    dense : (factors,) the shared diagonal;  ridge : (n_rows,) added to it, one number a row.
    tolerance : a row is done when its estimated error falls below this share of its size.
    relaxation : how far to go from where a row stands towards where the steps lead: 1 goes there, more goes past it.
    All arrays but the pointers are float32.
    """
    factors = fixed.shape[1]
    most = 0
    for row in rows:
        most = max(most, indptr[row + 1] - indptr[row])
    block = np.empty((most, factors), np.float32)
    a, b = np.empty(most, np.float32), np.empty(most, np.float32)
    scratch = np.empty((5, factors), np.float32)
    diagonal, residual, direction, product, before = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    for row in rows:
        count = indptr[row + 1] - indptr[row]
        x = solution[row]
        if count == 0:
            x[:] = 0
            continue
        _gather(fixed, indices, weights, terms, indptr[row], count, block, a, b)
        for k in range(factors):
            before[k] = x[k]
            diagonal[k] = dense[k] + ridge[row]
            residual[k] = -diagonal[k] * x[k]
        _add_residual(block, a, b, count, x, residual, diagonal)
        rho = _begin(residual, diagonal, direction)
        for _ in range(steps):
            if _is_solved(rho, tolerance, x, diagonal):
                break
            for k in range(factors):
                product[k] = (dense[k] + ridge[row]) * direction[k]
            _add_products(block, a, count, direction, product)
            rho = _step(x, residual, diagonal, direction, product, rho)
        if relaxation != 1:
            _relax(x, before, relaxation)


@fast_kernel
def solve_long_rows(rows, indptr, indices, weights, terms, fixed, dense, ridge, steps, tolerance, relaxation, tile, solution):
    """What `solve_short_rows` does, for rows of any length together, with `fixed` passing by in tiles of `tile` vectors."""
    factors, n = fixed.shape[1], len(rows)
    block = np.empty((_TILE_BLOCK, factors), np.float32)
    a, b = np.empty(_TILE_BLOCK, np.float32), np.empty(_TILE_BLOCK, np.float32)
    scratch = np.empty((5, n, factors), np.float32)
    diagonal, residual, direction, product, before = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    rho = np.empty(n, np.float32)
    cursor = np.empty(n, np.int64)
    solved = np.zeros(n, np.bool_)
    for step in range(steps + 1):
        for place in range(n):
            row = rows[place]
            cursor[place] = indptr[row]
            for k in range(factors):
                if step == 0:
                    before[place, k] = solution[row, k]
                    diagonal[place, k] = dense[k] + ridge[row]
                    residual[place, k] = -diagonal[place, k] * solution[row, k]
                else:
                    product[place, k] = (dense[k] + ridge[row]) * direction[place, k]
        for tile_end in range(tile, len(fixed) + tile, tile):
            for place in range(n):
                if solved[place]:
                    continue
                row = rows[place]
                first, end = cursor[place], indptr[row + 1]
                last = first
                while last < end and indices[last] < tile_end:
                    last += 1
                cursor[place] = last
                for start in range(first, last, _TILE_BLOCK):
                    count = min(_TILE_BLOCK, last - start)
                    _gather(fixed, indices, weights, terms, start, count, block, a, b)
                    if step == 0:
                        _add_residual(block, a, b, count, solution[row], residual[place], diagonal[place])
                    else:
                        _add_products(block, a, count, direction[place], product[place])
        for place in range(n):
            x = solution[rows[place]]
            if step == 0:
                rho[place] = _begin(residual[place], diagonal[place], direction[place])
            elif not solved[place]:
                rho[place] = _step(x, residual[place], diagonal[place], direction[place], product[place], rho[place])
            solved[place] = solved[place] or _is_solved(rho[place], tolerance, x, diagonal[place])
    if relaxation != 1:
        for place in range(n):
            _relax(solution[rows[place]], before[place], relaxation)


@fast_kernel
def observed_loss(begin, end, indptr, indices, weights, terms, fixed, solution):
    """Σ over the entries of rows [begin, end) of b (1 - s)² - (b - a) s², s = x · y, with a and b as above (float64)."""
    total = 0.0
    for row in range(begin, end):
        for entry in range(indptr[row], indptr[row + 1]):
            y = fixed[indices[entry]]
            score = np.float32(0)
            for k in range(fixed.shape[1]):
                score += solution[row, k] * y[k]
            a = terms[0] * weights[entry] + terms[1]
            b = terms[2] * weights[entry] + terms[3]
            total += b * (1.0 - score) ** 2 - (b - a) * np.float64(score) ** 2
    return total
