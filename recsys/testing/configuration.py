"""Checks of a trainer as a configuration: frozen, described, made from text, recorded. May import everything below jobs."""

from __future__ import annotations

import datetime
import inspect
import json
import re
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass, replace

from recsys.errors import InputError, ParameterError
from recsys.testing.promises import Case, keep, promise
from recsys.trainers import setting_descriptions, with_settings
from recsys.trainers.base import setting_names
from recsys.tuning.space import checked_space

__all__: list[str] = []

# Values that no trainer can mean.
_NEVER = {
    "factors": (-1, 1.5, True),
    "iterations": (0, -1, 2.5),
    "random_state": (-1, "seven"),
    "num_threads": (0, -2),
    "regularization": (-1.0, float("nan")),
    "learning_rate": (0.0, -0.1, float("inf")),
}


@promise
def the_trainer_is_a_frozen_configuration(case: Case) -> None:
    """A trainer is a frozen dataclass of keyword settings, equal to another with the same ones."""
    keep(is_dataclass(case.trainer), "it is no dataclass")
    keep(case.trainer == replace(case.trainer), "a copy with the same settings is not equal to it")
    names = [*setting_names(type(case.trainer)), "anything"]
    for name in names:
        try:
            setattr(case.trainer, name, getattr(case.trainer, name, None))
        except FrozenInstanceError:
            continue
        keep(False, f"its {name} can be set: declare it with @dataclass(frozen=True, kw_only=True)")


@promise
def the_trainer_says_what_it_is_for(case: Case) -> None:
    """It has a name of small letters and dashes, a line of advice, and a docstring of its own."""
    kind = type(case.trainer)
    keep(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", kind.name), f"its name is {kind.name!r}")
    keep(kind.advice and "\n" not in kind.advice, "it has no advice in one line")
    own = kind.__dict__.get("__doc__") or ""
    keep(len(own.split()) >= 3 and not own.startswith(f"{kind.__name__}("), "it has no docstring")


@promise
def every_setting_is_described_and_has_a_default(case: Case) -> None:
    """Each setting has a default and a text beside its field that says what it trades."""
    kind = type(case.trainer)
    try:
        inspect.getsource(kind)
    except (OSError, TypeError):
        return  # typed into a session: there is no source to look at
    for name, text in setting_descriptions(kind).items():
        keep(text, f'the setting {name} has no text: write """…""" below its field')
    kind()


@promise
def settings_are_read_from_text(case: Case) -> None:
    """Every setting can be given as text, as the command line gives it, and unknown ones are refused."""
    kind = type(case.trainer)
    typed = {field.name: str(getattr(case.trainer, field.name)) for field in fields(case.trainer)}
    read = with_settings(kind, typed)
    keep(read == case.trainer, f"{typed} was read as {read!r}")
    try:
        with_settings(kind, {"no_such_setting": "1"})
    except ParameterError:
        return
    keep(False, "a setting that it does not have was not refused")


@promise
def impossible_settings_are_refused(case: Case) -> None:
    """Settings that can not be meant raise ParameterError naming the setting."""
    for name, values in _NEVER.items():
        if name not in setting_names(type(case.trainer)):
            continue
        for value in values:
            try:
                replace(case.trainer, **{name: value})
            except ParameterError as error:
                keep(name in str(error), f"{name}={value!r} is refused without naming it: {error}")
            except (TypeError, ValueError) as error:
                keep(isinstance(error, InputError), f"{name}={value!r} raises {type(error).__name__} and not ParameterError")
            else:
                keep(False, f"{name}={value!r} was not refused")


@promise
def the_search_space_can_be_searched(case: Case) -> None:
    """What recsys.tune searches unasked are settings that it may search, between values that the trainer takes."""
    if case.trainer.search_space:
        checked_space(case.trainer, None)


@promise
def provenance_is_complete(case: Case) -> None:
    """The model says by what it was trained, on what, how long, with which versions and when; as JSON too."""
    provenance = dict(case.model.provenance)
    keep(provenance.get("trainer") == case.trainer.name, f"the trainer is {provenance.get('trainer')!r}")
    keep(provenance.get("hyperparameters") == asdict(case.trainer), "the hyperparameters are not those of the trainer")
    data = provenance.get("data", {})
    keep(data.get("fingerprint") == case.data.fingerprint, "the data's fingerprint is missing or another")
    sizes = tuple(data.get(name) for name in ("n_users", "n_items", "n_interactions"))
    keep(sizes == (*case.data.shape, len(case.data)), f"the sizes of the data are {sizes}")
    keep({"recsys", "numpy", "python"} <= provenance.get("versions", {}).keys(), "versions are missing")
    training = provenance.get("training", {})
    keep(training.get("epochs", 0) >= 1 and training.get("seconds", -1) >= 0, f"of the training it says {training}")
    moment = datetime.datetime.fromisoformat(provenance.get("time", ""))
    keep(moment.tzinfo is not None, "the time has no zone")
    keep(json.loads(json.dumps(provenance)) == provenance, "it is not the same after going through JSON")
