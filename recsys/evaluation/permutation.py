"""Whether a mean difference could be chance: sign-flip tests, Holm's correction, and what a test could have shown.

May import errors, kernels, parallel. Arrays in, arrays out; no ids, no frames.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from recsys.kernels.resampling import add_signed_sums
from recsys.parallel import Workers

__all__ = ["detectable_difference", "flipped_sums", "holm", "sign_flip_p_value"]

# A block of sign flips: so many resamples at a time, each over so many users at a time. They bound the memory.
_RESAMPLES_AT_ONCE = 1024
_USERS_AT_ONCE = 1 << 17


def flipped_sums(values: np.ndarray, rng: np.random.Generator, resamples: int, *, num_threads: int | None = None) -> np.ndarray:
    """(resamples, n_columns) float64: sums over the rows of `values`, each row with a random sign, the same in all columns.

    values : (n, n_columns) float64. Each block of resamples has a generator of its own, spawned from `rng`, so the number of
    threads changes nothing. A thread holds at most 16 MiB of signs, whatever n is.
    """
    values = np.ascontiguousarray(values)
    begins = range(0, resamples, _RESAMPLES_AT_ONCE)
    sizes = [min(_RESAMPLES_AT_ONCE, resamples - begin) for begin in begins]
    with Workers(num_threads) as workers:
        sums = workers.map(lambda block: _block_of_sums(values, *block), zip(rng.spawn(len(sizes)), sizes, strict=True))
    return np.concatenate(sums)


def _block_of_sums(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    sums = np.zeros((resamples, values.shape[1]))
    for begin in range(0, len(values), _USERS_AT_ONCE):
        users = values[begin : begin + _USERS_AT_ONCE]
        words = rng.integers(0, 1 << 64, size=(resamples, -(-len(users) // 64)), dtype=np.uint64)
        add_signed_sums(users, words, sums)
    return sums


def sign_flip_p_value(differences: np.ndarray, sums: np.ndarray) -> float:
    """How often random signs give a sum of `differences` as far from 0 as the one observed: the two-sided p-value.

    differences : (n,) float64, of two models on the same users;  sums : (resamples,), theirs with random signs.

    If which model is which made no difference, a user's difference would have either sign alike (Fisher 1935, "The Design of
    Experiments", section 21). With so few differences that are not 0 that no more sign patterns exist than
    resamples, all are gone through, and the p-value is exact; otherwise it is (b + 1) / (resamples + 1), where b resamples are
    as extreme: the observed signs are one of the patterns, and p is never 0 (Phipson & Smyth 2010, "Permutation p-values
    should never be zero", equation 2). Without any difference it is 1.
    """
    changed = differences[differences != 0]
    # Sums of the same numbers in another order differ in their last digits; they are as extreme as each other.
    least = abs(changed.sum()) - 1e-10 * np.abs(changed).sum()
    if len(changed) < len(sums).bit_length():  # 2^n <= resamples
        return float((np.abs(_all_signed_sums(changed)) >= least).mean())
    return float(((np.abs(sums) >= least).sum() + 1) / (len(sums) + 1))


def _all_signed_sums(values: np.ndarray) -> np.ndarray:
    """(2^n,) float64: the sums of `values` with every pattern of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(p_values: np.ndarray) -> np.ndarray:
    """(n,) p-values that, each held against α, wrongly show any of n differences at most α of the time.

    The k-th smallest (k from 1) times n + 1 - k, never below one before it and at most 1 (Holm 1979, "A simple
    sequentially rejective multiple test procedure"). It needs nothing of how the tests depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    n = len(p_values)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(n, 0, -1)))
    return adjusted


def detectable_difference(differences: np.ndarray, alpha: float, power: float) -> float:
    """The smallest true mean difference that a two-sided test at level `alpha` shows with probability `power`.

    differences : (n,), n >= 2; their spread is taken for that of other users like these. The standard error times
    t(1 - α/2) + t(power), quantiles of Student's distribution with n - 1 degrees of freedom (Bloom 1995, "Minimum
    detectable effects", Evaluation Review 19:5). It speaks of the plan, not of the difference that was found.

    Infinite where users are so few that no pattern of signs is rare enough: all alike come up once in 2^(n - 1).
    """
    n = len(differences)
    if 2.0 ** (1 - n) > alpha:
        return math.inf
    quantiles = stdtrit(n - 1, [1 - alpha / 2, power])
    return float(quantiles.sum() * differences.std(ddof=1) / np.sqrt(n))
