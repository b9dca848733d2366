"""How much two sets of vectors, or of ranked lists, of the same ids differ: arrays alone. May import kernels, parallel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.kernels.dense import gram, principal_axes
from recsys.parallel import Workers

__all__ = ["Spectrum", "average_overlap", "linear_cka", "overlap", "spectrum"]


@dataclass(frozen=True)
class Spectrum:
    """Shares (dim,) of the summed squared lengths that lie along each principal axis, falling, and how many axes count.

    effective_rank : exp of the shares' entropy (Roy & Vetterli 2007): dim when all axes carry the same, 1 when one has all.
    """

    shares: np.ndarray
    effective_rank: float


def spectrum(vectors: np.ndarray, num_threads: int | None = None) -> Spectrum:
    """Of vectors (n, dim) float32, about the origin; all shares are 0 where all vectors are."""
    with Workers(num_threads) as workers:
        values, _ = principal_axes(gram(vectors, workers))
    shares = values / (values.sum() or 1.0)
    some = shares[shares > 0]
    return Spectrum(shares, float(np.exp(-(some * np.log(some)).sum())) if len(some) else 0.0)


def linear_cka(a: np.ndarray, b: np.ndarray, num_threads: int | None = None) -> float:
    """‖AᵀB‖² / ‖AᵀA‖ ‖BᵀB‖ of the centred (n, dim) float32 matrices (Kornblith, Norouzi, Lee & Hinton 2019, equation 3).

    1 when they tell the ids apart in the same way but for rotation and size, near 0 when unrelated; NaN where all rows of one
    side are the same. It needs no alignment.
    """
    one, other = (side - side.mean(axis=0, dtype=np.float64).astype(np.float32) for side in (a, b))
    with Workers(num_threads) as workers:
        # The Gram matrix of [A B] holds all three products.
        both = gram(np.hstack([one, other]), workers)
    dim = a.shape[1]
    within = np.linalg.norm(both[:dim, :dim]) * np.linalg.norm(both[dim:, dim:])
    return float(np.linalg.norm(both[:dim, dim:]) ** 2 / within) if within > 0 else float("nan")


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) float64: |A ∩ B| over the longer of two lists, a row each; NaN where both are empty.

    a, b : (n, k) integers, negative where a list has ended or an entry can not be in the other.
    """
    longer = np.maximum((a != ENDED).sum(axis=1), (b != ENDED).sum(axis=1))
    return _over(_matches(a, b).sum(axis=(1, 2)), longer)


def average_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) float64: the mean over depths d of |A_d ∩ B_d| / d, the first d of each list (Fagin et al. 2003).

    Unlike `overlap` it also tells when the same entries come in another order. Arguments as there.
    """
    depths = np.maximum((a != ENDED).sum(axis=1), (b != ENDED).sum(axis=1))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, a.shape[1] + 1))])
    places = np.arange(a.shape[1])
    # A match at places i and j counts at every depth beyond the later of the two.
    later = np.maximum(places[:, None], places[None, :])
    matches = _matches(a, b)
    gains = matches.sum(axis=(1, 2)) * harmonic[depths] - np.einsum("qij,ij->q", matches, harmonic[later])
    return _over(gains, depths)


ENDED = -1
"""Fills a list behind its end."""


def _matches(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a[:, :, None] == b[:, None, :]) & (a >= 0)[:, :, None])


def _over(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
