"""Stochastic gradient steps of GloVe on pairs of items, and the pairs dealt into buckets that can be trained side by side.

Items are numbered so that each block of them is one range. A bucket holds the pairs of two blocks; buckets that share neither
block on the same side touch no common vector. Each pair is kept once and trained in both directions.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, kernel

__all__ = ["bucket_sizes", "deal_pairs", "train_bucket"]


@kernel
def bucket_sizes(indptr, columns, blocks, n_blocks):
    """(n_blocks, n_blocks) int64: how many pairs of the upper half (indptr, columns) lie in each bucket (a, b), a <= b."""
    sizes = np.zeros((n_blocks, n_blocks), np.int64)
    for item in range(len(indptr) - 1):
        for entry in range(indptr[item], indptr[item + 1]):
            one, other = blocks[item], blocks[columns[entry]]
            sizes[min(one, other), max(one, other)] += 1
    return sizes


@kernel
def deal_pairs(indptr, columns, sums, numbers, blocks, next_place, rows_out, columns_out, logs_out):
    """Puts each pair of the upper half (indptr, columns, sums) into its bucket's next free place, as (row, column, log sum).

    numbers (n_items,) : what each item is called in the buckets.  blocks (n_items,) : the block of each, by position.
    next_place (n_blocks, n_blocks) : where each bucket's next place is; moved on. The row is the item of the earlier block.
    """
    for item in range(len(indptr) - 1):
        for entry in range(indptr[item], indptr[item + 1]):
            row, column = item, columns[entry]
            if blocks[row] > blocks[column]:
                row, column = column, row
            place = next_place[blocks[row], blocks[column]]
            next_place[blocks[row], blocks[column]] = place + 1
            rows_out[place] = numbers[row]
            columns_out[place] = numbers[column]
            logs_out[place] = np.log(sums[entry])


@fast_kernel
def train_bucket(begin, end, rows, columns, logs, left, right, left_squares, right_squares, rate, log_most, exponent):
    """One AdaGrad step (Duchi, Hazan & Singer 2011) for each pair begin <= p < end in turn; the sum of f · error² on the way.

    left, right (n_items, dim + 1) : vectors w, w̃ with the bias behind.  *_squares : 1 + sums of squared gradients so far.
    With x = logs[p] and f = min(1, exp(exponent (x - log_most))) the loss of a pair is f (w · w̃ + b + b̃ - x)² / 2.
    """
    dim = left.shape[1] - 1
    one = np.float32(1.0)
    total = 0.0
    for pair in range(begin, end):
        w, v = left[rows[pair]], right[columns[pair]]
        w_squares, v_squares = left_squares[rows[pair]], right_squares[columns[pair]]
        error = w[dim] + v[dim] - logs[pair]
        product = np.float32(0.0)
        for place in range(dim):
            product += w[place] * v[place]
        error += product
        weight = min(one, np.exp(exponent * (logs[pair] - log_most)))
        total += weight * error * error
        slope = weight * error
        # Gradients are w.r.t. both old vectors: each is read before it is written.
        for place in range(dim):
            w_gradient, v_gradient = slope * v[place], slope * w[place]
            w[place] -= rate * w_gradient / np.sqrt(w_squares[place])
            v[place] -= rate * v_gradient / np.sqrt(v_squares[place])
            w_squares[place] += w_gradient * w_gradient
            v_squares[place] += v_gradient * v_gradient
        w[dim] -= rate * slope / np.sqrt(w_squares[dim])
        v[dim] -= rate * slope / np.sqrt(v_squares[dim])
        w_squares[dim] += slope * slope
        v_squares[dim] += slope * slope
    return total
