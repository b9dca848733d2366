"""`Range` and `Choice`: between which values a hyperparameter is worth searching. Imports `errors` only.

Each trainer names the ones that are worth it in its `search_space`, beside the hyperparameters themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from recsys.errors import ParameterError, quote_some

__all__ = ["Choice", "Dimension", "Range", "SearchSpace"]


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included; whole numbers only where both ends are ints.

    log : search evenly over the logarithm, for what is known by its order of magnitude only.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ParameterError(f"`{name}` of a Range must be a finite number. Got {value!r}.")
        if not self.low < self.high:
            raise ParameterError(f"A Range goes from a lower to a higher number. Got {self.low!r} to {self.high!r}.")
        if self.log and self.low <= 0:
            raise ParameterError(f"A Range over the logarithm must begin above 0. Got {self.low!r}.")

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return self.low <= value <= self.high and not (self.is_whole and value != int(value))

    def at(self, share: float) -> float:
        """The value below which `share` of the range lies, 0 <= share < 1; every whole number has an equal share."""
        low, high = float(self.low), float(self.high) + self.is_whole
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        return min(math.floor(value), self.high) if self.is_whole else min(max(value, self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low!r}..{self.high!r}{':log' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of `values`: texts, numbers, or True and False."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        odd = [value for value in self.values if not isinstance(value, (str, int, float))]
        if odd or not self.values:
            raise ParameterError(f"A Choice needs texts, numbers, True or False to choose from. Got {list(self.values)!r}.")
        if len(set(self.values)) < len(self.values):
            raise ParameterError(f"A Choice must not name a value twice. Got {list(self.values)!r}.")

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def at(self, share: float) -> Any:
        """The value below which `share` of the choices lie, 0 <= share < 1."""
        return self.values[int(share * len(self.values))]

    def __str__(self) -> str:
        return f"one of {quote_some(self.values, 12)}"


Dimension: TypeAlias = Range | Choice
SearchSpace: TypeAlias = Mapping[str, Dimension]
