"""How often items stand together in sequences: the upper half of an item × item matrix, one compressed row an item.

A sequence's items follow each other in `items`; `starts` says where each begins. The same places by item come as `by_item`
(where an item's places begin), `sequence_of` (in which sequence each is) and `places`. An item's row is gathered whole in an
array as long as there are items, so any range of rows can be made on its own.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel

__all__ = ["count_pairs", "sum_pairs"]


@kernel
def count_pairs(begin, end, starts, items, by_item, sequence_of, places, window, counts):
    """counts[i] = how many items j > i stand within `window` places of item i in some sequence, for begin <= i < end."""
    last_met = np.full(len(by_item) - 1, -1, np.int32)
    for item in range(begin, end):
        found = 0
        for occurrence in range(by_item[item], by_item[item + 1]):
            place, sequence = places[occurrence], sequence_of[occurrence]
            for other_place in range(max(starts[sequence], place - window), min(starts[sequence + 1], place + window + 1)):
                other = items[other_place]
                if other > item and last_met[other] != item:
                    last_met[other] = item
                    found += 1
        counts[item] = found


@kernel
def sum_pairs(
    begin, end, starts, items, by_item, sequence_of, places, window, by_distance, indptr, columns, sums
):  # fmt: skip
    """Fills the rows begin <= i < end: columns[indptr[i]:indptr[i + 1]] the items j > i in order of meeting, and their sums.

    Each time that two items stand within `window` places of each other adds 1, with `by_distance` 1 / how many places they are
    apart. Sums are made in float64; `sums` is float32.
    """
    slot = np.full(len(by_item) - 1, -1, np.int64)
    for item in range(begin, end):
        first = indptr[item]
        totals = np.zeros(indptr[item + 1] - first, np.float64)
        found = 0
        for occurrence in range(by_item[item], by_item[item + 1]):
            place, sequence = places[occurrence], sequence_of[occurrence]
            for other_place in range(max(starts[sequence], place - window), min(starts[sequence + 1], place + window + 1)):
                other = items[other_place]
                if other <= item:
                    continue
                # Slots of earlier items lie before this row, so they need no clearing.
                if slot[other] < first:
                    slot[other] = first + found
                    columns[first + found] = other
                    found += 1
                totals[slot[other] - first] += 1.0 / abs(other_place - place) if by_distance else 1.0
        for place in range(found):
            sums[first + place] = totals[place]
