"""Weights, times and integer ids out of text. Imports kernels and `blocks` only."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from recsys.ingest.blocks import BAD_TIME, BAD_WEIGHT, LATE_TIME, Defects, Ids, Text
from recsys.kernels import parse

__all__ = [
    "TICKS_PER_SECOND",
    "finite_weights",
    "ids_from_text",
    "numbers_from_text",
    "times_from_numbers",
    "times_from_text",
    "weights_from_text",
]

TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

_NUMBER = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *", re.ASCII)
# Forms that can be read in one way only: the year first, or the month by name, with a year of four digits.
_UNAMBIGUOUS = re.compile(
    r"\d{4}[/.-]\d{1,2}[/.-]\d{1,2}(\D.*)?|(?=.*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))(?=.*\d{4}).*",
    re.I | re.ASCII,
)
_LATEST_SECONDS = 95_649_033_600  # 5001-01-01


def ids_from_text(text: Text) -> Ids:
    """Ids as text, and as integers too if each one is an integer in its shortest form."""
    if len(text):
        integers = np.empty(len(text), dtype=np.int64)
        if parse.parse_integers(text.data, text.starts, text.ends, integers) == len(text):
            return Ids(integers, text)
    return Ids(None, text)


def numbers_from_text(text: Text) -> np.ndarray:
    """(n,) float64; NaN where a field is not a decimal number."""
    numbers = np.full(len(text), np.nan)
    status = np.zeros(len(text), dtype=np.uint8)
    parse.parse_decimals(text.data, text.starts, text.ends, numbers, status)
    for row in np.flatnonzero(status == parse.OTHER_FORM):
        field = text[int(row)]
        numbers[row] = float(field) if _NUMBER.fullmatch(field) else np.nan
    return numbers


def weights_from_text(text: Text, defects: Defects) -> np.ndarray:
    """(n,) float32 weights; fields that are no finite number are marked in `defects`."""
    return finite_weights(numbers_from_text(text), defects)


def finite_weights(numbers: np.ndarray, defects: Defects) -> np.ndarray:
    """`numbers` as float32 weights; those that are not finite then are marked in `defects`."""
    with np.errstate(over="ignore", invalid="ignore"):
        weights = numbers.astype(np.float32)
    defects.mark(~np.isfinite(weights), BAD_WEIGHT)
    return weights


def times_from_text(text: Text, unit: str, defects: Defects) -> np.ndarray:
    """(n,) int64 microseconds since 1970 UTC of Unix times in `unit` and of dates as text; what is neither is marked."""
    times = np.zeros(len(text), dtype=np.int64)
    status = np.zeros(len(text), dtype=np.uint8)
    parse.parse_times(text.data, text.starts, text.ends, TICKS_PER_SECOND[unit], times, status)
    if not status.any():
        return times
    other = np.flatnonzero(status == parse.OTHER_FORM)
    if len(other):
        _other_forms(text, other, unit, times, status)
    defects.mark(status != parse.PARSED, np.where(status == parse.TOO_LATE, LATE_TIME, BAD_TIME))
    return times


def times_from_numbers(numbers: np.ndarray, unit: str, defects: Defects) -> np.ndarray:
    """As `times_from_text`, from int64 or float64 numbers; NaN is missing. Floats go to the nearest microsecond."""
    ticks = TICKS_PER_SECOND[unit]
    with np.errstate(invalid="ignore"):
        late = np.abs(numbers / ticks) >= _LATEST_SECONDS
    bad = np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(len(numbers), dtype=bool)
    kept = np.where(late | bad, 0, numbers)
    if numbers.dtype.kind == "f":
        times = np.rint(kept * (1e6 / ticks)).astype(np.int64)
    elif ticks <= 1_000_000:
        times = kept * (1_000_000 // ticks)
    else:
        times = kept // (ticks // 1_000_000)
    defects.mark(bad, BAD_TIME)
    defects.mark(late, LATE_TIME)
    return np.asarray(times)


def _other_forms(text: Text, rows: np.ndarray, unit: str, times: np.ndarray, status: np.ndarray) -> None:
    """Numbers with an exponent, and dates in other forms that can be read in one way only. Each distinct text is read once."""
    fields = [text[int(row)].strip() for row in rows]
    read: dict[str, tuple[int, int]] = {}
    for field in set(fields):
        if _NUMBER.fullmatch(field):
            late = Defects(np.zeros(1, dtype=np.uint8))
            micro = times_from_numbers(np.array([float(field)]), unit, late)
            read[field] = int(micro[0]), parse.PARSED if late.codes() is None else parse.TOO_LATE
        else:
            read[field] = _date(field)
    for row, field in zip(rows, fields, strict=True):
        times[row], status[row] = read[field]


def _date(field: str) -> tuple[int, int]:
    if not _UNAMBIGUOUS.fullmatch(field):
        return 0, parse.OTHER_FORM
    stamp = pd.to_datetime(field, utc=True, errors="coerce")
    if not isinstance(stamp, pd.Timestamp):  # NaT
        return 0, parse.OTHER_FORM
    return (stamp - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(1, "us"), parse.PARSED
