"""Trainers: `Interactions` → `Model`, one file a trainer; `base` holds the loop they share."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.trainers.als import ALS
from recsys.trainers.base import Trainer, setting_names
from recsys.trainers.configuration import read_configuration, write_configuration
from recsys.trainers.explicit_als import ExplicitALS
from recsys.trainers.popularity import Popularity
from recsys.trainers.search_space import Choice, Range, SearchSpace

__all__ = [
    "ALS",
    "TRAINERS",
    "Choice",
    "ExplicitALS",
    "Popularity",
    "Range",
    "SearchSpace",
    "Trainer",
    "make_trainer",
    "read_configuration",
    "write_configuration",
]

TRAINERS: dict[str, type[Trainer]] = {trainer.name: trainer for trainer in (ALS, ExplicitALS, Popularity)}


def make_trainer(name: str, settings: Mapping[str, Any] | None = None) -> Trainer:
    """A trainer by name, with settings whose values may be text as typed: `make_trainer("als", {"factors": "64"})`.

    Raises `ParameterError` naming the closest trainer or setting.
    """
    if name not in TRAINERS:
        raise ParameterError(
            f"Unknown trainer {name!r}; there are {quote_some(TRAINERS, 20)}.{closest_hint(name, list(TRAINERS))}"
        )
    trainer = TRAINERS[name]
    known = setting_names(trainer)
    types = typing.get_type_hints(trainer)
    values = {}
    for setting, value in (settings or {}).items():
        if setting not in known:
            raise ParameterError(
                f"The trainer {name!r} has no setting {setting!r}; it has {', '.join(known)}.{closest_hint(setting, known)}"
            )
        values[setting] = _parsed(value, types[setting], setting) if isinstance(value, str) else value
    return trainer(**values)


def _parsed(text: str, wanted: Any, setting: str) -> Any:
    options = typing.get_args(wanted) or (wanted,)
    if type(None) in options and text.lower() in ("none", ""):
        return None
    for option in options:
        try:
            if option is bool:
                return {"true": True, "false": False}[text.lower()]
            if option in (int, float):
                return option(text)
            if option is str:
                return text
        except (ValueError, KeyError):
            continue
    names = " or ".join("None" if option is type(None) else option.__name__ for option in options)
    raise ParameterError(f"The setting `{setting}` takes {names}. Got {text!r}.")
