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
def train_bpr(
    bucket, members, seed, by_popularity, verify, rows, indptr, indices, users, items, user_squares, item_squares, rate, penalty
):
    """One pass over a bucket, in an order drawn anew: for each entry (u, i) and a drawn j a step down the gradient of

        -log σ(x_u · (y_i - y_j)) + penalty / 2 (‖x_u‖² + ‖y_i‖² + ‖y_j‖²)

    by AdaGrad with one number a row: a row moves by rate / √squares, where its entry of `user_squares` or `item_squares` first
    grows by the mean square of the numbers in the gradient of the first term.

    bucket : (n,) int64 entries, shuffled in place;  members : positions of the items of the bucket's block;
    seed : uint64, not 0;  by_popularity : j is the item of an entry of the bucket, else any of `members`, evenly;
    verify : draw again when u has j;  rows, indices : (nnz,) int32 the user and item of each entry;
    users : (n_users, dim) float32 whose last column is 1 and stays;  items : (n_items, dim) float32, the last column biases;
    user_squares, item_squares : (n_users,) and (n_items,) float32, above 0.

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
        of_user, of_items = np.float32(0), np.float32(0)
        for f in range(last):
            x, apart = users[u, f], items[i, f] - items[j, f]
            difference += x * apart
            of_user += apart * apart
            of_items += x * x
        found += 1
        correct += difference > 0
        slope = np.float32(1) / (np.float32(1) + np.exp(difference))
        share = slope * slope / np.float32(last)
        user_squares[u] += share * of_user
        item_squares[i] += share * of_items
        item_squares[j] += share * of_items
        of_u, of_i, of_j = rate / np.sqrt(user_squares[u]), rate / np.sqrt(item_squares[i]), rate / np.sqrt(item_squares[j])
        for f in range(last):
            x, y, z = users[u, f], items[i, f], items[j, f]
            users[u, f] = x + of_u * (slope * (y - z) - penalty * x)
            items[i, f] = y + of_i * (slope * x - penalty * y)
            items[j, f] = z - of_j * (slope * x + penalty * z)
        items[i, last] += of_i * (slope - penalty * items[i, last])
        items[j, last] -= of_j * (slope + penalty * items[j, last])
    return found, correct


@fast_kernel
def train_logistic(
    bucket,
    members,
    seed,
    by_popularity,
    n_negatives,
    alpha,
    rows,
    indices,
    weights,
    users,
    items,
    user_squares,
    item_squares,
    rate,
    most,
    penalty,
):
    """One pass over a bucket, in an order drawn anew: for each entry (u, i) a step down the gradient of

        -c log σ(x_u · y_i) + penalty / 2 (‖x_u‖² + ‖y_i‖²),  c = alpha · weight

    and for each of `n_negatives` drawn j, whether u has it or not, one of  -log(1 - σ(x_u · y_j)) + penalty / 2 (…).

    users : (n_users, dim) float32, the last column biases and the one before 1;  items : (n_items, dim) float32, the last
    column 1 and the one before biases;  most : c of a step is cut to this. The others, and how far rows move, as for
    `train_bpr`. Returns the sum of both logarithms, before each step.
    """
    state = np.full(1, seed, np.uint64)
    loss = 0.0
    for place in range(len(bucket)):
        entry = _dealt(bucket, place, state)
        u, i = rows[entry], indices[entry]
        loss += _logistic_step(
            users, items, user_squares, item_squares, u, i, np.float32(1), alpha * weights[entry], rate, most, penalty
        )
        for _ in range(n_negatives):
            j = _negative(bucket, members, state, by_popularity, False, indices, 0, 0)
            loss += _logistic_step(
                users, items, user_squares, item_squares, u, j, np.float32(-1), np.float32(1), rate, most, penalty
            )
    return loss


@fast_part
def _logistic_step(users, items, user_squares, item_squares, u, i, sign, weight, rate, most, penalty):
    """Moves a user's and an item's row towards a score of the right sign; returns weight · log(1 + exp(∓ x · y))."""
    x, y = users[u], items[i]
    last = len(x) - 1
    score = x[last - 1] * y[last - 1] + x[last] * y[last]
    of_user, of_item = np.float32(0), np.float32(0)
    for f in range(last - 1):
        score += x[f] * y[f]
        of_user += y[f] * y[f]
        of_item += x[f] * x[f]
    against = -sign * score
    # log(1 + exp(a)) without overflow
    loss = max(against, np.float32(0)) + np.log1p(np.exp(-abs(against)))
    # One heavy pair must not make the later steps of its rows short.
    slope = sign * min(weight, most) / (np.float32(1) + np.exp(-against))
    share = slope * slope / np.float32(last - 1)
    user_squares[u] += share * of_user
    item_squares[i] += share * of_item
    of_u, of_i = rate / np.sqrt(user_squares[u]), rate / np.sqrt(item_squares[i])
    for f in range(last - 1):
        a, b = x[f], y[f]
        x[f] = a + of_u * (slope * b - penalty * a)
        y[f] = b + of_i * (slope * a - penalty * b)
    x[last] += of_u * (slope - penalty * x[last])
    y[last - 1] += of_i * (slope - penalty * y[last - 1])
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
