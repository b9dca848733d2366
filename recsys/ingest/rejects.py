"""Bad rows: named in an error, or counted, written to a file and warned of once. Imports the parts above."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError, ParameterError
from recsys.ingest.blocks import DEFECTS, LATE_TIME, Block
from recsys.ingest.columns import Columns
from recsys.storage import write_file

__all__ = ["BadRowsWarning", "Rejects", "open_rejects"]

_FIELDS = ("file", "line", "column", "value", "reason")
_NAMED_IN_ERROR = 5
_UNIT_HINT = " Hint: timestamp_unit= says what the numbers count: 's', 'ms', 'us' or 'ns'."

Row = tuple[str, int, str, str, str]


class BadRowsWarning(UserWarning):
    """Some rows of a log were left out; the message counts them by reason."""


class Rejects:
    """The bad rows met so far: `raise` stops at the first ones, `skip` counts them and passes them to the writer, if any."""

    def __init__(self, rule: str, writer: _Writer | None) -> None:
        self._raises, self._writer = rule == "raise", writer
        self.counts: Counter[str] = Counter()

    def take(self, block: Block, columns: Columns, source: str, lines_before: int) -> None:
        """The bad rows of a block of `source` that begins after `lines_before` lines. Raises `DataError` if so asked."""
        if block.defects is None:
            return
        bad = np.flatnonzero(block.defects)
        rows = (_row(block, int(row), columns, source, lines_before) for row in bad)
        if self._raises:
            raise DataError(_message(rows, len(bad), block.unit, block.defects[bad[:_NAMED_IN_ERROR]]))
        for code, count in zip(*np.unique(block.defects[bad], return_counts=True), strict=True):
            self.counts[DEFECTS[code][1]] += int(count)
        if self._writer is not None:
            self._writer.write(rows)

    def by_reason(self) -> str:
        """Counts in words, the most frequent first."""
        return ", ".join(f"{count:,} × {reason}" for reason, count in self.counts.most_common())

    def warn(self, n_rows: int, path: Path | None) -> None:
        """Warns once, if there is something to warn of."""
        if not self.counts:
            return
        where = f" The list is in {path}." if path else " Hint: rejects= names a file to list them in."
        unit = _UNIT_HINT if DEFECTS[LATE_TIME][1] in self.counts else ""
        bad = sum(self.counts.values())
        left_out = f"{bad:,} of {n_rows:,} row{'' if n_rows == 1 else 's'} {'was' if bad == 1 else 'were'} left out"
        warnings.warn(f"{left_out}: {self.by_reason()}.{where}{unit}", BadRowsWarning, stacklevel=3)


def _row(block: Block, row: int, columns: Columns, source: str, lines_before: int) -> Row:
    role, reason = DEFECTS[block.defects[row]] if block.defects is not None else ("", "")
    line, value = block.describe(row, role)
    return source, lines_before + line, columns.by_role().get(role, ""), value, reason


def _message(rows: Iterator[Row], n_bad: int, unit: str, codes: np.ndarray) -> str:
    named = []
    for source, line, column, value, reason in (row for row, _ in zip(rows, range(_NAMED_IN_ERROR), strict=False)):
        shown = value if len(value) <= 80 else value[:60] + "…"
        named.append(f"{source}, {unit} {line}{f', column {column!r}' if column else ''}: {reason}, got {shown!r}")
    begin = "A row can not be used" if n_bad == 1 else f"At least {n_bad:,} rows can not be used, the first of them"
    hint = _UNIT_HINT if (codes == LATE_TIME).any() else " Hint: bad_rows='skip' leaves such rows out and counts them."
    return f"{begin}: {'; '.join(named)}.{hint}"


class _Writer(Protocol):
    def write(self, rows: Iterator[Row]) -> None: ...


class _CsvWriter:
    def __init__(self, handle: Any) -> None:
        self._writer = csv.writer(handle)
        self._writer.writerow(_FIELDS)

    def write(self, rows: Iterator[Row]) -> None:
        self._writer.writerows(rows)


class _ParquetWriter:
    schema = pa.schema([(name, pa.int64() if name == "line" else pa.large_string()) for name in _FIELDS])

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def write(self, rows: Iterator[Row]) -> None:
        columns = dict(zip(_FIELDS, zip(*rows, strict=True), strict=True))
        self._writer.write_table(pa.table({name: pa.array(columns[name]) for name in _FIELDS}).cast(self.schema))


@contextmanager
def open_rejects(rule: str, path: Path | None) -> Iterator[Rejects]:
    """Yields the `Rejects`; the file `path` (.csv or .parquet) is there, whole, once the block has ended well."""
    if path is None:
        yield Rejects(rule, None)
    elif path.suffix.lower() == ".csv":
        with write_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as handle:
            yield Rejects(rule, _CsvWriter(handle))
    elif path.suffix.lower() in (".parquet", ".pq"):
        with write_file(path) as temporary, pq.ParquetWriter(temporary, _ParquetWriter.schema) as writer:
            yield Rejects(rule, _ParquetWriter(writer))
    else:
        raise ParameterError(f"`rejects` must be a .csv or a .parquet file. Got {str(path)!r}.")
