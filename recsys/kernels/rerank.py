"""Choosing a list from a longer one: greedily, by score, unlikeness to what is chosen, and shares of groups."""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import fast_kernel, fast_part

__all__ = ["choose"]

# How much of the target share is mixed into the share of a list, so that a group that is absent costs much and not infinitely.
_SMOOTHING = 0.01


@fast_part
def _dot(a, b):
    total = np.float32(0.0)
    for place in range(len(a)):
        total += a[place] * b[place]
    return total


@fast_part
def _divergence(wanted, counts, size):
    """KL(p ‖ q̃) with q̃ = (1 - α) counts / size + α p; 0 where nothing is wanted."""
    total = 0.0
    for group in range(len(wanted)):
        share = wanted[group]
        if share > 0:
            mixed = (1 - _SMOOTHING) * counts[group] / size + _SMOOTHING * share
            total += share * np.log(share / mixed)
    return total


@fast_kernel
def choose(positions, scores, counts, diversity, calibration, units, groups, wanted, chosen_positions, chosen_scores):
    """Fills chosen_positions, chosen_scores (rows, k) from the pool positions, scores (rows, size), best first.

    counts : (rows,) how many of a row's pool are valid.  units : (n_items, dim) vectors of length 1 or 0.
    groups : (n_items,) the group of each item.  wanted : (rows, n_groups) shares; all 0 for a row without any.

    Each place goes to the item i of greatest
        (1 - diversity - calibration) r_i - diversity · max_j∈S u_i · u_j - calibration · KL(p ‖ q̃(S + i)),
    r being the scores brought to 0 … 1 over the pool; among equals to the one that comes first in the pool.
    """
    k = chosen_positions.shape[1]
    weight = 1.0 - diversity - calibration
    for row in range(len(counts)):
        size = counts[row]
        if size == 0:
            continue
        spread = scores[row, 0] - scores[row, size - 1]
        taken = np.zeros(size, np.bool_)
        nearest = np.full(size, -2.0)
        held = np.zeros(wanted.shape[1])
        costs = np.zeros(wanted.shape[1])
        for place in range(min(k, size)):
            if calibration > 0:
                for group in range(len(costs)):
                    held[group] += 1
                    costs[group] = calibration * _divergence(wanted[row], held, place + 1)
                    held[group] -= 1
            best, best_value = -1, 0.0
            for candidate in range(size):
                if taken[candidate]:
                    continue
                relevance = (scores[row, candidate] - scores[row, size - 1]) / spread if spread > 0 else 1.0
                value = weight * relevance - costs[groups[positions[row, candidate]]]
                if place > 0 and diversity > 0:
                    value -= diversity * nearest[candidate]
                if best < 0 or value > best_value:
                    best, best_value = candidate, value
            taken[best] = True
            chosen = positions[row, best]
            chosen_positions[row, place] = chosen
            chosen_scores[row, place] = scores[row, best]
            held[groups[chosen]] += 1
            if diversity > 0:
                for candidate in range(size):
                    if not taken[candidate]:
                        likeness = _dot(units[positions[row, candidate]], units[chosen])
                        nearest[candidate] = max(nearest[candidate], likeness)
