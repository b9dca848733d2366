"""Weighted least squares over all pairs, observed or not: the rows of `ALS`. May import kernels, parallel and this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.fold_in.base import FoldIn
from recsys.fold_in.improving import CONVERGED, Effort, improve_rows
from recsys.fold_in.rows import Rows
from recsys.kernels import als
from recsys.kernels.dense import gram, principal_axes
from recsys.parallel import Workers

__all__ = ["WeightedLeastSquares"]


@dataclass(frozen=True)
class WeightedLeastSquares(FoldIn):
    """The row that minimises  Σ_S b (1 - s)² - (b - a) s² + α₀ Σ_all s² + λ (n + α₀ m)^ν ‖x‖²  with s = x · y_j.

    S are the row's n entries, m the number of fixed vectors, a = alpha · w - less, b = a + target. With target = less = 0 this
    is the objective of Rendle et al. (RecSys 2022), with target = α₀ that of Hu, Koren & Volinsky (ICDM 2008), where an
    observed pair has confidence α₀ + alpha · w and every other pair α₀. With less = α₀ too the confidence is alpha · w.
    """

    name: ClassVar[str] = "weighted_least_squares"

    alpha: float
    target: float
    unobserved_weight: float
    regularization: float
    regularization_exponent: float
    less: float = 0.0

    @property
    def _terms(self) -> np.ndarray:
        """(a₁, a₀, b₁, b₀) of the kernels."""
        return np.array([self.alpha, -self.less, self.alpha, self.target - self.less], np.float32)

    def ridge(self, counts: np.ndarray, n_fixed: int) -> np.ndarray:
        """(n,) float32: λ (n + α₀ m)^ν for rows of `counts` entries."""
        sizes = counts + self.unobserved_weight * n_fixed
        return (self.regularization * sizes**self.regularization_exponent).astype(np.float32)

    def improve(
        self,
        rows: Rows,
        fixed: np.ndarray,
        eigenvalues: np.ndarray,
        solution: np.ndarray,
        workers: Workers,
        effort: Effort,
    ) -> None:
        """Moves `solution` (n, dim) in place towards the minimum; `fixed` (m, dim) must have Gram matrix diag(eigenvalues)."""
        dense = (self.unobserved_weight * eigenvalues).astype(np.float32)
        ridge = self.ridge(rows.counts, len(fixed))
        improve_rows(rows, self._terms, fixed, dense, ridge, solution, workers, effort)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given `fixed` (m, dim), on either side; zeros for a row without entries."""
        with Workers(num_threads) as workers:
            eigenvalues, axes = principal_axes(gram(fixed, workers))
            turned = fixed @ axes.astype(np.float32)
            solution = np.zeros((len(rows), fixed.shape[1]), np.float32)
            self.improve(rows, turned, eigenvalues, solution, workers, CONVERGED)
        return np.asarray(solution @ axes.T.astype(np.float32))

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: how much each entry of one row adds to the score of vector `query` (dim,); they sum to the score.

        With A the row's matrix the score is queryᵀ A⁻¹ Σ b_j y_j, a sum over the entries (Hu et al. 2008, section 5).
        """
        vectors = fixed[row.indices].astype(np.float64)
        a = self.alpha * row.weights.astype(np.float64) - self.less
        with Workers(1) as workers:
            matrix = self.unobserved_weight * gram(fixed, workers)
        matrix += (vectors.T * a) @ vectors
        matrix[np.diag_indices_from(matrix)] += self.ridge(row.counts, len(fixed))[0]
        return np.asarray((a + self.target) * (vectors @ np.linalg.solve(matrix, query.astype(np.float64))))

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors in their principal axes, where the part of the matrix that all users share is diagonal."""
        with Workers(1) as workers:
            eigenvalues, axes = principal_axes(gram(fixed, workers))
        return np.ascontiguousarray(fixed @ axes.astype(np.float32)), self.unobserved_weight * eigenvalues

    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a = alpha · w - less, t = a + target."""
        a = np.float32(self.alpha) * rows.weights - np.float32(self.less)
        return a, a + np.float32(self.target), self.ridge(rows.counts, len(fixed))

    def loss(self, rows: Rows, row_vectors: np.ndarray, fixed: np.ndarray, n_entries: np.ndarray, workers: Workers) -> float:
        """The whole objective over both sides; `n_entries` (m,) counts the entries of each fixed vector."""
        observed = workers.map(
            lambda block: als.observed_loss(
                *block, rows.indptr, rows.indices, rows.weights, self._terms, fixed, row_vectors,
            ),
            rows.blocks(),
        )  # fmt: skip
        everywhere = self.unobserved_weight * float((gram(row_vectors, workers) * gram(fixed, workers)).sum())
        penalty = self.penalty(row_vectors, rows.counts, len(fixed)) + self.penalty(fixed, n_entries, len(rows))
        return float(sum(observed)) + everywhere + penalty

    def penalty(self, vectors: np.ndarray, counts: np.ndarray, n_others: int) -> float:
        """λ Σ (n + α₀ m)^ν ‖x‖² of one side's `vectors` (n, dim) with `counts` entries each, beside m = `n_others`."""
        return float(self.ridge(counts, n_others).astype(np.float64) @ np.einsum("ij,ij->i", vectors, vectors))
