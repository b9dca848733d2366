"""`recsys embeddings publish`, and what `list` and `recsys info` show of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recsys.embeddings import Embeddings, EmbeddingStore, StoreVersion, open_store, publish_model
from recsys.errors import ParameterError
from recsys.jobs.embeddings_sources import open_source
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words
from recsys.jobs.terminal import print_table, say

__all__ = ["Published", "StoreContents", "list_versions", "publish", "store_contents"]


@dataclass(frozen=True)
class Published:
    """Versions that were published: for "items", "users" or "embeddings" the store, and all that the version says of itself."""

    versions: dict[str, dict[str, Any]]
    tag: str | None
    seconds: float

    def show(self) -> None:
        """A sentence or two for each on standard output."""
        for side, at in self.versions.items():
            tagged = f", tagged {self.tag}" if self.tag else ""
            size = f"{at['n']:,} × {at['dim']:,}, {at['metric']}"
            say(f"Published {side} as version {at['version']} of {at['store']}: {size}{tagged}.")
            if at["parent"] is not None:
                say(_against_parent(at))
        say(f"Done in {seconds_in_words(self.seconds)}.")


def _against_parent(at: Mapping[str, Any]) -> str:
    words = f"Against version {at['parent']}: {at['gone_share']:.1%} of its ids gone, {at['new_share']:.1%} of these new"
    if alignment := at["alignment"]:
        turned = "; turned towards it" if alignment["aligned"] else ""
        words += f"{turned}, {alignment['residual_as_published']:.0%} of its length apart"
    if drift := at["drift"]:
        words += f"; displacement {drift['displacement']:.3f}"
        words += "" if drift["overlap"] is None else f", neighbours kept {drift['overlap']:.0%}"
    return f"{words}."


def publish(
    source: str,
    store: str,
    *,
    side: str | None = None,
    users_store: str | None = None,
    weights: str | None = None,
    tag: str | None = None,
    **options: Any,
) -> Published:
    """Publishes embeddings, or of a model one side, or its items to `store` and its users to `users_store`.

    options : see `EmbeddingStore.publish` and `recsys.embeddings.publish_model`.
    """
    clock, opened = Clock(), open_source(source, biases=True)
    if isinstance(opened, Embeddings):
        _refuse_for_embeddings(source, side=side, users_store=users_store, weights=weights)
        target = open_store(store)
        return Published({"embeddings": _facts(target, target.publish(opened, tag=tag, **options))}, tag, clock.seconds)
    if side is not None and users_store is not None:
        raise ParameterError("`side` names the one side to publish, and `users_store` is for both.")
    stores = _stores(store, side, users_store)
    items, users = stores.get("items"), stores.get("users")
    done = publish_model(opened, items=items, users=users, tag=tag, weights=weights, **options)
    return Published({name: _facts(stores[name], version) for name, version in done.items()}, tag, clock.seconds)


def _stores(store: str, side: str | None, users_store: str | None) -> dict[str, EmbeddingStore]:
    if side == "users":
        return {"users": open_store(store)}
    both = {"users": open_store(users_store)} if users_store is not None else {}
    return {**both, "items": open_store(store)}


def _refuse_for_embeddings(source: str, **for_models: Any) -> None:
    for name, value in for_models.items():
        if value is not None:
            raise ParameterError(f"`{name}` is for models, and {source} holds embeddings.")


def _facts(store: EmbeddingStore, version: StoreVersion) -> dict[str, Any]:
    return dict(json_ready({"store": store.uri, **asdict(version)}))


@dataclass(frozen=True)
class StoreContents:
    """What a store holds. versions: a row a version, newest first; tags: version by tag.

    latest : all that the latest version says of itself.  intact : whether it matches its fingerprint; None: not looked at.
    """

    path: str
    kind: str
    versions: list[dict[str, Any]]
    tags: dict[str, int]
    latest: dict[str, Any]
    intact: bool | None
    seconds: float

    def show(self) -> None:
        """A sentence and a table on standard output."""
        at = self.latest
        say(
            f"{self.path} is a store of {counted(len(self.versions), 'version')} of {at['ids']}s; the latest has {at['n']:,} × "
            f"{at['dim']:,} for {at['metric']}."
        )
        shown = ("version", "created", "tags", "n", "dim", "trainer", "parent", "displacement", "overlap", "note")
        present = [name for name in shown if any(row[name] not in (None, []) for row in self.versions)]
        print_table(present, [tuple(_in_words(name, row[name]) for name in present) for row in self.versions])
        if self.intact:
            say(f"The latest version matches its fingerprint (checked in {seconds_in_words(self.seconds)}).")


def _in_words(column: str, value: Any) -> Any:
    if column == "created":
        return value[:19].replace("T", " ")  # UTC, to the second
    return ", ".join(value) if isinstance(value, list) else value


def list_versions(store: str) -> StoreContents:
    """All versions of a store and its tags."""
    return _contents(store, verify=False)


def store_contents(store: str) -> StoreContents:
    """The same, after the latest version was read and held against its fingerprint."""
    return _contents(store, verify=True)


def _contents(path: str, *, verify: bool) -> StoreContents:
    clock, store = Clock(), open_store(path)
    latest = store.verify() if verify else store.version()
    # Whole columns of numbers with gaps are floats in a table; here each value is what it is.
    table = store.versions().astype(object)
    rows = [{name: None if value != value else value for name, value in row.items()} for row in table.to_dict("records")]
    for row in rows:
        row["parent"] = None if row["parent"] is None else int(row["parent"])
    facts = dict(json_ready(asdict(latest)))
    return StoreContents(path, "store", json_ready(rows), store.tags(), facts, verify or None, clock.seconds)
