"""Both sides of a model in two stores, so that readers can tell which versions belong together. May import fold_in.

Two commits can not be one step. So each version names the model by its fingerprint, users are published before items, and the
items' tag is the switch: who follows it finds the users that belong to it, whatever else is published or half done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.store.lineage import without_last
from recsys.embeddings.store.publishing import Plan, Publishing
from recsys.embeddings.store.store import EmbeddingStore
from recsys.embeddings.store.tagging import LATEST
from recsys.embeddings.store.versions import StoreVersion
from recsys.errors import ParameterError
from recsys.fold_in import FoldIn

__all__ = ["publish_model"]


class _Model(Protocol):
    """What is used of a model; models are above this room."""

    @property
    def user_embeddings(self) -> Embeddings: ...
    @property
    def item_embeddings(self) -> Embeddings: ...
    @property
    def fold_in_method(self) -> FoldIn | None: ...
    @property
    def fingerprint(self) -> str: ...

    def align_to(self, reference: Embeddings, *, weights: Any, num_threads: int | None) -> _Model: ...


def publish_model(
    model: _Model,
    *,
    items: EmbeddingStore | None = None,
    users: EmbeddingStore | None = None,
    tag: str | None = None,
    parent: int | str | None = None,
    align: bool = False,
    weights: Any = None,
    num_threads: int | None = None,
    **options: Any,
) -> dict[str, StoreVersion]:
    """Publishes a model's items, its users, or both: {"items": …, "users": …}. Both are checked before either is written.

    tag : moved at the end, the users' first and the items' last.
    parent : of the items, see `EmbeddingStore.publish`; users are held against the version that belongs to it, else the latest.
    align : turn the model towards the items' parent, users and items by one rotation, so that no score changes.
    weights : as in `Model.align_to`.  options : metric, max_missing, new_contract, drift_sample, note, progress of
        `EmbeddingStore.publish`, for both.

    A reader of both sides follows the items' tag alone:

        found = items.get("production")
        theirs = users.get(users.version_of(found.provenance["store"]["model"]).version)
    """
    if items is None and users is None:
        raise ParameterError("`items` or `users` must be a store to publish to.")
    if items is not None and users is not None and items.uri == users.uri:
        raise ParameterError(f"Items and users need a store each. Got {items.uri!r} for both.")
    if align:
        model = _aligned(model, items, parent, weights, num_threads)
    columns = 0 if model.fold_in_method is None else model.fold_in_method.bias_columns
    base = {"biases": columns, "model": model.fingerprint, "num_threads": num_threads, **options}
    plans: dict[str, tuple[EmbeddingStore, Plan]] = {}
    # Users first: when items are there, what belongs to them is there.
    if users is not None:
        settings = Publishing(parent=parent if items is None else _users_parent(items, users, parent), **base)
        plans["users"] = users, users.prepare(model.user_embeddings, settings, tag)
    if items is not None:
        plans["items"] = items, items.prepare(model.item_embeddings, Publishing(parent=parent, **base), tag)
    untagged = {side: store.commit(replace(prepared, tag=None)) for side, (store, prepared) in plans.items()}
    if tag is not None:
        for side, (store, _) in plans.items():
            store.tag(tag, untagged[side].version)
    return untagged


def _aligned(
    model: _Model, items: EmbeddingStore | None, parent: int | str | None, weights: Any, num_threads: int | None
) -> _Model:
    if items is None:
        raise ParameterError(
            "`align` goes by items, and turns users with them. Hint: publish both sides together, or align the model before."
        )
    reference = items.get(LATEST if parent is None else parent)
    biases = items.version(reference.provenance["store"]["version"]).biases
    return model.align_to(without_last(reference, biases), weights=weights, num_threads=num_threads)


def _users_parent(items: EmbeddingStore, users: EmbeddingStore, parent: int | str | None) -> int | None:
    """The users' version of the model that the items' parent is of; None, the latest, where none names it."""
    if items.is_empty:
        return None
    model = items.version(LATEST if parent is None else parent).model
    try:
        return None if model is None else users.version_of(model).version
    except ParameterError:
        return None
