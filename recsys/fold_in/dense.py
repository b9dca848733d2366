"""Least squares on every pair, a missing one being 0: the rows of `SVD` and `PCA`. May import kernels, parallel, weighting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from recsys.errors import DataError
from recsys.fold_in.base import FoldIn
from recsys.fold_in.rows import Rows, read_only
from recsys.kernels import sparse
from recsys.kernels.dense import gram, rotate
from recsys.parallel import Workers
from recsys.weighting import Entries, Scheme, Side, Statistics, parse_scheme

__all__ = ["DenseLeastSquares"]

# The statistics of a weighting are kept in columns of their own, made so small that no length or direction changes.
_UNIT = 2.0**-60

# Directions that carry less than this share, once all columns have length 1, are rounding.
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class DenseLeastSquares(FoldIn):
    """The vector x that minimises  Σ over all items (r_j - x · y_j)², with r the user's weighed entries and 0 elsewhere:

        x = (Yᵀ Y)⁺ Yᵀ r

    which for the item vectors Y = V Σᵖ of a singular value decomposition is Σ⁻ᵖ Vᵀ r, the row of U Σ¹⁻ᵖ. Items likewise, with
    the user vectors X = U Σ¹⁻ᵖ. Columns of ones and means, and those of the weighting, stand last:

    * `centred`: users [x, 1], items [y, b]; a new item is least squares with an intercept b. The b of a principal component
      analysis are orthogonal to Y, so users are the same as without.
    * a `weighting` that looks at the whole matrix: items have [s, 0] and users [0, t] after that, the numbers by which an
      entry is weighed (`recsys.weighting.Statistics`), as they were in training. They add nothing to a score.
    """

    name: ClassVar[str] = "dense_least_squares"

    centred: bool = False
    weighting: str = "none"
    """As `recsys.weighting.parse_scheme` reads it."""
    whole: Mapping[str, float] = field(default_factory=dict)
    """The weighting's numbers of the whole training matrix."""

    @cached_property
    def scheme(self) -> Scheme | None:
        """The weighting, None for "none"."""
        return parse_scheme(self.weighting)

    @property
    def keeps_statistics(self) -> bool:
        """Whether vectors end in two columns of the weighting's numbers."""
        return self.scheme is not None and not self.scheme.is_local

    @property
    def bias_columns(self) -> int:
        return int(self.centred) + 2 * int(self.keeps_statistics)

    @property
    def takes_negative_weights(self) -> bool:
        return self.scheme is None

    # ---- columns ------------------------------------------------------------------------------------------------

    def with_columns(self, vectors: np.ndarray, of: str, bias: np.ndarray | None, statistic: np.ndarray | None) -> np.ndarray:
        """Vectors (n, d) of "users" or "items" with their last columns, (n, d + bias_columns) float32.

        bias : (n,) of items;  statistic : (n,) float64, where there are some.
        """
        zeros = np.zeros(len(vectors), np.float32)
        columns = [vectors]
        if self.centred:
            columns.append((zeros + 1 if bias is None else np.asarray(bias, np.float32))[:, None])
        if self.keeps_statistics and statistic is not None:
            kept = (statistic * _UNIT).astype(np.float32)
            columns.append(np.column_stack([kept, zeros] if of == "items" else [zeros, kept]))
        return np.hstack(columns) if len(columns) > 1 else vectors

    def _vectors(self, fixed: np.ndarray) -> np.ndarray:
        n = self.bias_columns
        return np.ascontiguousarray(fixed[:, :-n]) if n else fixed

    def _weighed(self, rows: Rows, fixed: np.ndarray, of: str) -> tuple[Rows, np.ndarray | None]:
        """The rows with the weights that they would have had in training, and their own numbers (n,), if there are some."""
        if self.scheme is None:
            return rows, None
        if len(rows.weights) and rows.weights.min() < 0:
            raise DataError(f"Weighting by {self.weighting!r} needs weights >= 0. Got {rows.weights.min().item():g}.")
        entries = _entries(rows, len(fixed))
        if not self.keeps_statistics:
            statistics = Statistics.of(self.scheme, entries)
            return _with_weights(rows, statistics.weigh(self.scheme, entries)), None
        theirs = fixed[:, -2 if of == "users" else -1].astype(np.float64) / _UNIT
        side = Side(entries.weights, entries.rows, entries.row_counts)
        if of == "users":
            own = self.scheme.of_rows(side, theirs[entries.columns], self.whole)
            new = self.scheme.weights(entries.weights, own[entries.rows], theirs[entries.columns], self.whole)
        else:
            own = self.scheme.of_columns(side, self.whole)
            new = self.scheme.weights(entries.weights, theirs[entries.columns], own[entries.rows], self.whole)
        return _with_weights(rows, new), own

    # ---- solving ------------------------------------------------------------------------------------------------

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: each row's minimum given the vectors `fixed` (m, dim); zeros for a row without entries."""
        weighed, own = self._weighed(rows, fixed, of)
        others = self._vectors(fixed)
        has_intercept = self.centred and of == "items"
        if has_intercept:
            others = np.hstack([others, np.ones((len(others), 1), np.float32)])
        with Workers(num_threads) as workers:
            solved = sparse.product((weighed.indptr, weighed.indices, weighed.weights), others, workers)
            half = half_inverse(gram(others, workers))
            rotate(solved, half @ half.T, workers)
        if has_intercept:
            return self.with_columns(solved[:, :-1], of, solved[:, -1], own)
        return self.with_columns(solved, of, None, own)

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: what each entry of one user adds to the score: r_j y_jᵀ (Yᵀ Y)⁺ y for the item vector `query`."""
        weighed, _ = self._weighed(row, fixed, "users")
        turned, _ = self.features(fixed)
        with Workers(1) as workers:
            half = half_inverse(gram(self._vectors(fixed), workers))
        asked = query[: len(half)].astype(np.float64) @ half
        return np.asarray(weighed.weights * (turned[row.indices].astype(np.float64) @ asked))

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors turned and scaled so that Yᵀ Y is the unit matrix: all of a row's matrix is shared."""
        vectors = self._vectors(fixed)
        with Workers(1) as workers:
            half = half_inverse(gram(vectors, workers))
        return np.ascontiguousarray((vectors @ half).astype(np.float32)), np.ones(len(half))

    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a = 0, since a pair counts alike whether it was observed or not; t = the weighed entry; λ = 0."""
        weighed, _ = self._weighed(rows, fixed, "users")
        return np.zeros_like(weighed.weights), weighed.weights, np.zeros(len(rows), np.float32)

    def base(self, query: np.ndarray) -> float:
        """b of a centred model: the score of a user without entries."""
        return float(query[-self.bias_columns]) if self.centred else 0.0


def half_inverse(gram_matrix: np.ndarray) -> np.ndarray:
    """(d, d) float64 H with H Hᵀ the pseudo-inverse of a Gram matrix, directions that are rounding left out.

    The columns behind the Gram matrix are brought to length 1 before: their lengths may span more than float32's digits. For
    the same reason H is the symmetric root of what is then left to do: columns that are nearly orthogonal are not mixed.
    """
    lengths = np.sqrt(np.diag(gram_matrix))
    scale = 1 / np.where(lengths > 0, lengths, 1)
    values, axes = np.linalg.eigh(gram_matrix * scale * scale[:, None])
    kept = values > _RANK_TOLERANCE
    roots = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
    return np.asarray(scale[:, None] * ((axes * roots) @ axes.T))


def _entries(rows: Rows, n_columns: int) -> Entries:
    counts = rows.counts
    positions = np.repeat(np.arange(len(rows)), counts)
    column_counts = np.bincount(rows.indices, minlength=n_columns)
    return Entries(rows.weights.astype(np.float64), positions, rows.indices, counts, column_counts)


def _with_weights(rows: Rows, weights: np.ndarray) -> Rows:
    return Rows(rows.indptr, rows.indices, read_only(weights.astype(np.float32)))
