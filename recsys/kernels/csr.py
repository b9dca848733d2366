"""Building compressed rows (CSR) from events: counting sorts, merging of duplicates, transposition."""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel

__all__ = ["counting_order", "merge_duplicates", "row_pointers", "rows_are_sorted", "transpose"]

SUM, COUNT, MAX, LAST = 0, 1, 2, 3


@kernel
def row_pointers(rows, n_rows):
    """Where each row begins and ends once the entries are sorted by row: int64, n_rows + 1 long."""
    indptr = np.zeros(n_rows + 1, np.int64)
    for row in rows:
        indptr[row + 1] += 1
    for row in range(n_rows):
        indptr[row + 1] += indptr[row]
    return indptr


@kernel
def counting_order(keys, n_keys, previous):
    """Order that sorts `keys` stably: previous[argsort(keys[previous], kind="stable")]; an empty `previous` is 0, 1, 2, …"""
    n = len(keys)
    next_place = np.zeros(n_keys + 1, np.int64)
    for key in keys:
        next_place[key + 1] += 1
    for key in range(n_keys):
        next_place[key + 1] += next_place[key]
    order = np.empty(n, np.int64)
    for place in range(n):
        entry = previous[place] if len(previous) else place
        order[next_place[keys[entry]]] = entry
        next_place[keys[entry]] += 1
    return order


@kernel
def merge_duplicates(indptr, indices, weights, timestamps, rule):
    """Merges equal columns of a row, in place; returns the new indptr. Entries of a row are sorted by column, then event.

    rule: 0 sum, 1 count, 2 max, 3 last. `timestamps` may be empty; the latest one stays. "last" is the entry with the
    latest timestamp, the later event among equals (or the last event where there are no timestamps).
    """
    n_rows = len(indptr) - 1
    timed = len(timestamps) > 0
    merged = np.zeros(n_rows + 1, np.int64)
    write = 0
    for row in range(n_rows):
        read = indptr[row]
        end = indptr[row + 1]
        while read < end:
            column = indices[read]
            total = 0.0
            best = -np.inf
            last = weights[read]
            latest = timestamps[read] if timed else np.int64(0)
            count = 0
            while read < end and indices[read] == column:
                weight = weights[read]
                total += weight
                best = max(best, np.float64(weight))
                count += 1
                if not timed:
                    last = weight
                elif timestamps[read] >= latest:
                    latest = timestamps[read]
                    last = weight
                read += 1
            indices[write] = column
            if rule == 0:
                weights[write] = total
            elif rule == 1:
                weights[write] = count
            elif rule == 2:
                weights[write] = best
            else:
                weights[write] = last
            if timed:
                timestamps[write] = latest
            write += 1
        merged[row + 1] = write
    return merged


@kernel
def transpose(indptr, indices, n_columns):
    """The same entries by column: (indptr, rows, order) where order[k] is the old place of the new entry k."""
    n_rows = len(indptr) - 1
    by_column = np.zeros(n_columns + 1, np.int64)
    for column in indices:
        by_column[column + 1] += 1
    for column in range(n_columns):
        by_column[column + 1] += by_column[column]
    next_place = by_column[:-1].copy()
    rows = np.empty(len(indices), np.int32)
    order = np.empty(len(indices), np.int64)
    for row in range(n_rows):
        for entry in range(indptr[row], indptr[row + 1]):
            place = next_place[indices[entry]]
            next_place[indices[entry]] += 1
            rows[place] = row
            order[place] = entry
    return by_column, rows, order


@kernel
def rows_are_sorted(indptr, indices, n_columns):
    """True when every row's columns lie in [0, n_columns) and strictly rise."""
    for row in range(len(indptr) - 1):
        previous = -1
        for entry in range(indptr[row], indptr[row + 1]):
            if indices[entry] <= previous or indices[entry] >= n_columns:
                return False
            previous = indices[entry]
    return True
