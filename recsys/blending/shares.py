"""Which shares of several models rank validation users' pools best. May import errors, model, evaluation, retrieval.

A pool holds the few hundred best items of each model, scored by all: any shares are then judged without another search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recsys.evaluation.catalogue import Catalogue
from recsys.evaluation.judging import Judging
from recsys.evaluation.metrics import Metric
from recsys.evaluation.relevance import Relevance
from recsys.model.parts import Part
from recsys.model.pools import pool_of
from recsys.retrieval import RankedLists

__all__ = ["PooledUsers", "Shares", "best_shares"]

Shares = tuple[float, ...]

_GRID = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_ROUNDS = 5


class PooledUsers:
    """Validation users with their pools, and `metric` of each under any shares.

    spreads : what each part's scores are divided by;  depth : how many items of each part are in a pool.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        spreads: Mapping[str, float],
        relevance: Relevance,
        metric: Metric,
        depth: int,
        num_threads: int | None,
    ) -> None:
        self._relevance, self._metric, self._num_threads = relevance, metric, num_threads
        self._catalogue = Catalogue.of(next(iter(parts.values())), None, exclude_seen=True)
        pool = pool_of(list(parts.values()), relevance.user_positions, depth, num_threads)
        sizes = np.diff(pool.indptr)
        inside = np.arange(int(sizes.max(initial=1))) < sizes[:, None]
        self._counts = np.minimum(sizes, metric.k or 0).astype(np.int32)
        self._items: np.ndarray = np.zeros(inside.shape, np.int32)
        self._items[inside] = pool.items
        self._scores = np.full((len(parts), *inside.shape), -np.inf, np.float32)
        for place, name in enumerate(parts):
            self._scores[place][inside] = pool.scores[place] / np.float32(spreads[name])
        self._found: dict[Shares, np.ndarray] = {}

    def values(self, shares: Shares) -> np.ndarray:
        """(n_users,) float64: the metric of each user, of the pool ranked by the sums with these shares."""
        if shares not in self._found:
            judging = Judging(self._relevance, [self._metric], self._catalogue)
            judging.enter(slice(0, len(self._items)), self._ranked(shares), self._num_threads)
            self._found[shares] = judging.values[:, 0]
        return self._found[shares]

    def _ranked(self, shares: Shares) -> RankedLists:
        total = np.zeros(self._items.shape, np.float32)
        for share, scores in zip(shares, self._scores, strict=True):
            if share > 0:
                total += np.float32(share) * scores
        k = min(self._metric.k or 0, self._items.shape[1])
        best = np.sort(np.argpartition(-total, k - 1, axis=1)[:, :k], axis=1)
        scores = np.take_along_axis(total, best, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        positions = np.take_along_axis(self._items, np.take_along_axis(best, order, axis=1), axis=1)
        return RankedLists(positions, np.take_along_axis(scores, order, axis=1), self._counts)


def best_shares(values: Callable[[Shares], np.ndarray], n_parts: int, users: np.ndarray) -> Shares:
    """The shares of highest mean over `users` (positions in `values`): coordinate search from the best part alone.

    One part after the other is given each share of a grid, the others keeping their proportions, until none gets better. Of
    equally good shares those found first stay, so a part that adds nothing has none.
    """

    def mean(shares: Shares) -> float:
        return float(values(shares)[users].mean())

    alone = [tuple(float(part == one) for part in range(n_parts)) for one in range(n_parts)]
    best = max(alone, key=mean)
    for _ in range(_ROUNDS):
        before = best
        for part in range(n_parts):
            rest = np.array(best)
            rest[part] = 0
            if not rest.any():
                continue
            tried = [_with_share(rest / rest.sum(), part, share) for share in _GRID]
            best = max([best, *tried], key=mean)
        if best == before:
            break
    return best


def _with_share(rest: np.ndarray, part: int, share: float) -> Shares:
    shares = (1 - share) * rest
    shares[part] = share
    return tuple(round(float(value), 6) for value in shares)
