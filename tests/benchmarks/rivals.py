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
from recsys.fold_in import Rows
from recsys.parallel import Workers

__all__ = ["RIVALS", "Objective", "Rival"]

ALPHA, REGULARIZATION = 20.0, 1.0


@dataclass(frozen=True)
class Objective:
    """Settings of `recsys.ALS` that make it minimise what a rival minimises."""

    settings: dict[str, Any]

    def loss(self, data: recsys.Interactions, users: np.ndarray, items: np.ndarray) -> float:
        """The whole objective at the given vectors."""
        problem = recsys.ALS(**self.settings).problem
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


_IMPLICIT = Objective(
    {
        "weighting": "implicit", "unobserved_weight": 1.0, "regularization_exponent": 0.0, "regularization": REGULARIZATION,
        "alpha": ALPHA,
    }
)  # fmt: skip
# Confidence 1 + alpha · w: ours as it stands. With alpha one less than implicit's, the same objective for weights of 1.
_CMFREC = Objective(_IMPLICIT.settings | {"weighting": "hu2008", "alpha": ALPHA - 1})
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
