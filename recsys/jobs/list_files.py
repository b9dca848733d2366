"""Writing tables of recommendations as Parquet, CSV or JSON Lines. May import errors, ids and the job's own parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recsys.errors import ParameterError, quote_some

__all__ = ["SUFFIXES", "Append", "list_writer", "plain_table", "require_suffix"]

SUFFIXES = (".parquet", ".csv", ".jsonl")

Append = Callable[[pd.DataFrame], None]


def require_suffix(output: str) -> str:
    """The suffix of `output`. Raises `ParameterError` unless it is one of `SUFFIXES`."""
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise ParameterError(f"The file of recommendations must end in {quote_some(SUFFIXES)}. Got {output!r}.")
    return suffix


@contextmanager
def list_writer(path: Path, suffix: str, schema: pa.Schema) -> Iterator[Append]:
    """Yields a function that appends a frame with the columns of `schema` to the file `path`; in Parquet as one row group."""
    if suffix == ".jsonl":
        with open(path, "w", encoding="utf-8") as handle:
            # pandas would make an empty line of no rows, which is no JSON.
            yield lambda frame: frame.to_json(handle, orient="records", lines=True, force_ascii=False) if len(frame) else None
        return
    # The file is opened here and not by Arrow, which keeps it open when its last write fails.
    with open(path, "wb") as file:
        if suffix == ".parquet":
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                yield lambda frame: _append(writer, frame, schema)
        else:
            plain = pa.schema([_plain_field(field) for field in schema])
            options = pyarrow.csv.WriteOptions(quoting_header="none")
            with pyarrow.csv.CSVWriter(file, plain, write_options=options) as writer:
                yield lambda frame: writer.write_table(plain_table(frame, schema))


def _append(writer: pq.ParquetWriter, frame: pd.DataFrame, schema: pa.Schema) -> None:
    if len(frame):
        writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), row_group_size=len(frame))


def plain_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The frame as a table in which nested columns are JSON texts: for formats that know numbers and texts alone."""
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    texts = {name: [json.dumps(_short(value), ensure_ascii=False) for value in frame[name]] for name in nested}
    flat = frame.assign(**{name: pd.Series(text, dtype="str", index=frame.index) for name, text in texts.items()})
    return pa.Table.from_pandas(flat, schema=pa.schema([_plain_field(field) for field in schema]), preserve_index=False)


def _short(value: Any) -> Any:
    """Numbers of 32 bits with the digits that they have, not those of the 64 that they are read as."""
    if isinstance(value, dict):
        return {name: _short(member) for name, member in value.items()}
    if isinstance(value, float):
        return float(str(np.float32(value)))
    return [_short(member) for member in value] if isinstance(value, list) else value


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, pa.string()) if pa.types.is_nested(field.type) else field
