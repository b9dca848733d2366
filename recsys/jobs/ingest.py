"""`recsys ingest`: a log of events becomes a dataset directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recsys.errors import DataError, ParameterError
from recsys.ingest import read_interactions
from recsys.interactions import Interactions
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words, size_of
from recsys.jobs.terminal import say
from recsys.storage import refuse_existing

__all__ = ["DatasetWritten", "ingest", "keep_core", "write_dataset"]


@dataclass(frozen=True)
class DatasetWritten:
    """A dataset directory that was written: its shape and size on disk, and what was read where it comes from a log."""

    output: str
    n_users: int
    n_items: int
    n_interactions: int
    bytes: int
    fingerprint: str
    seconds: float
    rows_read: int | None = None
    rejected: dict[str, int] = field(default_factory=dict)

    def show(self) -> None:
        """What was read and written, on standard output."""
        if self.rows_read is not None:
            say(f"Read {self.rows_read:,} rows, of which {sum(self.rejected.values()):,} were left out.")
        say(f"{self.sentence()}, in {seconds_in_words(self.seconds)}.")

    def sentence(self) -> str:
        """Where, and how large."""
        return (
            f"Wrote {self.output}: {self.n_users:,} users × {self.n_items:,} items, "
            f"{self.n_interactions:,} interactions, {bytes_in_words(self.bytes)}"
        )


def ingest(
    source: Sequence[str],
    *,
    output: str,
    min_user_interactions: int = 0,
    min_item_interactions: int = 0,
    rejects: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **reading: Any,
) -> DatasetWritten:
    """Reads the files and globs of `source` and writes the dataset directory `output`.

    min_user_interactions, min_item_interactions : users and items with fewer go, again and again until none is left to go.
    rejects, reading : as `recsys.read_interactions` takes them.
    """
    clock = Clock()
    refuse_existing(output, "dataset", overwrite=overwrite)
    if rejects is not None and Path(rejects).exists() and not overwrite:
        raise ParameterError(f"{rejects} already exists. Hint: ask to overwrite it, or choose another path.")
    data = read_interactions(list(source), rejects=rejects, num_threads=num_threads, progress=progress, **reading)
    data = keep_core(data, min_user_interactions, min_item_interactions)
    written = write_dataset(data, output, clock, overwrite=overwrite)
    return replace(written, rows_read=data.provenance["rows_read"], rejected=dict(data.provenance["rejected"]))


def keep_core(data: Interactions, users: int, items: int) -> Interactions:
    """Users with at least `users` and items with at least `items` interactions. Raises `DataError` when none are left."""
    if users <= 1 and items <= 1:
        return data
    core = data.k_core(users=users, items=items)
    if len(core) == 0:
        raise DataError(
            f"Nothing is left of {data.n_users:,} users × {data.n_items:,} items when each user must have at least {users} "
            f"interactions and each item at least {items}."
        )
    return core


def write_dataset(data: Interactions, output: str, clock: Clock, *, overwrite: bool) -> DatasetWritten:
    """Saves `data` and says what was written."""
    data.save(output, overwrite=overwrite)
    return DatasetWritten(
        output, data.n_users, data.n_items, data.n_interactions, size_of(output), data.fingerprint, clock.seconds
    )
