"""From a table to ids, columns and entries: what `Features.from_table` and `like` do. May import errors, ids and this room."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from recsys.errors import DataError, ParameterError, UnknownIdError, closest_hint, quote_some
from recsys.features.columns import Column, Encoded
from recsys.features.tables import column_of, is_list, is_number
from recsys.ids import IdMap

__all__ = ["chosen_columns", "encoded", "id_column", "id_types", "ids_of", "in_order", "refuse_absent"]

_ID_COLUMNS = ("item_id", "user_id")


def id_types(id: str | None, ids: IdMap | None) -> dict[str, pa.DataType]:
    """As what a text file's column of ids is read: the type of `ids`."""
    return {} if ids is None else {id or ids.name: pa.int64() if ids.is_integer else pa.large_string()}


def id_column(table: pa.Table, called: str, id: str | None, ids: IdMap | None) -> str:
    """The column of ids: the one named, or that of `ids`, or the usual one that is there."""
    if id is not None:
        return id
    if ids is not None:
        return ids.name
    there = [name for name in _ID_COLUMNS if name in table.column_names]
    if len(there) != 1:
        why = "both a column 'item_id' and a column 'user_id'" if there else "neither a column 'item_id' nor a column 'user_id'"
        raise DataError(f"{called} has {why}; it has {quote_some(table.column_names, 12)}. Hint: name that of the ids by id=.")
    return there[0]


def ids_of(table: pa.Table, column: str, called: str, name: str) -> IdMap:
    """The ids of the rows. Raises `DataError` that says where, for ids that are missing or there twice."""
    values = column_of(table, column, called)
    try:
        return IdMap(values, name=name)
    except DataError as error:
        raise DataError(f"{called} can not be read by its column {column!r}: {error}") from None


def chosen_columns(
    table: pa.Table,
    called: str,
    id: str,
    columns: Sequence[str] | None,
    multi_valued: Mapping[str, str] | None,
    bins: int | Mapping[str, Any],
    categories: Sequence[str],
) -> list[str]:
    """The columns to be read. Raises `ParameterError` for options that name a column which is not read, or suit it not."""
    if isinstance(columns, str) or isinstance(categories, str):
        raise ParameterError("`columns` and `categories` must be lists of names. Hint: one name is given as ['name'].")
    chosen = [name for name in table.column_names if name != id] if columns is None else list(columns)
    if not chosen:
        raise DataError(f"{called} has no column beside {id!r}.")
    for name in chosen:
        column_of(table, name, called)
    binned = bins if isinstance(bins, Mapping) else {}
    for argument, named in (("multi_valued", multi_valued or {}), ("bins", binned), ("categories", categories)):
        for name in named:
            if name not in chosen:
                raise ParameterError(f"`{argument}` names the column {name!r}, which is not read.{closest_hint(name, chosen)}")
    for name in binned:
        kind = table.schema.field(name).type
        if not is_number(kind):
            raise ParameterError(f"`bins` names the column {name!r}, which holds {kind} and no numbers.")
    for name, separator in (multi_valued or {}).items():
        if not isinstance(separator, str) or (not separator and not is_list(table.schema.field(name).type)):
            raise ParameterError(f"`multi_valued` must give the separator of {name!r}, such as '|'. Got {separator!r}.")
    return chosen


def in_order(table: pa.Table, rows: IdMap, ids: IdMap, missing: str) -> tuple[pa.Table, IdMap]:
    """The rows of `ids` alone, so that categories and edges are learnt from these."""
    found = rows.positions(ids, unknown="ignore")
    if (found < 0).all() or ((found < 0).any() and missing == "raise"):
        refuse_absent(ids, found, rows, missing)
    kept = found[found >= 0]
    return table.take(pa.array(kept)), rows.subset(kept)


def refuse_absent(ids: IdMap, found: np.ndarray, there: IdMap, missing: str) -> None:
    absent = ids.ids_at(np.flatnonzero(found < 0)).to_pylist()
    if len(there) and ids.is_integer != there.is_integer:
        here, given = ("integers", "strings") if ids.is_integer else ("strings", "integers")
        hint = f"the ids wanted are {here}, those of the features {given}; from_table(…, ids=) reads them alike."
    elif missing == "raise":
        hint = "missing='zero' leaves them without features."
    else:
        hint = f"the first one there is {quote_some(there.ids_at(np.arange(min(1, len(there)))).to_pylist())}."
    share = f"{len(absent):,} of {len(ids):,} {ids.name}s"
    raise UnknownIdError(f"There are no features of {share}: {quote_some(absent)}. Hint: {hint}")


def _warn_of_strangers(strangers: Mapping[str, Encoded]) -> None:
    named = [f"{name}={value}" for name, found in strangers.items() for value in found.unseen]
    count = sum(found.n_unseen for found in strangers.values())
    values = "value is of a category" if count == 1 else "values are of categories"
    warnings.warn(
        f"{count:,} {values} that the features do not know, so nothing is known by them: {quote_some(named)}.",
        stacklevel=4,
    )


def encoded(table: pa.Table, called: str, columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(indptr, indices, values) of the rows of `table` in `columns`; one warning names categories that these do not know."""
    rows, features, first = [], [], 0
    strangers: dict[str, Encoded] = {}
    for column in columns:
        found = column.encoded(column_of(table, column.name, called))
        rows.append(found.rows)
        features.append(found.features + first)
        if found.n_unseen:
            strangers[column.name] = found
        first += column.n_features
    if strangers:
        _warn_of_strangers(strangers)
    if not rows:
        return np.zeros(table.num_rows + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    ones = np.ones(sum(map(len, rows)), np.float32)
    matrix = scipy.sparse.csr_array((ones, (np.concatenate(rows), np.concatenate(features))), shape=(table.num_rows, first))
    matrix.sum_duplicates()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data
