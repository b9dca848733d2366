"""`EmbeddingStore`: publishing, reading, tagging, comparing versions: what users have of this folder."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.embeddings.comparison import compare
from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.store.lance_table import LanceTable
from recsys.embeddings.store.lineage import without_last
from recsys.embeddings.store.publishing import Plan, Publishing, carry_out, plan
from recsys.embeddings.store.snapshots import Versions
from recsys.embeddings.store.tagging import LATEST, Move, before, moves_of, require_tag_name, to_tag_metadata
from recsys.embeddings.store.versions import StoreVersion, is_store_metadata
from recsys.embeddings.versions import VersionComparison
from recsys.errors import FormatError, ParameterError, closest_hint, quote_some

__all__ = ["EmbeddingStore", "is_store", "open_store"]


def open_store(place: str | os.PathLike[str], *, storage_options: Mapping[str, str] | None = None) -> EmbeddingStore:
    """The store in a local folder or at an object store's URI (`s3://…`, `gs://…`, `az://…`); the first publish makes it.

    storage_options : what the object store asks for, as Lance takes it (keys, region, endpoint).
    Raises `MissingExtraError` without pylance, and `FormatError` for a folder or a Lance table that is something else.
    """
    if not isinstance(place, (str, os.PathLike)) or not os.fspath(place):
        raise ParameterError(f"A store is a local path or an object store's URI. Got {place!r}.")
    return EmbeddingStore(LanceTable(place, storage_options))


def is_store(place: str) -> bool:
    """Whether `place` is a local folder that a store published to, or a URI, of which only opening can tell."""
    if "://" in place:
        return True
    path = Path(place)
    if not (path / "_versions").is_dir():
        return False
    table = LanceTable(place)
    return any(is_store_metadata(table.open(number).schema.metadata) for number in reversed(table.numbers()))


class EmbeddingStore:
    """Versions of one table of embeddings: immutable, numbered, tagged. Opened by `open_store`.

    A version is named by its number, by a tag, or as "latest". Each is one commit of a Lance table: it is there as a whole or
    not at all, whatever happens to who publishes it. Others read it without recsys: `lance.dataset(uri, version="production")`
    has a column named as the ids are and a column `vector`, a list of fixed size of float32.
    """

    def __init__(self, table: LanceTable) -> None:
        self._table, self._versions = table, Versions(table)
        self._versions.newest()  # so that what is no store is refused at once

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._table.uri

    @property
    def is_empty(self) -> bool:
        """Whether nothing was published yet."""
        return self._versions.newest() is None

    def __repr__(self) -> str:
        newest = self._versions.newest()
        return f"EmbeddingStore({self.uri!r}, {'empty' if newest is None else f'latest version {newest.version.version}'})"

    # ---- publishing ---------------------------------------------------------------------------------------------

    def publish(
        self,
        embeddings: Embeddings,
        *,
        tag: str | None = None,
        parent: int | str | None = None,
        metric: str | None = None,
        biases: int | None = None,
        align: bool = False,
        max_missing: float = 0.1,
        new_contract: bool = False,
        drift_sample: int = 1000,
        model: str | None = None,
        note: str | None = None,
        num_threads: int | None = None,
        progress: bool = False,
    ) -> StoreVersion:
        """Makes these embeddings a version. It is visible as a whole or not at all; rows come to stand in the order of ids.

        tag : a tag to move to it, afterwards.
        parent : the version that it is held against, a number or tag; the latest by default.
        metric : "dot", "cosine" or "euclidean": what readers are to compare the vectors by; as the parent's, else "dot".
        biases : so many last columns are biases; as the parent's, else 0.
        align : turn the vectors as near to the parent's as a rotation can, which changes no dot product of them. A model's
            users and items need one rotation for both: see `publish_model`.
        max_missing : the share of the parent's ids that may be missing.
        new_contract : let dimensions, metric, ids' type and name, biases and missing ids differ from the parent's.
        drift_sample : so many ids' neighbours are compared with the parent's; 0 leaves drift out.
        model : fingerprint of the model that they come from.  note : a line of text to go with it.

        Raises `DataError` that names the contract that would be broken: dimensions, metric, ids, missing ids, a vector that is
        not finite, or zero under cosine. A warning says when only a rotation keeps the vectors from lying as the parent's do.
        When others publish at the same time all of them land, one after the other, unless the contract is broken by then.
        """
        options = Publishing(
            parent=parent, metric=metric, biases=biases, align=align, max_missing=max_missing, new_contract=new_contract,
            drift_sample=drift_sample, model=model, note=note, num_threads=num_threads, progress=progress,
        )  # fmt: skip
        return self.commit(self.prepare(embeddings, options, tag))

    def prepare(self, embeddings: Embeddings, options: Publishing, tag: str | None = None) -> Plan:
        """`publish` as far as nothing is written: what is refused is refused here."""
        if tag is not None:
            require_tag_name(tag)
        return replace(plan(self._versions, embeddings, options), tag=tag)

    def commit(self, prepared: Plan) -> StoreVersion:
        """The rest of `publish`."""
        published = carry_out(self._versions, prepared)
        if prepared.tag is not None:
            self._move(prepared.tag, published.version, "tag")
        return published

    # ---- reading ------------------------------------------------------------------------------------------------

    def get(self, version: int | str = LATEST, ids: Any = None, *, unknown: str = "raise") -> Embeddings:
        """The embeddings of a version, by number, tag or "latest"; provenance["store"] says which.

        ids : only these, in the order given; all, in the order of ids, by default. Only their rows are read, and the stretches
            of the column of ids in which they can be.
        unknown : ids that the version does not have raise `UnknownIdError`, or are passed over ("skip").
        Raises `ParameterError` for a version or tag that there is not, with the closest tag.
        """
        snapshot = self._versions.of(version)
        return snapshot.embeddings() if ids is None else snapshot.take(ids, unknown)

    def version(self, version: int | str = LATEST) -> StoreVersion:
        """What a version says of itself: its lineage."""
        return self._versions.of(version).version

    def version_of(self, model: str) -> StoreVersion:
        """The newest version that names a model by its fingerprint: how users and items of one model find each other."""
        for snapshot in self._versions.newest_first():
            if model and snapshot.version.model == model:
                return snapshot.version
        raise ParameterError(f"The store {self.uri} has no version of the model {model!r}.")

    def versions(self) -> pd.DataFrame:
        """A row a version, the newest first: version, created, tags, n, dim, metric, trainer, parent, gone_share, new_share,
        displacement and overlap (of drift against the parent), model, data, note."""
        tags = self._table.tags()
        rows = [_row(snapshot.version, tags) for snapshot in self._versions.newest_first()]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def verify(self, version: int | str = LATEST) -> StoreVersion:
        """Reads a version as a whole and holds it against its fingerprint. Raises `FormatError` when it was changed."""
        snapshot = self._versions.of(version)
        if snapshot.embeddings().fingerprint != snapshot.version.fingerprint:
            raise FormatError(
                f"Version {snapshot.version.version} of the store {self.uri} was changed after it was published: "
                "its fingerprint does not match."
            )
        return snapshot.version

    def diff(
        self,
        before: int | str,
        after: int | str,
        *,
        k: int = 10,
        sample: int | None = 10_000,
        groups: Any = None,
        random_state: int = 0,
        num_threads: int | None = None,
        progress: bool = False,
    ) -> VersionComparison:
        """What changed from one version to another: see `recsys.embeddings.compare`; columns of biases are left out.

        Of the result `gone`, `new` and `moved()` are ids, `summary()` is a table, and `gate(…)` says what is beyond limits.
        """
        one, other = (self._versions.of(version) for version in (before, after))
        old, new = (without_last(side.embeddings(), side.version.biases) for side in (one, other))
        return compare(
            old, new, k=k, sample=sample, groups=groups, random_state=random_state, num_threads=num_threads, progress=progress
        )

    # ---- tags ---------------------------------------------------------------------------------------------------

    def tags(self) -> dict[str, int]:
        """Version by tag."""
        return {name: tag.version for name, tag in self._table.tags().items()}

    def tag(self, name: str, version: int | str = LATEST) -> None:
        """Moves a tag to a version, or makes it. Where it was is kept: see `tag_history`."""
        require_tag_name(name)
        self._move(name, self._versions.of(version).version.version, "tag")

    def untag(self, name: str) -> None:
        """Removes a tag and its history; versions stay until they are pruned."""
        self._moves(name)
        self._table.remove_tag(name)

    def tag_history(self, name: str) -> pd.DataFrame:
        """Columns version, time, how ("tag", "rollback", "elsewhere"): where a tag was, the last row where it is."""
        return pd.DataFrame([vars(move) for move in self._moves(name)], columns=["version", "time", "how"])

    def rollback(self, tag: str) -> StoreVersion:
        """Moves a tag to the version where it was before, and says which that is; once more goes one further back.

        Raises `ParameterError` where there is none before.
        """
        earlier = before(self._moves(tag))
        if earlier is None:
            raise ParameterError(f"The tag {tag!r} of the store {self.uri} was at no other version before.")
        found = self._versions.of(earlier).version
        self._move(tag, earlier, "rollback")
        return found

    def _moves(self, name: str) -> list[Move]:
        tags = self._table.tags()
        if name not in tags:
            known = f"it has {quote_some(tags, 12)}" if tags else "it has none"
            raise ParameterError(f"The store {self.uri} has no tag {name!r}; {known}.{closest_hint(str(name), list(tags))}")
        return moves_of(tags[name].metadata, tags[name].version, tags[name].time)

    def _move(self, name: str, number: int, how: str) -> None:
        moves = self._moves(name) if name in self._table.tags() else []
        if not moves or moves[-1].version != number:
            moves = [*moves, Move(number, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), how)]
        self._table.set_tag(name, number, to_tag_metadata(moves))

    # ---- cleaning -----------------------------------------------------------------------------------------------

    def prune(self, keep: int = 5) -> list[int]:
        """Removes old versions, and what publishers that died left a week ago or earlier; the numbers that went.

        keep : so many of the newest stay, at least 1; so does each tagged version, and the one a rollback of a tag leads to.
        """
        if isinstance(keep, bool) or not isinstance(keep, (int, np.integer)) or keep < 1:
            raise ParameterError(f"`keep` must be an int >= 1. Got {keep!r}.")
        there = self._table.numbers()
        if not there:
            raise FormatError(f"There is no store at {self.uri}: nothing was published there.")
        published = [snapshot.version.version for snapshot in self._versions.newest_first()]
        kept = {*published[:keep], there[-1]}
        for name, tag in self._table.tags().items():
            kept |= {tag.version, before(self._moves(name)) or tag.version}
        gone = [number for number in there if number not in kept]
        self._table.remove(gone)
        return [number for number in gone if number in published]


_COLUMNS = (
    "version", "created", "tags", "n", "dim", "metric", "trainer", "parent", "gone_share", "new_share", "displacement",
    "overlap", "model", "data", "note",
)  # fmt: skip


def _row(at: StoreVersion, tags: Mapping[str, Any]) -> dict[str, Any]:
    drift = at.drift or {}
    named = [name for name, tag in tags.items() if tag.version == at.version]
    return {name: getattr(at, name, None) for name in _COLUMNS} | {
        "tags": named,
        "displacement": drift.get("displacement"),
        "overlap": drift.get("overlap"),
        "data": at.data_fingerprint,
    }
