"""Scores of given pairs of rows, and what in a row's own entries carried them."""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part, kernel

__all__ = ["carried", "score_pairs"]


@fast_part
def _dot(a, b):
    total = 0.0
    for place in range(len(a)):
        total += np.float64(a[place]) * np.float64(b[place])
    return total


@fast_kernel
def score_pairs(begin, end, rows, columns, queries, items, scores):
    """scores[p] = queries[rows[p]] · items[columns[p]] for begin <= p < end, summed in float64 and rounded once."""
    for pair in range(begin, end):
        scores[pair] = _dot(queries[rows[pair]], items[columns[pair]])


def carried(
    begin: int, end: int, indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray, targets: np.ndarray, ridge: np.ndarray,
    features: np.ndarray, dense: np.ndarray, listed: np.ndarray, counts: np.ndarray, own: np.ndarray, amounts: np.ndarray,
    n_own: np.ndarray,
) -> None:  # fmt: skip
    """For each item that a row lists, the row's entries that added most to its score.

    indptr, indices, weights a, targets t : the rows' entries.  ridge λ (rows,), features f (m, d), dense (d,) : row u's vector
    solves (diag(dense + λ_u) + Σ a f fᵀ) x = Σ t f, so entry j adds t_j f_jᵀ (…)⁻¹ f_i to the score of item i.
    listed (rows, k), counts (rows,) : the lists.  Fills own, amounts (rows, k, r) and n_own (rows, k): the indices
    of the r largest positive contributions, best first, equal ones in order of entry.

    The equations are NumPy's part: numba needs many seconds to compile them, and then runs them slower.
    """
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        if first == last or counts[row] == 0:
            continue
        mine = features[indices[first:last]].astype(np.float64)
        asked = features[listed[row, : counts[row]]].astype(np.float64)
        diagonal = dense + ridge[row]
        weight = weights[first:last].astype(np.float64)
        # A diagonal of zeros has no inverse: a row without ridge is solved by its factors.
        if len(mine) < len(diagonal) and diagonal.min() > 0:
            products = _by_entries(mine, asked, diagonal, weight)
        else:
            products = _by_factors(mine, asked, diagonal, weight)
        _keep_largest(row, first, indices, targets, products, own, amounts, n_own)


def _by_entries(own, asked, diagonal, weights):
    """own A⁻¹ askedᵀ (n, k) through the n × n matrix of the entries: with G = own D⁻¹ ownᵀ it is (I + G C)⁻¹ own D⁻¹ askedᵀ."""
    scaled = own / diagonal
    system = np.dot(scaled, own.T) * weights
    system.flat[:: len(own) + 1] += 1.0
    return np.linalg.solve(system, np.dot(scaled, asked.T))


def _by_factors(own, asked, diagonal, weights):
    """The same through the d × d matrix A = D + ownᵀ C own."""
    system = np.dot((own * weights[:, None]).T, own)
    system.flat[:: len(diagonal) + 1] += diagonal
    return np.dot(own, np.linalg.solve(system, asked.T))


@kernel
def _keep_largest(row, first, indices, targets, products, own, amounts, n_own):
    """Fills own[row], amounts[row], n_own[row] from products (n, k) of the row's entries, the first of which is `first`."""
    n_reasons = own.shape[2]
    for place in range(products.shape[1]):
        found = 0
        for entry in range(len(products)):
            amount = targets[first + entry] * products[entry, place]
            if not amount > 0 or (found == n_reasons and amount <= amounts[row, place, found - 1]):
                continue
            slot = min(found, n_reasons - 1)
            while slot > 0 and amounts[row, place, slot - 1] < amount:
                amounts[row, place, slot] = amounts[row, place, slot - 1]
                own[row, place, slot] = own[row, place, slot - 1]
                slot -= 1
            amounts[row, place, slot] = amount
            own[row, place, slot] = indices[first + entry]
            found = min(found + 1, n_reasons)
        n_own[row, place] = found
