"""Means over users with their intervals, where some users have no value. May import this folder's intervals. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.evaluation.intervals import mean_intervals, ratio_intervals

__all__ = ["Averages", "average", "ratio_average"]


@dataclass(frozen=True, eq=False)
class Averages:
    """For each column: mean, low and high end of its interval, (n_columns,) float64, and how many users have a value."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_users: np.ndarray


def average(values: np.ndarray, confidence: float, random_state: int) -> Averages:
    """The means of the columns of `values` (n_users, n_columns), each over the users whose value is not NaN.

    Columns that the same users have are drawn together. Without such a user the mean is NaN, with one the interval is.
    """
    n_columns = values.shape[1]
    mean, low, high = (np.full(n_columns, np.nan) for _ in range(3))
    there = ~np.isnan(values)
    n_users = there.sum(axis=0)
    left = np.flatnonzero(n_users)
    while len(left):
        rows = there[:, left[0]]
        alike = left[(there[:, left] == rows[:, None]).all(axis=0)]
        left = np.setdiff1d(left, alike)
        part = values[np.ix_(rows, alike)]
        mean[alike] = part.mean(axis=0)
        low[alike], high[alike] = mean_intervals(part, confidence, np.random.default_rng(random_state))
    return Averages(mean, low, high, n_users)


def ratio_average(parts: np.ndarray, confidence: float, random_state: int) -> tuple[float, float, float, int]:
    """Mean of the first column over mean of the second - 1, its interval, and how many users have both (parts not NaN)."""
    both = parts[~np.isnan(parts).any(axis=1)]
    above, below = both.sum(axis=0)
    if not below > 0:
        return np.nan, np.nan, np.nan, len(both)
    low, high = ratio_intervals(both[:, :1], both[:, 1], confidence, np.random.default_rng(random_state))
    return float(above / below - 1), float(low[0] - 1), float(high[0] - 1), len(both)
