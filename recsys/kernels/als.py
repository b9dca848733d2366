"""Alternating least squares: the rows of one side solved while the other side is fixed, and the observed part of the loss.

Every row is a linear system  (diag(dense + ridge) + Σ_j a_j y_j y_jᵀ) x = Σ_j b_j y_j  over its entries j, where
a_j = alpha · w_j and b_j = alpha · w_j + target. The part of the matrix that all rows share is diagonal because the fixed
side comes rotated into the eigenvectors of its Gram matrix. That makes the diagonal of the whole matrix cheap and a good
preconditioner for conjugate gradients, which cost 4 · entries · factors operations a step.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel

__all__ = ["observed_loss", "solve_rows"]

# A row's vectors are copied side by side while they fit the second-level cache, so that later steps need not gather again.
_CACHED_FLOATS = 160 * 1024

# Residuals below this are zero for any purpose, and their squares would leave the range of float32.
_VANISHED = np.float32(1e-30)


@fast_kernel
def _gather(fixed, indices, begin, count, block):
    """block[:count] = fixed[indices[begin : begin + count]]"""
    for j in range(count):
        row = fixed[indices[begin + j]]
        for k in range(block.shape[1]):
            block[j, k] = row[k]


@fast_kernel
def _add_products(block, scale, count, vector, result):
    """result += block[:count].T @ (scale[:count] * (block[:count] @ vector)), four rows at a time."""
    factors = len(vector)
    j = 0
    while j + 4 <= count:
        s0 = s1 = s2 = s3 = np.float32(0)
        for k in range(factors):
            v = vector[k]
            s0 += block[j, k] * v
            s1 += block[j + 1, k] * v
            s2 += block[j + 2, k] * v
            s3 += block[j + 3, k] * v
        s0 *= scale[j]
        s1 *= scale[j + 1]
        s2 *= scale[j + 2]
        s3 *= scale[j + 3]
        for k in range(factors):
            result[k] += s0 * block[j, k] + s1 * block[j + 1, k] + s2 * block[j + 2, k] + s3 * block[j + 3, k]
        j += 4
    while j < count:
        s0 = np.float32(0)
        for k in range(factors):
            s0 += block[j, k] * vector[k]
        s0 *= scale[j]
        for k in range(factors):
            result[k] += s0 * block[j, k]
        j += 1


@fast_kernel
def _add_target_and_diagonal(block, scale, target, count, rhs, diagonal):
    """rhs += (scale + target) @ block;  diagonal += scale @ block**2"""
    for j in range(count):
        a = scale[j]
        b = a + target
        for k in range(len(rhs)):
            y = block[j, k]
            rhs[k] += b * y
            diagonal[k] += a * y * y


@fast_kernel
def solve_rows(begin, end, indptr, indices, weights, alpha, target, fixed, dense, ridge, steps, tolerance, solution):
    """Improves solution[begin:end] by at most `steps` preconditioned conjugate gradient steps from where it stands.

    indptr, indices, weights : the rows' entries; indices point into `fixed` (n_fixed, factors).
    dense : (factors,) the shared diagonal;  ridge : (n_rows,) added to it, one number a row.
    tolerance : a row is done when its preconditioned residual falls below this share of its right-hand side's.
    A row without entries becomes zero. All arrays but the pointers are float32.
    """
    factors = fixed.shape[1]
    room = max(64, _CACHED_FLOATS // factors)
    block = np.empty((room, factors), np.float32)
    scale = np.empty(room, np.float32)
    scratch = np.empty((6, factors), np.float32)
    shared, diagonal, rhs = scratch[0], scratch[1], scratch[2]
    residual, direction, product = scratch[3], scratch[4], scratch[5]
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        x = solution[row]
        if first == last:
            x[:] = 0
            continue
        for k in range(factors):
            shared[k] = dense[k] + ridge[row]
            diagonal[k] = shared[k]
            product[k] = shared[k] * x[k]
            rhs[k] = 0
        for start in range(first, last, room):
            count = min(room, last - start)
            _gather(fixed, indices, start, count, block)
            for j in range(count):
                scale[j] = alpha * weights[start + j]
            _add_products(block, scale, count, x, product)
            _add_target_and_diagonal(block, scale, target, count, rhs, diagonal)
        rho = np.float32(0)
        goal = np.float32(0)
        for k in range(factors):
            residual[k] = rhs[k] - product[k]
            direction[k] = residual[k] / diagonal[k]
            rho += residual[k] * direction[k]
            goal += rhs[k] * rhs[k] / diagonal[k]
        goal *= tolerance * tolerance
        for _ in range(steps):
            if rho <= goal or rho < _VANISHED:
                break
            for k in range(factors):
                product[k] = shared[k] * direction[k]
            for start in range(first, last, room):
                count = min(room, last - start)
                if last - first > room:  # otherwise the block still holds the whole row
                    _gather(fixed, indices, start, count, block)
                    for j in range(count):
                        scale[j] = alpha * weights[start + j]
                _add_products(block, scale, count, direction, product)
            curvature = np.float32(0)
            for k in range(factors):
                curvature += direction[k] * product[k]
            step = rho / curvature
            previous = rho
            rho = np.float32(0)
            for k in range(factors):
                x[k] += step * direction[k]
                residual[k] -= step * product[k]
                rho += residual[k] * residual[k] / diagonal[k]
            momentum = rho / previous
            for k in range(factors):
                direction[k] = residual[k] / diagonal[k] + momentum * direction[k]


@fast_kernel
def observed_loss(begin, end, indptr, indices, weights, alpha, target, fixed, solution):
    """Σ over the entries of rows [begin, end) of b (1 - s)² - (b - a) s², s = x · y, with a and b as above (float64)."""
    total = 0.0
    for row in range(begin, end):
        for entry in range(indptr[row], indptr[row + 1]):
            y = fixed[indices[entry]]
            score = np.float32(0)
            for k in range(fixed.shape[1]):
                score += solution[row, k] * y[k]
            b = alpha * weights[entry] + target
            total += b * (1.0 - score) ** 2 - target * np.float64(score) ** 2
    return total
