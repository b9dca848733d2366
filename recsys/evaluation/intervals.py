"""How sure a mean over users is: bootstrap intervals. May import errors, parallel, kernels. Arrays in, arrays out; no ids,
no frames.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from recsys.errors import ParameterError
from recsys.kernels.resampling import count_draws
from recsys.parallel import Workers

__all__ = ["check_confidence", "interval_ends", "mean_intervals", "ratio_intervals", "resampled_means"]

# Efron & Tibshirani 1993, section 14.3, ask for at least 1,000 for the ends of a BCa interval.
RESAMPLES = 1000
# What a block of resamples holds: this bounds the memory. It also decides which numbers are drawn, so the ends depend on it.
_DRAWS_AT_ONCE = 1 << 22
_RESAMPLES_AT_ONCE = 256
_USERS_AT_ONCE = 1 << 14


def mean_intervals(
    values: np.ndarray, confidence: float, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper ends, two (n_columns,) float64, of intervals for the mean of each column of `values`.

    values : (n, n_columns) float64, one row a user. Rows are drawn together, so all columns see the same users.
    confidence : the share of such intervals that hold the true mean, 0.95 for example.

    The bias-corrected and accelerated bootstrap (BCa; Efron 1987, "Better Bootstrap Confidence Intervals"): `resamples`
    times n users are drawn with replacement; the ends are quantiles of those means, moved for bias and skewness. Values a
    user are skewed (most are 0), where plain percentiles miss more often on one side than on the other; for a mean the
    acceleration has a closed form, so this costs no more.

    The interval speaks of drawing other users like these, not of training again with another seed. Where every user has
    the same value both ends are that value; with fewer than two users they are NaN.
    """
    if len(values) < 2:
        return _undefined(values)
    return interval_ends(values, resampled_means(values, rng, resamples), confidence)


def ratio_intervals(
    sums: np.ndarray, sizes: np.ndarray, confidence: float, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """As `mean_intervals`, for the ratio Σ sums / Σ sizes of each column: a mean over entries whose users are drawn.

    sums : (n, n_columns) float64, a user's sum over the user's entries;  sizes : (n,) how many entries, at least 1.

    A user comes with all entries (a cluster bootstrap). The acceleration is that of the ratio's linear part in each user,
    (sum - ratio · size) / mean size.
    """
    if len(sums) < 2:
        return _undefined(sums)
    drawn = resampled_means(np.column_stack([sums, sizes]), rng, resamples)
    ratios = sums.sum(axis=0) / sizes.sum()
    linear = ratios + (sums - sizes[:, None] * ratios) / sizes.mean()
    return interval_ends(linear, drawn[:, :-1] / drawn[:, -1:], confidence)


def _undefined(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)


def interval_ends(values: np.ndarray, replicates: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """BCa ends for the mean of each column of `values`, which `replicates` (resamples, n_columns) estimate again."""
    replicates = np.sort(replicates, axis=0)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    ends = np.empty((2, values.shape[1]))
    for column in range(values.shape[1]):
        levels = _corrected_levels(values[:, column], replicates[:, column], tails)
        ends[:, column] = np.quantile(replicates[:, column], levels)
    return ends[0], ends[1]


def resampled_means(
    values: np.ndarray, rng: np.random.Generator, resamples: int, *, num_threads: int | None = None
) -> np.ndarray:
    """(resamples, n_columns): values[rng.integers(n, size=n)].mean(axis=0), again and again.

    Each block of resamples has a generator of its own, spawned from `rng`, so the number of threads changes nothing. A
    thread holds at most about 60 MB, or 5 bytes a user where that is more.
    """
    values = np.ascontiguousarray(values)
    size = min(max(1, _DRAWS_AT_ONCE // len(values)), _RESAMPLES_AT_ONCE)
    sizes = [min(size, resamples - begin) for begin in range(0, resamples, size)]
    with Workers(num_threads) as workers:
        sums = workers.map(lambda block: _resampled_sums(values, *block), zip(rng.spawn(len(sizes)), sizes, strict=True))
    return np.concatenate(sums) / len(values)


def _resampled_sums(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """How often each user was drawn, times the values: a matrix product instead of a gather."""
    n = len(values)
    times_drawn = np.empty((resamples, n), np.uint8)
    words = rng.integers(0, 1 << 64, size=(resamples, (n + 1) // 2), dtype=np.uint64)
    count_draws(words.view(np.uint32), times_drawn)
    sums = np.zeros((resamples, values.shape[1]))
    for begin in range(0, n, _USERS_AT_ONCE):
        users = slice(begin, begin + _USERS_AT_ONCE)
        sums += times_drawn[:, users].astype(np.float64) @ values[users]
    return sums


def _corrected_levels(values: np.ndarray, means: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """The quantiles of the resampled means that stand for the quantiles `tails`: Efron 1987, equations 2.3 and 6.6."""
    mean = values.mean()
    deviations = values - mean
    squared = deviations**2
    squares = squared.sum()
    if squares == 0:
        return tails
    acceleration = (squared * deviations).sum() / (6 * squares**1.5)
    # Means of few users have ties; those with the mean itself count half. Sums differ in their last digits.
    near = 1e-12 * max(abs(mean), float(np.abs(values).max()))
    below = (means < mean - near).sum() + 0.5 * (np.abs(means - mean) <= near).sum()
    least = 0.5 / len(means)
    bias = ndtri(np.clip(below / len(means), least, 1 - least))
    shifted = bias + ndtri(tails)
    # With a handful of very skewed values the denominator can reach 0, where the level tends to 0 or 1.
    return np.asarray(ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-12)))


def check_confidence(confidence: float) -> float:
    """`confidence` as a float. Raises `ParameterError` unless it lies between 0 and 1."""
    number = isinstance(confidence, (int, float, np.integer, np.floating)) and not isinstance(confidence, bool)
    if not number or not 0 < confidence < 1:
        hint = " Hint: 95 % is written 0.95." if number and 1 <= confidence <= 100 else ""
        raise ParameterError(f"`confidence` must be a number between 0 and 1, both excluded. Got {confidence!r}.{hint}")
    return float(confidence)
