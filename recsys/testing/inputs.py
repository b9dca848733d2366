"""Checks of odd data: nothing, next to nothing, weights all alike or huge. May import everything below jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from recsys.errors import DataError, InputError, ParameterError
from recsys.interactions import Interactions
from recsys.model import RankingModel
from recsys.testing.lists import require_lists
from recsys.testing.logs import from_pairs, taste_groups
from recsys.testing.promises import Case, keep, promise

__all__: list[str] = []


@promise
def no_interactions_are_refused(case: Case) -> None:
    """A log without interactions raises DataError, and what is no log ParameterError."""
    _require_refusal(lambda: case.trainer.fit(from_pairs([])), DataError, "an empty log")
    users_alone = from_pairs([], n_users=3, n_items=2)
    _require_refusal(lambda: case.trainer.fit(users_alone), DataError, "a log with ids and no interactions")
    _require_refusal(lambda: case.trainer.fit(np.eye(3)), ParameterError, "a matrix")  # type: ignore[arg-type]


def _require_refusal(act: Callable[[], object], kind: type[InputError], what: str) -> None:
    try:
        act()
    except kind:
        return
    keep(False, f"{what} was not refused by {kind.__name__}")


@promise
def tiny_logs_are_trained_on_or_refused(case: Case) -> None:
    """One user, one item, one pair, everybody has everything: a model that gives lists, or an InputError."""
    logs = {
        "one pair": from_pairs([(0, 0)]),
        "one user": from_pairs([(0, item) for item in range(5)]),
        "one item": from_pairs([(user, 0) for user in range(5)]),
        "everybody has everything": from_pairs([(user, item) for user in range(4) for item in range(3)]),
        "two who share nothing": from_pairs([(0, 0), (1, 1)]),
    }
    for name, log in logs.items():
        model = _model_or_refusal(case, log)
        if model is not None:
            _require_usable(model, name)


def _model_or_refusal(case: Case, log: Interactions) -> RankingModel | None:
    try:
        return case.trainer.fit(log)
    except InputError:
        return None


def _require_usable(model: RankingModel, what: str) -> None:
    table = model.recommend(k=50, exclude_seen=False)
    require_lists(model, table, 50)
    keep(len(table) == len(model.users) * len(model.items), f"{what}: lists without a filter do not hold every item")


@promise
def ids_without_events_do_no_harm(case: Case) -> None:
    """A user or item in the ids of the log without an event gets finite scores, and changes no other's ids."""
    log = from_pairs([(user, item) for user in range(1, 8) for item in range(1, 7) if (user + item) % 3], n_users=9, n_items=8)
    model = case.trainer.fit(log)
    keep(model.users == log.users and model.items == log.items, "ids without events are missing in the model")
    _require_usable(model, "ids without events")


@promise
def weights_all_alike_are_trained_on(case: Case) -> None:
    """Weights that are all 1, or all 3, give a usable model."""
    for weight in (1.0, 3.0):
        log = replace(case.data, weights=np.full(len(case.data), weight, np.float32))
        _require_usable(case.trainer.fit(log), f"weights of {weight:g}")


@promise
def huge_weights_are_trained_on_or_refused(case: Case) -> None:
    """Weights up to 1e30 give finite scores, or an InputError that says what is wrong."""
    for huge in (1e6, 1e30):
        weights = case.data.weights.copy()
        weights[::7] = huge
        model = _model_or_refusal(case, replace(case.data, weights=weights))
        if model is not None:
            _require_usable(model, f"weights up to {huge:g}")


@promise
def negative_and_zero_weights_are_trained_on_or_refused(case: Case) -> None:
    """Weights of 0 or below give a usable model or an InputError, never a broken one."""
    for low in (0.0, -2.0):
        weights = case.data.weights.copy()
        weights[::5] = low
        model = _model_or_refusal(case, replace(case.data, weights=weights))
        if model is not None:
            _require_usable(model, f"weights of {low:g}")


@promise
def data_and_settings_stay_as_they_are(case: Case) -> None:
    """Training changes neither the log nor the trainer."""
    data, before = taste_groups(), taste_groups()
    settings = repr(case.trainer)
    model = case.trainer.fit(data)
    model.recommend(k=3)
    for name, array in data.arrays().items():
        keep(np.array_equal(array, before.arrays()[name]), f"the log's {name} were changed")
    keep(data.users == before.users and data.items == before.items, "the log's ids were changed")
    keep(repr(case.trainer) == settings, f"the trainer was {settings} and is {case.trainer!r}")
