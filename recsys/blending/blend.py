"""`Blend`: models of the same data become one whose scores are weighted sums, where that surely helps.

May import everything below bridging.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recsys.blending.shares import PooledUsers, Shares, best_shares
from recsys.errors import DataError, InputError, ParameterError, quote_some
from recsys.evaluation.intervals import mean_intervals
from recsys.evaluation.metrics import METRICS, Metric, parse_metrics
from recsys.evaluation.protocol import evaluate, require_whole
from recsys.evaluation.relevance import Relevance, relevant_items
from recsys.interactions import Interactions, require_interactions
from recsys.model import BlendModel, RankingModel
from recsys.model.parts import Part, check_parts, measured_spreads
from recsys.progress import show_progress
from recsys.trainers.base import facts_of, library_versions

__all__ = ["Blend", "NoGainError"]

_CONFIDENCE = 0.95
_LEAST_USERS = 20


class NoGainError(InputError):
    """A blend is not surely better than the best of its parts."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """How models are blended: a configuration, as a trainer is one. `fit` twice gives the same model twice.

        blend = recsys.Blend(metric="ndcg@20").fit({"als": a, "rp3beta": b}, validation)

    The parts were trained on the same data, of which `validation` holds nothing. Scores of each part are divided by how far
    they spread, one number a part, and each part gets a share: those that rank the validation users best. For each of them the
    `pool` best unseen items of each part are scored by all; a coordinate search over a grid of shares begins with the best part
    alone.

    How much that gains is measured on other users than it was chosen by: the validation users are cut into halves at random,
    the shares chosen on each half are judged on the other, by lists over all items, and each user's value is held against that
    of the best part alone. Where the interval of the mean difference (95 %, bootstrap over users) does not lie above 0,
    `NoGainError` says which part to use instead. The blend itself has the shares chosen on all validation users; a part whose
    share is 0 is left out of it. provenance["training"] tells all of this.
    """

    metric: str = "ndcg@20"
    """What is to be best: a metric of relevant items with a cut-off."""
    random_state: int = 0
    """Of the halves, of the users that are drawn, and of the interval."""
    require_gain: bool = True
    """Refuse a blend that does not surely help; False makes it all the same, and tells."""
    pool: int = 200
    """How many of each part's best items a user's pool takes: more look deeper, and take longer."""
    max_users: int = 10_000
    """Up to how many validation users it is chosen and judged by; of more so many are drawn."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        metric = _metric(self.metric)
        if require_whole(self.pool, "pool", 1) < (metric.k or 0):
            raise ParameterError(f"`pool` must be at least the cut-off of {metric}. Got {self.pool!r}.")
        require_whole(self.max_users, "max_users", _LEAST_USERS)
        require_whole(self.random_state, "random_state", 0)
        if not isinstance(self.require_gain, (bool, np.bool_)):
            raise ParameterError(f"`require_gain` must be True or False. Got {self.require_gain!r}.")

    def fit(self, parts: Mapping[str, Part], validation: Interactions, *, progress: bool = False) -> BlendModel:
        """The blend of `parts`, models by name, with the shares that do best on `validation`.

        Raises `DataError` for parts that were trained on different data (the message says what differs), for validation pairs
        that stand in their history and for fewer than 20 validation users; `NoGainError` where blending does not surely help.
        """
        began = time.perf_counter()
        check_parts(parts)
        if len(parts) < 2:
            raise ParameterError(f"A blend needs at least two parts. Got {quote_some(parts)}.")
        require_interactions(validation, "Blend")
        with show_progress("Blending", len(parts) + 4, enabled=progress) as advance:
            fitting = _Fitting(self, parts, validation)
            advance()
            alone = {}
            for name, part in parts.items():
                alone[name] = fitting.exact_values(part)
                advance(1, name)
            shares = [fitting.best_shares(half) for half in fitting.halves]
            advance()
            values = fitting.crossed_values(shares)
            advance(2)
        measured = fitting.told(alone, values, shares)
        measured["seconds"] = round(time.perf_counter() - began, 3)
        if self.require_gain and not measured["low"] > 0:
            raise NoGainError(_refusal(measured, parts))
        provenance = {
            "trainer": "blend",
            "hyperparameters": asdict(self),
            "data": facts_of(fitting.history),
            "parts": {name: {"trainer": part.trainer_name, "fingerprint": part.fingerprint} for name, part in parts.items()},
            "validation": {"fingerprint": validation.fingerprint, **validation.provenance},
            "training": measured,
            "versions": library_versions(),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return fitting.blend(tuple(measured["shares"].values()), provenance)


class _Fitting:
    """Parts and validation users of one fit."""

    def __init__(self, settings: Blend, parts: Mapping[str, Part], validation: Interactions) -> None:
        self._settings, self._parts = settings, parts
        self._metric = _metric(settings.metric)
        self._validation = _drawn(validation, settings.max_users, settings.random_state)
        first = next(iter(parts.values()))
        self.history = first.history
        self._relevance: Relevance = relevant_items(first, self._validation, exclude_seen=True, overlap="raise")
        n_users = len(self._relevance.users)
        if n_users < _LEAST_USERS:
            raise DataError(f"Blend needs at least {_LEAST_USERS} validation users that the parts know. Got {n_users}.")
        threads = settings.num_threads
        self._spreads = measured_spreads(parts, settings.random_state, threads)
        self._pooled = PooledUsers(parts, self._spreads, self._relevance, self._metric, settings.pool, threads)
        self.halves = np.array_split(np.random.default_rng(settings.random_state).permutation(n_users), 2)

    def best_shares(self, users: np.ndarray | None = None) -> Shares:
        """The shares that do best for these users' pools, or for all."""
        everybody = np.arange(len(self._relevance.users))
        return best_shares(self._pooled.values, len(self._parts), everybody if users is None else users)

    def blend(self, shares: Shares, provenance: Mapping[str, Any]) -> BlendModel:
        """The model with these shares, without those parts that have none."""
        kept = {name: share for name, share in zip(self._parts, shares, strict=True) if share > 0}
        total = sum(kept.values())
        return BlendModel(
            {name: self._parts[name] for name in kept},
            {name: share / total for name, share in kept.items()},
            {name: self._spreads[name] for name in kept},
            provenance,
        )

    def exact_values(self, model: RankingModel, users: np.ndarray | None = None) -> np.ndarray:
        """(n,) float64: the metric of these users, or of all, by whole lists."""
        judged, data = self._relevance.users, self._validation
        if users is not None:
            mine = np.zeros(data.n_users, bool)
            mine[data.users.positions(judged.ids_at(users))] = True
            data = data.select(mine[data.row_positions()])
        result = evaluate(model, data, str(self._metric), num_threads=self._settings.num_threads)
        values = np.full(len(judged), np.nan)
        values[judged.positions(result.users)] = result.values[:, 0]
        return values if users is None else values[users]

    def crossed_values(self, shares: list[Shares]) -> np.ndarray:
        """(n_users,) float64: the metric of each user under the shares that were chosen on the other half."""
        values = np.empty(len(self._relevance.users))
        for users, of_others in zip(self.halves, reversed(shares), strict=True):
            values[users] = self.exact_values(self.blend(of_others, {}), users)
        return values

    def told(self, alone: Mapping[str, np.ndarray], values: np.ndarray, halves: list[Shares]) -> dict[str, Any]:
        """What was chosen and measured, ready for JSON."""
        means = {name: float(found.mean()) for name, found in alone.items()}
        best = max(means, key=lambda name: means[name])
        gains = values - alone[best]
        low, high = mean_intervals(gains[:, None], _CONFIDENCE, np.random.default_rng(self._settings.random_state))
        return {
            "epochs": 1,
            "metric": str(self._metric),
            "shares": dict(zip(self._parts, self.best_shares(), strict=True)),
            "shares_of_halves": [dict(zip(self._parts, half, strict=True)) for half in halves],
            "alone": means,
            "best_part": best,
            "value": float(values.mean()),
            "gain": float(gains.mean()),
            "low": float(low[0]),
            "high": float(high[0]),
            "confidence": _CONFIDENCE,
            "n_users": len(values),
        }


def _metric(name: Any) -> Metric:
    """The one metric to choose by. Raises `ParameterError`."""
    parsed = parse_metrics(name) if isinstance(name, str) else []
    if len(parsed) != 1 or parsed[0].k is None or not parsed[0].definition.of_relevant:
        known = ", ".join(name for name, found in METRICS.items() if found.of_relevant and found.has_cutoff)
        raise ParameterError(
            f"Blend chooses by one metric of relevant items with a cut-off, such as 'ndcg@20': {known}. Got {name!r}."
        )
    return parsed[0]


def _drawn(validation: Interactions, n_users: int, random_state: int) -> Interactions:
    """The rows of up to so many of its users, drawn at random."""
    users = np.flatnonzero(validation.user_counts > 0)
    if len(users) <= n_users:
        return validation
    chosen = np.zeros(validation.n_users, bool)
    chosen[np.random.default_rng(random_state).permutation(users)[:n_users]] = True
    return validation.select(chosen[validation.row_positions()])


def _refusal(measured: Mapping[str, Any], parts: Mapping[str, Part]) -> str:
    metric, best = measured["metric"], measured["best_part"]
    gain = f"{measured['gain']:+.4f} [{measured['low']:+.4f}, {measured['high']:+.4f}]"
    return (
        f"Blending {quote_some(parts)} does not surely help: {metric} changes by {gain} over {best!r} alone, on "
        f"{measured['n_users']:,} validation users. Hint: use {best!r}, or require_gain=False."
    )
