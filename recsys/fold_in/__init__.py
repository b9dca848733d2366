"""How a row that was not trained gets its vector, with the vectors of the other side fixed.

A fold-in is a name, parameters and arrays, all saved with the model, so that loading a model needs no trainer. May import
errors, features, interactions, kernels and parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from recsys.errors import FormatError
from recsys.fold_in.base import FoldIn
from recsys.fold_in.beside_biases import BesideItemBiases, BesideTwoBiases
from recsys.fold_in.beside_items import BesideLearnedItems
from recsys.fold_in.biased import BiasedLeastSquares
from recsys.fold_in.by_features import ByFeatures
from recsys.fold_in.dense import DenseLeastSquares
from recsys.fold_in.improving import CONVERGED, Effort
from recsys.fold_in.popular import Popular
from recsys.fold_in.rows import Rows
from recsys.fold_in.weighted import WeightedLeastSquares
from recsys.fold_in.weighted_mean import CrossedMean, WeightedMean

__all__ = [
    "CONVERGED",
    "FOLD_INS",
    "BesideItemBiases",
    "BesideLearnedItems",
    "BesideTwoBiases",
    "BiasedLeastSquares",
    "ByFeatures",
    "CrossedMean",
    "DenseLeastSquares",
    "Effort",
    "FoldIn",
    "Popular",
    "Rows",
    "WeightedLeastSquares",
    "WeightedMean",
    "fold_in_arrays",
    "fold_in_from",
    "fold_in_to",
]

FOLD_INS: dict[str, Callable[..., FoldIn]] = {
    kind.name: kind
    for kind in (
        WeightedLeastSquares, BiasedLeastSquares, BesideItemBiases, BesideTwoBiases, ByFeatures, Popular, BesideLearnedItems,
        WeightedMean, CrossedMean, DenseLeastSquares,
    )
}  # fmt: skip


def fold_in_from(saved: Mapping[str, Any], array: Callable[[str], np.ndarray] | None = None) -> FoldIn:
    """The fold-in that `fold_in_to` described. Raises `FormatError` for a name this version does not know.

    array : gives the arrays that `fold_in_arrays` named.
    """
    if saved.get("name") not in FOLD_INS:
        raise FormatError(f"Unknown fold-in {saved.get('name')!r}. Hint: a newer version of recsys may know it.")
    arrays = {name: array(f"fold_in_{name}") for name in saved.get("arrays", ())} if array is not None else {}
    return FOLD_INS[saved["name"]](**saved["parameters"], **arrays)


def fold_in_to(fold_in: FoldIn) -> dict[str, Any]:
    """A fold-in as a JSON-able name and parameters, and the names of its arrays where it has some."""
    arrays = [name for name, value in vars(fold_in).items() if isinstance(value, np.ndarray)]
    parameters = {name: value for name, value in asdict(fold_in).items() if name not in arrays}
    return {"name": fold_in.name, "parameters": parameters} | ({"arrays": arrays} if arrays else {})


def fold_in_arrays(fold_in: FoldIn | None) -> dict[str, np.ndarray]:
    """The arrays of a fold-in, by the name under which a model keeps them."""
    parts = {} if fold_in is None else vars(fold_in)
    return {f"fold_in_{name}": value for name, value in parts.items() if isinstance(value, np.ndarray)}
