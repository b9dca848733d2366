"""How many items score below a relevant one, without sorting: what the area under the ROC curve counts.

Scores come in blocks of columns from a float32 product, which may round the same pair differently from block to block.
Items nearer to the relevant one than that rounding are scored again in float64, so that the count is exact.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_part, kernel, part

__all__ = ["count_below", "hide", "score_entries"]


@fast_part
def _dot(a, b):
    total = 0.0
    for k in range(len(a)):
        total += np.float64(a[k]) * np.float64(b[k])
    return np.float32(total)


@kernel
def score_entries(queries, items, indptr, indices):
    """The float64 product of query r with each of the items indices[indptr[r]:indptr[r + 1]], rounded to float32.

    NaN for an index outside of `items`.
    """
    scores = np.full(len(indices), np.nan, np.float32)
    for row in range(len(queries)):
        for entry in range(indptr[row], indptr[row + 1]):
            if 0 <= indices[entry] < len(items):
                scores[entry] = _dot(queries[row], items[indices[entry]])
    return scores


@part
def _first_from(values, begin, end, least):
    """The first place of the rising values[begin:end] that holds at least `least`; `end` if there is none.

    As np.searchsorted, of which numba compiles more than is needed here.
    """
    while begin < end:
        middle = (begin + end) // 2
        if values[middle] < least:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def hide(scores, offset, rows, indptr, indices):
    """Sets to NaN, in line r of a block whose first column is item `offset`, the items of row rows[r] (which rise)."""
    for line in range(len(scores)):
        begin = indptr[rows[line]]
        end = indptr[rows[line] + 1]
        entry = _first_from(indices, begin, end, offset)
        while entry < end and indices[entry] < offset + scores.shape[1]:
            scores[line, indices[entry] - offset] = np.nan
            entry += 1


@kernel
def count_below(scores, offset, indptr, wanted, slack, queries, items, below, tied, compared):
    """Adds, for each entry of each line, how many scores of the block are below wanted[entry] and how many equal it.

    scores : (n, width) float32, first column item `offset`; NaN is no score.
    indptr, wanted : the entries of each line, and their scores (float32); NaN is below nothing.
    slack : (n,) float32, by how much a score may be off; within it, queries[line] · items[column] is what counts. Where it is 0
        the scores are taken as they are.
    below, tied : (n_entries,) int64;  compared : (n,) int64, the number of scores.
    """
    for line in range(len(scores)):
        values = scores[line]
        n_values = 0
        for value in values:
            n_values += not np.isnan(value)
        compared[line] += n_values
        for entry in range(indptr[line], indptr[line + 1]):
            low = wanted[entry] - slack[line]
            high = wanted[entry] + slack[line]
            n_below = 0
            n_upto = 0
            for value in values:
                n_below += value < low
                n_upto += value <= high
            below[entry] += n_below
            if n_upto == n_below:
                continue
            if slack[line] == 0:
                tied[entry] += n_upto - n_below
                continue
            for column in range(len(values)):
                if low <= values[column] <= high:
                    exact = _dot(queries[line], items[offset + column])
                    below[entry] += exact < wanted[entry]
                    tied[entry] += exact == wanted[entry]
