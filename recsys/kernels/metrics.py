"""Judging ranked lists: which places are hits, and what each metric gives. The formulas stand in `recsys.evaluation.metrics`.

A metric is two kernels, one list and all lists. All take `hits` (n_lists, width) bool, True where a relevant item stands;
`n_relevant` (n_lists,) int64, at least 1; and `k`, which can be larger than the width: shorter lists have no more hits.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel

__all__ = [
    "average_precision",
    "find_hits",
    "hit_rate",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
    "shared_entries",
]


@kernel
def _holds(values, begin, end, wanted):
    """wanted in values[begin:end], which rise."""
    low = begin
    high = end
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < end and values[low] == wanted


@kernel
def find_hits(positions, counts, indptr, relevant):
    """Which places of the lists hold a relevant item: bool, of the shape of `positions`.

    List r is positions[r, :counts[r]]; its relevant items are relevant[indptr[r]:indptr[r + 1]], which rise.
    """
    hits = np.zeros(positions.shape, np.bool_)
    for row in range(len(counts)):
        for place in range(counts[row]):
            hits[row, place] = _holds(relevant, indptr[row], indptr[row + 1], positions[row, place])
    return hits


@kernel
def shared_entries(indptr, indices, rows, other_indptr, other_indices):
    """Which entries also stand in the other matrix, where row r of this one is row rows[r] of the other: bool, one an entry."""
    shared = np.zeros(len(indices), np.bool_)
    for row in range(len(rows)):
        begin = other_indptr[rows[row]]
        end = other_indptr[rows[row] + 1]
        for entry in range(indptr[row], indptr[row + 1]):
            shared[entry] = _holds(other_indices, begin, end, indices[entry])
    return shared


@kernel
def _hits_within(hits, k):
    count = 0
    for place in range(min(k, len(hits))):
        count += hits[place]
    return count


@kernel
def recall(hits, n_relevant, k):
    """hits[:, :k].sum(axis=1) / n_relevant"""
    values = np.empty(len(hits))
    for row in range(len(hits)):
        values[row] = _hits_within(hits[row], k) / n_relevant[row]
    return values


@kernel
def precision(hits, n_relevant, k):
    """hits[:, :k].sum(axis=1) / k"""
    values = np.empty(len(hits))
    for row in range(len(hits)):
        values[row] = _hits_within(hits[row], k) / k
    return values


@kernel
def _first_hit(hits, k):
    """The place (from 1) of the first hit within k, 0 where there is none."""
    for place in range(min(k, len(hits))):
        if hits[place]:
            return place + 1
    return 0


@kernel
def hit_rate(hits, n_relevant, k):
    """hits[:, :k].any(axis=1)"""
    values = np.empty(len(hits))
    for row in range(len(hits)):
        values[row] = 1.0 if _first_hit(hits[row], k) > 0 else 0.0
    return values


@kernel
def reciprocal_rank(hits, n_relevant, k):
    """1 / (1 + hits[:, :k].argmax(axis=1)), 0 where there is no hit."""
    values = np.zeros(len(hits))
    for row in range(len(hits)):
        place = _first_hit(hits[row], k)
        if place > 0:
            values[row] = 1.0 / place
    return values


@kernel
def _precision_at_hits(hits, k):
    """The sum, over the hits within k, of the precision at their places."""
    total = 0.0
    found = 0
    for place in range(min(k, len(hits))):
        if hits[place]:
            found += 1
            total += found / (place + 1)
    return total


@kernel
def average_precision(hits, n_relevant, k):
    """(precision at each place · hits)[:, :k].sum(axis=1) / min(k, n_relevant)"""
    values = np.empty(len(hits))
    for row in range(len(hits)):
        values[row] = _precision_at_hits(hits[row], k) / min(k, n_relevant[row])
    return values


@kernel
def _discounted_gain(hits, discounts):
    total = 0.0
    for place in range(min(len(discounts), len(hits))):
        if hits[place]:
            total += discounts[place]
    return total


@kernel
def ndcg(hits, n_relevant, k):
    """(hits[:, :k] · discounts).sum(axis=1) / discounts[: min(k, n_relevant)].sum(), discounts = 1 / log2(2, 3, 4, …)"""
    # No ideal list is longer than the most relevant items that any list has, so a huge k costs nothing.
    length = hits.shape[1]
    for row in range(len(hits)):
        length = max(length, n_relevant[row])
    length = min(k, length)
    discounts = np.empty(length)
    ideal = np.zeros(length + 1)
    for place in range(length):
        discounts[place] = 1.0 / np.log2(place + 2.0)
        ideal[place + 1] = ideal[place] + discounts[place]
    values = np.empty(len(hits))
    for row in range(len(hits)):
        values[row] = _discounted_gain(hits[row], discounts) / ideal[min(length, n_relevant[row])]
    return values
