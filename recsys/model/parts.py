"""Which models can be parts of a blend, and how far their scores spread. May import what `blend` may, and is imported there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from recsys.errors import DataError, ParameterError, quote_some
from recsys.interactions import Interactions
from recsys.model.item_item import FORM as ITEM_ITEM
from recsys.model.item_item import ItemItemModel
from recsys.model.pools import score_spreads
from recsys.model.vectors import Model
from recsys.storage import Stored

__all__ = ["Part", "check_parts", "measured_spreads", "part_from_stored"]

Part: TypeAlias = Model | ItemItemModel


def measured_spreads(parts: Mapping[str, Part], random_state: int, num_threads: int | None) -> dict[str, float]:
    """The spread of each part's scores. Raises `DataError` naming a part that scores everything alike."""
    spreads = dict(zip(parts, score_spreads(list(parts.values()), random_state, num_threads), strict=True))
    for name, spread in spreads.items():
        if not 0 < spread < np.inf:
            raise DataError(f"The part {name!r} scores all of a user's items alike, so it adds nothing to a blend.")
    return spreads


def check_parts(parts: Any) -> None:
    """Raises `ParameterError` unless `parts` are models by name, `DataError` that says which differ in what they know."""
    if not isinstance(parts, Mapping) or not parts:
        raise ParameterError(f"The parts of a blend are models by name, such as {{'als': a, 'rp3beta': b}}. Got {parts!r}.")
    for name, part in parts.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ParameterError(
                "The name of a part must be letters, digits, '.', '_' and '-', begin with a letter or digit and be at most 64 "
                f"long. Got {name!r}."
            )
        if not isinstance(part, (Model, ItemItemModel)):
            hint = f" Hint: blend its parts, {quote_some(part.parts)}." if hasattr(part, "parts") else ""
            raise ParameterError(f"The part {name!r} must be a Model or an ItemItemModel. Got {type(part).__name__}.{hint}")
    first, *others = parts.items()
    for name, part in others:
        if differing := _difference(first[1].history, part.history):
            raise DataError(
                f"The parts {first[0]!r} and {name!r} do not belong together: {differing}. "
                "Hint: train all parts on the same Interactions, weights included."
            )


def _difference(one: Interactions, other: Interactions) -> str:
    """What differs, in words; nothing where they are the same."""
    if one is other or one.fingerprint == other.fingerprint:
        return ""
    for what, ours, theirs in (("users", one.users, other.users), ("items", one.items, other.items)):
        if ours == theirs:
            continue
        if len(ours) != len(theirs):
            return f"they know {len(ours):,} and {len(theirs):,} {what}"
        place = next(n for n, pair in enumerate(zip(ours.to_numpy(), theirs.to_numpy(), strict=True)) if pair[0] != pair[1])
        both = [ids.ids_at([place])[0].as_py() for ids in (ours, theirs)]
        return f"their {what} differ or are in another order, the first of them {both[0]!r} and {both[1]!r}"
    if len(one) != len(other):
        return f"their histories hold {len(one):,} and {len(other):,} interactions"
    if not (np.array_equal(one.indptr, other.indptr) and np.array_equal(one.indices, other.indices)):
        return "their histories hold other pairs"
    if not np.array_equal(one.weights, other.weights):
        return "the same pairs have other weights in their histories"
    return "their histories differ in times or features"


def part_from_stored(stored: Stored, verify: bool) -> Part:
    """The model in an opened directory. Raises `NoEmbeddingsError` for one that can not be a part, such as a blend."""
    if stored.attributes.get("form") == ITEM_ITEM:
        return ItemItemModel.from_stored(stored)
    return Model.from_stored(stored, verify=verify)
