"""The small logs that checks train on. May import ids and interactions."""

from __future__ import annotations

import numpy as np

from recsys.ids import IdMap
from recsys.interactions import Interactions

__all__ = ["from_pairs", "taste_groups"]

_N_USERS, _N_ITEMS = 40, 24


def taste_groups(kind: str = "strings", seed: int = 0) -> Interactions:
    """40 users × 24 items: users of two groups, each with most of its own items; weights from 1 to 5, times.

    kind : "strings" for ids such as 'u07', "integers" for large ones in no order, negative ones among them.
    """
    generator = np.random.default_rng(seed)
    alike = (np.arange(_N_USERS) % 2)[:, None] == (np.arange(_N_ITEMS) % 2)
    users, items = np.nonzero(generator.random(alike.shape) < np.where(alike, 0.5, 0.06))
    weights = generator.integers(1, 6, len(users)).astype(np.float32)
    times = generator.integers(1_500_000_000, 1_600_000_000, len(users)) * 1_000_000
    user_ids, item_ids = _ids(kind, generator)
    return Interactions.from_events(
        IdMap(user_ids, name="user_id"), IdMap(item_ids, name="item_id"),
        users.astype(np.int32), items.astype(np.int32), weights, times,
    )  # fmt: skip


def _ids(kind: str, generator: np.random.Generator) -> tuple[list[str] | np.ndarray, list[str] | np.ndarray]:
    if kind == "integers":
        order = generator.permutation(_N_USERS)
        # Beyond what a float64 can tell apart.
        return order * 1_000_003 - 5_000_000, generator.permutation(_N_ITEMS) + 2**53
    return [f"ü {n:02}" for n in generator.permutation(_N_USERS)], [f"i,{n:02}" for n in generator.permutation(_N_ITEMS)]


def from_pairs(
    pairs: list[tuple[int, int]], weights: list[float] | None = None, *, n_users: int | None = None, n_items: int | None = None
) -> Interactions:
    """A log of pairs of positions, an hour apart; more ids than the pairs have where `n_users` or `n_items` says so."""
    users, items = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    sizes = (n_users or int(users.max(initial=-1)) + 1, n_items or int(items.max(initial=-1)) + 1)
    return Interactions.from_events(
        IdMap([f"u{n}" for n in range(sizes[0])], name="user_id"), IdMap([f"i{n}" for n in range(sizes[1])], name="item_id"),
        users, items, np.array(weights if weights is not None else [1.0] * len(pairs), np.float32),
        (1_500_000_000 + 3600 * np.arange(len(pairs), dtype=np.int64)) * 1_000_000,
    )  # fmt: skip
