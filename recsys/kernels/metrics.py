"""Judging ranked lists: which places are hits, and what each metric gives. The formulas stand in `recsys.evaluation.metrics`.

Places count from 0 here. Hits are sparse, so they are kept as compressed rows: those of list r stand at the places
hit_places[hit_indptr[r]:hit_indptr[r + 1]], which rise. Every metric is one short loop over them, and a cut-off `k` can be
larger than the lists: shorter lists have no more hits. `n_relevant` (n_lists,) int64 is at least 1.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel, part

__all__ = [
    "average_precision",
    "find_places",
    "gather_hits",
    "hit_rate",
    "mark_hits",
    "mean_over_relevant",
    "ndcg",
    "ndcg_graded",
    "precision",
    "r_precision",
    "recall",
    "recall_capped",
    "reciprocal_rank",
    "shared_entries",
]

# A power of two: the slot of an item are its lowest bits. 16 KB stay in the nearest cache.
_SLOTS = 4096


@part
def _find(values, begin, end, wanted):
    """Where `wanted` stands in values[begin:end], which rise; -1 where it does not."""
    low = begin
    high = end
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == wanted else -1


@kernel
def find_places(positions, counts, indptr, relevant):
    """The place of each relevant item in its list, -1 where it does not stand there: int32, of the shape of `relevant`.

    List r is positions[r, :counts[r]]; its relevant items are relevant[indptr[r]:indptr[r + 1]], which rise.
    """
    places = np.full(len(relevant), -1, np.int32)
    # Most items shown are not relevant: a slot that holds another row says so without a search.
    slots = np.full(_SLOTS, -1, np.int32)
    for row in range(len(counts)):
        begin = indptr[row]
        end = indptr[row + 1]
        for entry in range(begin, end):
            slots[relevant[entry] & (_SLOTS - 1)] = row
        for place in range(counts[row]):
            item = positions[row, place]
            if slots[item & (_SLOTS - 1)] == row:
                entry = _find(relevant, begin, end, item)
                if entry >= 0:
                    places[entry] = place
    return places


@kernel
def mark_hits(indptr, places, width):
    """hits[row, places[entry]] = True for the entries of each row that have a place: bool (n_rows, width)."""
    hits = np.zeros((len(indptr) - 1, width), np.bool_)
    for row in range(len(hits)):
        for entry in range(indptr[row], indptr[row + 1]):
            if places[entry] >= 0:
                hits[row, places[entry]] = True
    return hits


@kernel
def gather_hits(hits):
    """(hit_indptr int64, hit_places int32) of a bool (n_lists, width)."""
    indptr = np.zeros(len(hits) + 1, np.int64)
    for row in range(len(hits)):
        count = 0
        for place in range(hits.shape[1]):
            count += hits[row, place]
        indptr[row + 1] = indptr[row] + count
    places = np.empty(indptr[-1], np.int32)
    for row in range(len(hits)):
        following = indptr[row]
        if following == indptr[row + 1]:
            continue
        for place in range(hits.shape[1]):
            if hits[row, place]:
                places[following] = place
                following += 1
    return indptr, places


@kernel
def shared_entries(indptr, indices, rows, other_indptr, other_indices):
    """Which entries also stand in the other matrix, where row r of this one is row rows[r] of the other: bool, one an entry.

    A negative rows[r] is a row that the other matrix does not have.
    """
    shared = np.zeros(len(indices), np.bool_)
    for row in range(len(rows)):
        if rows[row] < 0:
            continue
        begin = other_indptr[rows[row]]
        end = other_indptr[rows[row] + 1]
        for entry in range(indptr[row], indptr[row + 1]):
            shared[entry] = _find(other_indices, begin, end, indices[entry]) >= 0
    return shared


@part
def _hits_within(hit_indptr, hit_places, row, k):
    """How many hits of the list stand at places below k."""
    found = 0
    for hit in range(hit_indptr[row], hit_indptr[row + 1]):
        if hit_places[hit] >= k:
            break
        found += 1
    return found


@kernel
def recall(hit_indptr, hit_places, n_relevant, k):
    """hits[:, :k].sum(axis=1) / n_relevant"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        values[row] = _hits_within(hit_indptr, hit_places, row, k) / n_relevant[row]
    return values


@kernel
def recall_capped(hit_indptr, hit_places, n_relevant, k):
    """hits[:, :k].sum(axis=1) / min(k, n_relevant)"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        values[row] = _hits_within(hit_indptr, hit_places, row, k) / min(k, n_relevant[row])
    return values


@kernel
def precision(hit_indptr, hit_places, n_relevant, k):
    """hits[:, :k].sum(axis=1) / k"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        values[row] = _hits_within(hit_indptr, hit_places, row, k) / k
    return values


@kernel
def r_precision(hit_indptr, hit_places, n_relevant):
    """hits[row, : n_relevant[row]].sum() / n_relevant[row] for each row"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        values[row] = _hits_within(hit_indptr, hit_places, row, n_relevant[row]) / n_relevant[row]
    return values


@kernel
def hit_rate(hit_indptr, hit_places, n_relevant, k):
    """hits[:, :k].any(axis=1)"""
    values = np.zeros(len(n_relevant))
    for row in range(len(values)):
        first = hit_indptr[row]
        if first < hit_indptr[row + 1] and hit_places[first] < k:
            values[row] = 1.0
    return values


@kernel
def reciprocal_rank(hit_indptr, hit_places, n_relevant, k):
    """1 / (1 + hits[:, :k].argmax(axis=1)), 0 where there is no hit."""
    values = np.zeros(len(n_relevant))
    for row in range(len(values)):
        first = hit_indptr[row]
        if first < hit_indptr[row + 1] and hit_places[first] < k:
            values[row] = 1.0 / (hit_places[first] + 1)
    return values


@kernel
def average_precision(hit_indptr, hit_places, n_relevant, k):
    """(precision at each place · hits)[:, :k].sum(axis=1) / min(k, n_relevant)"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        total = 0.0
        for hit in range(hit_indptr[row], hit_indptr[row + 1]):
            if hit_places[hit] >= k:
                break
            total += (hit - hit_indptr[row] + 1) / (hit_places[hit] + 1)
        values[row] = total / min(k, n_relevant[row])
    return values


@part
def _discounts(length):
    """1 / log2(2, 3, 4, …)"""
    values = np.empty(length)
    for place in range(length):
        values[place] = 1.0 / np.log2(place + 2.0)
    return values


@kernel
def ndcg(hit_indptr, hit_places, n_relevant, k):
    """(hits[:, :k] · discounts).sum(axis=1) / discounts[: min(k, n_relevant)].sum(), discounts = 1 / log2(2, 3, 4, …)"""
    # No hit stands beyond the last place and no ideal list is longer than the most relevant items: a huge k costs nothing.
    length = 0
    for row in range(len(n_relevant)):
        length = max(length, n_relevant[row])
    for place in hit_places:
        length = max(length, place + 1)
    discounts = _discounts(min(k, length))
    ideal = np.zeros(len(discounts) + 1)
    for place in range(len(discounts)):
        ideal[place + 1] = ideal[place] + discounts[place]
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        total = 0.0
        for hit in range(hit_indptr[row], hit_indptr[row + 1]):
            if hit_places[hit] >= k:
                break
            total += discounts[hit_places[hit]]
        values[row] = total / ideal[min(len(discounts), n_relevant[row])]
    return values


@kernel
def ndcg_graded(indptr, places, gains, rising_gains, k):
    """The discounted sum of the gains of relevant items within k over that of the k largest gains, NaN where all are 0.

    gains[indptr[r]:indptr[r + 1]] (float32, at least 0) are those of the relevant items of list r, and rising_gains the same,
    sorted within each list; their places as `find_places` gives them.
    """
    length = 0
    for row in range(len(indptr) - 1):
        length = max(length, indptr[row + 1] - indptr[row])
    for place in places:
        length = max(length, place + 1)
    discounts = _discounts(min(k, length))
    values = np.full(len(indptr) - 1, np.nan)
    for row in range(len(values)):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            if 0 <= places[entry] < k:
                total += gains[entry] * discounts[places[entry]]
        ideal, end = 0.0, indptr[row + 1]
        for place in range(min(k, end - indptr[row])):
            ideal += rising_gains[end - 1 - place] * discounts[place]
        if ideal > 0:
            values[row] = total / ideal
    return values


@kernel
def mean_over_relevant(indptr, shares, n_relevant):
    """[shares[indptr[r]:indptr[r + 1]].sum() / n_relevant[r] for each r]"""
    values = np.empty(len(n_relevant))
    for row in range(len(values)):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            total += shares[entry]
        values[row] = total / n_relevant[row]
    return values
