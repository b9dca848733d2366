"""Stochastic gradient descent on observed pairs and drawn negatives: `BPR` and `LogisticMF`.

Entries are worked on in buckets, each of one block of users and one block of items. A kernel call touches the rows of its own
two blocks only, so buckets without a block in common may run at the same time and nothing depends on which thread was first.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part, kernel

__all__ = ["deal_entries", "train_bpr", "train_logistic"]

# A user who has nearly all items of a block finds no negative there: after so many draws the entry is left out.
_DRAWS = 8


@kernel
def deal_entries(indptr, indices, block_of_item, n_blocks, first, last, order, edges):
    """Sorts the entries of the rows first ≤ u < last by the block of their item, stably, into their places of `order`.

    block_of_item : (n_items,) int32;  order : (nnz,) int64, filled from indptr[first] to indptr[last];
    edges : (n_blocks + 1,) int64, filled: bucket q is order[edges[q] : edges[q + 1]].
    """
    begin, end = indptr[first], indptr[last]
    edges[:] = 0
    for entry in range(begin, end):
        edges[block_of_item[indices[entry]] + 1] += 1
    edges[0] = begin
    for block in range(n_blocks):
        edges[block + 1] += edges[block]
    places = edges[:-1].copy()
    for entry in range(begin, end):
        block = block_of_item[indices[entry]]
        order[places[block]] = entry
        places[block] += 1


@fast_kernel
def train_bpr(bucket, members, seed, by_popularity, verify, rows, indptr, indices, users, items, rate, penalty):
    """One pass over a bucket, in an order drawn anew: for each entry (u, i) and a drawn j a step down the gradient of

        -log σ(x_u · (y_i - y_j)) + penalty / 2 (‖x_u‖² + ‖y_i‖² + ‖y_j‖²)

    bucket : (n,) int64 entries, shuffled in place;  members : positions of the items of the bucket's block;
    seed : uint64, not 0;  by_popularity : j is the item of an entry of the bucket, else any of `members`, evenly;
    verify : draw again when u has j;  rows, indices : (nnz,) int32 the user and item of each entry;
    users : (n_users, dim) float32 whose last column is 1 and stays;  items : (n_items, dim) float32, the last column biases.

    Returns how many entries found a negative, and how many of those were in the right order already.
    """
    state = np.full(1, seed, np.uint64)
    last = users.shape[1] - 1
    found = 0
    correct = 0
    for place in range(len(bucket)):
        entry = _dealt(bucket, place, state)
        u, i = rows[entry], indices[entry]
        j = _negative(bucket, members, state, by_popularity, verify, indices, indptr[u], indptr[u + 1])
        if j < 0 or j == i:
            continue
        difference = items[i, last] - items[j, last]
        for f in range(last):
            difference += users[u, f] * (items[i, f] - items[j, f])
        found += 1
        correct += difference > 0
        slope = np.float32(1) / (np.float32(1) + np.exp(difference))
        for f in range(last):
            x, y, z = users[u, f], items[i, f], items[j, f]
            users[u, f] = x + rate * (slope * (y - z) - penalty * x)
            items[i, f] = y + rate * (slope * x - penalty * y)
            items[j, f] = z - rate * (slope * x + penalty * z)
        items[i, last] += rate * (slope - penalty * items[i, last])
        items[j, last] -= rate * (slope + penalty * items[j, last])
    return found, correct


@fast_kernel
def train_logistic(
    bucket, members, seed, by_popularity, n_negatives, alpha, rows, indices, weights, users, items, rate, penalty
):
    """One pass over a bucket, in an order drawn anew: for each entry (u, i) a step down the gradient of

        -c log σ(x_u · y_i) + penalty / 2 (‖x_u‖² + ‖y_i‖²),  c = alpha · weight

    and for each of `n_negatives` drawn j, whether u has it or not, one of  -log(1 - σ(x_u · y_j)) + penalty / 2 (…).

    users : (n_users, dim) float32, the last column biases and the one before 1;  items : (n_items, dim) float32, the last
    column 1 and the one before biases. The others as for `train_bpr`. Returns the sum of both logarithms, before each step.
    """
    state = np.full(1, seed, np.uint64)
    loss = 0.0
    for place in range(len(bucket)):
        entry = _dealt(bucket, place, state)
        u, i = rows[entry], indices[entry]
        loss += _logistic_step(users[u], items[i], np.float32(1), alpha * weights[entry], rate, penalty)
        for _ in range(n_negatives):
            j = _negative(bucket, members, state, by_popularity, False, indices, 0, 0)
            loss += _logistic_step(users[u], items[j], np.float32(-1), np.float32(1), rate, penalty)
    return loss


@fast_part
def _logistic_step(x, y, sign, weight, rate, penalty):
    """Moves a user's row `x` and an item's `y` towards a score of the right sign; returns weight · log(1 + exp(∓ x · y))."""
    last = len(x) - 1
    score = np.float32(0)
    for f in range(last + 1):
        score += x[f] * y[f]
    against = -sign * score
    # log(1 + exp(a)) without overflow
    loss = max(against, np.float32(0)) + np.log1p(np.exp(-abs(against)))
    # A heavy pair must not step over its goal: the slope of a step is at most that of weight 1 / rate.
    slope = sign * min(weight, np.float32(1) / rate) / (np.float32(1) + np.exp(-against))
    for f in range(last - 1):
        a, b = x[f], y[f]
        x[f] = a + rate * (slope * b - penalty * a)
        y[f] = b + rate * (slope * a - penalty * b)
    x[last] += rate * (slope - penalty * x[last])
    y[last - 1] += rate * (slope - penalty * y[last - 1])
    return weight * loss


@fast_part
def _dealt(bucket, place, state):
    """The entry for `place`, drawn from those that had no turn yet (Fisher & Yates)."""
    other = place + _below(state, len(bucket) - place)
    entry = bucket[other]
    bucket[other] = bucket[place]
    bucket[place] = entry
    return entry


@fast_part
def _negative(bucket, members, state, by_popularity, verify, indices, begin, end):
    """An item of the block, not among indices[begin:end] if `verify`; -1 when none was found."""
    for _ in range(_DRAWS):
        item = np.int64(indices[bucket[_below(state, len(bucket))]] if by_popularity else members[_below(state, len(members))])
        if not verify:
            return item
        low, high = begin, end
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < item:
                low = middle + 1
            else:
                high = middle
        if low == end or indices[low] != item:
            return item
    return np.int64(-1)


@fast_part
def _below(state, n):
    """A number from 0 to n - 1, for n below 2^32: the upper half of a word of xorshift64 (Marsaglia 2003)."""
    word = state[0]
    word ^= word << np.uint64(13)
    word ^= word >> np.uint64(7)
    word ^= word << np.uint64(17)
    state[0] = word
    return np.int64(((word >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))
