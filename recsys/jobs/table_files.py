"""Files of pairs (user_id, item_id) and of item rules: CSV with a header, or Parquet. May import errors, ids."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recsys.errors import DataError, closest_hint, quote_some
from recsys.ids import IdMap
from recsys.jobs.report import counted

__all__ = ["known_rows", "read_features", "read_pairs", "read_rules", "read_titles"]

_TIMES = ("available_from", "expires")


def read_pairs(path: str, users: IdMap, items: IdMap) -> pa.Table:
    """The columns user_id and item_id of a file, typed as the model's ids are. Raises `DataError` that names the file."""
    return _read(path, {ids.name: _id_type(ids) for ids in (users, items)}, (users.name, items.name))


def read_rules(path: str, items: IdMap) -> pa.Table:
    """The column item_id and those of times that a file has (see `recsys.recommending.Choices`)."""
    table = _read(path, {items.name: _id_type(items)}, (items.name,), optional=_TIMES)
    if table.num_columns == 1:
        raise DataError(f"{path} has neither a column 'available_from' nor 'expires'.")
    return table


def read_titles(path: str, items: IdMap) -> pa.Table:
    """The columns item_id and title of a file; where there is no title, name is taken for it."""
    table = _read(path, {items.name: _id_type(items)}, (items.name,), optional=("title", "name"))
    if table.num_columns == 1:
        raise DataError(f"{path} has neither a column 'title' nor 'name'.")
    return table.select([0, 1]).rename_columns([items.name, "title"])


def read_features(path: str, ids: IdMap) -> pa.Table:
    """All columns of a file about users or items, whose ids stand in a column named as `ids` are."""
    return _read(path, {ids.name: _id_type(ids)}, (ids.name,), optional=None)


def _id_type(ids: IdMap) -> pa.DataType:
    return pa.int64() if ids.is_integer else pa.string()


def _read(path: str, types: dict[str, pa.DataType], required: Sequence[str], optional: Sequence[str] | None = ()) -> pa.Table:
    """`optional`: columns to take where they are there; None for all others."""
    file = Path(path)
    try:
        if file.suffix == ".parquet":
            there = pq.read_schema(file).names
            columns = _chosen(path, there, required, optional)
            return pq.read_table(file, columns=columns)
        # Only an empty field is a missing value: there are items that are called NA.
        options = pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
        table = pyarrow.csv.read_csv(file, convert_options=options)
        return table.select(_chosen(path, table.column_names, required, optional))
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{file} can not be read as a table with {quote_some(required)}: {reason.rstrip('.')}.") from error


def _chosen(path: str, there: Sequence[str], required: Sequence[str], optional: Sequence[str] | None) -> list[str]:
    for column in required:
        if column not in there:
            raise DataError(f"{path} has no column {column!r}; it has {quote_some(there)}.{closest_hint(column, there)}")
    others = [column for column in there if column not in required] if optional is None else optional
    return [*required, *(column for column in others if column in there)]


def known_rows(path: str, table: pa.Table, known: Sequence[IdMap]) -> pa.Table:
    """The rows of `table` whose ids are all known, by the column named as each map is; warns of the other ids.

    For what forbids: a forbidden pair with an id that the model does not know is in no list anyway.
    """
    keep = np.ones(table.num_rows, bool)
    for ids in known:
        column = table.column(ids.name)
        found = ids.positions(column, unknown="ignore") >= 0
        if not found.all():
            strangers = column.filter(pa.array(~found)).unique().to_pylist()
            warnings.warn(
                f"{path} names {counted(len(strangers), ids.name.removesuffix('_id'))} that the model does not know, so no "
                f"list has them: {quote_some(strangers)}.",
                stacklevel=4,
            )
        keep &= found
    return table.filter(pa.array(keep))
