"""How a row that was not trained gets its vector, with the vectors of the other side fixed.

A fold-in is a name and parameters; both are saved with the model, so that loading a model needs no trainer. May import
errors, interactions, kernels and parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from recsys.errors import FormatError
from recsys.fold_in.base import FoldIn
from recsys.fold_in.biased import BiasedLeastSquares
from recsys.fold_in.improving import CONVERGED, Effort
from recsys.fold_in.rows import Rows
from recsys.fold_in.weighted import WeightedLeastSquares

__all__ = [
    "CONVERGED",
    "FOLD_INS",
    "BiasedLeastSquares",
    "Effort",
    "FoldIn",
    "Rows",
    "WeightedLeastSquares",
    "fold_in_from",
    "fold_in_to",
]

FOLD_INS: dict[str, Callable[..., FoldIn]] = {kind.name: kind for kind in (WeightedLeastSquares, BiasedLeastSquares)}


def fold_in_from(saved: Mapping[str, Any]) -> FoldIn:
    """The fold-in that `fold_in_to` described. Raises `FormatError` for a name this version does not know."""
    if saved.get("name") not in FOLD_INS:
        raise FormatError(f"Unknown fold-in {saved.get('name')!r}. Hint: a newer version of recsys may know it.")
    return FOLD_INS[saved["name"]](**saved["parameters"])


def fold_in_to(fold_in: FoldIn) -> dict[str, Any]:
    """A fold-in as a JSON-able name and parameters."""
    return {"name": fold_in.name, "parameters": asdict(fold_in)}
