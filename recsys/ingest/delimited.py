"""CSV and TSV files → blocks. Records are cut one after the other, then parsed by any thread. Imports the parts above.

The first line names the columns; between fields stands "," or a tab, or the delimiter that was asked for. Fields and quotes
as in RFC 4180, UTF-8 with or without a byte order mark, lines that end in LF or CR LF. Empty lines do not count as rows. Ids
keep spaces around them; around numbers and times they do not matter.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from recsys.errors import FormatError
from recsys.ingest.blocks import (
    INVALID_ITEM,
    INVALID_USER,
    MISSING_ITEM,
    MISSING_USER,
    Block,
    Defects,
    Describe,
    RawBlock,
    Settings,
    Text,
)
from recsys.ingest.columns import Columns
from recsys.ingest.sources import ByteStream, FileSource
from recsys.ingest.values import ids_from_text, times_from_text, weights_from_text
from recsys.kernels import delimited as kernels

__all__ = ["read_delimited", "text_block", "whole_lines"]

_DELIMITER = {"csv": ",", "tsv": "\t"}
# A record that has not ended after this many bytes has a quote that is never closed, or is no text.
_LONGEST_RECORD_BYTES = 1 << 24


def read_delimited(source: FileSource, settings: Settings) -> Iterator[RawBlock]:
    """The blocks of a CSV or TSV file, unparsed. Raises `FormatError` for what is no such file, `DataError` for its columns."""
    delimiter = settings.delimiter or _DELIMITER[source.format]
    with source.open() as stream:
        blocks = whole_lines(stream, source.name, settings.block_bytes, ord(delimiter))
        first = next(blocks, b"")
        names, length = _header(first, delimiter, source.name)
        columns = settings.choose(names, source.name)
        slots = np.full(len(names), -1, dtype=np.int64)
        for slot, name in enumerate(columns.by_role().values()):
            slots[names.index(name)] = slot
        # The header comes as a block of its own so that lines are counted in one place.
        yield DelimitedBlock(first, length, ord(delimiter), slots, columns, settings.timestamp_unit, stream.used_bytes())
        for raw in blocks:
            yield DelimitedBlock(raw, 0, ord(delimiter), slots, columns, settings.timestamp_unit, stream.used_bytes())


def whole_lines(stream: ByteStream, name: str, block_bytes: int, delimiter: int | None) -> Iterator[bytes]:
    """The text of a stream in pieces of about `block_bytes` that end with a line, or with a record if a `delimiter` is given.

    Raises `FormatError` for what can not be UTF-8 text.
    """
    rest = b""
    begun = False
    while part := stream.read(block_bytes):
        data = rest + part
        if not begun:
            if len(data) < 4:
                rest = data
                continue
            data, begun = _begin(data, name), True
        cut = _cut(data, delimiter)
        if cut == 0 and len(data) > _LONGEST_RECORD_BYTES:
            cut = _first_line(data, name)
        if cut:
            yield data[:cut]
        rest = data[cut:]
    data = rest if begun else _begin(rest, name)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    while data:  # more than one piece only after a quote that is never closed
        cut = _cut(data, delimiter) or _first_line(data, name)
        yield data[:cut]
        data = data[cut:]


def _begin(data: bytes, name: str) -> bytes:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FormatError(f"{name} is UTF-16 text; UTF-8 was expected.")
    zero = data.find(b"\0", 0, 1024)
    if zero >= 0:
        raise FormatError(f"{name} is not a text file: byte {zero + 1:,} of it is zero.")
    return data.removeprefix(b"\xef\xbb\xbf")


def _cut(data: bytes, delimiter: int | None) -> int:
    if delimiter is None or b'"' not in data:
        return data.rfind(b"\n") + 1
    return int(kernels.complete_records(np.frombuffer(data, dtype=np.uint8), delimiter))


def _first_line(data: bytes, name: str) -> int:
    cut = data.find(b"\n") + 1
    if cut == 0:
        raise FormatError(f"{name} has a line of more than {_LONGEST_RECORD_BYTES:,} bytes; is it a text file?")
    return cut


def _header(data: bytes, delimiter: str, name: str) -> tuple[list[str], int]:
    """The names of the columns, and how many bytes they take."""
    lines = io.BytesIO(data)
    if b"\r" in data.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r"):
        raise FormatError(f"The lines of {name} end in a carriage return alone; LF or CR LF was expected.")
    reader = csv.reader((line.decode("utf-8") for line in lines), delimiter=delimiter)
    try:
        names = next((row for row in reader if row), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"The first line of {name} does not name columns: {error}.") from error
    if not names:
        raise FormatError(f"{name} is empty: it has no line that names its columns.")
    other = [mark for mark in (";", "\t", ",", "|") if mark != delimiter and mark in names[0]]
    if len(names) == 1 and other:
        raise FormatError(
            f"{name} has one column only, named {names[0]!r}: it seems to be separated by {other[0]!r}, not by {delimiter!r}."
            f" Hint: delimiter={other[0]!r} reads it."
        )
    return names, lines.tell()


@dataclass(frozen=True)
class DelimitedBlock:
    """Whole records as bytes; the first `skipped_bytes` of them are the header."""

    raw: bytes
    skipped_bytes: int
    delimiter: int
    slots: np.ndarray
    columns: Columns
    timestamp_unit: str
    position: float

    def parse(self) -> Block:
        """See `RawBlock`."""
        data = np.frombuffer(self.raw, dtype=np.uint8)[self.skipped_bytes :]
        room = int(kernels.count_byte(data, ord("\n")))
        roles = list(self.columns.by_role())
        quoted = b'"' in self.raw
        text = data.copy() if quoted else np.empty(0, dtype=np.uint8)
        starts, ends = np.empty((2, len(roles), room), dtype=np.int32)
        begins, codes = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.uint8)
        n_rows = kernels.split_records(data, text, self.delimiter, self.slots, begins, starts, ends, codes)
        fields = {
            role: Text(text if quoted else data, starts[slot, :n_rows], ends[slot, :n_rows]) for slot, role in enumerate(roles)
        }
        n_header_lines = self.raw.count(b"\n", 0, self.skipped_bytes)

        @cache
        def line_ends() -> np.ndarray:
            return np.flatnonzero(data == ord("\n"))

        def describe(row: int, role: str) -> tuple[int, str]:
            line = n_header_lines + int(np.searchsorted(line_ends(), begins[row])) + 1
            if role:
                return line, fields[role][row]
            end = begins[row + 1] if row + 1 < n_rows else len(data)
            return line, data[begins[row] : end].tobytes().decode("utf-8", "backslashreplace").rstrip("\r\n")

        return text_block(fields, Defects(codes[:n_rows]), self.timestamp_unit, describe, n_header_lines + room)


def text_block(fields: Mapping[str, Text], defects: Defects, timestamp_unit: str, describe: Describe, n_lines: int) -> Block:
    """The block of columns that are all text; ids that are integers throughout become integers."""
    users, items = fields["user"], fields["item"]
    n_rows = len(users)
    defects.mark(users.empty, MISSING_USER)
    defects.mark(users.invalid, INVALID_USER)
    defects.mark(items.empty, MISSING_ITEM)
    defects.mark(items.invalid, INVALID_ITEM)
    weights = weights_from_text(fields["weight"], defects) if "weight" in fields else None
    times = times_from_text(fields["timestamp"], timestamp_unit, defects) if "timestamp" in fields else None
    codes = defects.codes()
    if codes is not None:
        good = np.flatnonzero(codes == 0)
        users, items = users.take(good), items.take(good)
        weights = None if weights is None else weights[good]
        times = None if times is None else times[good]
    return Block(n_rows, codes, ids_from_text(users), ids_from_text(items), weights, times, describe, n_lines)
