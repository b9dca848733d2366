"""Two sets of events as one. May import errors and this room."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import DataError
from recsys.interactions import side_features

if TYPE_CHECKING:
    from recsys.interactions import Interactions

__all__ = ["merged"]


def merged(first: Interactions, second: Interactions, duplicates: str) -> Interactions:
    """The entries of `first` followed by those of `second`; see `Interactions.merge`."""
    if (first.timestamps is None) != (second.timestamps is None) and len(first) and len(second):
        with_times, without = ("these", "the new") if second.timestamps is None else ("the new", "these")
        raise DataError(
            f"Interactions can be merged when both or neither have timestamps; {with_times} have, {without} have not."
        )
    users, items = first.users.extended(second.users), first.items.extended(second.items)
    timed = first.timestamps is not None and second.timestamps is not None
    together = type(first).from_events(
        users,
        items,
        np.concatenate([first.row_positions(), users.positions(second.users)[second.row_positions()]]),
        np.concatenate([first.indices, items.positions(second.items)[second.indices]]),
        np.concatenate([first.weights, second.weights]),
        np.concatenate([first.timestamps, second.timestamps]) if timed else None,
        duplicates=duplicates,
        provenance=first.provenance,
    )
    return replace(
        together,
        user_features=side_features.joined(first.user_features, second.user_features, users),
        item_features=side_features.joined(first.item_features, second.item_features, items),
    )
