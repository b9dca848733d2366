"""The rivals of `bench_als.py`: what each is asked to do, and the objective that its factors are judged by.

Each rival minimises an objective that `recsys.ALS` can minimise too, so both are judged by the same number. The mappings below
were checked against the losses that implicit and irspack compute themselves (equal to float32) and, for cmfrec, which
computes none, against the gradient by the side that it solved last (zero).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

import recsys
from recsys.fold_in import Rows, WeightedLeastSquares
from recsys.parallel import Workers

__all__ = ["RIVALS", "Objective", "Rival"]

ALPHA, REGULARIZATION = 20.0, 1.0


@dataclass(frozen=True)
class Objective:
    """Settings of `recsys.ALS` that make it minimise what a rival minimises.

    scale, shift : our weight of a pair is scale · w + shift where the rival is given w.
    """

    settings: dict[str, Any]
    scale: float = 1.0
    shift: float = 0.0

    def data(self, data: recsys.Interactions) -> recsys.Interactions:
        """`data` with the weights that this objective asks for."""
        if (self.scale, self.shift) == (1.0, 0.0):
            return data
        return data.weighted(lambda weights: np.float32(self.scale) * weights + np.float32(self.shift))

    def loss(self, data: recsys.Interactions, users: np.ndarray, items: np.ndarray) -> float:
        """The whole objective at the given vectors, `data` as `self.data` returned them."""
        trainer = recsys.ALS(**self.settings)
        problem = WeightedLeastSquares(
            alpha=trainer.alpha,
            target=trainer.unobserved_weight if trainer.weighting == "hu2008" else 0.0,
            unobserved_weight=trainer.unobserved_weight,
            regularization=trainer.regularization,
            regularization_exponent=trainer.regularization_exponent,
        )
        with Workers() as workers:
            rows = Rows(data.indptr, data.indices, data.weights)
            return problem.loss(rows, users, items, data.item_counts, workers)


@dataclass(frozen=True)
class Rival:
    """library : its name in `one_fit.LIBRARIES`, which is also the module that must be importable."""

    name: str
    library: str
    settings: dict[str, Any]
    objective: Objective

    @property
    def is_there(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.library) is not None


# Confidence alpha · w for a pair and 1 for every other, regularised by λ alone. Ours is α₀ + weight and α₀ = 1, so that
# weight = alpha · w - 1: the same to the last term wherever alpha · w >= 1 (below that ours would need a negative weight,
# which is refused).
_IMPLICIT = Objective(
    {"weighting": "hu2008", "unobserved_weight": 1.0, "regularization_exponent": 0.0, "regularization": REGULARIZATION},
    scale=ALPHA,
    shift=-1.0,
)
# Confidence 1 + alpha · w: ours as it stands. With alpha one less than implicit's, the same objective for weights of 1.
_CMFREC = Objective(_IMPLICIT.settings, scale=ALPHA - 1)
# Rendle et al. 2022 in both, at our defaults; irspack's number is half of ours.
_DEFAULTS = recsys.ALS()
_IRSPACK = Objective({})
_IRSPACK_SETTINGS = {
    "alpha0": _DEFAULTS.unobserved_weight,
    "reg": _DEFAULTS.regularization,
    "nu": _DEFAULTS.regularization_exponent,
}

RIVALS = (
    Rival("implicit CG", "implicit", {"alpha": ALPHA, "regularization": REGULARIZATION}, _IMPLICIT),
    Rival("irspack CG", "irspack", {**_IRSPACK_SETTINGS, "solver": "CG"}, _IRSPACK),
    Rival("irspack iALS++", "irspack", {**_IRSPACK_SETTINGS, "solver": "IALSPP"}, _IRSPACK),
    Rival("cmfrec CG", "cmfrec", {"alpha": ALPHA - 1, "lambda_": REGULARIZATION}, _CMFREC),
)
