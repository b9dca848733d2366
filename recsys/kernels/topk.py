"""The best k columns of a block of scores, kept in one small heap a row while blocks of columns pass by.

A heap's root is its worst entry: the lowest score, among equal scores the highest position. Columns pass in rising order,
so a new entry enters only when its score is strictly higher than the root's, and ties go to the lower position.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_part, kernel

__all__ = ["keep_best", "mask_columns", "rescore_sorted"]

# Scores are compared this many at a time, which vectorises; only a run with a candidate is looked at one by one.
_RUN = 128


@kernel
def mask_columns(scores, offset, indptr, indices, cursors):
    """scores[r, c - offset] = -inf for each column c that row r lists in this block; cursors (rows,) move on past them."""
    end = offset + scores.shape[1]
    for row in range(scores.shape[0]):
        cursor = cursors[row]
        while cursor < indptr[row + 1] and indices[cursor] < end:
            scores[row, indices[cursor] - offset] = -np.inf
            cursor += 1
        cursors[row] = cursor


@kernel
def _worse(scores, positions, a, b):
    return scores[a] < scores[b] or (scores[a] == scores[b] and positions[a] > positions[b])


@kernel
def _sift_down(scores, positions, place, size):
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        if child + 1 < size and _worse(scores, positions, child + 1, child):
            child += 1
        if not _worse(scores, positions, child, place):
            return
        scores[place], scores[child] = scores[child], scores[place]
        positions[place], positions[child] = positions[child], positions[place]
        place = child


@kernel
def _sift_up(scores, positions, place):
    while place > 0:
        parent = (place - 1) // 2
        if not _worse(scores, positions, place, parent):
            return
        scores[place], scores[parent] = scores[parent], scores[place]
        positions[place], positions[parent] = positions[parent], positions[place]
        place = parent


@kernel
def keep_best(scores, offset, best_scores, best_positions, counts):
    """Enters a (rows, columns) block of scores, whose first column is item `offset`, into the rows' heaps of size k.

    best_scores, best_positions : (rows, k);  counts : (rows,) how many are filled. -inf and NaN never enter.
    """
    k = best_scores.shape[1]
    n_columns = scores.shape[1]
    for row in range(scores.shape[0]):
        line = scores[row]
        heap_scores, heap_positions = best_scores[row], best_positions[row]
        size = counts[row]
        bar = heap_scores[0] if size == k else np.float32(-np.inf)
        for start in range(0, n_columns, _RUN):
            stop = min(start + _RUN, n_columns)
            above = 0
            for column in range(start, stop):
                above += line[column] > bar
            if above == 0:
                continue
            for column in range(start, stop):
                score = line[column]
                if not score > bar:
                    continue
                if size < k:
                    heap_scores[size] = score
                    heap_positions[size] = offset + column
                    _sift_up(heap_scores, heap_positions, size)
                    size += 1
                else:
                    heap_scores[0] = score
                    heap_positions[0] = offset + column
                    _sift_down(heap_scores, heap_positions, 0, size)
                if size == k:
                    bar = heap_scores[0]
        counts[row] = size


@fast_part
def _dot(a, b):
    total = 0.0
    for k in range(len(a)):
        total += np.float64(a[k]) * np.float64(b[k])
    return total


@kernel
def rescore_sorted(queries, candidates, best_scores, best_positions, counts):
    """Replaces each heap's scores by float64 dot products (rounded once) and sorts it, best first, in place.

    A blocked product may round the same pair differently from block to block; these scores depend on the pair alone.
    """
    for row in range(len(counts)):
        size = counts[row]
        scores, positions = best_scores[row], best_positions[row]
        for place in range(size):
            scores[place] = _dot(queries[row], candidates[positions[place]])
        for place in range(size // 2 - 1, -1, -1):
            _sift_down(scores, positions, place, size)
        for last in range(size - 1, 0, -1):  # the worst goes to the end
            scores[0], scores[last] = scores[last], scores[0]
            positions[0], positions[last] = positions[last], positions[0]
            _sift_down(scores, positions, 0, last)
