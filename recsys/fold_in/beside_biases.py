"""Least squares beside biases: a stand-in for vectors that were trained step by step. May import this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.fold_in.base import FoldIn, WithoutReasons
from recsys.fold_in.rows import Rows, read_only
from recsys.fold_in.weighted import WeightedLeastSquares

__all__ = ["BesideItemBiases", "BesideTwoBiases"]

# How strongly unobserved pairs pull towards 0, and the ridge as a share of the mean square of the fixed side's entries: chosen
# by the lists of held-out users, which hardly change within a factor of 3 of either.
_UNOBSERVED_WEIGHT, _RIDGE = 0.02, 1.0

# Trained rows by which scales are fitted.
_SAMPLE = 2000


@dataclass(frozen=True)
class BesideItemBiases(WithoutReasons):
    """The row  x = scale · argmin_z  Σ_S (1 - z · y_j)² + α₀ Σ_all (z · y_j)² + λ (n + α₀ m) ‖z‖², beside the biases.

    Users are [x, 1], items [y, bias]. Trained vectors are no solution of this: the row that folding in gives differs from the
    one that training would have given, and `scale` makes both equally long on the trained ids, so that new rows weigh as
    much against the biases as trained ones do. The bias of a new item is what trained items with as many entries have, on a
    line over log(1 + n). Weights > 0 count alike. Reasons are refused, since trained scores do not follow from entries.
    """

    name: ClassVar[str] = "least_squares_beside_item_biases"
    no_reasons: ClassVar[str] = (
        "This model can not give reasons: its vectors were trained step by step and are no sums over what users have."
    )
    bias_columns: ClassVar[int] = 1

    user_ridge: float
    """λ of users, and"""
    item_ridge: float
    """of items."""
    user_scale: float = 1.0
    item_scale: float = 1.0
    user_bias: tuple[float, float] = (0.0, 0.0)
    """Bias at n = 0 and its slope over log(1 + n), of users, and"""
    item_bias: tuple[float, float] = (0.0, 0.0)
    """of items."""

    def __post_init__(self) -> None:
        for name in ("user_bias", "item_bias"):
            # A list, when it comes from a file.
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def fitted(cls, users: np.ndarray, items: np.ndarray, by_user: Rows, by_item: Rows, num_threads: int | None) -> FoldIn:
        """The fold-in that suits trained vectors (n_users, dim) and (n_items, dim) with these entries."""
        n = cls.bias_columns
        x, y = users[:, :-n], items[:, :-n]
        unscaled = cls(_ridge(y), _ridge(x))
        return cls(
            unscaled.user_ridge,
            unscaled.item_ridge,
            user_scale=unscaled._scale(x, y, by_user, "users", num_threads),
            item_scale=unscaled._scale(y, x, by_item, "items", num_threads),
            user_bias=_line(by_user.counts, users[:, -1]) if n > 1 else (0.0, 0.0),
            item_bias=_line(by_item.counts, items[:, -n]),
        )

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: new rows of either side given the vectors `fixed` (m, dim) of the other."""
        n = self.bias_columns
        scale = np.float32(self.user_scale if of == "users" else self.item_scale)
        vectors = np.ones((len(rows), fixed.shape[1]), np.float32)
        vectors[:, :-n] = scale * self._least_squares(rows, fixed[:, :-n], of, num_threads)
        if of == "items":
            vectors[:, -n] = _on_line(self.item_bias, rows.counts)
        elif n > 1:
            vectors[:, -1] = _on_line(self.user_bias, rows.counts)
        return vectors

    def _least_squares(self, rows: Rows, fixed: np.ndarray, of: str, num_threads: int | None) -> np.ndarray:
        problem = WeightedLeastSquares(
            alpha=1.0, target=0.0, unobserved_weight=_UNOBSERVED_WEIGHT, regularization_exponent=1.0,
            regularization=self.user_ridge if of == "users" else self.item_ridge,
        )  # fmt: skip
        alike = Rows(rows.indptr, rows.indices, read_only((rows.weights > 0).astype(np.float32)))
        return problem.solve(alike, np.ascontiguousarray(fixed), num_threads, of=of)

    def _scale(self, trained: np.ndarray, fixed: np.ndarray, rows: Rows, of: str, num_threads: int | None) -> float:
        """What makes the solved rows as long as the trained ones, all together."""
        places = np.flatnonzero(rows.counts)
        places = np.sort(np.random.default_rng(0).permutation(places)[:_SAMPLE])
        length = float(np.linalg.norm(self._least_squares(rows.take(places), fixed, of, num_threads)))
        return float(np.linalg.norm(trained[places])) / length if length else 1.0


@dataclass(frozen=True)
class BesideTwoBiases(BesideItemBiases):
    """As `BesideItemBiases`, with a bias of users too: users are [x, 1, bias], items [y, bias, 1]."""

    name: ClassVar[str] = "least_squares_beside_two_biases"
    bias_columns: ClassVar[int] = 2


def _ridge(fixed: np.ndarray) -> float:
    """λ for the vectors of the other side; they may all be 0."""
    return _RIDGE * float(np.square(fixed, dtype=np.float64).mean()) or 1.0


def _line(counts: np.ndarray, biases: np.ndarray) -> tuple[float, float]:
    """(at 0, slope) of the line through `biases` over log(1 + counts) by least squares; level where all counts are alike."""
    at = np.log1p(counts)
    spread = at - at.mean()
    square = float(spread @ spread)
    slope = float(spread @ biases) / square if square > 0 else 0.0
    return float(biases.mean(dtype=np.float64)) - slope * float(at.mean()), slope


def _on_line(line: tuple[float, float], counts: np.ndarray) -> np.ndarray:
    return np.asarray(line[0] + line[1] * np.log1p(counts))
