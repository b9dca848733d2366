"""Parquet files, and pandas, polars and Arrow tables → blocks. Imports the parts above.

Rows are counted from 1. Integer ids stay integers; a float column holds integers with gaps or is refused. Typed times are
taken as they are, without a zone as UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.errors import DataError, FormatError, ParameterError
from recsys.ids import as_id_array
from recsys.ingest.blocks import (
    BAD_TIME,
    INVALID_ITEM,
    INVALID_USER,
    MISSING_ITEM,
    MISSING_USER,
    Block,
    Defects,
    Describe,
    Ids,
    RawBlock,
    Settings,
    Text,
)
from recsys.ingest.columns import Columns
from recsys.ingest.sources import FileSource
from recsys.ingest.values import finite_weights, times_from_numbers, times_from_text, weights_from_text

__all__ = ["is_table", "read_parquet", "read_table", "table_block"]


def is_table(source: Any) -> bool:
    """Whether a source is a frame or table in memory and not the name of a file."""
    return isinstance(source, pd.DataFrame) or hasattr(source, "__arrow_c_stream__")


def read_parquet(source: FileSource, settings: Settings, *, use_threads: bool) -> Iterator[RawBlock]:
    """The blocks of a Parquet file. Raises `FormatError` for what is no whole Parquet file, `DataError` for its columns."""
    try:
        with source.open() as stream:
            # Parquet is read from its end: a compressed file must be unpacked whole.
            content = pa.BufferReader(stream.read_all()) if source.compression else source.path
            with pq.ParquetFile(content) as file:
                columns = settings.choose(file.schema_arrow.names, source.name)
                names = list(columns.by_role().values())
                n_rows, bytes_a_row = 0, source.total_bytes / max(1, file.metadata.num_rows)
                for batch in file.iter_batches(settings.block_rows, columns=names, use_threads=use_threads):
                    n_rows += batch.num_rows
                    chosen = {name: batch.column(name) for name in names}
                    yield TableBlock(chosen, columns, settings.timestamp_unit, n_rows * bytes_a_row)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise FormatError(f"{source.name} is not a whole Parquet file: {str(error).splitlines()[0].rstrip('.')}.") from error


def read_table(table: Any, settings: Settings) -> Iterator[RawBlock]:
    """The blocks of a pandas DataFrame, or of anything that gives Arrow record batches (polars, Arrow tables and readers)."""
    if isinstance(table, pd.DataFrame):
        yield from _read_pandas(table, settings)
        return
    try:
        reader = pa.RecordBatchReader.from_stream(table)
    except (pa.ArrowInvalid, TypeError) as error:
        raise ParameterError(f"The {type(table).__name__} can not be read as a table: {error}.") from error
    columns = settings.choose(reader.schema.names, type(table).__name__)
    n_rows = 0
    for batch in reader:
        for start in range(0, batch.num_rows, settings.block_rows):
            part = batch.slice(start, settings.block_rows)
            chosen = {name: part.column(name) for name in columns.by_role().values()}
            n_rows += part.num_rows
            yield TableBlock(chosen, columns, settings.timestamp_unit, n_rows)


def _read_pandas(frame: pd.DataFrame, settings: Settings) -> Iterator[RawBlock]:
    columns = settings.choose([name for name in frame.columns if isinstance(name, str)], "DataFrame")
    for start in range(0, len(frame), settings.block_rows):
        part = {
            name: _from_pandas(frame[name].iloc[start : start + settings.block_rows], name)
            for name in columns.by_role().values()
        }
        yield TableBlock(part, columns, settings.timestamp_unit, start + settings.block_rows)


def _from_pandas(series: pd.Series[Any], name: str) -> pa.Array:
    try:
        values = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # The conversion of ids words this best; it refuses all that Arrow does.
        return as_id_array(series.dropna(), name=name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


@dataclass(frozen=True)
class TableBlock:
    """Some rows of the chosen columns, by name."""

    arrays: Mapping[str, pa.Array]
    columns: Columns
    timestamp_unit: str
    position: float

    def parse(self) -> Block:
        """See `RawBlock`."""
        by_role = {role: _plain(self.arrays[name]) for role, name in self.columns.by_role().items()}
        defects = Defects(np.zeros(len(by_role["user"]), dtype=np.uint8))

        def describe(row: int, role: str) -> tuple[int, str]:
            value = by_role[role][row].as_py() if role else None
            return row + 1, "" if value is None else str(value)

        block = table_block(by_role, defects, self.columns, self.timestamp_unit, describe, len(by_role["user"]))
        return replace(block, unit="row")


def table_block(
    by_role: Mapping[str, pa.Array], defects: Defects, columns: Columns, timestamp_unit: str, describe: Describe, n_lines: int
) -> Block:
    """The block of typed columns, one array a role; rows without ids, finite weights or times are marked and left out."""
    n_rows = len(by_role["user"])
    users = _ids(by_role["user"], columns.user, defects, MISSING_USER, INVALID_USER)
    items = _ids(by_role["item"], columns.item, defects, MISSING_ITEM, INVALID_ITEM)
    weights = _weights(by_role["weight"], columns.weight, defects) if "weight" in by_role else None
    times = _times(by_role["timestamp"], columns.timestamp, timestamp_unit, defects) if "timestamp" in by_role else None
    codes = defects.codes()
    if codes is not None:
        good = np.flatnonzero(codes == 0)
        users, items = users.take(good), items.take(good)
        weights = None if weights is None else weights[good]
        times = None if times is None else times[good]
    return Block(n_rows, codes, users, items, weights, times, describe, n_lines)


def _plain(values: pa.Array) -> pa.Array:
    """Dictionaries decoded, every kind of string as large_string."""
    if pa.types.is_dictionary(values.type):
        # The values first: Arrow can not take from views of strings, which is what the categories of polars are.
        return pa.DictionaryArray.from_arrays(values.indices, _plain(values.dictionary)).dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    return values


def _ids(values: pa.Array, name: str, defects: Defects, missing: int, invalid: int) -> Ids:
    kind = values.type
    if pa.types.is_large_string(kind):
        text = Text.from_arrow(values)
        defects.mark(text.empty | _nulls(values), missing)
        defects.mark(text.invalid, invalid)
        return Ids(None, text)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(f"Column {name!r} must hold integers or strings to be ids. It holds values of type {kind}.")
    gaps = _nulls(values)
    if pa.types.is_floating(kind):
        gaps |= np.isnan(values.to_numpy(zero_copy_only=False))
    defects.mark(gaps, missing)
    integers = np.zeros(len(values), dtype=np.int64)
    known = as_id_array(values.filter(pa.array(~gaps)) if gaps.any() else values, name=name)
    integers[~gaps] = known.to_numpy(zero_copy_only=False)
    return Ids(integers, None)


def _weights(values: pa.Array, name: str | None, defects: Defects) -> np.ndarray:
    if pa.types.is_large_string(values.type):
        return weights_from_text(Text.from_arrow(values), defects)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    try:
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"Column {name!r} must hold numbers to be weights. It holds values of type {values.type}.") from error
    return finite_weights(numbers, defects)


def _times(values: pa.Array, name: str | None, unit: str, defects: Defects) -> np.ndarray:
    kind = values.type
    if pa.types.is_large_string(kind):
        return times_from_text(Text.from_arrow(values), unit, defects)
    defects.mark(_nulls(values), BAD_TIME)
    if pa.types.is_date(kind):
        return np.asarray(pc.fill_null(values.cast(pa.timestamp("us")).cast(pa.int64()), 0))
    if pa.types.is_timestamp(kind):
        ticks = np.asarray(pc.fill_null(values.cast(pa.int64()), 0))
        return ticks // 1000 if kind.unit == "ns" else ticks * {"s": 1_000_000, "ms": 1_000, "us": 1}[kind.unit]
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return times_from_numbers(np.asarray(pc.fill_null(values.cast(pa.int64()), 0)), unit, defects)
    if pa.types.is_floating(kind):
        return times_from_numbers(values.cast(pa.float64()).to_numpy(zero_copy_only=False), unit, defects)
    raise DataError(f"Column {name!r} must hold dates, times or numbers to be times. It holds values of type {kind}.")


def _nulls(values: pa.Array) -> np.ndarray:
    if not values.null_count:
        return np.zeros(len(values), dtype=bool)
    return np.asarray(values.is_null())
