"""Least squares for users whose items were learned by another objective than theirs. May import this room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from recsys.fold_in.rows import Rows
from recsys.fold_in.weighted import WeightedLeastSquares

__all__ = ["BesideLearnedItems"]


@dataclass(frozen=True)
class BesideLearnedItems(WeightedLeastSquares):
    """The half sweep of ALS with item vectors fixed that were not learned by ALS.

    Nothing has brought both sides to lengths that go together, so that one λ does not suit both: `regularization` is that of
    users, `item_regularization` that of items that are folded in.
    """

    name: ClassVar[str] = "least_squares_beside_learned_items"

    item_regularization: float = 0.1

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given `fixed` (m, dim); zeros for a row without entries."""
        if of == "users":
            return super().solve(rows, fixed, num_threads)
        items = replace(self, regularization=self.item_regularization)
        return super(BesideLearnedItems, items).solve(rows, fixed, num_threads)
