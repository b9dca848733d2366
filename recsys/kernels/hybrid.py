"""Stochastic gradient steps for vectors that are sums over features: pairwise losses (WARP, BPR, k-OS) and the logistic one.

A *side* (users or items) is a tuple (indptr, indices, values, table, squares, steps): row r is represented by
Σ values · table[indices] over its features, whose last entry is its bias; squares and steps are what the schedule keeps of
past gradients. A score is x · y + b_u + b_i. The steps are taken one after the other, each from where the last one ended.

Nothing is drawn here: orders, candidates and picks come as arrays, so that the result depends on these alone.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part

__all__ = ["ADADELTA", "ADAGRAD", "BPR", "WARP", "WARP_KOS", "fold_in_users", "logistic_steps", "pairwise_steps"]

WARP, BPR, WARP_KOS = 0, 1, 2
ADAGRAD, ADADELTA = 0, 1


@fast_part
def _represent(side, row, out):
    """out = Σ values · table[indices] over the features of the row"""
    indptr, indices, values, table = side[0], side[1], side[2], side[3]
    for k in range(len(out)):
        out[k] = 0
    for entry in range(indptr[row], indptr[row + 1]):
        value, feature = values[entry], table[indices[entry]]
        for k in range(len(out)):
            out[k] += value * feature[k]


@fast_part
def _score(user, item):
    """x · y + b_u + b_i"""
    last = len(user) - 1
    total = user[last] + item[last]
    for k in range(last):
        total += user[k] * item[k]
    return total


@fast_part
def _descend(vector, squares, steps, gradient, value, penalty, settings, schedule):
    """One step of one feature's vector down value · gradient + penalty · vector, by AdaGrad or AdaDelta."""
    rate, rho, epsilon = settings[0], settings[1], settings[2]
    if schedule == ADAGRAD:
        for k in range(len(vector)):
            slope = value * gradient[k] + penalty * vector[k]
            vector[k] -= rate / np.sqrt(squares[k]) * slope
            squares[k] += slope * slope
    else:
        for k in range(len(vector)):
            slope = value * gradient[k] + penalty * vector[k]
            squares[k] = rho * squares[k] + (1 - rho) * slope * slope
            step = np.sqrt((steps[k] + epsilon) / (squares[k] + epsilon)) * slope
            steps[k] = rho * steps[k] + (1 - rho) * step * step
            vector[k] -= step


@fast_part
def _move(side, row, gradient, penalty, settings, schedule):
    """Moves all features of a row, whose representation has this gradient."""
    indptr, indices, values = side[0], side[1], side[2]
    for entry in range(indptr[row], indptr[row + 1]):
        feature = indices[entry]
        _descend(
            side[3][feature], side[4][feature], side[5][feature], gradient, values[entry], penalty, settings, schedule,
        )  # fmt: skip


@fast_part
def _holds(indices, begin, end, item):
    """Whether the rising indices[begin:end] hold the item."""
    while begin < end:
        middle = (begin + end) // 2
        if indices[middle] < item:
            begin = middle + 1
        elif indices[middle] > item:
            end = middle
        else:
            return True
    return False


@fast_part
def _kth_best(kth, scores, chosen):
    """The one of `chosen` with the kth best score; sorts both by falling score, ties as they came."""
    for a in range(1, len(scores)):
        score, item = scores[a], chosen[a]
        b = a - 1
        while b >= 0 and scores[b] < score:
            scores[b + 1], chosen[b + 1] = scores[b], chosen[b]
            b -= 1
        scores[b + 1], chosen[b + 1] = score, item
    return chosen[kth - 1]


@fast_part
def _cost(loss, above, below, tries, costs):
    """How strongly a pair is pushed apart whose liked item scores `above`, and its rival, met at that try, `below`."""
    if loss == BPR:
        return np.float32(1) / (np.float32(1) + np.exp(above - below))
    if below <= above - np.float32(1):
        return np.float32(0)
    return costs[(len(costs) - 1) // tries]


@fast_kernel
def pairwise_steps(
    rows, columns, importance, indptr, indices, candidates, picks, costs, users, items, settings, schedule, loss, kth
):
    """Takes a step for each of n examples (user rows[e], liked item columns[e]); returns how many moved anything.

    importance : (n,) float32, multiplies the gradient.
    indptr, indices : what each user likes, items rising; none of that is taken for a rival.
    candidates : (n, tries) int32 items. BPR takes the first rival among them; WARP and k-OS the first one that scores above the
        liked item less 1, and push by costs[(n_items - 1) // try].
    picks : (n, p) float32 in [0, 1): k-OS takes the kth best of the user's items at these places for the liked one.
    costs : (n_items,) float32, the cost of a rank, from 0.
    settings : float32 (learning rate, rho, epsilon, penalty of users, penalty of items).
    """
    width = users[3].shape[1]
    user, liked, rival = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    gradient = np.empty(width, np.float32)
    scores, chosen = np.empty(picks.shape[1], np.float32), np.empty(picks.shape[1], np.int32)
    moved = 0
    for e in range(len(rows)):
        row, item = rows[e], columns[e]
        begin, end = indptr[row], indptr[row + 1]
        _represent(users, row, user)
        if loss == WARP_KOS:
            for p in range(len(chosen)):
                chosen[p] = indices[begin + int(picks[e, p] * np.float32(end - begin))]
                _represent(items, chosen[p], liked)
                scores[p] = _score(user, liked)
            item = _kth_best(kth, scores, chosen)
        _represent(items, item, liked)
        above = _score(user, liked)
        push, other = np.float32(0), item
        for c in range(candidates.shape[1]):
            other = candidates[e, c]
            if _holds(indices, begin, end, other):
                continue
            _represent(items, other, rival)
            push = importance[e] * _cost(loss, above, _score(user, rival), c + 1, costs)
            if push > 0:
                break
        if push <= 0:
            continue
        moved += 1
        last = width - 1
        # The loss falls with (above - below), in which the user's bias is on both sides.
        for k in range(last):
            gradient[k] = push * (rival[k] - liked[k])
        gradient[last] = 0
        _move(users, row, gradient, settings[3], settings, schedule)
        for k in range(last):
            gradient[k] = push * user[k]
        gradient[last] = push
        _move(items, other, gradient, settings[4], settings, schedule)
        for k in range(width):
            gradient[k] = -gradient[k]
        _move(items, item, gradient, settings[4], settings, schedule)
    return moved


@fast_kernel
def logistic_steps(rows, columns, liked, importance, users, items, settings, schedule):
    """Takes a step for each of n examples (user rows[e], item columns[e], liked[e] 1 or 0 float32); returns n."""
    width = users[3].shape[1]
    user, item, gradient = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    last = width - 1
    for e in range(len(rows)):
        _represent(users, rows[e], user)
        _represent(items, columns[e], item)
        chance = np.float32(1) / (np.float32(1) + np.exp(-_score(user, item)))
        push = importance[e] * (chance - liked[e])
        for k in range(last):
            gradient[k] = push * item[k]
        gradient[last] = push
        _move(users, rows[e], gradient, settings[3], settings, schedule)
        for k in range(last):
            gradient[k] = push * user[k]
        _move(items, columns[e], gradient, settings[4], settings, schedule)
    return len(rows)


@fast_kernel
def fold_in_users(
    begin_row,
    end_row,
    indptr,
    indices,
    weights,
    passes,
    candidates,
    picks,
    costs,
    fixed,
    settings,
    schedule,
    loss,
    kth,
    vectors,
):
    """Fills vectors[begin_row:end_row] (n, dim + 1) with those of new users whose items are fixed (m, dim + 1).

    The steps of `pairwise_steps`, or with loss < 0 of `logistic_steps`, over the entries of one user in their order, `passes`
    times, from zero.

    weights : (nnz,) float32, the importance of an entry; below 0 where the item is disliked.
    candidates, picks : as there, a row for each step of a user, used in order and again from the first: the same for all users,
        so that the vector of one does not depend on others.
    """
    width = fixed.shape[1]
    last = width - 1
    gradient, squares, steps = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    scores, chosen = np.empty(picks.shape[1], np.float32), np.empty(picks.shape[1], np.int32)
    for row in range(begin_row, end_row):
        user, begin, end = vectors[row], indptr[row], indptr[row + 1]
        for k in range(width):
            user[k], steps[k] = 0, 0
            squares[k] = 1 if schedule == ADAGRAD else 0
        step = 0
        for _ in range(passes):
            for entry in range(begin, end):
                draw = step % len(candidates)
                step += 1
                item = indices[entry]
                if loss < 0:
                    liked = np.float32(1) if weights[entry] > 0 else np.float32(0)
                    chance = np.float32(1) / (np.float32(1) + np.exp(-_score(user, fixed[item])))
                    push = abs(weights[entry]) * (chance - liked)
                    for k in range(last):
                        gradient[k] = push * fixed[item, k]
                    gradient[last] = push
                    _descend(user, squares, steps, gradient, np.float32(1), settings[3], settings, schedule)
                    continue
                if loss == WARP_KOS:
                    for p in range(len(chosen)):
                        chosen[p] = indices[begin + int(picks[draw, p] * np.float32(end - begin))]
                        scores[p] = _score(user, fixed[chosen[p]])
                    item = _kth_best(kth, scores, chosen)
                above, push, other = _score(user, fixed[item]), np.float32(0), item
                for c in range(candidates.shape[1]):
                    other = candidates[draw, c]
                    if _holds(indices, begin, end, other):
                        continue
                    push = weights[entry] * _cost(loss, above, _score(user, fixed[other]), c + 1, costs)
                    if push > 0:
                        break
                if push <= 0:
                    continue
                for k in range(last):
                    gradient[k] = push * (fixed[other, k] - fixed[item, k])
                gradient[last] = 0
                _descend(user, squares, steps, gradient, np.float32(1), settings[3], settings, schedule)
