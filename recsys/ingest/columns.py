"""Which column of a log holds the user, the item, the weight and the time. Imports `errors` only."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.errors import DataError, ParameterError, closest_hint, quote_some

__all__ = ["ALIASES", "Columns", "Wanted"]

# The first name of each is the default; it is taken even where aliases stand beside it.
ALIASES = {
    "user": ("user_id", "userId", "userid", "user"),
    "item": ("item_id", "itemId", "itemid", "item"),
    "weight": ("weight", "rating", "count"),
    "timestamp": ("timestamp", "datetime", "time", "date"),
}
_OPTIONAL = ("weight", "timestamp")


@dataclass(frozen=True)
class Columns:
    """The names of the columns in use; None where there is no such column."""

    user: str
    item: str
    weight: str | None = None
    timestamp: str | None = None

    def by_role(self) -> dict[str, str]:
        """Role ("user", "item", "weight", "timestamp") to name, for those in use."""
        roles = {"user": self.user, "item": self.item, "weight": self.weight, "timestamp": self.timestamp}
        return {role: name for role, name in roles.items() if name is not None}

    def check_there(self, names: Sequence[str], where: str) -> None:
        """Raises `DataError` unless each of these columns stands exactly once among `names`, the columns of `where`."""
        for role, name in self.by_role().items():
            _check_once(role, name, names, where)


@dataclass(frozen=True)
class Wanted:
    """What the caller named: a column, None for the default or an alias, False (weight, timestamp) for none at all."""

    user: str | bool | None = None
    item: str | bool | None = None
    weight: str | bool | None = None
    timestamp: str | bool | None = None

    def __post_init__(self) -> None:
        for role in ALIASES:
            name = getattr(self, role)
            if name is None or isinstance(name, str) or (name is False and role in _OPTIONAL):
                continue
            also = ", or False for none" if role in _OPTIONAL else ""
            raise ParameterError(f"`{role}` must be the name of a column, or None for the default{also}. Got {name!r}.")
        named = [getattr(self, role) for role in ALIASES if isinstance(getattr(self, role), str)]
        if len(set(named)) < len(named):
            raise ParameterError(f"Each column can be used once. Got {quote_some(named)}.")

    def resolve(self, names: Sequence[str], where: str) -> Columns:
        """The columns to use among `names`, those of `where`. Raises `DataError` that names those there and the closest."""
        taken: dict[str, Any] = {role: getattr(self, role) for role in ALIASES}
        used = {name: role for role, name in taken.items() if isinstance(name, str)}
        for name, role in used.items():
            _check_once(role, name, names, where, used)
        for role, aliases in ALIASES.items():
            if taken[role] is None:
                taken[role] = _default(role, aliases, [name for name in names if name not in used], where)
            if taken[role] is None and role not in _OPTIONAL:
                raise _missing(role, aliases, names, where, {name: role for role, name in taken.items() if name})
        columns = Columns(taken["user"], taken["item"], taken["weight"] or None, taken["timestamp"] or None)
        columns.check_there(names, where)
        return columns


def _default(role: str, aliases: Sequence[str], names: Sequence[str], where: str) -> str | None:
    if aliases[0] in names:
        return aliases[0]
    found = [alias for alias in aliases if alias in names]
    if len(found) > 1:
        raise DataError(
            f"{where} has several columns that could be the {role}: {quote_some(found)}. Hint: choose one with {role}=."
        )
    return found[0] if found else None


def _missing(role: str, aliases: Sequence[str], names: Sequence[str], where: str, used: Mapping[str, str]) -> DataError:
    taken = [f"{alias!r} is used as {used[alias]}" for alias in aliases if alias in used]
    missing = f"no column for the {role}: {', '.join(taken)}, and the other names" if taken else f"no column {aliases[0]!r}"
    others = [alias for alias in aliases[0 if taken else 1 :] if alias not in used]
    missing += f" {quote_some(others)} are not there" if taken else f" and none of its aliases {quote_some(others)}"
    free = [name for name in names if name not in used]
    near = closest_hint(aliases[0], free) or closest_hint(role, free)
    return DataError(f"{where} has {missing}. {_there(names)}{near} Hint: name it with {role}=.")


def _check_once(role: str, name: str, names: Sequence[str], where: str, used: Container[str] = ()) -> None:
    if name not in names:
        near = closest_hint(name, [other for other in names if other not in used])
        raise DataError(f"{where} has no column {name!r} (asked for as {role}). {_there(names)}{near}")
    if list(names).count(name) > 1:
        raise DataError(f"{where} has more than one column {name!r}, so it is not known which is the {role}.")


def _there(names: Sequence[str]) -> str:
    return f"It has {quote_some(names, 12) or 'no columns'}."
