"""`Snapshot`: one version that was opened; `Versions`: which there are, by number or tag. May import this room's class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.store import rows
from recsys.embeddings.store.lance_table import LanceTable, LanceTag, lance_errors
from recsys.embeddings.store.tagging import LATEST
from recsys.embeddings.store.versions import RowOrder, StoreVersion, from_metadata
from recsys.errors import DataError, FormatError, ParameterError, StorageError, UnknownIdError, closest_hint, quote_some
from recsys.ids import IdMap, as_id_array

__all__ = ["Snapshot", "Versions"]


@dataclass(frozen=True)
class Snapshot:
    """A version and the means to read it. What it holds never changes."""

    uri: str
    dataset: Any
    version: StoreVersion
    order: RowOrder

    @property
    def _name(self) -> str:
        return f"Version {self.version.version} of the store {self.uri}"

    def ids(self) -> IdMap:
        """All ids, in order of rows; no vector is read."""
        with lance_errors(self._name, "read"):
            return rows.ids_of(self.dataset, self.version)

    def embeddings(self) -> Embeddings:
        """All of it."""
        with lance_errors(self._name, "read"):
            return Embeddings(self.ids(), rows.vectors_of(self.dataset, self.version), self._provenance())

    def take(self, ids: Any, unknown: str) -> Embeddings:
        """Those of some ids, in the order given, reading only the rows of these."""
        if unknown not in ("raise", "skip"):
            raise ParameterError(f"`unknown` must be 'raise' or 'skip'. Got {unknown!r}.")
        wanted = as_id_array(ids, name=self.version.ids)
        if not len(wanted):
            wanted = wanted.cast(pa.int64() if self.version.integer_ids else pa.large_string())
        if len(wanted.unique()) < len(wanted):
            raise DataError(f"Each {self.version.ids} can be taken once only.")
        with lance_errors(self._name, "read"):
            found = rows.find(self.dataset, self.version, self.order, wanted)
            if unknown == "raise" and (found < 0).any():
                self._refuse_unknown(wanted.filter(found < 0), bool(wanted.type == "int64"))
            wanted, found = wanted.filter(found >= 0), found[found >= 0]
            vectors = rows.vectors_at(self.dataset, self.version, found)
        return Embeddings(IdMap(wanted, name=self.version.ids), vectors, self._provenance())

    def _refuse_unknown(self, missing: Any, integers: bool) -> None:
        kinds = {True: "integers", False: "strings"}
        hint = ""
        if integers != self.version.integer_ids:
            hint = f" Hint: the {self.version.ids}s here are {kinds[self.version.integer_ids]}, these are {kinds[integers]}."
        raise UnknownIdError(f"{self._name} does not have the {self.version.ids} {quote_some(missing.to_pylist())}.{hint}")

    def _provenance(self) -> dict[str, Any]:
        at = self.version
        facts = {"uri": self.uri, "version": at.version, "id": at.id, "created": at.created, "fingerprint": at.fingerprint}
        return {**at.provenance, "store": facts | {"parent": at.parent, "metric": at.metric, "model": at.model}}


@dataclass(frozen=True)
class Versions:
    """The versions of a table that a store published; others that Lance made, such as a restored one, are passed over."""

    table: LanceTable

    def at(self, number: int) -> Snapshot | None:
        """The version of that number, None when no store published it. Raises `FormatError` for a newer format."""
        return self._opened(self.table.open(number))

    def _opened(self, dataset: Any) -> Snapshot | None:
        number = int(dataset.version)
        found = from_metadata(dataset.schema.metadata, number, self.table.uri)
        if found is None or self.table.publication(dataset) != found[0].id:
            return None
        return Snapshot(self.table.uri, dataset, *found)

    def newest_first(self) -> Iterator[Snapshot]:
        """All of them."""
        for number in reversed(self.table.numbers()):
            if (snapshot := self.at(number)) is not None:
                yield snapshot

    def newest(self) -> Snapshot | None:
        """The last that was published; None where nothing was. Raises `FormatError` for a Lance table that is no store."""
        dataset = self.table.open_newest()
        if dataset is None:
            return None
        # Nearly always it is the last; a list of all would read each one's manifest.
        found = self._opened(dataset) or next(self.newest_first(), None)
        if found is None:
            raise FormatError(
                f"{self.table.uri} is a Lance table that no store published. "
                "Hint: Embeddings.from_file reads it; a store has a folder of its own."
            )
        return found

    def of(self, which: int | str) -> Snapshot:
        """By number, tag, or "latest". Raises `ParameterError` that names what there is."""
        newest = self.newest() if which == LATEST else None
        if newest is not None:
            return newest
        tags = self.table.tags()
        if not tags and not self.table.newest():
            raise FormatError(f"There is no store at {self.table.uri}: nothing was published there.")
        number = self._number(which, tags)
        try:
            found = self.at(number)
        except (FormatError, StorageError):
            if number in self.table.numbers():
                raise
            found = None
        if found is None:
            there = sorted(snapshot.version.version for snapshot in self.newest_first())
            raise ParameterError(f"The store {self.table.uri} has no version {number}; it has {quote_some(there, 12)}.")
        return found

    def _number(self, which: int | str, tags: Mapping[str, LanceTag]) -> int:
        if isinstance(which, (int, np.integer)) and not isinstance(which, bool):
            return int(which)
        if not isinstance(which, str):
            raise ParameterError(f"A version is a number, a tag or {LATEST!r}. Got {which!r}.")
        if which.isdigit():
            return int(which)
        if which not in tags:
            known = f"it has {quote_some(tags, 12)}" if tags else "it has none"
            raise ParameterError(
                f"The store {self.table.uri} has no tag {which!r}; {known}.{closest_hint(which, [*tags, LATEST])}"
            )
        return tags[which].version
