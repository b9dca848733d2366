"""Points in time and lengths of time as users write them, in microseconds. Imports `errors` only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import ParameterError

__all__ = ["as_microseconds", "span_microseconds"]


def as_microseconds(value: Any, name: str) -> int:
    """A point in time (date, string, or number of Unix seconds) as microseconds since 1970 UTC."""
    try:
        if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            return round(float(value) * 1e6)
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        return round((stamp - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(1, "us"))
    except (ValueError, TypeError, OverflowError) as error:  # NaT ends here too: it can not be rounded
        raise ParameterError(f"`{name}` must be a date, a date as text, or Unix seconds. Got {value!r}.") from error


def span_microseconds(value: Any, name: str) -> float:
    """A positive length of time (timedelta, text such as "30D", or seconds) as microseconds."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            span = float(value) * 1e6
        else:
            span = pd.Timedelta(value).total_seconds() * 1e6
    except (ValueError, TypeError):
        span = float("nan")
    if not (0 < span < float("inf")):
        raise ParameterError(f"`{name}` must be a positive length of time such as '30D', or seconds. Got {value!r}.")
    return span
