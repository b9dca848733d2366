"""Turning one space into another: orthogonal Procrustes. May import errors, ids, kernels and parallel.

Two trainings on the same data differ by a rotation, which no dot product shows and everything that keeps vectors feels.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recsys.embeddings.columns import numbers_by_id
from recsys.errors import DataError, quote_some
from recsys.ids import IdMap
from recsys.kernels.dense import cross, rotate
from recsys.parallel import Workers

__all__ = ["Alignment", "find_alignment", "shared_positions", "weights_by_id"]

# So few rows are multiplied in float64: the product is cheap, and what they leave undetermined stays exactly zero.
_EXACT_ROWS = 16_384


@dataclass(frozen=True)
class Alignment:
    """The rotation or reflection that brings vectors nearest to a reference on the ids that both have.

    rotation : (dim, aligned dim) float32 with orthonormal rows, so that no dot product changes.
    n_shared : ids by which it was found;  weighted : whether they counted by weights.
    residual : ‖A R - B‖ / ‖B‖ over the shared ids: 0 when all fall together; good to about 0.001.
    reference_dim : dimensions of the reference. The larger space of the two is the aligned one.
    """

    rotation: np.ndarray
    n_shared: int
    weighted: bool
    residual: float
    reference_dim: int

    @property
    def dim(self) -> int:
        """Dimensions of what `apply` returns."""
        return int(self.rotation.shape[1])

    def apply(self, vectors: np.ndarray, *, kept: int = 0, num_threads: int | None = None) -> np.ndarray:
        """(n, aligned dim) float32: the vectors (n, dim), turned. The same bytes for any number of threads.

        kept : so many last columns, of biases, are none of the rotation's: they stay as they are at the end of the result.
        """
        turned = np.empty((len(vectors), self.dim + kept), np.float32)
        dim = vectors.shape[1] - kept
        turned[:, self.dim :] = vectors[:, dim:]
        with Workers(num_threads) as workers:
            rotate(vectors, self.rotation, workers, out=turned)
        return turned

    def warn_if_wider(self, dim: int) -> None:
        """Says so when vectors of `dim` dimensions come out longer than they were."""
        if self.dim > dim:
            warnings.warn(
                f"Aligned in the larger space: these vectors had {dim} dimensions, the reference {self.reference_dim}; "
                f"now they have {self.dim}.",
                stacklevel=3,
            )

    def describe(self) -> dict[str, Any]:
        """All but the rotation, for provenance and reports."""
        facts = asdict(self)
        del facts["rotation"]
        return facts | {"dim": self.dim, "residual": round(self.residual, 6)}


def shared_positions(ours: IdMap, theirs: IdMap) -> tuple[np.ndarray, np.ndarray]:
    """Positions on both sides of the ids that both have, in the order of `ours`. Raises `DataError` when there are none."""
    if ours == theirs and len(ours):
        return (np.arange(len(ours)),) * 2
    found = theirs.positions(ours.to_arrow(), unknown="ignore")
    mine = np.flatnonzero(found >= 0)
    if not len(mine):
        samples = " and ".join(quote_some(ids.to_arrow().slice(0, 2).to_pylist()) or "none" for ids in (ours, theirs))
        kinds = [("integers" if ids.is_integer else "strings") for ids in (ours, theirs)]
        hint = f" Hint: one side's are {kinds[0]}, the other's {kinds[1]}." if kinds[0] != kinds[1] else ""
        raise DataError(f"The two share no {ours.name}: they hold ids such as {samples}.{hint}")
    return mine, found[mine]


def weights_by_id(ids: IdMap, weights: Any) -> np.ndarray:
    """(n,) float32 weights from a Series or mapping by id. Raises `DataError` unless each is there and >= 0."""
    numbers = numbers_by_id(ids, weights, "weights")
    bad = ~(numbers >= 0)
    if bad.any():
        raise DataError(
            f"`weights` must have a number >= 0 for each shared {ids.name}. "
            f"Not so: {quote_some(ids.ids_at(np.flatnonzero(bad)).to_pylist())}."
        )
    if not numbers.any():
        raise DataError(f"`weights` must be above 0 for some shared {ids.name}; all are 0.")
    return numbers.astype(np.float32)


def find_alignment(
    vectors: np.ndarray,
    reference: np.ndarray,
    positions: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Alignment:
    """The R with orthonormal rows that minimises Σ w ‖a R - b‖² over pairs of rows a, b (Schönemann 1966).

    vectors : (n, dim);  reference : (m, reference_dim);  positions : rows of the pairs on either side;  weights : one a pair.
    The smaller space is taken as part of the larger one. Where the pairs leave R open, it moves as little as it can.
    """
    dim = max(vectors.shape[1], reference.shape[1])
    with Workers(num_threads) as workers:
        product, squares, reference_squares = _cross_product(vectors, reference, positions, weights, workers)
        padded = np.zeros((dim, dim))
        padded[: product.shape[0], : product.shape[1]] = product
        rotation, agreement = _nearest_rotation(padded)
    left = max(squares + reference_squares - 2 * agreement, 0.0)
    residual = float(np.sqrt(left / reference_squares)) if reference_squares else float(squares > 0)
    turned = np.ascontiguousarray(rotation[: vectors.shape[1]], np.float32)
    return Alignment(turned, len(positions[0]), weights is not None, residual, reference.shape[1])


def _nearest_rotation(product: np.ndarray) -> tuple[np.ndarray, float]:
    """The orthogonal R with the largest tr(Rᵀ product), and that trace, the sum of the singular values."""
    left, values, right = (np.asarray(part) for part in np.linalg.svd(product))
    rank = int((values > values[0] * np.finfo(np.float32).eps).sum())
    rotation = left[:, :rank] @ right[:rank]
    if rank < len(values):
        # Any rotation of the rest is as good; the one nearest to none is taken.
        free_left, free_right = left[:, rank:], right[rank:]
        one, _, other = (np.asarray(part) for part in np.linalg.svd(free_left.T @ free_right.T))
        rotation = rotation + free_left @ one @ other @ free_right
    return rotation, float(values.sum())


def _cross_product(
    vectors: np.ndarray,
    reference: np.ndarray,
    positions: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray | None,
    workers: Workers,
) -> tuple[np.ndarray, float, float]:
    """Σ w a bᵀ (dim, reference_dim) float64, Σ w ‖a‖² and Σ w ‖b‖² over the pairs."""
    if len(positions[0]) > _EXACT_ROWS:
        return cross(vectors, reference, np.stack(positions, axis=1), weights, workers)
    ours, theirs = (side[rows].astype(np.float64) for side, rows in zip((vectors, reference), positions, strict=True))
    factors = np.ones((len(ours), 1)) if weights is None else weights[:, None].astype(np.float64)
    return (factors * ours).T @ theirs, _inner(factors * ours, ours), _inner(factors * theirs, theirs)


def _inner(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.dot(one.reshape(-1), other.reshape(-1)))
