"""Slow and obvious twins of the kernels: one function a kernel, plain loops or plain numpy, no cleverness."""

from __future__ import annotations

import math

import numpy as np

# ---- metrics: one list of distinct items against a set of relevant items -------------------------------------------


def recall(ranked, relevant, k):
    return len(set(ranked[:k]) & relevant) / len(relevant)


def precision(ranked, relevant, k):
    return len(set(ranked[:k]) & relevant) / k


def hit_rate(ranked, relevant, k):
    return float(any(item in relevant for item in ranked[:k]))


def reciprocal_rank(ranked, relevant, k):
    for rank, item in enumerate(ranked[:k], 1):
        if item in relevant:
            return 1 / rank
    return 0.0


def average_precision(ranked, relevant, k):
    at_hits = [precision(ranked, relevant, rank) for rank, item in enumerate(ranked[:k], 1) if item in relevant]
    return sum(at_hits) / min(k, len(relevant))


def ndcg(ranked, relevant, k):
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], 1) if item in relevant)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def shared_entries(rows, other_rows):
    """rows: (number of the row in other_rows, its columns), one a row; for each entry, whether the other row has it too."""
    return [column in other_rows[other] for other, columns in rows for column in columns]


# ---- least squares and ranking -----------------------------------------------------------------------------------


def dense_loss(weights, users, items, *, alpha, unobserved_weight, regularization, exponent, weighting):
    """The ALS objective over a dense (n_users, n_items) matrix of weights, NaN where nothing was observed."""
    scores = users.astype(np.float64) @ items.T.astype(np.float64)
    observed = ~np.isnan(weights)
    c = alpha * np.nan_to_num(weights)
    if weighting == "rendle2022":
        fit = (c * (1 - scores) ** 2)[observed].sum() + unobserved_weight * (scores**2).sum()
    else:
        fit = ((unobserved_weight + c) * (observed - scores) ** 2).sum()
    n_users, n_items = weights.shape
    user_ridge = regularization * (observed.sum(axis=1) + unobserved_weight * n_items) ** exponent
    item_ridge = regularization * (observed.sum(axis=0) + unobserved_weight * n_users) ** exponent
    return fit + user_ridge @ (users**2).sum(axis=1) + item_ridge @ (items**2).sum(axis=1)


def best_user(row, items, *, alpha, unobserved_weight, regularization, exponent, weighting):
    """The exact minimiser of the objective for one user, by dense normal equations; zero for a row without entries."""
    observed = ~np.isnan(row)
    if not observed.any():
        return np.zeros(items.shape[1])
    a = alpha * row[observed]
    b = a + (unobserved_weight if weighting == "hu2008" else 0)
    y = items[observed]
    ridge = regularization * (observed.sum() + unobserved_weight * len(items)) ** exponent
    matrix = unobserved_weight * items.T @ items + (y.T * a) @ y + ridge * np.eye(items.shape[1])
    return np.linalg.solve(matrix, b @ y)


def ranked(query, items, k, skip=(), candidates=None):
    """[(position, score)] of the k best items by float64 dot product, ties to the lower position."""
    allowed = range(len(items)) if candidates is None else candidates
    scores = [(float(np.float32(np.dot(query.astype(np.float64), items[i].astype(np.float64)))), i) for i in allowed]
    scores = [(score, i) for score, i in scores if i not in set(skip)]
    return [(i, score) for score, i in sorted(scores, key=lambda pair: (-pair[0], pair[1]))[:k]]


# ---- ratings: rows [x, b] of both sides, a dense (n_users, n_items) matrix of ratings, NaN where there is none ---------


def predicted_ratings(users, items, mean):
    return users[:, :-1] @ items[:, :-1].T + users[:, -1:] + items[:, -1] + mean


def ratings_loss(ratings, users, items, *, mean, regularization, exponent):
    users, items = users.astype(np.float64), items.astype(np.float64)
    rated = ~np.isnan(ratings)
    errors = (ratings - predicted_ratings(users, items, mean))[rated]
    user_ridge = regularization * rated.sum(axis=1) ** exponent
    item_ridge = regularization * rated.sum(axis=0) ** exponent
    return (errors**2).sum() + user_ridge @ (users**2).sum(axis=1) + item_ridge @ (items**2).sum(axis=1)


def best_rating_row(ratings, others, *, mean, regularization, exponent):
    """[x, b] of one row of ratings given the rows of the other side, by dense normal equations."""
    rated = ~np.isnan(ratings)
    features = np.column_stack([others[rated, :-1], np.ones(rated.sum())])
    ridge = regularization * rated.sum() ** exponent
    targets = ratings[rated] - mean - others[rated, -1]
    return np.linalg.solve(features.T @ features + ridge * np.eye(features.shape[1]), features.T @ targets)


# ---- ingestion ------------------------------------------------------------------------------------------------------


def gather_events_naively(events, rule):
    """{(user, item): (weight, timestamp)} of events (user, item, weight, timestamp or None) in order of the log."""
    pairs = {}
    for user, item, weight, time in events:
        pairs.setdefault((user, item), []).append((weight, time))
    merged = {}
    for pair, entries in pairs.items():
        weights = [weight for weight, _ in entries]
        times = [time for _, time in entries]
        latest = None if times[0] is None else max(times)
        last = [weight for weight, time in entries if time == latest][-1]
        merged[pair] = ({"sum": sum(weights), "count": len(weights), "max": max(weights), "last": last}[rule], latest)
    return merged
