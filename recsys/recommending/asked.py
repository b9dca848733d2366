"""Who and what is asked for: users by id, pairs, a basket → positions. May import errors, fold_in, ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from recsys.errors import DataError, ParameterError
from recsys.fold_in import Rows
from recsys.ids import IdMap, as_id_array
from recsys.recommending.request import BasketRequest

__all__ = ["Asked", "EventRules", "basket_row", "paired_positions"]


@dataclass(frozen=True, eq=False)
class Asked:
    """Users asked for: ids, and rows among `users`, which are the known ones followed by the others that were asked for."""

    ids: pa.Array
    rows: np.ndarray
    users: IdMap

    @classmethod
    def of(cls, wanted: Any, known: IdMap, *, unknown: str, with_tables: bool) -> Asked:
        """From ids (all if None). Without tables nothing tells one unknown user from another: they all get the row after
        the last."""
        if wanted is None:
            return cls(known.to_arrow(), np.arange(len(known)), known)
        ids = as_id_array(wanted, name=known.name)
        rows = known.positions(ids, unknown="raise" if unknown == "raise" else "ignore")
        strange = rows < 0
        if unknown == "skip":
            return cls(ids.filter(pa.array(~strange)), rows[~strange], known)
        if not strange.any() or not with_tables:
            return cls(ids, np.where(strange, len(known), rows), known)
        everyone = known.extended(ids.filter(pa.array(strange)))
        return cls(ids, everyone.positions(ids), everyone)


class EventRules(Protocol):
    """What a model asks of events: each `recsys.fold_in.FoldIn` says it."""

    @property
    def duplicates(self) -> str:
        """What a second event of a pair does to its weight, a rule of `Interactions.from_events`."""

    @property
    def takes_negative_weights(self) -> bool:
        """Whether weights may be below 0."""


def basket_row(request: BasketRequest, items: IdMap, rules: EventRules) -> Rows:
    """The basket as one row of entries; what an item named twice weighs goes by the rule of `rules`."""
    positions = items.positions(request.items)
    if len(positions) == 0:
        raise DataError(f"A basket needs at least one {items.name}.")
    weights = _weights(request.weights, len(positions), rules)
    unique, place = np.unique(positions, return_inverse=True)
    held = np.zeros(len(unique), np.float32)
    if rules.duplicates == "sum":
        np.add.at(held, place, weights)
    else:
        held[place] = weights  # of several the last one stays
    return Rows(np.array([0, len(unique)]), unique.astype(np.int32), held)


def _weights(given: Any, n: int, rules: EventRules) -> np.ndarray:
    if given is None:
        return np.ones(n, np.float32)
    try:
        weights = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"`weights` must be {n} numbers, one an item. Got {given!r}.") from error
    if weights.shape != (n,) or not np.isfinite(weights).all():
        raise ParameterError(f"`weights` must be {n} finite numbers, one an item. Got {given!r}.")
    if not rules.takes_negative_weights and (weights < 0).any():
        raise ParameterError(f"`weights` must not be negative for this model. Got {weights.min().item()!r}.")
    return weights


def paired_positions(users: Any, known_users: IdMap, items: Any, known_items: IdMap) -> tuple[np.ndarray, np.ndarray]:
    """Positions of n users and n items; one id alone is repeated. Raises `UnknownIdError`, and `ParameterError`
    for unequal lengths."""
    one_user, one_item = _is_id(users), _is_id(items)
    user_positions = known_users.positions([users] if one_user else users)
    item_positions = known_items.positions([items] if one_item else items)
    if one_user:
        user_positions = np.repeat(user_positions, len(item_positions))
    if one_item:
        item_positions = np.repeat(item_positions, len(user_positions))
    if len(user_positions) != len(item_positions):
        raise ParameterError(
            "`users` and `items` are pairs and must be as many, or one of them a single id. "
            f"Got {len(user_positions):,} and {len(item_positions):,}."
        )
    return user_positions, item_positions


def _is_id(value: Any) -> bool:
    return isinstance(value, (str, int, np.integer))
