"""Product quantisation: a place in a codebook for each subspace. May import this room's codes, errors, kernels and parallel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from recsys.embeddings.compression.codes import (
    CodesWithLengths,
    RowScorer,
    RowsOf,
    as_lengths,
    fitted_lengths,
    row_lengths,
)
from recsys.errors import DataError, ParameterError
from recsys.kernels import quantised
from recsys.kernels.dense import read_only
from recsys.parallel import Workers

__all__ = ["CENTRES", "ProductCodes"]

CENTRES = 256
# Dimensions that share a byte unless the number of subspaces is given.
_DIMENSIONS_A_BYTE = 4
_ITERATIONS = 20
# Rows that a codebook is learned from: 256 a centre, beyond which centres hardly move.
_TRAINING_ROWS = 256 * CENTRES


@dataclass(frozen=True, eq=False)
class ProductCodes(CodesWithLengths):
    """Row i is lengths[i] · scale · (centre codes[i, m] of codebook m, side by side for all m) (Jégou et al. 2011).

    codes : (n, subspaces) uint8;  centres : (subspaces, 256, width) float16, learned by k-means over the directions;
    scale : (1,) float32;  columns : (subspaces, width) int32, the dimensions of each subspace, -1 where it has fewer.

    Dimensions are dealt out so that the product of their variances is about the same in all subspaces: in principal axes that
    is the solution of Ge, He, Ke & Sun 2013, "Optimized Product Quantization", section 3.2.
    """

    storage: ClassVar[str] = "pq"

    codes: np.ndarray
    centres: np.ndarray
    scale: np.ndarray
    columns: np.ndarray

    @classmethod
    def encode(cls, vectors: np.ndarray, workers: Workers, *, subspaces: int | None, random_state: int) -> Self:
        """See `Codes`. Raises `DataError` for fewer rows than a codebook has centres."""
        n, dim = vectors.shape
        number = _require_subspaces(subspaces, dim)
        if n < CENTRES:
            raise DataError(
                f"Product quantisation learns {CENTRES} centres a codebook and needs as many rows. Got {n:,}. "
                "Hint: storage='int4' or 'int8' needs none."
            )
        lengths = row_lengths(vectors)
        units = vectors / np.where(lengths > 0, lengths, 1)[:, None]
        columns = _dealt_out(units.var(axis=0, dtype=np.float64), number)
        generators = np.random.default_rng(random_state).spawn(number)
        points = [np.ascontiguousarray(units[:, own[own >= 0]]) for own in columns]
        found = workers.map(lambda m: _codebook(points[m], generators[m]), range(number))
        centres = np.zeros((number, CENTRES, columns.shape[1]), np.float16)
        for m, (own, _) in enumerate(found):
            centres[m, :, : own.shape[1]] = own
        codes = np.stack([labels for _, labels in found], axis=1)
        rough = cls(np.ones(n, np.float16), codes, centres, np.ones(1, np.float32), columns)
        halves, unit = as_lengths(fitted_lengths(vectors, rough.directions, workers))
        return cls(halves, codes, centres, np.array([unit], np.float32), columns)

    @property
    def dim(self) -> int:
        """See `Codes`."""
        return int((self.columns >= 0).sum())

    def directions(self, rows: RowsOf) -> np.ndarray:
        """See `CodesWithLengths`."""
        codes = self.codes[rows]
        values = np.empty((len(codes), self.dim), np.float32)
        for m, columns in enumerate(self.columns):
            own = columns[columns >= 0]
            values[:, own] = self._numbers[m, :, : len(own)][codes[:, m]]
        values *= self.scale
        return values

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The centres as float32, made once: every query and every decoded row needs them."""
        return self.centres.astype(np.float32)

    def direction_reach(self) -> np.ndarray:
        """See `CodesWithLengths`."""
        reach = np.zeros(self.dim, np.float32)
        used = self.columns >= 0
        reach[self.columns[used]] = np.abs(self.centres).max(axis=1)[used]
        return np.asarray(reach * self.scale)

    def scorer(self, queries: np.ndarray) -> RowScorer:
        """See `Codes`: the product of each centre with its part of the query is looked up."""
        padded = np.hstack([queries * self.scale, np.zeros((len(queries), 1), np.float32)])
        parts = padded[:, self.columns].transpose(1, 2, 0)
        tables = np.ascontiguousarray((self._numbers @ parts).transpose(2, 0, 1))

        def score(rows: RowsOf, scores: np.ndarray) -> None:
            quantised.score_tables(tables, read_only(self.codes[rows]), self.lengths[rows].astype(np.float32), scores)

        return score


def _require_subspaces(subspaces: int | None, dim: int) -> int:
    if subspaces is None:
        return -(-dim // _DIMENSIONS_A_BYTE)
    if not isinstance(subspaces, (int, np.integer)) or isinstance(subspaces, bool) or not 1 <= subspaces <= dim:
        raise ParameterError(f"`subspaces` must be an int from 1 to the number of dimensions, {dim}. Got {subspaces!r}.")
    return int(subspaces)


def _dealt_out(variances: np.ndarray, n_subspaces: int) -> np.ndarray:
    """(n_subspaces, width) int32: from the largest variance on, each goes to the subspace with room whose product is least."""
    width = -(-len(variances) // n_subspaces)
    # So many subspaces are full at the end, and the others have one dimension less.
    full = len(variances) - n_subspaces * (width - 1)
    columns = np.full((n_subspaces, width), -1, np.int32)
    filled, weight = np.zeros(n_subspaces, np.int64), np.zeros(n_subspaces)
    logs = np.log(np.maximum(variances, 1e-12 * max(float(variances.max(initial=0)), 1e-30)))
    logs -= logs.min(initial=0)  # none below 0, so that every dimension makes its subspace heavier
    for column in np.argsort(-variances, kind="stable"):
        open_ones = filled < (width if (filled == width).sum() < full else width - 1)
        m = int(np.argmin(np.where(open_ones, weight, np.inf)))
        columns[m, filled[m]] = column
        filled[m] += 1
        weight[m] += logs[column]
    columns.sort(axis=1)
    # Padding comes last.
    return np.take_along_axis(columns, np.argsort(columns < 0, axis=1, kind="stable"), axis=1)


def _codebook(points: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(256, width) float16 centres by Lloyd's iterations on a sample, and (n,) uint8, the nearest of them of each point."""
    sample = points
    if len(points) > _TRAINING_ROWS:
        sample = points[np.sort(generator.choice(len(points), _TRAINING_ROWS, replace=False))]
    centres = sample[generator.choice(len(sample), CENTRES, replace=False)]
    labels = None
    for _ in range(_ITERATIONS):
        nearest = _nearest(sample, centres)
        if labels is not None and np.array_equal(nearest, labels):
            break
        labels = nearest
        centres = _means(sample, labels, centres)
    kept = centres.astype(np.float16)
    return kept, _nearest(points, kept.astype(np.float32))


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n,) uint8."""
    labels = np.empty(len(points), np.uint8)
    quantised.nearest_centres(points, np.ascontiguousarray(centres.T), labels)
    return labels


def _means(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of each centre's points; one without any begins anew at a point that is far from its own."""
    sizes = np.bincount(labels, minlength=CENTRES)
    sums = np.stack([np.bincount(labels, weights=column, minlength=CENTRES) for column in points.T], axis=1)
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        steps = points - centres[labels]
        far = np.argsort(-np.einsum("ij,ij->i", steps, steps), kind="stable")[: len(empty)]
        means[empty] = points[far]
    return means
