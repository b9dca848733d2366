"""Columns that users bring along, joined to a map by id and sorted into kinds. May import errors, ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, InputError, ParameterError, closest_hint, quote_some
from recsys.ids import IdMap

__all__ = [
    "Categories",
    "Column",
    "Numbers",
    "Texts",
    "as_column",
    "first_colour",
    "joined_columns",
    "labels_of",
    "require_column",
]

# Strings of more different values than these say what a thing is, not what kind of thing it is.
_MOST_VALUES = 1_000
_ALWAYS_FEW = 12
_FEW = 0.2


@dataclass(frozen=True)
class Categories:
    """A column of few different values. codes : (n,) the number of each value, the most frequent first; -1 for none."""

    name: str
    codes: np.ndarray
    values: list[str]
    counts: list[int]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers (n,) float64, NaN for none.

    is_time : they are milliseconds since 1970, UTC.  is_skewed : they spread over orders of magnitude, so that a logarithmic
    scale shows more.
    """

    name: str
    values: np.ndarray
    is_time: bool
    is_skewed: bool


@dataclass(frozen=True)
class Texts:
    """A column to be read only; None for none."""

    name: str
    values: list[str | None]


Column = Categories | Numbers | Texts


def joined_columns(ids: IdMap, table: pd.DataFrame | None) -> pd.DataFrame:
    """The columns of `table` but the ids', one row a position of `ids`; missing values where it lacks the id.

    Raises `ParameterError` for a table without a column named as `ids` are, `DataError` for an id named twice in it and when
    it names none of `ids`.
    """
    if table is None:
        return pd.DataFrame(index=pd.RangeIndex(len(ids)))
    if not isinstance(table, pd.DataFrame) or ids.name not in table.columns:
        got = quote_some(table.columns) if isinstance(table, pd.DataFrame) else type(table).__name__
        raise ParameterError(f"`table` must be a DataFrame with a column {ids.name}. Got {got}.")
    if not table.columns.is_unique:
        raise ParameterError(
            f"`table` must have each column once. Twice: {quote_some(table.columns[table.columns.duplicated()])}."
        )
    try:
        rows = IdMap(table[ids.name], name=ids.name)
    except InputError as error:
        raise DataError(f"`table` must have one row for each {ids.name}: {error}") from error
    places = rows.positions(ids.to_arrow(), unknown="ignore")
    if len(ids) and not (places >= 0).any():
        theirs, ours = (quote_some(some.to_arrow().slice(0, 2).to_pylist()) or "none" for some in (rows, ids))
        raise DataError(f"`table` names nothing on the map. Its {ids.name}s are such as {theirs}, those of the map {ours}.")
    others = table.drop(columns=ids.name).reset_index(drop=True)
    return others.rename(columns=str).reindex(pd.Index(np.where(places >= 0, places, len(others)))).reset_index(drop=True)


def labels_of(ids: IdMap, columns: pd.DataFrame, label: str | None) -> tuple[str | None, list[str]]:
    """The column that names things, None where ids do, and the name of each; its id where the column has none."""
    if label is None:
        label = next((name for name in ("title", "name") if name in columns), None)
    elif label == ids.name:
        label = None
    else:
        require_column(columns, label, "label")
    own = [str(id_) for id_ in ids.to_arrow().to_pylist()]
    if label is None:
        return None, own
    return label, [own[row] if text is None else text for row, text in enumerate(_as_texts(columns[label]))]


def first_colour(columns: Sequence[Column], asked: str | None, names: Sequence[str]) -> int | None:
    """Which column to colour by: the one asked for, else the first of categories, else of numbers; None where none can be."""
    places = {column.name: place for place, column in enumerate(columns)}
    if asked is not None:
        if asked not in places:
            raise ParameterError(_unknown_column("colour", asked, [name for name in names if name in places]))
        return places[asked]
    for kind in (Categories, Numbers):
        for place, column in enumerate(columns):
            if isinstance(column, kind):
                return place
    return None


def as_column(name: str, values: pd.Series, *, to_colour_by: bool = False) -> Column:
    """The column as the kind it is; one `to_colour_by` is never mere text."""
    kind = values.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        utc = pd.to_datetime(values, utc=True).dt.tz_localize(None).to_numpy("datetime64[ms]")
        milliseconds = np.where(np.isnat(utc), np.nan, utc.astype(np.int64).astype(np.float64))
        return Numbers(name, milliseconds, is_time=True, is_skewed=False)
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        return Numbers(name, numbers, is_time=False, is_skewed=_is_skewed(numbers))
    texts = _as_texts(values)
    present = pd.Series([text for text in texts if text is not None], dtype=object)
    counts = present.value_counts()
    is_category = isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(kind)
    few = len(counts) <= min(_MOST_VALUES, max(_ALWAYS_FEW, _FEW * len(present)))
    if not (is_category or few or to_colour_by):
        return Texts(name, texts)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    numbered = {value: number for number, (value, _) in enumerate(ordered)}
    codes = np.array([-1 if text is None else numbered[text] for text in texts], dtype=np.int64)
    return Categories(name, codes, [str(value) for value, _ in ordered], [int(count) for _, count in ordered])


def _is_skewed(numbers: np.ndarray) -> bool:
    present = numbers[~np.isnan(numbers)]
    if len(present) == 0 or present.min() <= 0:
        return False
    low, middle, high = np.quantile(present, [0.0, 0.5, 1.0])
    return bool(high / low >= 100 and middle - low < 0.1 * (high - low))


def _as_texts(values: pd.Series) -> list[str | None]:
    missing = values.isna().to_numpy()
    return [None if gone or value == "" else str(value) for value, gone in zip(values.tolist(), missing, strict=True)]


def require_column(columns: pd.DataFrame, name: str, argument: str) -> None:
    """Raises `ParameterError` unless there is a column of that name."""
    if name not in columns:
        raise ParameterError(_unknown_column(argument, name, [str(column) for column in columns]))


def _unknown_column(argument: str, name: Any, there: Sequence[str]) -> str:
    what = f"it has {quote_some(there, 12)}" if there else "there is none: pass table="
    return f"`{argument}` must be a column of `table`; {what}. Got {name!r}.{closest_hint(str(name), there)}"
