"""Fewer dimensions: the axes in which the first ones carry the most. May import kernels and parallel."""

from __future__ import annotations

import numpy as np

from recsys.kernels.dense import gram, largest_entries, principal_axes, rotate
from recsys.parallel import Workers

__all__ = ["better_axes", "in_axes"]

# The present axes are kept where their first columns carry at least this share of what the best as many would.
_AS_GOOD = 1 - 1e-4


def better_axes(sides: list[np.ndarray], dimensions: int, workers: Workers) -> np.ndarray | None:
    """(dim, dim) float32 orthogonal, by falling weight: the principal axes of the vectors of all `sides`, each (n, dim).

    The vectors are not centred, so that the first columns keep as much of the dot products as they can. Sides weigh alike: what
    few users or items have much of would be lost in the products of both, though it is little on one side. None where
    `dimensions` of the present axes are as good.
    """
    dim = sides[0].shape[1]
    if dimensions == dim:
        return None
    products = np.zeros((dim, dim))
    for vectors in sides:
        own = gram(np.ascontiguousarray(vectors), workers)
        products += own / max(float(np.trace(own)), np.finfo(np.float64).tiny)
    weights, axes = principal_axes(products)
    if np.diag(products)[:dimensions].sum() >= _AS_GOOD * weights[:dimensions].sum():
        return None
    # The sign of an axis is open: its largest entry is positive.
    return np.asarray(axes * np.where(largest_entries(axes) < 0, -1, 1), np.float32)


def in_axes(vectors: np.ndarray, axes: np.ndarray | None, dimensions: int, kept: int, workers: Workers) -> np.ndarray:
    """(n, dimensions + kept) float32: the leading columns in other axes, and the last `kept` as they are."""
    dim = vectors.shape[1] - kept
    if axes is None and dimensions == dim:
        return vectors
    turned = np.empty((len(vectors), dimensions + kept), np.float32)
    turned[:, dimensions:] = vectors[:, dim:]
    if axes is None:
        turned[:, :dimensions] = vectors[:, :dimensions]
    else:
        rotate(np.ascontiguousarray(vectors), np.ascontiguousarray(axes[:, :dimensions]), workers, turned)
    return turned
