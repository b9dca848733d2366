"""All that knows Lance: opening, writing and committing versions of one table, tags, cleaning. May import errors.

A version is written as data files that nobody sees, then committed: a manifest takes the next number in one step, or is told
that another came first. A process that dies leaves files that no manifest names, which cleaning removes after a week.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.errors import FormatError, RecsysError, StorageError, require_extra

__all__ = ["LanceTable", "LanceTag", "lance_errors", "require_lance"]

# What Lance lays into a table's folder; without `_versions` nothing was ever committed there.
_FOLDERS = {"data", "_versions", "_transactions", "_refs", "_indices", "_deletions"}
_PROPERTY = "recsys.version"
_SIGNS_OF_DAMAGE = ("Not found", "not found", "does not have sufficient data", "Invalid range")


@dataclass(frozen=True)
class LanceTag:
    """Where a tag is, since when (UTC, ISO 8601), and what was kept with it."""

    version: int
    time: str
    metadata: Mapping[str, str]


def require_lance() -> Any:
    """The module `lance`. Raises `MissingExtraError`."""
    return require_extra("lance", "store", "A store of embeddings")


@contextlib.contextmanager
def lance_errors(uri: str, what: str) -> Iterator[None]:
    """Lance's failures inside become a `StorageError`, or a `FormatError` for data that are not as they were written."""
    try:
        yield
    except RecsysError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        reason = _reason(error)
        if "No space left" in str(error):
            raise StorageError(f"The disk is full: {uri} was not {what}. What was published before is unchanged.") from error
        if any(sign in reason for sign in _SIGNS_OF_DAMAGE):
            raise FormatError(f"{uri} is damaged and can not be {what}: {reason}.") from error
        raise StorageError(f"{uri} could not be {what}: {reason}.") from error


def _reason(error: BaseException) -> str:
    """The sentence of Lance's message, without the place in its sources that stands at its end."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].split(", /")[0].rstrip(". ")


class LanceTable:
    """One table at a local path or an object store's URI; opened anew at each call, so that it shows what others commit."""

    def __init__(self, place: str | os.PathLike[str], storage_options: Mapping[str, str] | None = None) -> None:
        self._lance = require_lance()
        self.uri = os.fspath(place)
        self._options = dict(storage_options) if storage_options else None
        self._path = Path(self.uri.removeprefix("file://")) if _is_local(self.uri) else None

    def newest(self) -> int:
        """The number of the newest version, 0 where nothing was committed yet.

        Raises `FormatError` for a local folder that is something else, `StorageError` for a place that can not be read.
        """
        dataset = self.open_newest()
        return 0 if dataset is None else int(dataset.version)

    def open_newest(self) -> Any:
        """The LanceDataset of the newest version, None where nothing was committed yet. Raises as `newest` does."""
        if self._path is not None and not (self._path / "_versions").is_dir():
            self._refuse_other_folder(self._path)
            return None
        with lance_errors(self.uri, "read"):
            try:
                return self._lance.dataset(self.uri, storage_options=self._options)
            except ValueError as error:
                if self._path is None and "was not found" in str(error) and "_versions" in str(error):
                    return None
                raise

    def _refuse_other_folder(self, path: Path) -> None:
        if path.is_file() or (path.is_dir() and not {member.name for member in path.iterdir()} <= _FOLDERS):
            raise FormatError(f"{path} is neither a store nor empty. Hint: a store has a folder of its own: items.lance.")

    def open(self, number: int) -> Any:
        """The LanceDataset of a version. Raises `FormatError`."""
        with lance_errors(self.uri, f"opened at version {number}"):
            return self._lance.dataset(self.uri, version=number, storage_options=self._options)

    def numbers(self) -> list[int]:
        """All versions' numbers, rising."""
        dataset = self.open_newest()
        with lance_errors(self.uri, "read"):
            return [] if dataset is None else sorted(int(version["version"]) for version in dataset.versions())

    def publication(self, dataset: Any) -> str | None:
        """The id under which `commit` made this very version; None where Lance made it in another way."""
        with lance_errors(self.uri, "read"):
            transaction = dataset.read_transaction(dataset.version)
        return None if transaction is None else (transaction.transaction_properties or {}).get(_PROPERTY)

    # ---- writing ------------------------------------------------------------------------------------------------

    def write(self, batches: Callable[[], pa.RecordBatchReader]) -> Any:
        """Data files of a new version, which nobody sees before `commit`."""
        write_fragments = self._lance.fragment.write_fragments
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with lance_errors(self.uri, "written"):
            if not self.newest():
                try:
                    return write_fragments(batches(), self.uri, mode="create", storage_options=self._options)
                except OSError:
                    if not self.newest():  # or else somebody was the first in the meantime
                        raise
            return write_fragments(batches(), self.uri, mode="overwrite", storage_options=self._options)

    def commit(self, schema: pa.Schema, fragments: Any, after: int, publication: str) -> int | None:
        """Makes a version of what `write` wrote, in one step; its number, or None when another came after `after`."""
        lance = self._lance
        operation = lance.LanceOperation.Overwrite(schema, fragments)
        transaction = lance.Transaction(
            read_version=after, operation=operation, transaction_properties={_PROPERTY: publication}
        )
        try:
            done = lance.LanceDataset.commit(self.uri, transaction, max_retries=0, storage_options=self._options)
        except (OSError, ValueError, RuntimeError):  # lance.commit.CommitConflictError is none of a family of its own
            newest = self.newest()
            if newest > after:
                # The answer may have been lost, not the commit.
                return newest if self.publication(self.open(newest)) == publication else None
            with lance_errors(self.uri, "written"):
                raise
        return int(done.version)

    # ---- tags ---------------------------------------------------------------------------------------------------

    def tags(self) -> dict[str, LanceTag]:
        """All tags by name."""
        dataset = self.open_newest()
        if dataset is None:
            return {}
        with lance_errors(self.uri, "read"):
            found = dataset.tags.list()
        return {name: _as_tag(tag) for name, tag in sorted(found.items())}

    def set_tag(self, name: str, number: int, metadata: Mapping[str, str]) -> None:
        """Moves a tag, or makes it, and then writes what is kept with it."""
        with lance_errors(self.uri, f"tagged {name!r}"):
            tags = self.open_newest().tags
            if name in tags.list():
                tags.update(name, number)
            else:
                tags.create(name, number)
            tags.replace_metadata(name, dict(metadata))

    def remove_tag(self, name: str) -> None:
        """Removes a tag; its version stays."""
        with lance_errors(self.uri, f"rid of the tag {name!r}"):
            self.open_newest().tags.delete(name)

    # ---- cleaning -----------------------------------------------------------------------------------------------

    def remove(self, numbers: list[int]) -> int:
        """Removes versions, and files that a publisher left a week ago or earlier; how many bytes that freed.

        Lance itself refuses to remove a version that was tagged in the meantime, and never removes the newest.
        """
        # No version is older than a thousand years: only what was left is removed then.
        which: dict[str, Any] = {"versions": numbers} if numbers else {"older_than": datetime.timedelta(days=365_000)}
        with lance_errors(self.uri, "cleaned"):
            return int(self.open_newest().cleanup_old_versions(**which).bytes_removed)


def _as_tag(tag: Any) -> LanceTag:
    time = tag.get("updated_at") or tag.get("created_at")
    return LanceTag(int(tag["version"]), "" if time is None else time.isoformat(timespec="seconds"), tag.get("metadata") or {})


def _is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")
