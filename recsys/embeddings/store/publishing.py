"""From embeddings to a version: what is refused, what is recorded of the parent, and the one step that makes it visible.

May import this room's class and the other files of this folder.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass, replace

from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.search import require_metric
from recsys.embeddings.store import contract, lineage
from recsys.embeddings.store.rows import SortedRows
from recsys.embeddings.store.snapshots import Snapshot, Versions
from recsys.embeddings.store.tagging import LATEST
from recsys.embeddings.store.versions import StoreVersion, to_metadata
from recsys.errors import DataError, ParameterError, StorageError
from recsys.progress import show_progress

__all__ = ["Plan", "Publishing", "carry_out", "plan"]

_FIRST_METRIC = "dot"
# So many others may come first, one after the other.
_ATTEMPTS = 100


@dataclass(frozen=True)
class Publishing:
    """How embeddings are to be published: see `EmbeddingStore.publish`."""

    parent: int | str | None = None
    metric: str | None = None
    biases: int | None = None
    align: bool = False
    max_missing: float = 0.1
    new_contract: bool = False
    drift_sample: int = 1000
    model: str | None = None
    note: str | None = None
    num_threads: int | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        contract.require_share(self.max_missing, "max_missing")
        if isinstance(self.drift_sample, bool) or not isinstance(self.drift_sample, int) or self.drift_sample < 0:
            raise ParameterError(f"`drift_sample` must be an int >= 0. Got {self.drift_sample!r}.")
        if self.metric is not None:
            require_metric(self.metric)


@dataclass(frozen=True)
class Plan:
    """A version that was checked and is ready to be written. against: the newest version at that time;  tag: to be moved."""

    embeddings: Embeddings
    version: StoreVersion
    against: int | None
    options: Publishing
    tag: str | None = None


def plan(versions: Versions, embeddings: Embeddings, options: Publishing) -> Plan:
    """Checks the contract and works out the lineage; nothing is written. Raises `DataError`, `ParameterError`."""
    newest = versions.newest()
    parent = _parent(versions, newest, options)
    metric, biases = _kept(options, parent)
    contract.require_publishable(embeddings, metric, biases)
    against = None if newest is None else newest.version.version
    version = StoreVersion(
        id=uuid.uuid4().hex, created=_now(), n=len(embeddings), dim=embeddings.dim, ids=embeddings.ids.name,
        integer_ids=embeddings.ids.is_integer, metric=metric, biases=biases, fingerprint="", model=options.model,
        note=options.note,
    )  # fmt: skip
    if parent is not None:
        embeddings, version = _held_against(parent, embeddings, version, options)
    return Plan(embeddings, replace(version, provenance=dict(embeddings.provenance)), against, options)


def _parent(versions: Versions, newest: Snapshot | None, options: Publishing) -> Snapshot | None:
    if options.parent is not None and options.parent != LATEST:
        return versions.of(options.parent)
    if newest is None and options.align:
        raise ParameterError(f"`align` needs an earlier version, and the store {versions.table.uri} has none.")
    return newest


def _kept(options: Publishing, parent: Snapshot | None) -> tuple[str, int]:
    """The metric and the columns of biases, which stay as they were unless told."""
    if parent is None:
        return options.metric or _FIRST_METRIC, options.biases or 0
    earlier = parent.version
    metric = earlier.metric if options.metric is None else options.metric
    return metric, earlier.biases if options.biases is None else options.biases


def _held_against(
    parent: Snapshot, embeddings: Embeddings, version: StoreVersion, options: Publishing
) -> tuple[Embeddings, StoreVersion]:
    earlier = parent.version
    if not options.new_contract:
        contract.require_contract(embeddings, version.metric, version.biases, earlier)
    ids = parent.ids()
    gone = contract.gone_ids(ids, embeddings.ids)
    if not options.new_contract:
        contract.refuse_missing(gone, earlier, options.max_missing)
    shared = len(ids) - len(gone)
    new_share = 1 - shared / len(embeddings)
    version = replace(version, parent=earlier.version, gone_share=len(gone) / len(ids), new_share=new_share)
    if not shared or earlier.dim == earlier.biases or embeddings.dim == version.biases:
        if options.align:
            raise DataError(f"`align` needs {earlier.ids}s in common with version {earlier.version} to turn by.")
        return embeddings, version
    return _compared(parent, embeddings, version, options)


def _compared(
    parent: Snapshot, embeddings: Embeddings, version: StoreVersion, options: Publishing
) -> tuple[Embeddings, StoreVersion]:
    biases, threads = version.biases, options.num_threads
    before = lineage.without_last(parent.embeddings(), parent.version.biases)
    best = lineage.without_last(embeddings, biases).alignment_to(before, num_threads=threads)
    if options.align:
        embeddings = lineage.turned(embeddings, best, biases, threads)
        best.warn_if_wider(version.dim - biases)
    facts = lineage.alignment_facts(before, embeddings, biases, best, options.align)
    # What was turned before, users by their items' rotation for one, lies as it should.
    if "aligned_to" not in embeddings.provenance:
        lineage.warn_if_turned(facts, parent.version.version)
    drift = lineage.drift_from(before, embeddings, biases, options.drift_sample, threads, options.progress)
    return embeddings, replace(version, dim=embeddings.dim, alignment=facts, drift=drift)


def carry_out(versions: Versions, planned: Plan) -> StoreVersion:
    """Writes the version and makes it visible in one step. Whoever publishes at the same time comes before or after it.

    Raises `DataError` when what came before meanwhile has another contract, `StorageError`.
    """
    table, rows = versions.table, SortedRows(planned.embeddings.ids, planned.embeddings.vectors)
    newest = table.newest()
    with show_progress("Writing vectors", len(rows.ids), enabled=planned.options.progress) as advance:
        fragments = table.write(lambda: rows.batches(advance))
    version = replace(planned.version, fingerprint=rows.fingerprint)
    schema = rows.schema(to_metadata(version, rows.order))
    for _ in range(_ATTEMPTS):
        _require_still_fitting(versions, planned)
        number = table.commit(schema, fragments, newest, version.id)
        if number is not None:
            return replace(version, version=number)
        newest = table.newest()
    raise StorageError(f"{table.uri} is published to by so many at once that this version found no place. Hint: try again.")


def _require_still_fitting(versions: Versions, planned: Plan) -> None:
    newest = versions.newest()
    options = planned.options
    if newest is None or newest.version.version == planned.against or options.new_contract:
        return
    if options.parent is not None and options.parent != LATEST:
        return
    version = planned.version
    contract.require_contract(planned.embeddings, version.metric, version.biases, newest.version)
    contract.refuse_missing(contract.gone_ids(newest.ids(), planned.embeddings.ids), newest.version, options.max_missing)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
