"""Pools: for some users the best unseen items of each of several models, scored by all of them. What blends are made by.

May import recommending, retrieval and the room's `base`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.kernels.dense import row_blocks
from recsys.model.base import RankingModel
from recsys.recommending.blended import united

__all__ = ["Pool", "pool_of", "score_spreads"]

_USERS_AT_ONCE = 2048
# By how many users, and by how many of the best items of each part, spreads are measured.
_USERS, _DEPTH = 2000, 100


@dataclass(frozen=True, eq=False)
class Pool:
    """Items of each user, rising: indptr (n + 1,) int64, items (n_pairs,) int32; scores (n_parts, n_pairs) float32."""

    indptr: np.ndarray
    items: np.ndarray
    scores: np.ndarray


def pool_of(parts: Sequence[RankingModel], users: np.ndarray, depth: int, num_threads: int | None = None) -> Pool:
    """The `depth` best items of each part that `users` (positions) have not seen, with the scores of all parts."""
    items, counts, scores = [], [], []
    n_items = len(parts[0].items)
    for block in row_blocks(len(users), _USERS_AT_ONCE):
        some = users[block]
        found = united([part.rank(some, min(depth, n_items), num_threads=num_threads) for part in parts], n_items)
        sizes = np.diff(found.indptr)
        rows = np.repeat(some, sizes)
        scores.append(np.stack([part._scores("exact").pairs(rows, found.indices, num_threads) for part in parts]))
        items.append(found.indices)
        counts.append(sizes)
    nothing = np.empty((len(parts), 0), np.float32)
    return Pool(
        np.concatenate([[0], *counts]).cumsum(),
        np.concatenate([np.empty(0, np.int32), *items]),
        np.concatenate([nothing, *scores], axis=1),
    )


def score_spreads(parts: Sequence[RankingModel], random_state: int, num_threads: int | None = None) -> list[float]:
    """The standard deviation of each part's scores around their mean of a user, over the pools of up to 2,000 users.

    One number a part, by which scores of different kinds are brought to one scale; 0 for a part that scores all alike.
    """
    known = np.flatnonzero(parts[0].history.user_counts > 0)
    users = np.sort(np.random.default_rng(random_state).permutation(known)[:_USERS])
    pool = pool_of(parts, users, _DEPTH, num_threads)
    sizes = np.diff(pool.indptr)
    owners = np.repeat(np.arange(len(users)), sizes)
    spreads = []
    for scores in pool.scores.astype(np.float64):
        means = np.bincount(owners, scores, minlength=len(users)) / np.maximum(sizes, 1)
        spreads.append(float(np.sqrt(((scores - means[owners]) ** 2).sum() / max(1, len(scores)))))
    return spreads
