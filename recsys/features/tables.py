"""Tables as users have them, as Arrow: files, DataFrames, Arrow tables; and their values as text or numbers. Imports errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from recsys.errors import DataError, ParameterError, closest_hint, quote_some

__all__ = ["as_numbers", "as_text", "column_of", "is_list", "is_number", "is_text", "read_table"]

_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")


def read_table(table: Any, types: Mapping[str, pa.DataType]) -> tuple[pa.Table, str]:
    """`table` as Arrow, and what to call it in messages. `types`: of columns that a CSV file does not tell.

    Raises `DataError` for a file that can not be read and for a table without rows, `ParameterError` for anything else.
    """
    if isinstance(table, (str, os.PathLike)):
        path = Path(table)
        arrow, name = _read_file(path, dict(types)), str(path)
    else:
        arrow, name = _as_arrow(table), "The table"
    if not arrow.num_rows:
        raise DataError(f"{name} has no rows.")
    twice = sorted({column for column in arrow.column_names if arrow.column_names.count(column) > 1})
    if twice:
        raise DataError(f"{name} has more than one column named {quote_some(twice)}.")
    return arrow, name


def _read_file(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    if path.suffix not in _SUFFIXES:
        raise ParameterError(f"A table of features ends in {quote_some(_SUFFIXES)}. Got {str(path)!r}.")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        if path.suffix == ".jsonl":
            return pyarrow.json.read_json(path)
        # Only an empty field is a missing value: there are categories that are called NA.
        values = pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
        fields = pyarrow.csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",", newlines_in_values=True)
        return pyarrow.csv.read_csv(path, convert_options=values, parse_options=fields)
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = "it has no rows" if "Empty CSV" in str(error) or "Empty JSON" in str(error) else str(error).rstrip(".")
        raise DataError(f"{path} can not be read as a table of features: {reason}.") from error


def _as_arrow(table: Any) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pd.DataFrame):
        try:
            return pa.Table.from_pandas(table.rename(columns=str), preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"The table has a column of mixed values: {str(error).rstrip('.')}.") from error
    if hasattr(table, "to_arrow"):  # polars
        arrow = table.to_arrow()
        if isinstance(arrow, pa.Table):
            return arrow
    raise ParameterError(f"A table of features is a path, a DataFrame or an Arrow table. Got {type(table).__name__}.")


def column_of(table: pa.Table, name: str, called: str) -> pa.Array:
    """One column in one piece. Raises `DataError` that says which there are."""
    if name not in table.column_names:
        there = table.column_names
        raise DataError(f"{called} has no column {name!r}; it has {quote_some(there, 12)}.{closest_hint(name, there)}")
    values = table.column(name).combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def as_text(values: pa.Array, name: str) -> pa.Array:
    """Values as large_string without blanks around them, missing and empty ones null. Raises `DataError` for times and such."""
    kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.large_string())
    if pa.types.is_floating(kind):
        values = _whole_as_integers(values)
    elif not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise DataError(
            f"The column {name!r} holds {kind}, which is neither text, number, truth value nor a list of them. "
            "Hint: leave it out by columns=, or turn it into one of these."
        )
    text = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


def _whole_as_integers(values: pa.Array) -> pa.Array:
    """Whole numbers that passed through a column with gaps as integers again, so that 3.0 is called 3."""
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    valid = np.isfinite(numbers)
    if (np.floor(numbers[valid]) == numbers[valid]).all() and (np.abs(numbers[valid]) < 2**53).all():
        return pa.array(np.where(valid, numbers, 0).astype(np.int64), mask=~valid)
    return pa.array(numbers, mask=np.isnan(numbers))


def as_numbers(values: pa.Array, name: str) -> np.ndarray:
    """Values as float64, missing ones as NaN. Raises `DataError` for infinite ones."""
    numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(f"The column {name!r} must hold finite numbers. Row {row + 1} is {numbers[row]}.")
    return numbers
