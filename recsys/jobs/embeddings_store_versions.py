"""`recsys embeddings get`, `diff`, `tag`, `rollback`, `prune`: versions of a store read, compared, named and cleared away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from recsys.embeddings import EmbeddingStore, open_store
from recsys.embeddings.formats import format_of
from recsys.errors import ParameterError
from recsys.ids import IdMap
from recsys.jobs.embeddings_compare import ComparedVersions, compare
from recsys.jobs.embeddings_files import EmbeddingsWritten, written
from recsys.jobs.id_files import read_id_file
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted
from recsys.jobs.terminal import say
from recsys.storage import refuse_existing

__all__ = ["Pruned", "Tagged", "diff", "get", "prune", "rollback", "tag"]


@dataclass(frozen=True)
class Tagged:
    """A tag that was moved, or made. before: the version where it was, None where it was nowhere."""

    store: str
    tag: str
    version: int
    before: int | None

    def show(self) -> None:
        """One sentence on standard output."""
        was = "" if self.before is None else f"; it was at version {self.before}"
        say(f"The tag {self.tag} of {self.store} is at version {self.version}{was}.")


@dataclass(frozen=True)
class Pruned:
    """Versions that were removed."""

    store: str
    removed: list[int]
    left: int

    def show(self) -> None:
        """One sentence on standard output."""
        gone = ", ".join(map(str, self.removed)) or "none"
        say(f"Removed from {self.store}: {gone}. {counted(self.left, 'version')} left.")


def tag(store: str, *, name: str, version: str) -> Tagged:
    """Moves a tag to a version: a number, another tag, or "latest"."""
    opened = open_store(store)
    earlier = opened.tags().get(name)
    opened.tag(name, version)
    return Tagged(store, name, opened.tags()[name], earlier)


def rollback(store: str, *, name: str) -> Tagged:
    """Moves a tag to the version where it was before."""
    opened = open_store(store)
    earlier = opened.tags().get(name)
    return Tagged(store, name, opened.rollback(name).version, earlier)


def prune(store: str, *, keep: int = 5) -> Pruned:
    """Removes old versions that are not tagged."""
    opened = open_store(store)
    removed = opened.prune(keep)
    return Pruned(store, removed, len(opened.versions()))


def get(
    store: str,
    *,
    version: str,
    output: str,
    ids: str | None = None,
    unknown: str = "raise",
    format: str | None = None,
    overwrite: bool = False,
) -> EmbeddingsWritten:
    """Writes a version, or the rows of some ids, to a file of an open format or to a directory of embeddings."""
    clock = Clock()
    refuse_collisions([output], [store, ids])
    chosen = _format(output, format)
    if chosen == "directory":
        refuse_existing(output, "embeddings", overwrite=overwrite)
    opened = open_store(store)
    wanted = None if ids is None else read_id_file(ids, _typed(opened, version), unknown="skip")
    embeddings = opened.get(version, wanted, unknown=unknown)
    if chosen == "directory":
        embeddings.save(output, overwrite=overwrite)
    else:
        embeddings.to_file(output, chosen, overwrite=overwrite)
    return written(embeddings, output, chosen, clock)


def diff(store: str, *, a: str, b: str, **options: Any) -> ComparedVersions:
    """What changed from version `a` to version `b`.  options : see `recsys.jobs.embeddings_compare.compare`."""
    opened = open_store(store)
    old, new = (f"{store}@{opened.version(version).version}" for version in (a, b))
    return replace(compare(old, new, **options), before=f"{store}@{a}", after=f"{store}@{b}")


def _format(output: str, format: str | None) -> str:
    """The format that is named, or told by the suffix; without either it is a directory of our own."""
    if format is not None:
        return format_of(output, format, reading=False)
    try:
        return format_of(output, None, reading=False)
    except ParameterError:
        if "." in output.rpartition("/")[2]:
            raise
        return "directory"


def _typed(store: EmbeddingStore, version: str) -> IdMap:
    """No ids, of the type and name of the store's."""
    at = store.version(version)
    return IdMap(pa.array([], pa.int64() if at.integer_ids else pa.large_string()), name=at.ids)
