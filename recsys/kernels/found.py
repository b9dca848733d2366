"""Around an approximate search: how promising each list of items is before it, and what of its finds may stay after it."""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, kernel, part

__all__ = ["keep_allowed", "promises"]


@part
def _holds(values, start, stop, wanted):
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < wanted:
            start = middle + 1
        else:
            stop = middle
    return start


@kernel
def keep_allowed(found, indptr, indices, allowed, positions, counts):
    """positions[r, : counts[r]] = the entries of found[r] that are no gap (-1), not listed by row r, and allowed.

    found : (rows, n) integer;  indptr (rows + 1,), indices : what each row lists, rising;  allowed : (n_items,) bool, or of
    length 0 when all are.
    """
    for row in range(found.shape[0]):
        start, stop = indptr[row], indptr[row + 1]
        size = 0
        for place in range(found.shape[1]):
            position = found[row, place]
            if position < 0 or (len(allowed) and not allowed[position]):
                continue
            at = _holds(indices, start, stop, position)
            if at < stop and indices[at] == position:
                continue
            positions[row, size] = position
            size += 1
        counts[row] = size


@fast_kernel
def promises(queries, middles, out):
    """out[r, l] = queries[r] @ middles[l, :-1] + ‖queries[r]‖ middles[l, -1], the same whatever other rows there are.

    queries : (n, dim) float32;  middles : (n_lists, dim + 1) float32;  out : (n, n_lists) float32.
    """
    dim = queries.shape[1]
    for row in range(len(queries)):
        query = queries[row]
        square = np.float32(0)
        for k in range(dim):
            square += query[k] * query[k]
        length = np.sqrt(square)
        for number in range(len(middles)):
            middle = middles[number]
            total = length * middle[dim]
            for k in range(dim):
                total += query[k] * middle[k]
            out[row, number] = total
