"""How a row that was not trained gets its vector, with the vectors of the other side fixed.

A fold-in is a name and parameters; both are saved with the model, so that loading a model needs no trainer. May import
errors, kernels and parallel.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.errors import FormatError
from recsys.kernels import als
from recsys.kernels.dense import gram, principal_axes
from recsys.parallel import Workers

__all__ = ["FOLD_INS", "Rows", "WeightedLeastSquares", "fold_in_from"]


@dataclass(frozen=True)
class Rows:
    """Entries of the rows to be solved: indptr (n + 1,) int64, positions on the fixed side int32, weights float32."""

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: entries of each row."""
        return np.diff(self.indptr)

    def take(self, positions: np.ndarray) -> Rows:
        """The rows at `positions`, in that order."""
        counts = self.counts[positions]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(self.indptr[positions] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Rows(*(_read_only(array) for array in (indptr, self.indices[entries], self.weights[entries])))

    def blocks(self) -> list[tuple[int, int]]:
        """(begin, end) of runs of rows of about equal work, whatever the number of threads."""
        # A row without entries still costs its vector: count it as some entries.
        work = self.indptr + 16 * np.arange(len(self.indptr))
        cuts = np.searchsorted(work, np.arange(0, work[-1], _BLOCK_WORK)[1:])
        edges = np.unique(np.concatenate([[0], cuts, [len(self)]]))
        return list(itertools.pairwise(edges.tolist()))


# Entries of a block of short rows: far more than a task costs to start, few enough to balance the threads.
_BLOCK_WORK = 100_000
# Vectors that a group of long rows works on.
_GROUP_BYTES = 16 * 2**20


@dataclass(frozen=True)
class WeightedLeastSquares:
    """The row that minimises  Σ_S b (1 - s)² - (b - a) s² + α₀ Σ_all s² + λ (n + α₀ m)^ν ‖x‖²  with s = x · y_j.

    S are the row's n entries, m the number of fixed vectors, a = alpha · w, b = a + target. With target = 0 this is the
    objective of Rendle et al. (RecSys 2022), with target = α₀ that of Hu, Koren & Volinsky (ICDM 2008), where an
    observed pair has confidence α₀ + alpha · w and every other pair α₀.
    """

    name: ClassVar[str] = "weighted_least_squares"

    alpha: float
    target: float
    unobserved_weight: float
    regularization: float
    regularization_exponent: float

    @property
    def _terms(self) -> np.ndarray:
        """(a₁, a₀, b₁, b₀) of the kernels: a = alpha · w, b = alpha · w + target."""
        return np.array([self.alpha, 0, self.alpha, self.target], np.float32)

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
        *,
        steps: int,
        tolerance: float,
    ) -> None:
        """Moves `solution` (n, dim) in place towards the minimum; `fixed` (m, dim) must have Gram matrix diag(eigenvalues)."""
        dense = (self.unobserved_weight * eigenvalues).astype(np.float32)
        ridge = self.ridge(rows.counts, len(fixed))
        improve_rows(rows, self._terms, fixed, dense, ridge, solution, workers, steps=steps, tolerance=tolerance)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        """(n, dim) float32: each row's minimum given `fixed` (m, dim); zeros for a row without entries."""
        with Workers(num_threads) as workers:
            eigenvalues, axes = principal_axes(gram(fixed, workers))
            turned = fixed @ axes.astype(np.float32)
            solution = np.zeros((len(rows), fixed.shape[1]), np.float32)
            self.improve(rows, turned, eigenvalues, solution, workers, steps=MANY_STEPS, tolerance=EXACT)
        return np.asarray(solution @ axes.T.astype(np.float32))

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: how much each entry of one row adds to the score of vector `query` (dim,); they sum to the score.

        With A the row's matrix the score is queryᵀ A⁻¹ Σ b_j y_j, a sum over the entries (Hu et al. 2008, section 5).
        """
        vectors = fixed[row.indices].astype(np.float64)
        a = self.alpha * row.weights.astype(np.float64)
        with Workers(1) as workers:
            matrix = self.unobserved_weight * gram(fixed, workers)
        matrix += (vectors.T * a) @ vectors
        matrix[np.diag_indices_from(matrix)] += self.ridge(row.counts, len(fixed))[0]
        return np.asarray((a + self.target) * (vectors @ np.linalg.solve(matrix, query.astype(np.float64))))

    def loss(self, rows: Rows, row_vectors: np.ndarray, fixed: np.ndarray, n_entries: np.ndarray, workers: Workers) -> float:
        """The whole objective over both sides; `n_entries` (m,) counts the entries of each fixed vector."""
        observed = workers.map(
            lambda block: als.observed_loss(
                *block, rows.indptr, rows.indices, rows.weights, self._terms, fixed, row_vectors,
            ),
            rows.blocks(),
        )  # fmt: skip
        everywhere = self.unobserved_weight * float((gram(row_vectors, workers) * gram(fixed, workers)).sum())
        penalty = 0.0
        for vectors, counts, others in ((row_vectors, rows.counts, len(fixed)), (fixed, n_entries, len(rows))):
            penalty += float(self.ridge(counts, others) @ np.einsum("ij,ij->i", vectors, vectors))
        return float(sum(observed)) + everywhere + penalty


def _read_only(array: np.ndarray) -> np.ndarray:
    # numba compiles a kernel once for read-only and once for writeable arrays: those of Interactions are read-only.
    array.flags.writeable = False
    return array


def improve_rows(
    rows: Rows,
    terms: np.ndarray,
    fixed: np.ndarray,
    dense: np.ndarray,
    ridge: np.ndarray,
    solution: np.ndarray,
    workers: Workers,
    *,
    steps: int,
    tolerance: float,
) -> None:
    """Moves each row of `solution` (n, dim) in place towards its minimum; the arguments are those of `kernels.als`."""

    def solve(task: tuple[bool, np.ndarray]) -> None:
        is_long, positions = task
        entries = (rows.indptr, rows.indices, rows.weights, terms)
        system = (fixed, dense, ridge, steps, np.float32(tolerance))
        if is_long:
            als.solve_long_rows(positions, *entries, *system, als.tile_rows(fixed.shape[1]), solution)
        else:
            als.solve_short_rows(positions, *entries, *system, solution)

    workers.map(solve, _tasks(rows.counts, fixed.shape[1], workers.num_threads))


def _tasks(counts: np.ndarray, factors: int, num_threads: int) -> list[tuple[bool, np.ndarray]]:
    """(is_long, row positions) of tasks of about equal work, long rows first; a row's result does not depend on its task."""
    is_long = counts > als.short_row_entries(factors)
    long_rows = np.flatnonzero(is_long)
    # Each group of long rows streams the fixed side once more, so there are only as many as threads and memory want.
    n_groups = min(len(long_rows), max(num_threads, 1 + len(long_rows) * factors * 16 // _GROUP_BYTES))
    dealt = long_rows[np.argsort(-counts[long_rows], kind="stable")]
    groups = [np.sort(dealt[start::n_groups]) for start in range(n_groups)]
    short_rows = np.flatnonzero(~is_long)
    # A row without entries still costs its vector: count it as some entries.
    work = np.cumsum(counts[short_rows] + 16)
    cuts = np.searchsorted(work, np.arange(_BLOCK_WORK, work[-1] if len(work) else 0, _BLOCK_WORK))
    blocks = np.split(short_rows, cuts)
    return [(True, group) for group in groups] + [(False, block) for block in blocks if len(block)]


# Enough steps that the tolerance ends them; about the last digit that float32 can promise.
MANY_STEPS, EXACT = 200, 1e-6

FOLD_INS = {WeightedLeastSquares.name: WeightedLeastSquares}


def fold_in_from(saved: Mapping[str, Any]) -> WeightedLeastSquares:
    """The fold-in that `fold_in_to` described. Raises `FormatError` for a name this version does not know."""
    if saved.get("name") not in FOLD_INS:
        raise FormatError(f"Unknown fold-in {saved.get('name')!r}. Hint: a newer version of recsys may know it.")
    return FOLD_INS[saved["name"]](**saved["parameters"])


def fold_in_to(fold_in: WeightedLeastSquares) -> dict[str, Any]:
    """A fold-in as a JSON-able name and parameters."""
    return {"name": fold_in.name, "parameters": asdict(fold_in)}
