"""`recsys trainers`: what can be trained, what each is for, and its settings."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from recsys.jobs.terminal import print_table, say
from recsys.trainers import TRAINERS, AnyTrainer, setting_descriptions, trainer_named

__all__ = ["TrainerDescribed", "TrainersListed", "describe_trainer", "list_trainers"]


@dataclass(frozen=True)
class TrainersListed:
    """The trainers: each a dict of name, advice, makes_embeddings, predicts_ratings and extra, which is None for most."""

    trainers: list[dict[str, Any]]

    def show(self) -> None:
        """A table on standard output, and how to go on."""
        print_table(("trainer", "for what"), [(each["name"], each["advice"]) for each in self.trainers])
        for each in self.trainers:
            if each["extra"] is not None:
                say(f"{each['name']} needs: pip install 'recsys[{each['extra']}]'")
        say("recsys trainers NAME shows its settings; recsys train --trainer NAME --set SETTING=VALUE uses it.")


@dataclass(frozen=True)
class TrainerDescribed:
    """A trainer: its docstring, and its settings, each a dict of name, type, default, description and search.

    search : what recsys tune searches when it is told nothing else, None where it leaves the setting alone.
    """

    name: str
    advice: str
    description: str
    makes_embeddings: bool
    predicts_ratings: bool
    extra: str | None
    settings: list[dict[str, Any]]

    def show(self) -> None:
        """The docstring and a table of settings on standard output."""
        say(f"{self.name}: {self.advice}\n\n{self.description}")
        if self.extra is not None:
            say(f"\nIt needs: pip install 'recsys[{self.extra}]'")
        rows = [(each["name"], each["type"], str(each["default"]), each["description"]) for each in self.settings]
        print_table(("setting", "type", "default", "what it trades"), rows)
        searched = [f"{each['name']} {each['search']}" for each in self.settings if each["search"] is not None]
        if searched:
            say(f"recsys tune --trainer {self.name} searches {', '.join(searched)}.")


def list_trainers() -> TrainersListed:
    """All trainers, by name."""
    return TrainersListed([{"name": name, **_facts(kind)} for name, kind in sorted(TRAINERS.items())])


def describe_trainer(name: str) -> TrainerDescribed:
    """One trainer with its settings. Raises `ParameterError` naming the closest one."""
    kind = trainer_named(name)
    texts = setting_descriptions(kind)
    settings = [_setting(field, texts[field.name], kind) for field in fields(kind)]
    return TrainerDescribed(name=name, description=inspect.cleandoc(kind.__doc__ or ""), settings=settings, **_facts(kind))


def _facts(kind: type[AnyTrainer]) -> dict[str, Any]:
    return {attribute: getattr(kind, attribute) for attribute in ("advice", "makes_embeddings", "predicts_ratings", "extra")}


def _setting(field: Field[Any], text: str, kind: type[AnyTrainer]) -> dict[str, Any]:
    search = kind.search_space.get(field.name)
    return {
        "name": field.name,
        "type": str(field.type).replace(" | ", " or "),
        "default": None if field.default is MISSING else field.default,
        "description": text,
        "search": None if search is None else str(search),
    }
