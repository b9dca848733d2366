"""Files of user or item ids: text or CSV, one id a line, or a Parquet column; "-" is standard input. May import errors, ids."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError, InputError, UnknownIdError, closest_hint, quote_some
from recsys.ids import IdMap, as_id_array

__all__ = ["STANDARD_INPUT", "parse_id", "read_id_file"]

STANDARD_INPUT = "-"


def read_id_file(path: str | os.PathLike[str], known: IdMap, *, unknown: str = "raise") -> pa.Array:
    """The ids in a file, in its order, as the type of `known` (int64 or string); those named twice are kept once.

    A `.parquet` file must have a column named as the ids are (`known.name`). In any other file each line is an id; if the
    first line is, or as CSV contains, that name, then it is a header and the column of that name is taken. Empty lines do
    not count. Raises `DataError` for a file that holds no id or an id of the wrong type, and, unless `unknown` is something
    else than "raise", `UnknownIdError` for ids that `known` does not hold; both name the file.
    """
    file = Path("standard input" if path == STANDARD_INPUT else path)
    try:
        ids = _from_parquet(file, known.name) if file.suffix == ".parquet" else _from_lines(_lines(path), file, known)
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{file} can not be read as a file of {known.name}s: {reason}.") from error
    if len(ids) == 0:
        raise DataError(f"{file} holds no {known.name}.")
    try:
        ids = as_id_array(ids, name=known.name).unique()
    except InputError as error:
        raise DataError(f"{file}: {error}") from error
    if unknown == "raise":
        try:
            known.positions(ids)
        except UnknownIdError as error:
            raise UnknownIdError(f"{file}: {error}") from error
    return ids


def _from_parquet(file: Path, column: str) -> pa.ChunkedArray:
    names = pq.read_schema(file).names
    if column not in names:
        raise DataError(f"{file} has no column {column!r}; it has {quote_some(names)}.{closest_hint(column, names)}")
    return pq.read_table(file, columns=[column]).column(0)


def _lines(path: str | os.PathLike[str]) -> list[str]:
    if path == STANDARD_INPUT:
        return [line.rstrip("\n") for line in sys.stdin]
    with open(path, encoding="utf-8-sig") as handle:
        return [line.rstrip("\n") for line in handle]


def _from_lines(lines: list[str], file: Path, known: IdMap) -> list[str] | list[int]:
    cells = list(_cells(lines, file, known.name))
    if not known.is_integer:
        return [text for _, text in cells]
    return [_integer(text, f"{file}, line {number}: the {known.name}s here") for number, text in cells]


def _cells(lines: list[str], file: Path, column: str) -> Iterator[tuple[int, str]]:
    """(line number, id) of each line that is not empty."""
    header = next(csv.reader(lines[:1]), [])
    place = header.index(column) if column in header else None
    if place is None:
        yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        return
    reader = csv.reader(lines[1:])
    for row in reader:
        if row and len(row) <= place:
            raise DataError(f"{file}, line {reader.line_num + 1}, has no column {column!r}: {quote_some(row)}.")
        if row and row[place]:
            yield reader.line_num + 1, row[place]


def parse_id(text: str, known: IdMap, where: str) -> str | int:
    """`text` as an id of the type that `known` holds; `where` begins the sentence of the error."""
    return _integer(text, f"{where}: the {known.name}s here") if known.is_integer else text


def _integer(text: str, what: str) -> int:
    """`text` as an integer; unlike `int` it takes no underscores and no digits of other scripts."""
    if re.fullmatch(r"\s*[+-]?[0-9]+\s*", text) is None:
        raise DataError(f"{what} are integers. Got {text!r}.")
    if not -(2**63) <= int(text) < 2**63:
        raise DataError(f"{what} are integers of 64 bits. Got {text!r}.")
    return int(text)
