"""From events in the order of the log to compressed rows: count, scatter by row, sort within rows, merge equal columns.

Everything is linear in the events but the sorting of rows, and only the result is held beside the events.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from recsys.kernels._jit import kernel, part

__all__ = [
    "COUNT",
    "LAST",
    "MAX",
    "SUM",
    "close_gaps",
    "count_rows",
    "gather_events",
    "merge_duplicates",
    "scatter",
    "sort_rows",
]

SUM, COUNT, MAX, LAST = 0, 1, 2, 3

# Entries that one thread sorts and merges before it takes the next rows.
_ENTRIES_A_PIECE = 1 << 18
# Rows of up to so many entries are ranked, longer ones sorted; the vector loops of ranking take `_LANES` at a time.
_FEW, _LANES = 128, 16
_LARGEST = np.int32(2**31 - 1)
_DIGIT_BITS = 8
_DIGITS = 1 << _DIGIT_BITS


@kernel
def count_rows(rows, counts):
    """Adds to `counts` (n_rows,) how many events each row has."""
    for row in rows:
        counts[row] += 1


@kernel
def scatter(rows, values, next_place, out):
    """Puts each event's value into the next free place of its row, and moves that place on."""
    for event in range(len(rows)):
        place = next_place[rows[event]]
        next_place[rows[event]] = place + 1
        out[place] = values[event]


@part
def _rank(columns, n, taken, places):
    """Fills places[:n] with the place of each of columns[:n] once they are sorted stably.

    Each is compared with all: without branches vector units do that faster than sorting, as long as there are few. Room for
    n rounded up to a multiple of `_LANES` is needed in `columns` and `taken`.
    """
    full = (n + _LANES - 1) // _LANES * _LANES
    for k in range(n, full):
        columns[k] = _LARGEST
    for k in range(n):
        taken[k] = 0
    for k in range(n):
        column = columns[k]
        smaller = np.int32(0)
        for other in range(full):
            smaller = np.int32(smaller + np.int32(columns[other] < column))
        places[k] = smaller + taken[smaller]
        taken[smaller] += 1


@part
def _sort(columns, n, keys, sorted_keys, places):
    """As `_rank`, for any n: by one digit of the columns after the other, from the last to the first, stably each time."""
    largest = np.int32(0)
    for k in range(n):
        largest = max(largest, columns[k])
        keys[k] = np.int64(columns[k]) << 32 | k
    counts = np.empty(_DIGITS + 1, np.int64)
    shift = 32
    while largest > 0:
        for digit in range(_DIGITS + 1):
            counts[digit] = 0
        for k in range(n):
            counts[((keys[k] >> shift) & (_DIGITS - 1)) + 1] += 1
        for digit in range(_DIGITS):
            counts[digit + 1] += counts[digit]
        for k in range(n):
            digit = (keys[k] >> shift) & (_DIGITS - 1)
            sorted_keys[counts[digit]] = keys[k]
            counts[digit] += 1
        keys, sorted_keys = sorted_keys, keys
        shift += _DIGIT_BITS
        largest >>= _DIGIT_BITS
    for k in range(n):
        places[keys[k] & 0xFFFFFFFF] = k


@kernel
def sort_rows(indptr, first, last, indices, weights, timestamps):
    """Sorts the entries of rows first to last - 1 by column, in place and stably."""
    longest = _LANES
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    keys = np.empty(longest if longest > _FEW else 0, np.int64)
    sorted_keys = np.empty(len(keys), np.int64)
    places = np.empty(longest, np.int64)
    taken = np.empty(_FEW, np.int32)
    old_columns = np.empty(max(longest, _FEW), np.int32)
    old_weights = np.empty(longest, np.float32)
    old_timestamps = np.empty(longest if len(timestamps) else 0, np.int64)
    for row in range(first, last):
        begin = indptr[row]
        n = indptr[row + 1] - begin
        in_order = True
        for k in range(1, n):
            in_order &= indices[begin + k - 1] <= indices[begin + k]
        if in_order:
            continue
        # Loops, since assigning a slice to a slice makes numba compile the words of NumPy's errors too: seconds.
        for k in range(n):
            old_columns[k] = indices[begin + k]
            old_weights[k] = weights[begin + k]
        if n <= _FEW:
            _rank(old_columns, n, taken, places)
        else:
            _sort(old_columns, n, keys, sorted_keys, places)
        for k in range(n):
            indices[begin + places[k]] = old_columns[k]
            weights[begin + places[k]] = old_weights[k]
        if len(timestamps):
            for k in range(n):
                old_timestamps[k] = timestamps[begin + k]
            for k in range(n):
                timestamps[begin + places[k]] = old_timestamps[k]


@kernel
def merge_duplicates(indptr, first, last, indices, weights, timestamps, rule, lengths):
    """Merges equal columns within rows first to last - 1 to the front of each row; `lengths` receives what is left.

    Entries of a row are sorted by column, then event. rule: 0 sum, 1 count, 2 max, 3 last. `timestamps` may be empty; the
    latest one stays. "last" is the entry with the latest timestamp, the later event among equals (or the last event where
    there are no timestamps).
    """
    timed = len(timestamps) > 0
    for row in range(first, last):
        read = indptr[row]
        end = indptr[row + 1]
        write = read
        while read < end:
            column = indices[read]
            total = 0.0
            best = -np.inf
            last_weight = weights[read]
            latest = timestamps[read] if timed else np.int64(0)
            count = 0
            while read < end and indices[read] == column:
                weight = weights[read]
                total += weight
                best = max(best, np.float64(weight))
                count += 1
                if not timed:
                    last_weight = weight
                elif timestamps[read] >= latest:
                    latest = timestamps[read]
                    last_weight = weight
                read += 1
            indices[write] = column
            if rule == SUM:
                weights[write] = total
            elif rule == COUNT:
                weights[write] = count
            elif rule == MAX:
                weights[write] = best
            else:
                weights[write] = last_weight
            if timed:
                timestamps[write] = latest
            write += 1
        lengths[row] = write - indptr[row]


@kernel
def close_gaps(indptr, lengths, indices, weights, timestamps):
    """Moves the first lengths[row] entries of each row together, in place; `indptr` then describes the result."""
    write = np.int64(0)
    begin = indptr[0]
    for row in range(len(lengths)):
        following = indptr[row + 1]
        for read in range(begin, begin + lengths[row]):
            indices[write] = indices[read]
            weights[write] = weights[read]
            if len(timestamps):
                timestamps[write] = timestamps[read]
            write += 1
        begin = following
        indptr[row + 1] = write


def gather_events(
    blocks: list, n_rows: int, rule: int, n_groups: int, each: Callable
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compressed rows of events given in blocks: (indptr int64, indices int32, weights float32, timestamps int64 or empty).

    blocks : list of (rows, columns, weights or None, timestamps or None); it is emptied on the way.
    n_groups : how many threads there are; `each` maps a function over pieces in those threads. Neither changes the result.
    """
    pieces = _pieces(blocks)
    groups, firsts = _grouped([piece[0] for piece in pieces], n_groups, n_rows, each)
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    indptr[:-1] = firsts[0]
    n = indptr[-1] = sum(len(piece[0]) for piece in pieces)
    timed, weighted = (any(piece[part] is not None for piece in pieces) for part in (3, 2))
    # One column after the other, each given back once it is scattered: the peak is the events and one column.
    indices = _scattered(pieces, 1, np.empty(n, dtype=np.int32), groups, firsts, each)
    weights = np.ones(n, dtype=np.float32)
    weights = _scattered(pieces, 2, weights, groups, firsts, each) if weighted else weights
    timestamps = np.empty(n if timed else 0, dtype=np.int64)
    timestamps = _scattered(pieces, 3, timestamps, groups, firsts, each) if timed else timestamps
    del pieces, groups, firsts
    lengths = _sorted_and_merged(indptr, indices, weights, timestamps, rule, each)
    if int(lengths.sum()) < n:
        close_gaps(indptr, lengths, indices, weights, timestamps)
        for array in (indices, weights, timestamps):
            if len(array):
                array.resize(int(indptr[-1]), refcheck=False)  # gives memory back without a copy; nobody else has it
    return indptr, indices, weights, timestamps


def _pieces(blocks):
    """The blocks as lists [rows, columns, weights, timestamps] of no more than `_ENTRIES_A_PIECE` events; empties `blocks`."""
    pieces = []
    while blocks:
        block = blocks.pop(0)
        for start in range(0, len(block[0]), _ENTRIES_A_PIECE):
            pieces.append([None if part is None else _frozen(part[start : start + _ENTRIES_A_PIECE]) for part in block])  # noqa: PERF401
    return pieces


def _grouped(rows, n_groups, n_rows, each):
    """Runs of pieces of about equal size, one a thread, and (n_groups, n_rows) where each puts its first event of a row.

    A group's events of a row come after those of the groups before it: that keeps the order of the log. There are fewer
    groups where that table would outweigh the events.
    """
    n_groups = max(1, min(n_groups, sum(map(len, rows)) // max(n_rows, 1)))
    groups = np.array_split(np.arange(len(rows)), n_groups)
    counts = np.zeros((n_groups, n_rows), dtype=np.int64)

    def count(g):
        for piece in groups[g]:
            count_rows(rows[piece], counts[g])

    each(count, range(n_groups))
    firsts = np.cumsum(counts, axis=0) - counts
    totals = counts.sum(axis=0)
    firsts += np.cumsum(totals) - totals
    return groups, firsts


def _scattered(pieces, part, out, groups, firsts, each):
    """`out` with one part of all events, sorted by row; the part is taken out of the pieces."""

    def scatter_group(g):
        next_place = firsts[g].copy()
        for piece in groups[g]:
            values = pieces[piece][part].astype(out.dtype, copy=False)
            scatter(pieces[piece][0], _frozen(values), next_place, out)
            pieces[piece][part] = None

    each(scatter_group, range(len(groups)))
    return out


def _sorted_and_merged(indptr, indices, weights, timestamps, rule, each):
    """Sorts each row and merges its duplicates, in place; (n_rows,) how many entries each row has left."""
    n_rows = len(indptr) - 1
    lengths = np.empty(n_rows, dtype=np.int64)

    def sort_and_merge(bounds):
        sort_rows(indptr, bounds[0], bounds[1], indices, weights, timestamps)
        merge_duplicates(indptr, bounds[0], bounds[1], indices, weights, timestamps, rule, lengths)

    cuts = np.searchsorted(indptr, np.arange(_ENTRIES_A_PIECE, indptr[-1], _ENTRIES_A_PIECE))
    each(sort_and_merge, list(itertools.pairwise([0, *cuts.tolist(), n_rows])))
    return lengths


def _frozen(array):
    view = array.view()
    view.flags.writeable = False
    return view
