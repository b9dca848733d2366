"""`make_events`: synthetic event logs of any size with structure that can be learned. May import errors, interactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import ParameterError
from recsys.times import as_microseconds

__all__ = ["make_events"]

_BLOCK = 1 << 20  # Events drawn at a time: bounds the working memory; part of what a seed means, so it never changes.
_WEIGHT_STOP = 0.6  # Chance that a count stops at its present value: counts are 1, 2, 3 … with mean 1 / 0.6.
_DAY_MICROSECONDS = 86_400_000_000
_MOST_STRING_IDS = 10**8  # Eight digits after the four letters.
_MOST_SKEW = 20.0  # No probability becomes zero for want of digits, even at 10**15 ids.
_MOST_DAYS = 1_000_000.0
_FARTHEST_START = 100_000 * 365 * _DAY_MICROSECONDS  # With _MOST_DAYS, every time fits microseconds in 64 bits.


def make_events(
    users: int = 1_000,
    items: int = 500,
    events: int = 50_000,
    *,
    popularity_skew: float = 0.8,
    activity_skew: float = 0.5,
    groups: int = 10,
    affinity: float = 0.8,
    timestamps: bool = True,
    start: Any = "2024-01-01",
    days: float = 365.0,
    id_type: str = "integer",
    random_state: int = 0,
) -> pd.DataFrame:
    """A log of `events` independent events, in order of time.

    With n users, m items, G groups, s = popularity_skew, t = activity_skew, a = affinity, and π, ρ random orders of the
    users and of the items that are the same for the whole log:

        activity of user u        q(u) ∝ (1 + π(u))^−t
        popularity of item i      p(i) ∝ (1 + ρ(i))^−s
        group of item i           g(i) = i mod G
        groups user u likes       h₁(u) = u mod G,  h₂(u) = ⌊u / G⌋ mod G
        one event                 u ~ q, then i | u ~ a [⅔ p(i | g = h₁(u)) + ⅓ p(i | g = h₂(u))] + (1 − a) p(i)
        its weight                w ~ Geometric(0.6), so 1, 2, 3, … with mean 1.67, independent of u and i
        its time                  uniform over [start, start + days), independent of u, i and w: nothing drifts

    so that the expected counts, users × items, have rank at most G (p itself is a mixture of the G groups). A user and an
    item may meet several times.

    users, items : how many ids there are; those that no event falls on do not appear.
    events : rows of the result, 0 for an empty log.
    popularity_skew, activity_skew : 0 makes all items (users) equally likely, 1 gives Zipf's law; at most 20.
    groups : at most `items`; 1 leaves popularity as the only structure.
    affinity : share of events that follow the user's groups, 0 to 1; the others follow popularity alone.
    timestamps : False leaves the column out.
    start, days : the span of time; `start` is a date, a date as text, or Unix seconds.
    id_type : "integer" (0, 1, …) or "string" (12 characters, "user00000000", "item00000000").

    Returns a DataFrame with columns user_id and item_id (int64 or str), weight (int32), timestamp (datetime64[us], in UTC).
    Raises `ParameterError` for values outside these bounds.
    """
    _check_counts(users=users, items=items, events=events, groups=groups, random_state=random_state)
    _check_at_most(_MOST_SKEW, popularity_skew=popularity_skew, activity_skew=activity_skew)
    _check_at_most(1.0, affinity=affinity)
    _check_at_most(_MOST_DAYS, days=days)
    _check_id_type(id_type, max(users, items))
    begin = as_microseconds(start, "start")
    if abs(begin) > _FARTHEST_START:
        raise ParameterError(f"The `start` parameter of make_events must lie within 100,000 years of 1970. Got {start!r}.")

    generator = np.random.default_rng(random_state)
    popularity, activity = _power_law(items, popularity_skew, generator), _power_law(users, activity_skew, generator)
    model = _Model.of(popularity, activity, groups, affinity)
    user_ids, item_ids = np.empty(events, np.int64), np.empty(events, np.int64)
    weights = np.empty(events, np.int32)
    for first in range(0, events, _BLOCK):
        block = slice(first, min(first + _BLOCK, events))
        user_ids[block], item_ids[block] = model.events(block.stop - first, generator)
        weights[block] = generator.geometric(_WEIGHT_STOP, block.stop - first)
    columns: dict[str, Any] = {
        "user_id": _named(user_ids, users, "user") if id_type == "string" else user_ids,
        "item_id": _named(item_ids, items, "item") if id_type == "string" else item_ids,
        "weight": weights,
    }
    if timestamps:
        # Independent times in sorted order, given to independent events, are the same log as events sorted by time.
        times = generator.integers(begin, begin + max(1, round(days * _DAY_MICROSECONDS)), events)
        times.sort()
        columns["timestamp"] = times.view("datetime64[us]")
    return pd.DataFrame(columns, copy=False)


@dataclass(frozen=True)
class _Model:
    """The distribution of one event, drawn from by inversion of cumulative sums.

    For the choice within a group, items are laid out group by group and group g fills the range from g to g + 1.
    """

    groups: int
    affinity: float
    user_ends: np.ndarray  # (users,) cumulative q
    item_ends: np.ndarray  # (items,) cumulative p
    layout: np.ndarray  # (items,) the item at each place of the layout
    layout_ends: np.ndarray  # (items,) cumulative p(i | g), from 0 to the number of groups

    @classmethod
    def of(cls, popularity: np.ndarray, activity: np.ndarray, groups: int, affinity: float) -> _Model:
        """From the probabilities of the items and of the users."""
        group = np.arange(len(popularity)) % groups
        layout = np.argsort(group, kind="stable")
        within = popularity / np.bincount(group, popularity)[group]
        return cls(groups, affinity, np.cumsum(activity), np.cumsum(popularity), layout, np.cumsum(within[layout]))

    def events(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """User and item ids of `count` independent events."""
        users = _invert(self.user_ends, generator.random(count))
        choice, place = generator.random(count), generator.random(count)
        group = np.where(choice < self.affinity * 2 / 3, users % self.groups, users // self.groups % self.groups)
        items = self.layout[_invert(self.layout_ends, group + place)]
        free = choice >= self.affinity
        items[free] = _invert(self.item_ends, place[free])
        return users, items


def _power_law(size: int, skew: float, generator: np.random.Generator) -> np.ndarray:
    """Probabilities ∝ rank^−skew in random order."""
    weights = np.power(np.arange(1, size + 1, dtype=np.float64), -float(skew))
    return np.asarray(weights / weights.sum())[generator.permutation(size)]


def _invert(ends: np.ndarray, draws: np.ndarray) -> np.ndarray:
    # Rounding can leave the last end a little below the largest draw.
    return np.minimum(np.searchsorted(ends, draws, side="right"), len(ends) - 1)


def _named(positions: np.ndarray, size: int, prefix: str) -> Any:
    """Ids as text: the prefix and eight digits."""
    digits = pc.utf8_lpad(pc.cast(pa.array(np.arange(size)), pa.large_string()), 8, "0")
    names = pc.binary_join_element_wise(pa.scalar(prefix, pa.large_string()), digits, pa.scalar("", pa.large_string()))
    return pd.array(names.take(pa.array(positions)), dtype="str")


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        least = 0 if name in ("events", "random_state") else 1
        is_count = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not is_count or value < least:
            raise ParameterError(f"The `{name}` parameter of make_events must be an int >= {least}. Got {value!r}.")
    groups, items = counts["groups"], counts["items"]
    if groups > items:
        raise ParameterError(f"The `groups` parameter of make_events must be at most `items`, {items:,}. Got {groups:,}.")


def _check_at_most(most: float, **numbers: Any) -> None:
    for name, value in numbers.items():
        is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= most:
            raise ParameterError(f"The `{name}` parameter of make_events must be a number from 0 to {most:,g}. Got {value!r}.")


def _check_id_type(id_type: Any, largest: int) -> None:
    if id_type not in ("integer", "string"):
        raise ParameterError(f"The `id_type` parameter of make_events must be 'integer' or 'string'. Got {id_type!r}.")
    if id_type == "string" and largest > _MOST_STRING_IDS:
        raise ParameterError(
            f"With id_type='string', `users` and `items` must be at most {_MOST_STRING_IDS:,}. Got {largest:,}."
        )
