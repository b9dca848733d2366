"""Tables of pairs and of rules, as users give them → positions and times. May import errors, ids, times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recsys.errors import DataError, ParameterError, UnknownIdError, closest_hint, quote_some
from recsys.ids import IdMap
from recsys.times import as_microseconds, column_of_microseconds

__all__ = ["PairSet", "item_availability", "pair_set", "table_columns"]

_TIMES = ("available_from", "expires")


@dataclass(frozen=True)
class PairSet:
    """Pairs of users and items, by user: indptr (n + 1,) int64 and item positions int32, rising within a user."""

    indptr: np.ndarray
    indices: np.ndarray

    @classmethod
    def of_keys(cls, keys: np.ndarray, n_rows: int, n_items: int) -> PairSet:
        """From unique rising numbers row · n_items + item (int64)."""
        rows = keys // max(1, n_items)
        indptr = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int64)
        return cls(indptr, (keys - rows * n_items).astype(np.int32))

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64: pairs of each of `rows`; 0 beyond the last row there is."""
        last = len(self.indptr) - 1
        return np.asarray(self.indptr[np.minimum(rows + 1, last)] - self.indptr[np.minimum(rows, last)])

    def take(self, rows: np.ndarray) -> PairSet:
        """The pairs of `rows`, in that order."""
        counts = self.counts(rows)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        begin = self.indptr[np.minimum(rows, len(self.indptr) - 1)]
        return PairSet(indptr, self.indices[np.repeat(begin - indptr[:-1], counts) + np.arange(indptr[-1])])

    def keys(self, n_items: int) -> np.ndarray:
        """The rising numbers row · n_items + item."""
        rows = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), np.diff(self.indptr))
        return np.asarray(rows * n_items + self.indices)


def table_columns(table: Any, required: Sequence[str], name: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    """The columns of a pandas, polars or Arrow table. Raises `ParameterError` for no table, `DataError` for one it lacks."""
    if not isinstance(table, pd.DataFrame):
        if not hasattr(table, "__arrow_c_stream__"):
            raise ParameterError(f"`{name}` must be a table with {_listed(required)}. Got {table!r}.")
        table = pa.table(table)
    there = [str(column) for column in (table.columns if isinstance(table, pd.DataFrame) else table.column_names)]
    for column in required:
        if column not in there:
            raise DataError(
                f"`{name}` has no column {column!r}; it has {quote_some(there) or 'none'}.{closest_hint(column, there)}"
            )
    return {column: table[column] for column in (*required, *optional) if column in there}


def _listed(columns: Sequence[str]) -> str:
    return f"the column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def pair_set(table: Any, users: IdMap, items: IdMap, name: str, *, unknown: str) -> PairSet:
    """The pairs of a table user_id, item_id. An unknown id raises `UnknownIdError`; unless "raise" its pairs are left out."""
    columns = table_columns(table, ("user_id", "item_id"), name)
    user_positions = _positions(columns["user_id"], users, name, unknown)
    item_positions = _positions(columns["item_id"], items, name, unknown)
    known = (user_positions >= 0) & (item_positions >= 0)
    keys = np.unique(user_positions[known] * len(items) + item_positions[known])
    return PairSet.of_keys(keys, len(users), len(items))


def item_availability(table: Any, at: Any, items: IdMap, *, unknown: str) -> np.ndarray:
    """(n_items,) bool: whether an item may appear at `at` (now if None), by a table item_id, available_from, expires."""
    columns = table_columns(table, ("item_id",), "item_rules", _TIMES)
    if len(columns) == 1:
        raise DataError("`item_rules` must have a column 'available_from' or 'expires', or both.")
    moment = as_microseconds(pd.Timestamp.now("UTC") if at is None else at, "at")
    positions = _positions(columns["item_id"], items, "item_rules", unknown)
    holds = np.ones(len(positions), bool)
    for name in _TIMES:
        if name in columns:
            times, missing = column_of_microseconds(columns[name], f"item_rules {name}")
            holds &= missing | (times <= moment if name == "available_from" else moment < times)
    available = np.ones(len(items), bool)
    available[positions[positions >= 0]] = False
    available[positions[(positions >= 0) & holds]] = True
    return available


def _positions(ids: Any, known: IdMap, name: str, unknown: str) -> np.ndarray:
    try:
        return known.positions(ids, unknown="raise" if unknown == "raise" else "ignore")
    except UnknownIdError as error:
        raise UnknownIdError(f"`{name}`: {error}") from error
    except DataError as error:
        raise DataError(f"`{name}`: {error}") from error
