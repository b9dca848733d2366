"""Orders and checks of compressed rows (CSR): stable counting sort, transposition. `gather` makes the rows."""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel

__all__ = ["counting_order", "row_pointers", "rows_are_sorted", "transpose"]


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
