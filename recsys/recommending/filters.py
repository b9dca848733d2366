"""Which items may appear for whom. May import errors, ids, interactions and the rooms' own parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.recommending.request import Choices
from recsys.recommending.tables import PairSet, item_availability, pair_set

__all__ = ["Filters", "candidate_positions"]


@dataclass(frozen=True)
class Filters:
    """What holds for everybody, and what for some. Users are rows of the pair sets; a row beyond the last is empty.

    candidates : rising positions of the items that may appear at all; None for all.
    allow : the only pairs that may appear, if there is such a list.
    deny, seen : pairs that must not.
    """

    n_items: int
    candidates: np.ndarray | None
    seen: PairSet | None
    allow: PairSet | None = None
    deny: PairSet | None = None

    @classmethod
    def of(
        cls,
        choices: Choices,
        history: Interactions,
        users: IdMap,
        *,
        allow: Any = None,
        deny: Any = None,
        unknown: str = "raise",
    ) -> Filters:
        """The filters of a request. `users` are the rows of `allow` and `deny`, and begin with those of the history."""
        items = history.items
        return cls(
            len(items),
            candidate_positions(choices, items, unknown=unknown),
            PairSet(history.indptr, history.indices) if choices.exclude_seen else None,
            None if allow is None else pair_set(allow, users, items, "allow", unknown=unknown),
            None if deny is None else pair_set(deny, users, items, "deny", unknown=unknown),
        )

    def hidden(self, rows: np.ndarray) -> PairSet | None:
        """The pairs of `rows` that must not appear."""
        if self.seen is None or self.deny is None:
            either = self.seen or self.deny
            return None if either is None else either.take(rows)
        keys = [pairs.take(rows).keys(self.n_items) for pairs in (self.seen, self.deny)]
        return PairSet.of_keys(np.union1d(*keys), len(rows), self.n_items)

    def allowed(self, rows: np.ndarray) -> PairSet:
        """The pairs of `rows` that the allow list has and nothing else forbids."""
        if self.allow is None:
            raise LookupError("there is no allow list")
        keys = self.allow.take(rows).keys(self.n_items)
        if self.candidates is not None:
            keys = keys[np.isin(keys % max(1, self.n_items), self.candidates)]
        hidden = self.hidden(rows)
        if hidden is not None:
            keys = np.setdiff1d(keys, hidden.keys(self.n_items), assume_unique=True)
        return PairSet.of_keys(keys, len(rows), self.n_items)


def candidate_positions(choices: Choices, items: IdMap, *, unknown: str = "raise") -> np.ndarray | None:
    """Rising positions of the items that may appear for anybody; None for all."""
    if choices.only_items is None and choices.exclude_items is None and choices.item_rules is None:
        return None
    allowed = np.full(len(items), choices.only_items is None)
    if choices.only_items is not None:
        allowed[items.positions(choices.only_items)] = True
    if choices.exclude_items is not None:
        allowed[items.positions(choices.exclude_items)] = False
    if choices.item_rules is not None:
        allowed &= item_availability(choices.item_rules, choices.at, items, unknown=unknown)
    return np.flatnonzero(allowed)
