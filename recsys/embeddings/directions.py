"""Directions and subspaces: along, onto, and without them. May import errors; knows arrays, no ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys.errors import DataError, ParameterError

__all__ = ["as_basis", "coordinates", "trend", "unit", "without"]

# A direction that is this much shorter without the ones before it adds nothing to them.
_DEPENDENT = 1e-6


def unit(vector: np.ndarray, what: str) -> np.ndarray:
    """`vector` (dim,) at length 1, float32. Raises `DataError` for a zero vector, which has no direction."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not length > 0:
        raise DataError(f"{what} is a zero vector, which has no direction.")
    return np.asarray(vector / length, np.float32)


def as_basis(directions: Any, dim: int) -> np.ndarray:
    """(m, dim) float64 with orthonormal rows that span `directions`: one (dim,) or several (m, dim), finite and independent.

    The first row points along the first direction, the next along what the second adds to it, and so on (Gram and Schmidt).
    Raises `ParameterError`.
    """
    given = np.asarray(directions)
    rows = np.atleast_2d(given)
    if given.dtype.kind not in "fiu" or rows.ndim != 2 or rows.shape[1] != dim or not np.isfinite(rows).all():
        raise ParameterError(
            f"A direction must be {dim} finite numbers, a subspace an array of such rows. "
            f"Got {given.dtype} of shape {given.shape}."
        )
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not len(rows) or not lengths.all():
        raise ParameterError(
            f"A direction must not be zero. Got {len(rows)} of them, number {int(lengths.argmin()) + 1 if len(rows) else 0}."
        )
    basis, triangle = np.linalg.qr((rows / lengths[:, None]).T)
    if len(rows) > dim or (np.abs(np.diag(triangle)) < _DEPENDENT).any():
        raise ParameterError(f"The {len(rows)} directions of a subspace must not depend on each other.")
    return np.asarray((basis * np.sign(np.diag(triangle))).T)


def coordinates(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """(n, m) float32: how far each vector (n, dim) reaches along each row of `basis` (m, dim)."""
    return np.asarray(vectors @ basis.T, np.float32)


def without(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """(n, dim) float32: the vectors less their parts along the rows of `basis`."""
    return np.asarray(vectors - (vectors @ basis.T) @ basis, np.float32)


def trend(vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(dim,) float64: the slopes of a least-squares regression of each column of the vectors (n, dim) on `values` (n,).

    It points along the covariances cov(x, value). Without this direction the vectors have none left, so no linear function of
    them tells anything of the values: P cov(x, value) = 0 for the projection P that takes it out.
    """
    centred = values - values.mean()
    spread = float(centred @ centred)
    if not spread > 0:
        raise DataError("A direction can not be fitted: all values are the same.")
    return np.asarray(centred @ (vectors - vectors.mean(axis=0, dtype=np.float64))) / spread
