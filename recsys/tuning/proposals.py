"""Which settings a study tries next. Imports optuna; besides it errors and trainers.

Proposals depend on the seed, on the trial's place among those not interrupted, and on the trials before it; nothing is
carried in memory. So a study that was interrupted and resumed proposes the same settings as one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from recsys.trainers import Range, SearchSpace
from recsys.trainers.search_space import Dimension

__all__ = ["Proposals", "distribution_of"]

# How many settings are spread over the space before trials learn from those before them.
_N_SPREAD = 8


class Proposals(optuna.samplers.BaseSampler):
    """First the trainer's own settings, then settings spread over the space, then what promises more than the best so far.

    Spread: an additive recurrence from a random start, which leaves smaller gaps than random points. Then the
    tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kégl, "Algorithms for Hyper-Parameter Optimization",
    NIPS 2011) over all settings jointly.
    """

    def __init__(self, space: SearchSpace, own: Mapping[str, Any], seed: int) -> None:
        self._space, self._seed = space, seed
        self._own = {name: own[name] for name, dimension in space.items() if own[name] in dimension}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: distribution_of(dimension) for name, dimension in self._space.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        place = _place(study, trial)
        if place < _N_SPREAD:
            return self._spread(place) | (self._own if place == 0 else {})
        seed = int(np.random.SeedSequence([self._seed, place]).generate_state(1)[0])
        several = {name: distribution for name, distribution in search_space.items() if not distribution.single()}
        estimator = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
        return estimator.sample_relative(study, trial, several) or self._spread(place)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._spread(_place(study, trial))[param_name]

    def _spread(self, place: int) -> dict[str, Any]:
        # Steps of g⁻¹, g⁻², …, g the root of x^(d+1) = x + 1: for d = 1 the golden ratio (Roberts 2018).
        dimensions = len(self._space)
        root = 2.0
        for _ in range(50):
            root = (1 + root) ** (1 / (dimensions + 1))
        start = np.random.default_rng(self._seed).random(dimensions)
        shares = (start + place * root ** -np.arange(1.0, dimensions + 1)) % 1
        return {name: dimension.at(float(share)) for (name, dimension), share in zip(self._space.items(), shares, strict=True)}


def _place(study: optuna.Study, trial: FrozenTrial) -> int:
    """The trial's place, from 0, among those not interrupted: what an interrupted one was to try is tried again."""
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return trial.number - sum(other.number < trial.number for other in failed)


def distribution_of(dimension: Dimension) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
