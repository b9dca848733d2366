"""Points in time and lengths of time as users write them, in microseconds. Imports `errors` only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError

__all__ = ["as_microseconds", "column_of_microseconds", "span_microseconds"]


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
    """A positive length of time (timedelta, text such as "30D", or seconds, also as text) as microseconds."""
    seconds = _seconds(value)
    try:
        span = 1e6 * (pd.Timedelta(value).total_seconds() if seconds is None else seconds)
    except (ValueError, TypeError):
        span = float("nan")
    if not (0 < span < float("inf")):
        raise ParameterError(f"`{name}` must be a positive length of time such as '30D', or seconds. Got {value!r}.")
    return span


def _seconds(value: Any) -> float | None:
    """A number, or text that is one: a command line and a pipeline's settings hold text, whose bare numbers are seconds too."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def column_of_microseconds(values: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of times (typed, ISO 8601 text, or Unix seconds) as int64 microseconds since 1970 UTC, and where one is missing.

    Times without a zone are UTC. Raises `DataError` that names row (from 1) and value of the first that is no time.
    """
    column = pd.Series(values.to_pandas() if hasattr(values, "to_pandas") else values).reset_index(drop=True)
    missing = column.isna().to_numpy(dtype=bool)
    try:
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
            stamps = pd.to_datetime(column, unit="s", utc=True, errors="coerce")
        else:
            # Python's dates, and whatever else is among them, are read by how they are written.
            texts = column.where(missing, column.astype(str)) if column.dtype == object else column
            stamps = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    except (ValueError, TypeError, OverflowError):  # what is of no use at all, such as truth values
        stamps = pd.Series(pd.NaT, index=column.index).dt.tz_localize("UTC")
    bad = np.flatnonzero(stamps.isna().to_numpy() & ~missing)
    if len(bad):
        raise DataError(
            f"`{name}` must be dates, dates as ISO 8601 text, or Unix seconds. Row {bad[0] + 1} is {column.iloc[bad[0]]!r}."
        )
    return stamps.dt.tz_localize(None).astype("datetime64[us]").to_numpy().astype(np.int64), missing
