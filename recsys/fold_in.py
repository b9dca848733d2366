"""How a row that was not trained gets its vector, with the vectors of the other side fixed.

A fold-in is a name and parameters; both are saved with the model, so that loading a model needs no trainer. May import
errors, interactions, kernels and parallel.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.errors import FormatError
from recsys.interactions import Interactions
from recsys.kernels import als
from recsys.kernels.dense import gram, principal_axes
from recsys.parallel import Workers

__all__ = ["FOLD_INS", "BiasedLeastSquares", "FoldIn", "Rows", "WeightedLeastSquares", "fold_in_from", "fold_in_to"]


@dataclass(frozen=True)
class Rows:
    """Entries of the rows to be solved: indptr (n + 1,) int64, positions on the fixed side int32, weights float32."""

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, data: Interactions, side: str) -> Rows:
        """All rows of one side of `data`, "users" or "items"; no copy."""
        return cls(data.indptr, data.indices, data.weights) if side == "users" else cls(*data.by_item)

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
class FoldIn(ABC):
    """What a `Model` needs of a fold-in. Each is a frozen dataclass whose fields are saved with the model."""

    name: ClassVar[str]
    duplicates: ClassVar[str] = "sum"
    """What a new event of a known pair does to its weight, a rule of `Interactions.from_events`."""
    takes_negative_weights: ClassVar[bool] = False
    bias_columns: ClassVar[int] = 0
    """How many of the last columns of a vector hold biases; they say nothing about likeness."""

    @abstractmethod
    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: the vectors of `rows`, which are "users" or "items", given those of the other side (m, dim)."""

    @abstractmethod
    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: what each entry of one user adds to the score of the item vector `query` (dim,) above its base.

        fixed : (m, dim) the item vectors. The contributions sum to the score less `base(query)`.
        """

    @abstractmethod
    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m, d) float32 features f of the item vectors `fixed` and (d,) float64 `dense`, such that a user's vector solves

            (diag(dense + λ_u) + Σ a f fᵀ) x = Σ t f    with a, t and λ_u as `entry_terms` has them,

        and entry j adds t_j f_jᵀ (…)⁻¹ f_i to the score of item i: `contributions` for many users and items at once."""

    @abstractmethod
    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(nnz,) a and (nnz,) t of each entry and (n,) λ_u of each row, float32 (see `features`)."""

    def base(self, query: np.ndarray) -> float:
        """The part of the score of an item vector `query` (dim,) that is the same whatever the user has."""
        return 0.0


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
        *,
        steps: int,
        tolerance: float,
    ) -> None:
        """Moves `solution` (n, dim) in place towards the minimum; `fixed` (m, dim) must have Gram matrix diag(eigenvalues)."""
        dense = (self.unobserved_weight * eigenvalues).astype(np.float32)
        ridge = self.ridge(rows.counts, len(fixed))
        improve_rows(rows, self._terms, fixed, dense, ridge, solution, workers, steps=steps, tolerance=tolerance)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given `fixed` (m, dim), on either side; zeros for a row without entries."""
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

    def improve(
        self, rows: Rows, fixed: np.ndarray, solution: np.ndarray, workers: Workers, *, steps: int, tolerance: float
    ) -> None:
        """Moves `solution` (n, dim - 1), rows [x, b], in place towards the minimum given the rows `fixed` (m, dim - 1)."""
        features = fixed.copy()
        features[:, -1] = 1
        dense, ridge = np.zeros(features.shape[1], np.float32), self.ridge(rows.counts)
        targets = self._targets(rows, fixed)
        improve_rows(targets, _PLAIN_TERMS, features, dense, ridge, solution, workers, steps=steps, tolerance=tolerance)

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given the vectors `fixed` (m, dim); x and b are 0 for a row without entries."""
        others = self.from_vectors(fixed, "items" if of == "users" else "users")
        solution = np.zeros((len(rows), others.shape[1]), np.float32)
        with Workers(num_threads) as workers:
            self.improve(rows, others, solution, workers, steps=MANY_STEPS, tolerance=EXACT)
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
        return Rows(rows.indptr, rows.indices, _read_only(targets))


# (a₁, a₀, b₁, b₀) of the kernels for a = 1 and b = the weight: every entry counts alike and its weight is the target.
_PLAIN_TERMS = np.array([0, 1, 1, 0], np.float32)


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

FOLD_INS: dict[str, Callable[..., FoldIn]] = {kind.name: kind for kind in (WeightedLeastSquares, BiasedLeastSquares)}


def fold_in_from(saved: Mapping[str, Any]) -> FoldIn:
    """The fold-in that `fold_in_to` described. Raises `FormatError` for a name this version does not know."""
    if saved.get("name") not in FOLD_INS:
        raise FormatError(f"Unknown fold-in {saved.get('name')!r}. Hint: a newer version of recsys may know it.")
    return FOLD_INS[saved["name"]](**saved["parameters"])


def fold_in_to(fold_in: FoldIn) -> dict[str, Any]:
    """A fold-in as a JSON-able name and parameters."""
    return {"name": fold_in.name, "parameters": asdict(fold_in)}
