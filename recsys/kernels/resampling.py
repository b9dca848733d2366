"""Drawing users again and flipping signs: the two sums behind intervals and tests. What they are for stands in
`recsys.evaluation.intervals` and `recsys.evaluation.permutation`. Random numbers come in as arrays.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel, part

__all__ = ["add_signed_sums", "count_draws"]

_ROWS_AT_ONCE = 8


@kernel
def count_draws(words, counts):
    """counts[r] = np.bincount(words[r, :n] * n >> 32, minlength=n): how often each of n numbers was drawn, out of n draws.

    words : (m, at least n) uint32, evenly spread;  counts : (m, n) uint8, filled. The chance of a number is 1 / n, up to
    n / 2^32 of that. A number is drawn more than 255 times less than once in 10^500 rows.
    """
    n = np.uint64(counts.shape[1])
    counts[:] = 0
    for r in range(len(counts)):
        for draw in range(counts.shape[1]):
            counts[r, np.int64((np.uint64(words[r, draw]) * n) >> np.uint64(32))] += 1


@kernel
def add_signed_sums(values, words, sums):
    """sums += signs @ values, where signs[r, i] is +1 or -1 as bit i % 64 of words[r, i // 64] is set or not.

    values : (n, n_columns) float64;  words : (m, ceil(n / 64)) uint64;  sums : (m, n_columns) float64.

    Eight rows have only 256 signed sums: they are tabulated once, and each r looks its own up by one byte of its word.
    """
    n_columns = values.shape[1]
    n_tables = 64 // _ROWS_AT_ONCE
    tables = np.empty((n_tables, 1 << _ROWS_AT_ONCE, n_columns))
    for word in range(words.shape[1]):
        for table in range(n_tables):
            _tabulate(values, word * 64 + table * _ROWS_AT_ONCE, tables[table])
        for r in range(len(sums)):
            bits = words[r, word]
            for column in range(n_columns):
                total = 0.0
                for table in range(n_tables):
                    signs = (bits >> np.uint64(_ROWS_AT_ONCE * table)) & np.uint64(0xFF)
                    total += tables[table, np.int64(signs), column]
                sums[r, column] += total


@part
def _tabulate(values, begin, table):
    """table[signs] = Σ_b ±values[begin + b], plus where bit b of `signs` is set; rows beyond the end count as zeros."""
    n, n_columns = values.shape
    for column in range(n_columns):
        table[0, column] = 0.0
        for row in range(begin, min(begin + _ROWS_AT_ONCE, n)):
            table[0, column] -= values[row, column]
    for bit in range(_ROWS_AT_ONCE):
        row = begin + bit
        for signs in range(1 << bit):
            for column in range(n_columns):
                change = 2.0 * values[row, column] if row < n else 0.0
                table[signs | (1 << bit), column] = table[signs, column] + change
