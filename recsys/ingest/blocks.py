"""What the readers hand on: blocks of parsed columns with their bad rows marked. Imports kernels and
`columns` only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa

from recsys.errors import DataError
from recsys.ingest.columns import Columns
from recsys.kernels import parse

__all__ = [
    "BAD_TIME",
    "BAD_WEIGHT",
    "DEFECTS",
    "INVALID_ITEM",
    "INVALID_JSON",
    "INVALID_USER",
    "ITEM_KIND",
    "LATE_TIME",
    "MISPLACED_QUOTE",
    "MISSING_ITEM",
    "MISSING_USER",
    "USER_KIND",
    "WRONG_FIELDS",
    "Block",
    "Defects",
    "Describe",
    "Ids",
    "RawBlock",
    "Settings",
    "Text",
]

# What can be wrong with a row: (role of the column or "", reason). Row 0 stands for a good row; 1 and 2 are the codes of
# `recsys.kernels.delimited`.
DEFECTS: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("", "wrong number of fields"),
    ("", "misplaced quote"),
    ("", "not a JSON object"),
    ("user", "missing user"),
    ("item", "missing item"),
    ("user", "user is not valid text"),
    ("item", "item is not valid text"),
    ("weight", "weight is not a finite number"),
    ("timestamp", "timestamp does not parse"),
    ("timestamp", "timestamp after the year 5000"),
    ("user", "user is neither integer nor string"),
    ("item", "item is neither integer nor string"),
)
WRONG_FIELDS, MISPLACED_QUOTE, INVALID_JSON, MISSING_USER, MISSING_ITEM = 1, 2, 3, 4, 5
INVALID_USER, INVALID_ITEM, BAD_WEIGHT, BAD_TIME, LATE_TIME = 6, 7, 8, 9, 10
USER_KIND, ITEM_KIND = 11, 12


# (row, role) → (line from 1 within the block, value or, for role "", the raw text).
Describe = Callable[[int, str], tuple[int, str]]


@dataclass(frozen=True)
class Text:
    """A column of text: field k is data[starts[k] : ends[k]], UTF-8. `data` uint8, the others int32, all read-only."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.data, self.starts, self.ends):
            array.flags.writeable = False  # one type of array for the kernels: each compiles once

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> str:
        return self.data[self.starts[row] : self.ends[row]].tobytes().decode("utf-8", "backslashreplace")

    @classmethod
    def from_arrow(cls, values: pa.Array) -> Text:
        """A large_string array, without copying the characters; a missing value becomes an empty field."""
        if len(values) == 0 or values.buffers()[2] is None:
            empty = np.zeros(len(values), dtype=np.int32)
            return cls(np.empty(0, dtype=np.uint8), empty, empty.copy())
        offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + len(values) + 1]
        if offsets[-1] - offsets[0] > np.iinfo(np.int32).max:
            raise DataError(f"{len(values):,} fields of {offsets[-1] - offsets[0]:,} bytes are too long to be ids or numbers.")
        data = np.frombuffer(values.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
        places = (offsets - offsets[0]).astype(np.int32)
        return cls(data, places[:-1], places[1:])

    @property
    def empty(self) -> np.ndarray:
        """Boolean: which fields hold nothing."""
        return np.asarray(self.starts == self.ends)

    @cached_property
    def invalid(self) -> np.ndarray | None:
        """Boolean: which fields are not UTF-8; None if all are for sure."""
        if not len(self.data) or self.data.max() < 0x80:
            return None
        marks = np.zeros(len(self), dtype=bool)
        parse.invalid_utf8(self.data, self.starts, self.ends, marks)
        return marks

    def take(self, rows: np.ndarray) -> Text:
        """The fields at `rows`."""
        return Text(self.data, self.starts[rows], self.ends[rows])


@dataclass(frozen=True)
class Ids:
    """The ids of a block: integers alone (a typed column), text alone, or text that reads as integers without loss.

    loose : integers alone, out of a file that is text (JSON Lines), so that they may become text beside other ids.
    """

    integers: np.ndarray | None
    text: Text | None
    loose: bool = False

    def __len__(self) -> int:
        return len(self.integers) if self.integers is not None else len(self.text or ())

    def take(self, rows: np.ndarray) -> Ids:
        """The ids at `rows`."""
        integers = None if self.integers is None else self.integers[rows]
        return Ids(integers, None if self.text is None else self.text.take(rows), self.loose)

    @cached_property
    def as_text(self) -> Text | None:
        """The ids as text; None where they are integers by their type."""
        if self.loose and self.integers is not None:
            return Text.from_arrow(pa.array(self.integers).cast(pa.large_string()))
        return self.text


@dataclass(frozen=True)
class Block:
    """Some consecutive rows of a log.

    n_rows : good and bad ones. defects : (n_rows,) uint8, places in `DEFECTS`, or None if all are good.
    users, items, weights (float32), timestamps (int64 µs) : of the good rows, in order. weights and timestamps may be None.
    describe : where a bad row stands and what it holds. unit : what its number counts, "line" or "row".
    n_lines : how many lines of the source the block holds.
    """

    n_rows: int
    defects: np.ndarray | None
    users: Ids
    items: Ids
    weights: np.ndarray | None
    timestamps: np.ndarray | None
    describe: Describe
    n_lines: int
    unit: str = "line"


class Defects:
    """What is wrong with the rows of a block; of several defects of a row the first one that was marked counts."""

    def __init__(self, codes: np.ndarray) -> None:
        self._codes = codes

    def mark(self, where: np.ndarray | None, code: int | np.ndarray) -> None:
        """Gives the rows where the boolean `where` is true the defect `code`, or each its own."""
        if where is not None and where.any():
            np.copyto(self._codes, np.asarray(code, dtype=np.uint8), where=where & (self._codes == 0))

    def codes(self) -> np.ndarray | None:
        """(n_rows,) uint8, or None if nothing is wrong."""
        return self._codes if self._codes.any() else None


class RawBlock(Protocol):
    """A block that was read and not yet parsed. Parsing blocks may go on in several threads at once."""

    @property
    def position(self) -> float:
        """How far reading has come with it: bytes of the file on disk, or rows of a table."""
        ...

    def parse(self) -> Block:
        """The block's columns."""
        ...


@dataclass(frozen=True)
class Settings:
    """What readers must know beside the source. `block_bytes` bounds how much is in work at once, never the result.

    delimiter : what stands between the fields of a text file; None for that of its format.
    """

    choose: Callable[[Sequence[str], str], Columns]
    timestamp_unit: str
    block_bytes: int
    delimiter: str | None = None

    @property
    def block_rows(self) -> int:
        """Rows a block, for sources that are tables."""
        return max(1, self.block_bytes // 16)
