"""Where a batch job's rows go: one file, here; a folder of parts (`partitions`) or a table of a database (`database`).

A destination is entered before the work, so that a place that can not be written to, or is being written by another job, is
refused at once. What it opens takes frames in order and is told with each how far the work has come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from recsys.errors import ParameterError, quote_some
from recsys.jobs.batch_plan import BatchPlan
from recsys.jobs.list_files import list_writer, require_suffix
from recsys.jobs.locks import held
from recsys.storage import write_file

__all__ = ["Destination", "Done", "Sink", "Task", "file_destination", "refuse_other_task"]


@dataclass(frozen=True)
class Done:
    """How far a job has come: users done (with or without rows), those with rows, and rows."""

    users: int = 0
    with_rows: int = 0
    rows: int = 0

    def plus(self, users: int, frame: pd.DataFrame) -> Done:
        """After `users` more, whose rows are `frame`."""
        return Done(self.users + users, self.with_rows + int((frame["rank"] == 1).sum()), self.rows + len(frame))


@dataclass(frozen=True)
class Task:
    """What is to be written.

    key : settings and sums of the inputs, ready for JSON: work is gone on with only when they are equal.
    """

    schema: pa.Schema
    plan: BatchPlan
    key: Mapping[str, Any]


class Sink(Protocol):
    """What takes the rows. `done` is how far an earlier run had come."""

    @property
    def done(self) -> Done: ...
    def write(self, frame: pd.DataFrame, done: Done) -> None:
        """Appends a frame; `done` is how far the work has come with it."""


class Destination(Protocol):
    """A place that was claimed."""

    @property
    def left(self) -> Mapping[str, Any] | None:
        """The key of the task that an interrupted run left unfinished here, None where there is nothing to go on with."""

    def open(self, task: Task, *, resume: bool) -> AbstractContextManager[Sink]:
        """Begins the task, or goes on with what is left of it. The output is in place when the block ends well."""

    def what_is_left(self) -> str:
        """A sentence about what an interrupted run leaves, empty when that is nothing."""

    def size(self) -> int | None:
        """Bytes of the finished output, where that can be told."""


def refuse_other_task(left: Mapping[str, Any], key: Mapping[str, Any], place: str) -> None:
    """Raises `ParameterError` that names what differs between the task that was left and the one to be done."""
    different = [
        f"{name} was {left.get(name)!r} and is {key.get(name)!r}"
        for name in sorted({*left, *key})
        if left.get(name) != key.get(name)
    ]
    if different:
        raise ParameterError(
            f"{place} was begun from other settings or inputs: {'; '.join(different)}. "
            "Hint: the settings it was begun with go on with it; without --resume everything is done anew."
        )


class _File:
    """One file: written beside its place and moved there at the end, so there is nothing to go on with."""

    left = None

    def __init__(self, path: Path, temporary: Path, suffix: str) -> None:
        self._path, self._temporary, self._suffix = path, temporary, suffix

    @contextmanager
    def open(self, task: Task, *, resume: bool) -> Iterator[Sink]:
        with list_writer(self._temporary, self._suffix, task.schema) as append:
            yield _FileSink(append)

    def what_is_left(self) -> str:
        return ""

    def size(self) -> int | None:
        return self._path.stat().st_size


class _FileSink:
    done = Done()

    def __init__(self, append: Any) -> None:
        self._append = append

    def write(self, frame: pd.DataFrame, done: Done) -> None:
        self._append(frame)


@contextmanager
def file_destination(output: str, *, overwrite: bool) -> Iterator[Destination]:
    """A Parquet, CSV or JSON Lines file, by its suffix."""
    suffix, path = require_suffix(output), Path(output)
    with held(path), write_file(path, overwrite=overwrite) as temporary:
        yield _File(path, temporary, suffix)


def as_done(saved: Any, place: str) -> Done:
    """`Done` as `asdict` wrote it."""
    names = set(asdict(Done()))
    if not isinstance(saved, Mapping) or set(saved) != names or not all(isinstance(saved[name], int) for name in names):
        raise ParameterError(f"{place} does not say how far it had come: it has {quote_some([saved])}.")
    return Done(**saved)
