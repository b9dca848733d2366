"""JSON Lines files → blocks: one object a line, UTF-8. Imports the parts above.

A block is read by Arrow's parser with the types that the first lines show. A block that does not fit them, or has lines
that are no objects, is read line by line; so a file reads the same whichever way its blocks go. As in CSV, ids are integers if
all of a column are, else strings: a number beside strings stands for its shortest form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from recsys.errors import FormatError
from recsys.ingest.blocks import (
    INVALID_ITEM,
    INVALID_JSON,
    INVALID_USER,
    ITEM_KIND,
    USER_KIND,
    Block,
    Defects,
    Ids,
    RawBlock,
    Settings,
)
from recsys.ingest.columns import Columns
from recsys.ingest.delimited import whole_lines
from recsys.ingest.sources import FileSource
from recsys.ingest.tables import table_block

__all__ = ["read_json_lines"]

_SAMPLE_LINES = 100
_OTHER = object()
_EXACT = 2**53  # below it, each float that is whole is one integer
_SURROGATE = re.compile("[\ud800-\udfff]")
# What an id is that is not valid text, and that is of a kind that can not be an id.
_ID_DEFECTS = {"user": (INVALID_USER, USER_KIND), "item": (INVALID_ITEM, ITEM_KIND)}


def read_json_lines(source: FileSource, settings: Settings) -> Iterator[RawBlock]:
    """The blocks of a JSON Lines file. Raises `FormatError` for what is no such file, `DataError` for its columns."""
    with source.open() as stream:
        blocks = whole_lines(stream, source.name, settings.block_bytes, None)
        first = next(blocks, b"")
        if first.lstrip()[:1] == b"[":
            raise FormatError(f"{source.name} is a JSON array; JSON Lines, one object a line, was expected.")
        columns, schema = None, None
        for raw in _chained(first, blocks):
            if columns is None:
                sample = [record for record in map(_record, islice(raw.split(b"\n"), _SAMPLE_LINES)) if record is not None]
                if not sample:
                    raise FormatError(f"{source.name} is not JSON Lines: none of its first lines is a JSON object.")
                columns = settings.choose(list(dict.fromkeys(key for record in sample for key in record)), source.name)
                schema = _schema(sample, columns)
            yield JsonBlock(raw, columns, schema, settings.timestamp_unit, stream.used_bytes())


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _schema(sample: list[dict[str, Any]], columns: Columns) -> pa.Schema:
    fields = []
    for role, name in columns.by_role().items():
        kinds = {type(record[name]) for record in sample if record.get(name) is not None}
        number = pa.float64() if role == "weight" or float in kinds else pa.int64()
        fields.append((name, pa.large_string() if str in kinds else number))
    return pa.schema(fields)


@dataclass(frozen=True)
class JsonBlock:
    """Whole lines as bytes."""

    raw: bytes
    columns: Columns
    schema: pa.Schema
    timestamp_unit: str
    position: float

    def parse(self) -> Block:
        """See `RawBlock`."""
        n_lines = self.raw.count(b"\n")
        table = self._parse_fast(n_lines)
        names = self.columns.by_role()
        by_role = {} if table is None else {role: _one_array(table.column(name)) for role, name in names.items()}
        if by_role and all(_are_ids(by_role[role]) for role in ("user", "item")):
            codes = np.zeros(n_lines, dtype=np.uint8)
            lines = np.arange(n_lines)
        else:
            by_role, codes, lines = self._parse_line_by_line()

        @cache
        def raw_lines() -> list[bytes]:
            return self.raw.split(b"\n")

        def describe(row: int, role: str) -> tuple[int, str]:
            text = raw_lines()[lines[row]].decode("utf-8", "backslashreplace").rstrip("\r")
            value = (_record(text.encode()) or {}).get(names[role]) if role else text
            shown = _as_field(value) or ""
            return int(lines[row]) + 1, shown.encode("utf-8", "backslashreplace").decode()

        block = table_block(by_role, Defects(codes), self.columns, self.timestamp_unit, describe, n_lines)
        return replace(block, users=_loose(block.users), items=_loose(block.items))

    def _parse_fast(self, n_lines: int) -> pa.Table | None:
        # One object a line, as Arrow's parser does not mind two in one.
        if self.raw.count(b"\n{") + self.raw.startswith(b"{") != n_lines:
            return None
        options = pa.json.ParseOptions(
            explicit_schema=self.schema, newlines_in_values=False, unexpected_field_behavior="ignore"
        )
        reading = pa.json.ReadOptions(use_threads=False, block_size=len(self.raw) + 1)
        try:
            table = pa.json.read_json(pa.BufferReader(self.raw), parse_options=options, read_options=reading)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return table if table.num_rows == n_lines else None

    def _parse_line_by_line(self) -> tuple[dict[str, pa.Array], np.ndarray, np.ndarray]:
        names = self.columns.by_role()
        values: dict[str, list[Any]] = {role: [] for role in names}
        codes, lines = [], []
        for number, line in enumerate(self.raw.split(b"\n")):
            if not line.strip():
                continue
            record = _record(line)
            code = 0 if record is not None else INVALID_JSON
            for role, name in names.items():
                value = (record or {}).get(name)
                value = _as_id(value) if role in _ID_DEFECTS else _as_field(value)
                if not _encodable(value):
                    code = code or _ID_DEFECTS.get(role, (0, 0))[0]
                    value = None
                elif value is _OTHER:
                    code = code or _ID_DEFECTS[role][1]
                    value = None
                values[role].append(value)
            codes.append(code)
            lines.append(number)
        arrays = {
            role: _id_column(values[role]) if role in _ID_DEFECTS else pa.array(values[role], pa.large_string())
            for role in names
        }
        return arrays, np.array(codes, dtype=np.uint8), np.array(lines, dtype=np.int64)


def _as_id(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if value is None or (isinstance(value, (int, str)) and not isinstance(value, bool)) else _OTHER


def _as_field(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _encodable(value: Any) -> bool:
    """False for text with half of a surrogate pair, which JSON can write and UTF-8 can not."""
    return not isinstance(value, str) or value.isascii() or not _SURROGATE.search(value)


def _id_column(values: list[Any]) -> pa.Array:
    """Integers if all ids are, within 64 bits; else strings, as in any other text."""
    if not any(isinstance(value, str) for value in values):
        try:
            return pa.array(values, pa.int64())
        except OverflowError:
            pass
    return pa.array([None if value is None else str(value) for value in values], pa.large_string())


def _are_ids(values: pa.Array) -> bool:
    """Whether a column can be ids as Arrow read it; if not, reading line by line finds the rows that are to blame."""
    if not pa.types.is_floating(values.type):
        return True
    numbers = values.drop_null().to_numpy()
    return bool((np.abs(numbers) < _EXACT).all() and (numbers == np.rint(numbers)).all())


def _loose(ids: Ids) -> Ids:
    return replace(ids, loose=ids.integers is not None)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
