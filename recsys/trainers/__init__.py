"""Trainers: `Interactions` → `Model`, one file a trainer; `base` holds the loop they share."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.trainers.als import ALS
from recsys.trainers.base import AnyTrainer, Trainer, setting_names
from recsys.trainers.bpr import BPR
from recsys.trainers.configuration import read_configuration, write_configuration
from recsys.trainers.descriptions import setting_descriptions
from recsys.trainers.ease import EASE
from recsys.trainers.explicit_als import ExplicitALS
from recsys.trainers.glove import GloVe
from recsys.trainers.item2vec import Item2Vec
from recsys.trainers.item_knn import ItemKNN
from recsys.trainers.lightfm import LightFM
from recsys.trainers.logistic_mf import LogisticMF
from recsys.trainers.pca import PCA
from recsys.trainers.popularity import Popularity
from recsys.trainers.rp3beta import RP3beta
from recsys.trainers.search_space import Choice, Range, SearchSpace
from recsys.trainers.svd import SVD

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "PCA",
    "SVD",
    "TRAINERS",
    "AnyTrainer",
    "Choice",
    "ExplicitALS",
    "GloVe",
    "Item2Vec",
    "ItemKNN",
    "LightFM",
    "LogisticMF",
    "Popularity",
    "RP3beta",
    "Range",
    "SearchSpace",
    "Trainer",
    "make_trainer",
    "read_configuration",
    "setting_descriptions",
    "trainer_named",
    "with_settings",
    "write_configuration",
]

TRAINERS: dict[str, type[AnyTrainer]] = {
    trainer.name: trainer
    for trainer in (
        ALS,
        BPR,
        EASE,
        ExplicitALS,
        GloVe,
        Item2Vec,
        ItemKNN,
        LightFM,
        LogisticMF,
        PCA,
        Popularity,
        RP3beta,
        SVD,
    )
}


def make_trainer(name: str, settings: Mapping[str, Any] | None = None) -> AnyTrainer:
    """A trainer by name, with settings whose values may be text as typed: `make_trainer("als", {"factors": "64"})`.

    Raises `ParameterError` naming the closest trainer or setting.
    """
    return with_settings(trainer_named(name), settings or {})


def trainer_named(name: str) -> type[AnyTrainer]:
    """The class of the trainer of that name. Raises `ParameterError` naming the closest one."""
    if name not in TRAINERS:
        raise ParameterError(
            f"Unknown trainer {name!r}; there are {quote_some(TRAINERS, 20)}.{closest_hint(name, list(TRAINERS))}"
        )
    return TRAINERS[name]


def with_settings(trainer: type[AnyTrainer], settings: Mapping[str, Any]) -> AnyTrainer:
    """A trainer of this class, with settings whose values may be text as typed. Raises `ParameterError`."""
    known = setting_names(trainer)
    types = typing.get_type_hints(trainer)
    values = {}
    for setting, value in settings.items():
        if setting not in known:
            raise ParameterError(
                f"The trainer {trainer.name!r} has no setting {setting!r}; it has {', '.join(known)}."
                f"{closest_hint(setting, known)}"
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
