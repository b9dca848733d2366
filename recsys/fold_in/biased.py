"""Least squares on ratings with biases: the rows of `ExplicitALS`. May import kernels, parallel and this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.fold_in.base import FoldIn
from recsys.fold_in.improving import CONVERGED, Effort, improve_rows
from recsys.fold_in.rows import Rows, read_only
from recsys.kernels import als
from recsys.parallel import Workers

__all__ = ["BiasedLeastSquares"]

# (a₁, a₀, b₁, b₀) of the kernels for a = 1 and b = the weight: every entry counts alike and its weight is the target.
_PLAIN_TERMS = np.array([0, 1, 1, 0], np.float32)


@dataclass(frozen=True)
class BiasedLeastSquares(FoldIn):
    """The row [x, b] that minimises  Σ_S (r_j - μ - b_j - b - x · y_j)² + λ n^ν (‖x‖² + b²).

    S are the row's n entries with ratings r_j, and [y_j, b_j] the rows of the other side. That is least squares on the
    features [y_j, 1] with targets r_j - (μ + b_j). A row is kept as the vector whose dot product with one of the other
    side is the predicted rating: users [x, b, 1], items [y, 1, b + μ].
    """

    name: ClassVar[str] = "biased_least_squares"
    duplicates: ClassVar[str] = "last"
    takes_negative_weights: ClassVar[bool] = True
    bias_columns: ClassVar[int] = 2

    mean: float
    """μ, the mean of the ratings that were trained on."""
    regularization: float
    regularization_exponent: float

    def ridge(self, counts: np.ndarray) -> np.ndarray:
        """(n,) float32: λ n^ν for rows of `counts` entries."""
        return np.asarray(self.regularization * counts**self.regularization_exponent, np.float32)

    def to_vectors(self, solved: np.ndarray, of: str) -> np.ndarray:
        """Rows [x, b] (n, dim - 1) of "users" or "items" as the vectors (n, dim) of a model."""
        ones = np.ones((len(solved), 1), np.float32)
        if of == "users":
            return np.hstack([solved, ones])
        return np.hstack([solved[:, :-1], ones, solved[:, -1:] + np.float32(self.mean)])

    def from_vectors(self, vectors: np.ndarray, of: str) -> np.ndarray:
        """The inverse of `to_vectors`: a new array (n, dim - 1)."""
        if of == "users":
            return vectors[:, :-1].copy()
        solved = np.delete(vectors, -2, axis=1)
        solved[:, -1] -= np.float32(self.mean)
        return solved

    def improve(self, rows: Rows, fixed: np.ndarray, solution: np.ndarray, workers: Workers, effort: Effort) -> None:
        """Moves `solution` (n, dim - 1), rows [x, b], in place towards the minimum given the rows `fixed` (m, dim - 1)."""
        features = fixed.copy()
        features[:, -1] = 1
        dense, ridge = np.zeros(features.shape[1], np.float32), self.ridge(rows.counts)
        targets = self._targets(rows, fixed)
        improve_rows(targets, _PLAIN_TERMS, features, dense, ridge, solution, workers, effort)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given the vectors `fixed` (m, dim); x and b are 0 for a row without entries."""
        others = self.from_vectors(fixed, "items" if of == "users" else "users")
        solution = np.zeros((len(rows), others.shape[1]), np.float32)
        with Workers(num_threads) as workers:
            self.improve(rows, others, solution, workers, CONVERGED)
        return self.to_vectors(solution, of)

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: how much each rating of one user moves the prediction away from the item's base b + μ.

        With A the row's matrix the prediction is b + μ + [y, 1]ᵀ A⁻¹ Σ t_j [y_j, 1], t_j = r_j - μ - b_j: a sum over the
        ratings, as Hu et al. 2008, section 5, have it for implicit feedback.
        """
        if not len(row.indices):
            return np.empty(0)
        vectors = fixed[row.indices].astype(np.float64)
        features, bases = vectors[:, :-1], vectors[:, -1]
        matrix = features.T @ features
        matrix[np.diag_indices_from(matrix)] += self.ridge(row.counts)[0]
        return np.asarray((row.weights - bases) * (features @ np.linalg.solve(matrix, query[:-1].astype(np.float64))))

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[y, 1] of each item; no part of the matrix is shared by all users."""
        return np.ascontiguousarray(fixed[:, :-1]), np.zeros(fixed.shape[1] - 1)

    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a = 1, t = r - μ - b_j."""
        return np.ones_like(rows.weights), rows.weights - fixed[rows.indices, -1], self.ridge(rows.counts)

    def base(self, query: np.ndarray) -> float:
        """b + μ of the item vector `query`: what a user without ratings is predicted to give."""
        return float(query[-1])

    def loss(self, rows: Rows, solved: np.ndarray, fixed: np.ndarray, n_entries: np.ndarray, workers: Workers) -> float:
        """The whole objective over both sides, rows [x, b]; `n_entries` (m,) counts the entries of each fixed row."""
        targets = self._targets(rows, fixed)
        features = fixed.copy()
        features[:, -1] = 1
        # With a = 1 and b = t the kernel sums t - 2 t s + s², and (t - s)² is that plus t² - t.
        observed = workers.map(
            lambda block: als.observed_loss(
                *block, targets.indptr, targets.indices, targets.weights, _PLAIN_TERMS, features, solved
            ),
            rows.blocks(),
        )
        rest = float(np.einsum("i,i->", targets.weights, targets.weights - 1, dtype=np.float64))
        return float(sum(observed)) + rest + self.penalty(solved, rows.counts) + self.penalty(fixed, n_entries)

    def penalty(self, solved: np.ndarray, counts: np.ndarray) -> float:
        """λ Σ n^ν ‖x‖² of one side's rows (n, any) with `counts` entries each."""
        return float(self.ridge(counts).astype(np.float64) @ np.einsum("ij,ij->i", solved, solved))

    def _targets(self, rows: Rows, fixed: np.ndarray) -> Rows:
        """The rows with targets r - (μ + b_j) instead of ratings, b_j being the last column of `fixed`."""
        targets = (fixed[:, -1] + np.float32(self.mean))[rows.indices]
        np.subtract(rows.weights, targets, out=targets)
        return Rows(rows.indptr, rows.indices, read_only(targets))
