"""What the benchmarks train on: real data beside the project, and a synthetic set of MovieLens-20M's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import recsys

__all__ = ["REAL_DATA", "movielens_shape", "real"]

REAL_DATA = Path(__file__).parents[3] / "shared" / "datasets"

_USERS, _ITEMS, _PAIRS = 138_493, 26_744, 19_800_000
# Events drawn for each pair wanted: popular items are drawn for the same user again and again.
_EVENTS_A_PAIR = 1.8


def real(name: str, part: str) -> recsys.Interactions | None:
    """One part ("train", "valid", "test") of a real data set, every pair of weight 1; None where it is absent."""
    path = REAL_DATA / name / f"{part}.parquet"
    if not path.is_file():
        return None
    return recsys.read_interactions(path, weight=False, timestamp=False, duplicates="max")


def movielens_shape(scale: float = 1.0, random_state: int = 0) -> recsys.Interactions:
    """138,493 users × 26,744 items and 19.8 M pairs of weight 1, long tails on both sides; each number times `scale`."""
    users, items, pairs = (max(1, round(n * scale)) for n in (_USERS, _ITEMS, _PAIRS))
    events = recsys.datasets.make_events(
        users,
        items,
        round(pairs * _EVENTS_A_PAIR),
        popularity_skew=0.8,
        activity_skew=0.6,
        groups=min(100, items),
        timestamps=False,
        random_state=random_state,
    )
    data = recsys.read_interactions(events, weight=False, duplicates="max")
    if len(data) <= pairs:
        return data
    keep = np.zeros(len(data), dtype=bool)
    keep[np.random.default_rng(random_state).choice(len(data), pairs, replace=False)] = True
    return data.select(keep)
