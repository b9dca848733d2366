"""The arguments of the cuts: each function returns the value it accepts or raises. May import errors and interactions."""

from __future__ import annotations

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.interactions import Interactions

__all__ = ["check_data", "check_unseen", "fraction_of", "seed_of", "whole_number"]


def check_data(data: Interactions, function: str) -> None:
    """Raises `ParameterError` unless these are Interactions, `DataError` when they have no entries."""
    if not isinstance(data, Interactions):
        raise ParameterError(
            f"split.{function} takes Interactions. Got {type(data).__name__}. Hint: recsys.read_interactions makes them."
        )
    if not len(data):
        raise DataError(f"split.{function} cannot cut data that have no entries.")


def check_unseen(unseen: str) -> None:
    """Raises `ParameterError` for a rule that is not there."""
    if unseen not in ("keep", "drop"):
        raise ParameterError(f"`unseen` must be 'keep' or 'drop'. Got {unseen!r}.{closest_hint(str(unseen), ['keep', 'drop'])}")


def fraction_of(value: float, name: str) -> float:
    """A number between 0 and 1, both excluded."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise ParameterError(f"`{name}` must be a number between 0 and 1, both excluded. Got {quote_some([value])}.")
    return float(value)


def seed_of(value: int) -> int:
    """An int that fits 64 bits."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise ParameterError(f"`random_state` must be an int >= 0 and below 2**64. Got {value!r}.")
    return int(value)


def whole_number(value: int, name: str, function: str, least: int) -> int:
    """An int that is at least `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ParameterError(f"The `{name}` parameter of {function} must be an int >= {least}. Got {value!r}.")
    return int(value)
