"""`ByFeatures`: new rows from their features, or new users by the steps that trained the others. May import this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.errors import InputError
from recsys.features import Features
from recsys.fold_in.base import FoldIn, WithoutReasons
from recsys.fold_in.descent import Descent
from recsys.fold_in.rows import Rows

__all__ = ["ByFeatures", "to_vectors"]


@dataclass(frozen=True, eq=False)
class ByFeatures(WithoutReasons):
    """Rows of `LightFM`: a row that has features is the sum of their vectors, a user that has events is trained by them.

    A row [x, b] is kept as the vector whose dot product with one of the other side is the score x · y + b_u + b_i: users
    [x, b, 1], items [y, 1, b].

    user_table, item_table : (features, dim + 1) float32, vector and bias of each feature; no rows where none were trained on.
    steps : the settings of `Descent`.
    """

    name: ClassVar[str] = "by_features"
    no_reasons: ClassVar[str] = (
        "A model of the trainer 'lightfm' can not explain its scores by what a user has: gradient steps are no sum over it."
    )
    takes_negative_weights: ClassVar[bool] = True
    bias_columns: ClassVar[int] = 2

    user_table: np.ndarray
    item_table: np.ndarray
    steps: Mapping[str, Any]

    @property
    def descent(self) -> Descent:
        """How new users are trained."""
        return Descent(**self.steps)

    @property
    def sides(self) -> tuple[str, ...]:
        """Items are known by their features."""
        return ("users",)

    def from_features(self, features: Features, of: str) -> np.ndarray:
        """(n, dim) float32: the vectors of "users" or "items" that have these features, in the columns that were trained on."""
        return to_vectors(features.to_csr() @ (self.user_table if of == "users" else self.item_table), of)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: users trained by their entries alone, with the items fixed; a row without entries is 0.

        Raises `InputError` for items: what an item is held against are other items, and here only users are fixed.
        """
        if of != "users":
            raise InputError(
                "A model of the trainer 'lightfm' gets to know new items by their features, not by events. "
                "Hint: model.add_items(features), or train again."
            )
        # Items are [y, 1, b]: without the column of ones they are [y, b].
        return to_vectors(self.descent.fold_in(rows, np.delete(fixed, -2, axis=1), num_threads), of)

    def turned(self, turn: Callable[[np.ndarray, int], np.ndarray]) -> FoldIn:
        """The features turned with the items and users."""
        return ByFeatures(turn(self.user_table, 1), turn(self.item_table, 1), self.steps)


def to_vectors(rows: np.ndarray, of: str) -> np.ndarray:
    """Rows [x, b] (n, dim + 1) of "users" or "items" as the vectors [x, b, 1] or [y, 1, b] (n, dim + 2) of a model."""
    ones = np.ones((len(rows), 1), np.float32)
    if of == "users":
        return np.hstack([rows, ones])
    return np.hstack([rows[:, :-1], ones, rows[:, -1:]])
