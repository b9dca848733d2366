"""Weighted means over what a row has: users of trainers that learn items alone. May import this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse

from recsys.fold_in.base import FoldIn
from recsys.fold_in.rows import Rows

__all__ = ["CrossedMean", "WeightedMean"]


@dataclass(frozen=True)
class WeightedMean(FoldIn):
    """The row  x = Σ_j w_j y_j / Σ_j w_j  over its entries j, zeros where there are none or all weights are 0.

    The score of an item is then the weighted mean of its products with each entry, y_j · y_i, and x is the point that
    minimises Σ_j w_j ‖x - y_j‖². Of "items" it is the mean of the vectors of the users who have them.
    """

    name: ClassVar[str] = "weighted_mean"

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's mean given `fixed` (m, dim), on either side, summed in float64 in order of entries."""
        shares = scipy.sparse.csr_array((_shares(rows), rows.indices, rows.indptr), shape=(len(rows), len(fixed)))
        return np.asarray(shares @ fixed.astype(np.float64), np.float32)

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: w_j y_j · query / Σ w, which sum to the score."""
        return np.asarray(_shares(row) * (fixed[row.indices].astype(np.float64) @ query.astype(np.float64)))

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors as they are, and ones: x = Σ t f."""
        return np.ascontiguousarray(fixed, np.float32), np.ones(fixed.shape[1])

    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a = 0, t = w / Σ w, no ridge."""
        shares = _shares(rows).astype(np.float32)
        return np.zeros_like(shares), shares, np.zeros(len(rows), np.float32)


@dataclass(frozen=True, eq=False)
class CrossedMean(WeightedMean):
    """The row  x = Σ_j w_j B y_j / Σ_j w_j  with a symmetric matrix B, so that two items go together by y_jᵀ B y_i.

    With item vectors [v, u] of two parts and the B that exchanges both, the score is the weighted mean of
    v_j · u_i + u_j · v_i over the entries.
    """

    name: ClassVar[str] = "crossed_mean"

    form: np.ndarray
    """B (dim, dim) float32, symmetric."""

    @classmethod
    def of_halves(cls, factors: int) -> CrossedMean:
        """The one that exchanges the halves of vectors of 2 · factors columns."""
        return cls(np.roll(np.eye(2 * factors, dtype=np.float32), factors, axis=0))

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's mean given `fixed` (m, dim), on either side."""
        return super().solve(rows, self._crossed(fixed), num_threads, of=of)

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: w_j y_jᵀ B query / Σ w, which sum to the score."""
        return super().contributions(row, fixed, self._crossed(query[None])[0])

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors in the eigenvectors of B, without those of eigenvalue 0, and 1 / the eigenvalues."""
        values, axes = np.linalg.eigh(self.form.astype(np.float64))
        kept = np.abs(values) > 1e-4
        return np.ascontiguousarray(fixed @ axes[:, kept].astype(np.float32)), 1 / values[kept]

    def turned(self, turn: Callable[[np.ndarray, int], np.ndarray]) -> FoldIn:
        """With QᵀBQ for vectors that were turned by Q."""
        return CrossedMean(turn(turn(np.ascontiguousarray(self.form), 0).T.copy(), 0))

    def _crossed(self, vectors: np.ndarray) -> np.ndarray:
        return np.asarray(vectors.astype(np.float64) @ self.form.astype(np.float64))


def _shares(rows: Rows) -> np.ndarray:
    """(nnz,) float64: each entry's share in the weight of its row; 0 in rows whose weights are all 0."""
    weights = rows.weights.astype(np.float64)
    places = np.repeat(np.arange(len(rows)), rows.counts)
    totals = np.bincount(places, weights, minlength=len(rows))
    return np.asarray(weights / np.where(totals > 0, totals, 1)[places])
