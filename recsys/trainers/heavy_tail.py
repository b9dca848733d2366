"""A warning for weights with which implicit least squares learns from next to no pairs. May import fold_in and interactions.

With confidences c of the n observed pairs, Kish's effective number of them (L. Kish, "Survey Sampling", 1965, section 8.2) is

    n_eff = (Σ c)² / Σ c²

which is n where all are alike, and 1 where one outweighs the rest. Weights are warned of where both hold:

    n_eff < n / 10            a few pairs carry nearly all of the loss, and
    Σ c > α₀ · |U| · |I|      the observed pairs outweigh all that pulls towards 0, so that those few are fitted at any cost.

The first can not happen to weights of which the largest is less than 37 times the smallest, since n_eff / n is at least
4 R / (1 + R)² for weights with that ratio R (Pólya & Szegő, "Aufgaben und Lehrsätze aus der Analysis", 1925): never to
ratings of 0.5 to 5 (R = 10), nor to log(1 + w) of counts below 10¹¹. The second does not happen to heavy-tailed weights
that were brought to a mean near 1 or are met with a small alpha, which do well.
"""

from __future__ import annotations

import warnings

import numpy as np

from recsys.fold_in import WeightedLeastSquares
from recsys.interactions import Interactions

__all__ = ["warn_of_heavy_tail"]

_FEW = 0.1


def warn_of_heavy_tail(train: Interactions, problem: WeightedLeastSquares) -> None:
    """Warns (UserWarning) where a few weights drown all others and all unobserved pairs; see the top of this file.

    Entries of weight 0 are no observations. To be called from a trainer's `start`: the warning points at the caller of `fit`.
    """
    alpha, offset = problem.alpha, problem.target - problem.less
    weights = train.weights
    n_pairs = int(np.count_nonzero(weights))
    sum_of_weights = float(weights.sum(dtype=np.float64))
    # Not `weights.astype(np.float64)`, which would hold a second copy of all of them.
    sum_of_squares = float(np.einsum("i,i->", weights, weights, dtype=np.float64))
    total = alpha * sum_of_weights + offset * n_pairs
    squares = alpha**2 * sum_of_squares + 2 * alpha * offset * sum_of_weights + offset**2 * n_pairs
    if not total or total <= problem.unobserved_weight * train.n_users * train.n_items:
        return
    effective = total**2 / squares
    if effective >= _FEW * n_pairs:
        return
    warnings.warn(
        f"The weights are heavy-tailed: the {n_pairs:,} pairs count for as much as {effective:,.0f} equal ones would (largest "
        f"weight {weights.max():g}, mean {sum_of_weights / n_pairs:.3g}), and they outweigh all unobserved pairs together. "
        "Lists are then often worse than the most popular items. "
        f"Hint: train on data.weighted('log'), or lower `alpha`, towards 1 / mean = {n_pairs / sum_of_weights:.2g}.",
        stacklevel=4,
    )
