"""What is to be searched: spaces as users write them, checked against the trainer. May import errors and trainers."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys.errors import ParameterError, closest_hint
from recsys.trainers import AnyTrainer, Choice, Range, SearchSpace, make_trainer
from recsys.trainers.base import setting_names
from recsys.trainers.search_space import Dimension

__all__ = ["checked_space", "read_dimension"]

# Settings that a search must not choose, and why.
_NOT_SEARCHED = {
    "random_state": "choosing the seed that happens to suit the validation data would say nothing about others",
    "num_threads": "it changes no result",
    "track_loss": "it changes no result",
    "iterations": "every trial is judged epoch by epoch and its best one kept; the trainer's own `iterations` are the most",
}
_FORMS = "(low, high), (low, high, 'log') or a list to choose from"


def checked_space(trainer: AnyTrainer, space: Mapping[str, Any] | None) -> SearchSpace:
    """The space to search for `trainer`: its own where `space` is None, else `space` in the forms that `recsys.tune` takes.

    Raises `ParameterError` that names the setting: unknown (with the closest), not to be searched, or with values that
    the trainer refuses.
    """
    if space is None:
        if not trainer.search_space:
            raise ParameterError(
                f"{trainer.name} has nothing that is worth tuning. Hint: `space` may name settings: "
                f"{', '.join(_searchable(trainer))}."
            )
        return _all_checked(trainer, trainer.search_space)
    if not isinstance(space, Mapping) or not space:
        raise ParameterError(f"`space` must be a dict of settings, such as {{'factors': [32, 64]}}. Got {space!r}.")
    return _all_checked(trainer, {name: _dimension(name, value) for name, value in space.items()})


def read_dimension(trainer: str, name: str, text: str) -> Dimension:
    """What a text says to search: `"0.001..0.1"`, `"1e-4..0.1:log"` or `"32,64,128"`.

    The setting `name` of the trainer of that name says what kind of values those of a list are. Raises `ParameterError`.
    """
    ends = re.fullmatch(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*(:\s*log\s*)?", text)
    if ends is None:
        return Choice(tuple(_read_value(trainer, name, part) for part in text.split(",")))
    try:
        low, high = (_read_number(end) for end in ends.group(1, 2))
    except ValueError:
        raise ParameterError(f"`{name}` must be searched in LOW..HIGH, LOW..HIGH:log or a list. Got {text!r}.") from None
    return Range(low, high, log=ends.group(3) is not None)


def _read_value(trainer: str, name: str, text: str) -> Any:
    return getattr(make_trainer(trainer, {name: text.strip()}), name)


def _read_number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _dimension(name: str, value: Any) -> Dimension:
    if isinstance(value, (Range, Choice)):
        return value
    if isinstance(value, list):
        return Choice(tuple(value))
    if not isinstance(value, tuple) or len(value) not in (2, 3) or value[2:] not in ((), ("log",)):
        hint = f" Hint: write {list(value)!r} for a choice." if isinstance(value, tuple) and value else ""
        raise ParameterError(f"The space of `{name}` must be {_FORMS}. Got {value!r}.{hint}")
    return Range(value[0], value[1], log=len(value) == 3)


def _searchable(trainer: AnyTrainer) -> list[str]:
    return [name for name in setting_names(type(trainer)) if name not in _NOT_SEARCHED]


def _all_checked(trainer: AnyTrainer, space: SearchSpace) -> SearchSpace:
    types = typing.get_type_hints(type(trainer))
    for name in space:
        if name in _NOT_SEARCHED and name in types:
            raise ParameterError(f"`{name}` can not be searched: {_NOT_SEARCHED[name]}.")
        if name not in (known := _searchable(trainer)):
            raise ParameterError(
                f"The trainer {trainer.name!r} has no setting {name!r} to search; "
                f"it has {', '.join(known)}.{closest_hint(str(name), known)}"
            )
    return {name: _checked_dimension(trainer, name, dimension, types[name]) for name, dimension in space.items()}


def _checked_dimension(trainer: AnyTrainer, name: str, dimension: Dimension, wanted: Any) -> Dimension:
    if isinstance(dimension, Range):
        if wanted not in (int, float):
            raise ParameterError(f"`{name}` is no number, so its space must be a list to choose from. Got {dimension}.")
        if wanted is int and not dimension.is_whole:
            raise ParameterError(f"`{name}` takes whole numbers, so both ends of its range must be. Got {dimension}.")
        if wanted is float:
            dimension = Range(float(dimension.low), float(dimension.high), dimension.log)
    tried = (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension.values
    for value in tried:
        replace(trainer, **{name: value})  # the trainer itself says what is wrong
    return dimension
