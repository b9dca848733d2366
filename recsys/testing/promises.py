"""`Check`: a promise and the code that finds out whether a trainer keeps it. May import everything below jobs.

A check is a function of a `Case` whose docstring is the promise; `promise` enters it in the list.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from recsys.errors import MissingExtraError, ParameterError, closest_hint, quote_some
from recsys.interactions import Interactions
from recsys.model import RankingModel
from recsys.testing.logs import taste_groups
from recsys.trainers import AnyTrainer, Trainer

__all__ = ["BrokenPromiseError", "Case", "Check", "all_checks", "check_trainer", "keep", "promise"]


class BrokenPromiseError(AssertionError):
    """A trainer does not keep what all trainers promise."""


def keep(kept: object, otherwise: str) -> None:
    """Raises `BrokenPromiseError` with the sentence `otherwise` unless `kept`."""
    if not kept:
        raise BrokenPromiseError(otherwise)


class Case:
    """A trainer under examination, a small log, and the model that it makes of it, trained when first asked for."""

    def __init__(self, trainer: AnyTrainer) -> None:
        self.trainer = trainer

    @cached_property
    def data(self) -> Interactions:
        """40 users × 24 items with string ids, weights from 1 to 5, and times."""
        return taste_groups()

    @cached_property
    def model(self) -> RankingModel:
        """The model of `data`."""
        return self.trainer.fit(self.data)


@dataclass(frozen=True)
class Check:
    """One promise: its name, what it says, and the function that finds out. Call it with a trainer."""

    name: str
    promise: str
    find_out: Callable[[Case], None]

    def __str__(self) -> str:
        return self.name

    def __call__(self, trainer: AnyTrainer) -> None:
        """Raises `BrokenPromiseError` unless `trainer` keeps the promise, `MissingExtraError` where it can not train at all."""
        self.run(Case(_required(trainer)))

    def run(self, case: Case) -> None:
        """As calling it, on a case that may have been trained already."""
        said = f"The trainer {type(case.trainer).__name__} does not keep {self.name!r} ({self.promise})"
        try:
            with warnings.catch_warnings(record=True) as caught:
                # A UserWarning is advice on the data, which are odd on purpose; any other is a fault let through.
                warnings.simplefilter("always")
                self.find_out(case)
            faults = [warning for warning in caught if not issubclass(warning.category, UserWarning)]
            keep(not faults, f"it warned: {faults[0].category.__name__}: {faults[0].message}" if faults else "")
        except MissingExtraError:
            raise
        except BrokenPromiseError as error:
            raise BrokenPromiseError(f"{said}: {error}") from error
        except Exception as error:
            raise BrokenPromiseError(f"{said}: {type(error).__name__}: {error}") from error


_CHECKS: list[Check] = []


def promise(find_out: Callable[[Case], None]) -> Callable[[Case], None]:
    """Enters a check; its docstring is the promise, in one sentence."""
    text = (find_out.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    _CHECKS.append(Check(find_out.__name__, text, find_out))
    return find_out


def all_checks() -> tuple[Check, ...]:
    """Every check that was entered, by name."""
    return tuple(sorted(_CHECKS, key=lambda check: check.name))


def check_trainer(trainer: AnyTrainer, *, leave_out: Mapping[str, str] | None = None) -> list[str]:
    """Runs every check on `trainer` and returns the names of those it passed: all that were not left out.

    leave_out : names of checks, each with the reason why this trainer is not held to it.

    Raises `BrokenPromiseError` that lists all promises broken, `ParameterError` for a name that no check has, and
    `MissingExtraError` when the trainer needs a package that is not installed.
    """
    case, left_out = Case(_required(trainer)), dict(leave_out or {})
    names = [check.name for check in all_checks()]
    if unknown := [name for name in left_out if name not in names]:
        raise ParameterError(f"There is no check {quote_some(unknown)}.{closest_hint(unknown[0], names)}")
    passed, broken = [], []
    for check in all_checks():
        if check.name in left_out:
            continue
        try:
            check.run(case)
            passed.append(check.name)
        except BrokenPromiseError as error:
            broken.append(str(error))
    if broken:
        raise BrokenPromiseError("\n".join(broken))
    return passed


def _required(trainer: Any) -> AnyTrainer:
    if not isinstance(trainer, Trainer):
        got = f"the class {trainer.__name__}" if isinstance(trainer, type) else type(trainer).__name__
        raise ParameterError(f"A check takes a trainer, such as recsys.ALS(factors=4, iterations=3). Got {got}.")
    return trainer
