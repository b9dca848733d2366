"""Coordinates by the two principal axes (PCA). Imports kernels and parallel; arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from recsys.kernels.dense import gram, principal_axes
from recsys.parallel import Workers

__all__ = ["principal_coordinates"]


def principal_coordinates(vectors: np.ndarray, num_threads: int | None = None) -> tuple[np.ndarray, list[float]]:
    """(n, 2) float32: vectors (n, dim) about their mean on the two axes of largest variance; the share of variance of each.

    The sign of an axis is the one that makes the sum of cubes of its coordinates positive: it does not change when all
    vectors are rotated, so neither do the coordinates. The second one is 0 where there is a single dimension.
    """
    centred = np.ascontiguousarray(vectors - vectors.mean(axis=0, dtype=np.float64), dtype=np.float32)
    with Workers(num_threads) as workers:
        variances, axes = principal_axes(gram(centred, workers))
    coordinates = np.zeros((len(vectors), 2))
    used = min(2, centred.shape[1])
    # Row by row in one order of addition: the bytes do not depend on how a product is cut over threads.
    coordinates[:, :used] = np.einsum("ij,jk->ik", centred, axes[:, :used], dtype=np.float64)
    coordinates *= np.where((coordinates**3).sum(axis=0) < 0, -1, 1)
    total = float(variances.sum())
    shares = [float(value) / total if total else 0.0 for value in variances[:used]]
    return coordinates.astype(np.float32), shares + [0.0] * (2 - used)
