"""`read_interactions`: the whole way from a source to `Interactions`. Imports the parts above."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.ingest.blocks import Block, RawBlock, Settings
from recsys.ingest.columns import Columns, Wanted
from recsys.ingest.delimited import read_delimited
from recsys.ingest.encode import IdEncoder
from recsys.ingest.events import EventStore
from recsys.ingest.jsonlines import read_json_lines
from recsys.ingest.rejects import Rejects, open_rejects
from recsys.ingest.sources import FileSource, find_files
from recsys.ingest.tables import is_table, read_parquet, read_table
from recsys.ingest.values import TICKS_PER_SECOND
from recsys.interactions import DUPLICATE_RULES, Interactions
from recsys.parallel import Workers
from recsys.progress import show_progress

__all__ = ["read_interactions"]

_BLOCK_BYTES = 1 << 19
# Blocks read, then parsed side by side, then encoded in order; the same for any number of threads.
_BLOCKS_A_ROUND = 8


def read_interactions(
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    weight: str | Literal[False] | None = None,
    timestamp: str | Literal[False] | None = None,
    timestamp_unit: str = "s",
    duplicates: str = "sum",
    bad_rows: str = "raise",
    rejects: str | os.PathLike[str] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    progress: bool = False,
    num_threads: int | None = None,
) -> Interactions:
    """Reads a log of events.

    source : a path, a glob, a list of these (CSV, TSV, Parquet, JSON Lines, each also gzip or zstd), or a pandas, polars or
        Arrow table (anything that gives an Arrow stream).
    user, item, weight, timestamp : names of columns. Defaults: user_id, item_id, weight, timestamp, or their aliases
        (`recsys.ingest.columns.ALIASES`). Weight and timestamp are used if they are there; False uses none.
    timestamp_unit : what plain numbers count since 1970: "s", "ms", "us", "ns". Text is ISO 8601 or another form that can
        be read in one way only; without a zone it is UTC.
    duplicates : what becomes of several events of one user and item: "sum" of their weights, their "count", the "max", or
        the "last" (by timestamp, then by order).
    bad_rows : "raise" stops at rows without id, finite weight or time, or of broken form, and names the first; "skip" leaves
        them out, counts them in the provenance, writes them to `rejects` (.csv or .parquet) and warns once.
    format : "csv", "tsv", "parquet" or "jsonl", if the suffix does not tell.
    delimiter : the one byte between the fields of text files, such as ";"; None for "," in CSV and a tab in TSV.

    Ids that are integers stay integers: in text, if every one is in its shortest form ("007" makes a column of strings).
    Any other text is an id as it stands, with its spaces; only nothing at all is missing. Ids take positions in the order
    in which they first appear in the log. Memory stays near that of the result. Raises `DataError`, `FormatError`,
    `ParameterError`.
    """
    wanted = Wanted(user, item, weight, timestamp)
    _check_choice("timestamp_unit", timestamp_unit, TICKS_PER_SECOND)
    _check_choice("duplicates", duplicates, DUPLICATE_RULES)
    _check_choice("bad_rows", bad_rows, ("raise", "skip"))
    if rejects is not None and bad_rows != "skip":
        raise ParameterError("`rejects` has a use with bad_rows='skip' only.")
    if delimiter is not None:
        _check_delimiter(delimiter)
    log = _Log(source, wanted, format, delimiter, timestamp_unit, _BLOCK_BYTES, num_threads)
    path = None if rejects is None else Path(rejects)
    with open_rejects(bad_rows, path) as bad, show_progress("Reading events", log.total, enabled=progress) as advance:
        log.read(bad, advance)
    if log.n_events == 0:
        raise DataError(
            f"{log.names()} holds no events{f': all rows were left out ({bad.by_reason()})' if bad.counts else ''}."
        )
    bad.warn(log.n_rows, path)
    return log.gathered(duplicates, dict(bad.counts))


def _check_choice(name: str, value: object, options: Any) -> None:
    if value not in tuple(options):
        raise ParameterError(
            f"`{name}` must be one of {quote_some(options)}. Got {value!r}.{closest_hint(str(value), list(options))}"
        )


def _check_delimiter(delimiter: object) -> None:
    if not isinstance(delimiter, str) or len(delimiter.encode()) != 1 or delimiter in '"\r\n\0':
        raise ParameterError(
            f"`delimiter` must be one ASCII character, no quote and no line end. Got {delimiter!r}. Hint: a tab is '\\t'."
        )


@dataclass
class _Part:
    """One file, or the table in memory: how to read it, and how far that has come."""

    name: str
    total_bytes: int | None
    open: Callable[[Settings], Iterator[RawBlock]]
    n_rows: int = 0
    n_lines: int = 0

    def summary(self) -> dict[str, Any]:
        size = {} if self.total_bytes is None else {"bytes": self.total_bytes}
        return {"path": self.name, **size, "rows": self.n_rows}


@dataclass
class _Log:
    """A source on its way: its parts, the ids met, and the events so far as positions."""

    source: Any
    wanted: Wanted
    format: str | None
    delimiter: str | None
    timestamp_unit: str
    block_bytes: int
    num_threads: int | None
    columns: Columns | None = None
    users: IdEncoder = field(default_factory=lambda: IdEncoder("user_id"))
    items: IdEncoder = field(default_factory=lambda: IdEncoder("item_id"))
    events: EventStore = field(default_factory=EventStore)

    def __post_init__(self) -> None:
        if is_table(self.source):
            for name in ("format", "delimiter"):
                if getattr(self, name) is not None:
                    raise ParameterError(f"`{name}` is for files; the source is a table.")
            self.parts = [_Part(type(self.source).__name__, None, partial(read_table, self.source))]
            return
        if not isinstance(self.source, (str, os.PathLike, list, tuple)):
            raise ParameterError(
                "`source` must be a path, a glob, a list of these, or a pandas, polars or Arrow table. "
                f"Got {type(self.source).__name__}."
            )
        files = find_files(self.source, self.format)
        other = next((file for file in files if file.format not in ("csv", "tsv")), None)
        if self.delimiter is not None and other is not None:
            raise ParameterError(f"`delimiter` is for CSV and TSV files; {other.name} is read as {other.format}.")
        self.parts = [_Part(file.name, file.total_bytes, partial(_read_file, file, self.num_threads)) for file in files]

    @property
    def total(self) -> float | None:
        """What progress runs up to: the size of all files in MB; None for a table, whose rows are counted."""
        sizes = [part.total_bytes for part in self.parts]
        return None if None in sizes else sum(size or 0 for size in sizes) * self.scale

    @property
    def scale(self) -> float:
        """What one byte or row counts in progress."""
        return 1 if is_table(self.source) else 1e-6

    @property
    def n_rows(self) -> int:
        """Rows read, good and bad."""
        return sum(part.n_rows for part in self.parts)

    @property
    def n_events(self) -> int:
        """Good rows so far."""
        return len(self.events)

    def names(self) -> str:
        """The parts in words."""
        return self.parts[0].name if len(self.parts) == 1 else f"Each of the {len(self.parts)} files"

    def choose(self, names: Sequence[str], where: str) -> Columns:
        """The columns to use; the first part settles them for all."""
        if self.columns is None:
            self.columns = self.wanted.resolve(names, where)
        self.columns.check_there(names, where)
        return self.columns

    def read(self, rejects: Rejects, advance: Callable[..., None]) -> None:
        """Reads all parts. While a round of blocks is parsed, the next one is read."""
        settings = Settings(self.choose, self.timestamp_unit, self.block_bytes, self.delimiter)
        with Workers(self.num_threads) as workers:
            for part in self.parts:
                blocks = part.open(settings)
                ready = list(islice(blocks, _BLOCKS_A_ROUND))
                done = 0.0
                while ready:
                    advance((ready[-1].position - done) * self.scale)
                    done = ready[-1].position
                    jobs: list[Callable[[], Any]] = [
                        partial(_read_round, blocks),
                        *(partial(self._parse, raw) for raw in ready),
                    ]
                    ready, *parsed = workers.map(_call, jobs)
                    self._absorb(part, parsed, rejects, workers)

    def _parse(self, raw: RawBlock) -> _Found:
        block = raw.parse()
        return _Found(block, self.users.find(block.users), self.items.find(block.items))

    def _absorb(self, part: _Part, parsed: list[_Found], rejects: Rejects, workers: Workers) -> None:
        for found in parsed:
            if self.columns is not None:
                rejects.take(found.block, self.columns, part.name, part.n_lines)
            part.n_lines += found.block.n_lines
            part.n_rows += found.block.n_rows

        def add_users() -> None:
            for found in parsed:
                self.users.add(found.block.users, found.users, part.name)

        def add_items() -> None:
            for found in parsed:
                self.items.add(found.block.items, found.items, part.name)

        workers.map(_call, [add_users, add_items])
        for found in parsed:
            self.events.append(found.users, found.items, found.block.weights, found.block.timestamps)

    def gathered(self, duplicates: str, rejected: dict[str, int]) -> Interactions:
        """The interactions; the events are used up."""
        provenance = {
            "sources": [part.summary() for part in self.parts],
            "rows_read": self.n_rows,
            "rejected": rejected,
            "columns": self.columns.by_role() if self.columns else {},
            "duplicates": duplicates,
        }
        return Interactions.from_event_blocks(
            self.users.ids(),
            self.items.ids(),
            self.events.take(),
            duplicates=duplicates,
            provenance=provenance,
            num_threads=self.num_threads,
        )


@dataclass
class _Found:
    """A parsed block and the positions of its ids, -1 for those not met before."""

    block: Block
    users: np.ndarray
    items: np.ndarray


def _read_file(file: FileSource, num_threads: int | None, settings: Settings) -> Iterator[RawBlock]:
    if file.format == "parquet":
        return read_parquet(file, settings, use_threads=num_threads != 1)
    return read_json_lines(file, settings) if file.format == "jsonl" else read_delimited(file, settings)


def _read_round(blocks: Iterator[RawBlock]) -> list[RawBlock]:
    return list(islice(blocks, _BLOCKS_A_ROUND))


def _call(job: Any) -> Any:
    return job()
