"""What ranked lists show, whatever is relevant: means over their items, likeness within a list, counts over all lists.

List r is positions[r, :counts[r]], cut at `k`. The formulas stand in `recsys.evaluation.beyond_accuracy`.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, kernel, part

__all__ = [
    "all_within",
    "count_shown",
    "expected_depths",
    "mean_cosine_distance",
    "mean_mismatch",
    "mean_of_rows",
    "mean_of_shown",
    "unexpected_hits",
]


@kernel
def all_within(positions, counts, n_items):
    """Whether every item shown lies in [0, n_items)."""
    for row in range(len(counts)):
        for place in range(counts[row]):
            if not 0 <= positions[row, place] < n_items:
                return False
    return True


@kernel
def mean_of_shown(positions, counts, values, k):
    """values[positions[r, :k]].mean() of each list, values (n_items,) float64; NaN for an empty list."""
    means = np.full(len(counts), np.nan)
    for row in range(len(counts)):
        length = min(k, counts[row])
        total = 0.0
        for place in range(length):
            total += values[positions[row, place]]
        if length:
            means[row] = total / length
    return means


@kernel
def mean_of_rows(indptr, indices, rows, values):
    """values[indices of the row].mean() of each of `rows`; NaN for a row without entries."""
    means = np.full(len(rows), np.nan)
    for place in range(len(rows)):
        begin = indptr[rows[place]]
        end = indptr[rows[place] + 1]
        total = 0.0
        for entry in range(begin, end):
            total += values[indices[entry]]
        if end > begin:
            means[place] = total / (end - begin)
    return means


@fast_kernel
def mean_cosine_distance(positions, counts, units, k):
    """1 - the mean of x · y over the pairs of items of each list, units (n_items, dim) float32; NaN below two items.

    Σ_{x ≠ y} x · y = ‖Σ x‖² - Σ ‖x‖²: linear in the length of the list.
    """
    n_columns = units.shape[1]
    distances = np.full(len(counts), np.nan)
    total = np.empty(n_columns)
    for row in range(len(counts)):
        length = min(k, counts[row])
        if length < 2:
            continue
        total[:] = 0.0
        squares = 0.0
        for place in range(length):
            unit = units[positions[row, place]]
            for column in range(n_columns):
                value = np.float64(unit[column])
                total[column] += value
                squares += value * value
        whole = 0.0
        for column in range(n_columns):
            whole += total[column] * total[column]
        distances[row] = 1.0 - (whole - squares) / (length * (length - 1.0))
    return distances


@kernel
def mean_mismatch(positions, counts, codes, n_codes, k):
    """The share of (pair of items, column) that differ, over the pairs of each list; NaN below two items.

    codes (n_items, n_columns) int32 in [0, n_codes), those of different columns different; -1 for a missing value, which
    differs from everything.
    """
    mismatches = np.full(len(counts), np.nan)
    met = np.zeros(n_codes, np.int64)
    for row in range(len(counts)):
        length = min(k, counts[row])
        if length < 2:
            continue
        alike = 0
        for place in range(length):
            for code in codes[positions[row, place]]:
                if code >= 0:
                    alike += met[code]
                    met[code] += 1
        for place in range(length):
            for code in codes[positions[row, place]]:
                if code >= 0:
                    met[code] = 0
        mismatches[row] = 1.0 - alike / (codes.shape[1] * length * (length - 1.0) / 2.0)
    return mismatches


@part
def _holds(values, begin, end, wanted):
    """Whether `wanted` is among the rising values[begin:end]."""
    last = end
    while begin < end:
        middle = (begin + end) // 2
        if values[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin < last and values[begin] == wanted


@kernel
def expected_depths(order, indptr, indices, rows, k):
    """How far down `order` (item positions) the first k items reach that are not in the row: int64, one each of `rows`.

    The entries of a row, indices[indptr[row]:indptr[row + 1]], rise.
    """
    depths = np.empty(len(rows), np.int64)
    for place in range(len(rows)):
        begin = indptr[rows[place]]
        end = indptr[rows[place] + 1]
        left = k
        depth = 0
        while left > 0 and depth < len(order):
            if not _holds(indices, begin, end, order[depth]):
                left -= 1
            depth += 1
        depths[place] = depth
    return depths


@kernel
def unexpected_hits(hit_indptr, hit_places, positions, ranks, depths, k):
    """How many of the hits within k are items whose rank (from 0) is not below the list's depth: float64, one a list."""
    values = np.zeros(len(depths))
    for row in range(len(depths)):
        for hit in range(hit_indptr[row], hit_indptr[row + 1]):
            if hit_places[hit] < k and ranks[positions[row, hit_places[hit]]] >= depths[row]:
                values[row] += 1.0
    return values


@kernel
def count_shown(positions, counts, k, times_shown):
    """Adds to times_shown (n_items,) int64 how many of the lists show each item within k."""
    for row in range(len(counts)):
        for place in range(min(k, counts[row])):
            times_shown[positions[row, place]] += 1
