"""`recsys ingest`: a log of events becomes a dataset directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recsys.errors import DataError, ParameterError
from recsys.ingest import read_interactions
from recsys.ingest.sources import find_files
from recsys.interactions import Interactions
from recsys.jobs.feature_files import FeatureFiles
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words, size_of
from recsys.jobs.terminal import say
from recsys.storage import refuse_existing

__all__ = ["DatasetWritten", "ingest", "keep_core", "write_dataset"]


@dataclass(frozen=True)
class DatasetWritten:
    """A dataset directory that was written: its shape and size on disk, and what was read where it comes from a log.

    underweight : interactions left out since their weight is less than was asked for.
    features : what was read about items and users: for each of "items" and "users" how many features there are, and how many
        of them have none.
    """

    output: str
    n_users: int
    n_items: int
    n_interactions: int
    bytes: int
    fingerprint: str
    seconds: float
    rows_read: int | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    underweight: int = 0
    features: dict[str, dict[str, int]] = field(default_factory=dict)

    def show(self) -> None:
        """What was read and written, on standard output."""
        if self.rows_read is not None:
            rejected = sum(self.rejected.values())
            say(f"Read {counted(self.rows_read, 'row')}, of which {rejected:,} {'was' if rejected == 1 else 'were'} left out.")
        if self.underweight:
            say(f"Left out for their weight: {counted(self.underweight, 'interaction')}.")
        for side, found in self.features.items():
            without = f", {counted(found['without'], side.removesuffix('s'))} without any" if found["without"] else ""
            say(f"Read {counted(found['n_features'], 'feature')} of {side}{without}.")
        say(f"{self.sentence()}, in {seconds_in_words(self.seconds)}.")

    def sentence(self) -> str:
        """Where, and how large."""
        return (
            f"Wrote {self.output}: {counted(self.n_users, 'user')} × {counted(self.n_items, 'item')}, "
            f"{counted(self.n_interactions, 'interaction')}, {bytes_in_words(self.bytes)}"
        )


def ingest(
    source: Sequence[str],
    *,
    output: str,
    min_weight: float | None = None,
    min_user_interactions: int = 0,
    min_item_interactions: int = 0,
    rejects: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **reading: Any,
) -> DatasetWritten:
    """Reads the files and globs of `source` and writes the dataset directory `output`.

    min_weight : interactions with less, counted after events of one user and item were gathered, go first.
    min_user_interactions, min_item_interactions : users and items with fewer go, again and again until none is left to go.
    rejects, reading : as `recsys.read_interactions` takes them; and the fields of `FeatureFiles`, files about the items and
        users that are left.
    """
    clock = Clock()
    refuse_existing(output, "dataset", overwrite=overwrite)
    files = FeatureFiles(**{name: reading.pop(name) for name in FeatureFiles.__dataclass_fields__ if name in reading})
    logs = [file.path for file in find_files(list(source), reading.get("format"))]
    refuse_collisions([output, rejects], [*logs, *files.paths])
    if rejects is not None and Path(rejects).exists() and not overwrite:
        raise ParameterError(f"{rejects} already exists. Hint: ask to overwrite it, or choose another path.")
    read = read_interactions(list(source), rejects=rejects, num_threads=num_threads, progress=progress, **reading)
    heavy = read if min_weight is None else keep_weights(read, min_weight)
    data = files.read_into(keep_core(heavy, min_user_interactions, min_item_interactions))
    written = write_dataset(data, output, clock, overwrite=overwrite)
    about = {"rows_read": read.provenance["rows_read"], "rejected": dict(read.provenance["rejected"])}
    return replace(written, **about, underweight=len(read) - len(heavy))


def keep_weights(data: Interactions, least: float) -> Interactions:
    """Interactions with a weight of at least `least`. Raises `DataError` when none are left."""
    kept = data.filter(min_weight=least)
    if len(kept) == 0:
        raise DataError(f"No interaction has a weight of at least {least:g}; the largest is {data.weights.max():g}.")
    return kept


def keep_core(data: Interactions, users: int, items: int) -> Interactions:
    """Users with at least `users` and items with at least `items` interactions. Raises `DataError` when none are left."""
    if users <= 1 and items <= 1:
        return data
    core = data.k_core(users=users, items=items)
    if len(core) == 0:
        raise DataError(
            f"Nothing is left of {counted(data.n_users, 'user')} × {counted(data.n_items, 'item')} when each user must have "
            f"at least {counted(users, 'interaction')} and each item at least {items}."
        )
    return core


def write_dataset(data: Interactions, output: str, clock: Clock, *, overwrite: bool) -> DatasetWritten:
    """Saves `data` and says what was written."""
    data.save(output, overwrite=overwrite)
    both = {"items": data.item_features, "users": data.user_features}
    features = {
        side: {"n_features": found.n_features, "without": len(found.without)}
        for side, found in both.items()
        if found is not None
    }
    return DatasetWritten(
        output, data.n_users, data.n_items, data.n_interactions, size_of(output), data.fingerprint, clock.seconds,
        features=features,
    )  # fmt: skip
