"""Randomness that hangs on ids: may import ids, interactions, kernels.

A lot is a hash of a user's id, an item's id and the seed; entries are chosen by it. A generator would tie what becomes of each
user to how many users come before, and of each item to its position in one data set.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.kernels import csr

__all__ = ["hashed_ids", "mix", "shuffled_within_rows"]

# One for each use of randomness, so that one `random_state` gives each its own stream.
USER_STREAM, ITEM_STREAM, HELD_OUT_STREAM, FIRST_FOLD_STREAM = 1, 2, 3, 4


def shuffled_within_rows(data: Interactions, seed: int) -> np.ndarray:
    """(n_interactions,) int64: the entries row by row, within a row in random order."""
    of_users = hashed_ids(data.users, seed, USER_STREAM)
    of_items = hashed_ids(data.items, seed, ITEM_STREAM)
    lots = np.repeat(of_users, data.user_counts)
    lots ^= of_items[data.indices]
    mix(lots)
    # Three counting sorts by 16 bits, 16 bits and the row are several times faster than sorting 64-bit numbers. Where 32
    # bits of two entries of a row agree, the order of items decides.
    order = np.empty(0, np.int64)
    for shift in (32, 48):
        digits = ((lots >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int32)
        order = csr.counting_order(digits, 1 << 16, order)
    return np.asarray(csr.counting_order(data.row_positions(), data.n_users, order))


def hashed_ids(ids: IdMap, seed: int, stream: int) -> np.ndarray:
    """(n_ids,) uint64: evenly spread numbers that depend on the id, the seed and the stream only."""
    key = np.array([seed], dtype=np.uint64)
    mix(key)
    key += np.uint64(stream)
    mix(key)
    values = ids.to_numpy()
    numbers = values.astype(np.uint64) if ids.is_integer else pd.util.hash_array(values, categorize=False)
    numbers = numbers ^ key
    mix(numbers)
    return numbers


def mix(numbers: np.ndarray) -> None:
    """Spreads uint64 numbers evenly, in place: the finaliser of SplitMix64 (Steele, Lea & Flood 2014), one to one."""
    numbers += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)
