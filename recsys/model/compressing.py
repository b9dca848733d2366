"""Models with compressed vectors: how they are made, saved and opened. May import embeddings, fold_in, parallel, storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.embeddings import Embeddings
from recsys.embeddings.compression import CompressedEmbeddings, Compression
from recsys.embeddings.compression.axes import better_axes, in_axes
from recsys.embeddings.compression.compressed import compress_vectors, compressed_from_stored
from recsys.fold_in import FoldIn
from recsys.ids import IdMap
from recsys.parallel import Workers
from recsys.storage import Stored

if TYPE_CHECKING:
    from recsys.model.vectors import Model

__all__ = ["compressed_sides", "side_arrays", "side_facts", "side_from_stored", "turned_fold_in"]


def compressed_sides(
    model: Model, settings: Compression, num_threads: int | None
) -> tuple[Embeddings, Embeddings, np.ndarray | None]:
    """Users and items compressed, both turned alike, and the axes that they were turned to, None for their own.

    Axes are chosen by users and items together. Where lists are scored again by originals, users are kept as these are: they
    are not searched, so codes of theirs would spare nothing.
    """
    kept = 0 if model.fold_in_method is None else model.fold_in_method.bias_columns
    items, users = model.item_embeddings.vectors, model.user_embeddings.vectors
    dim = items.shape[1] - kept
    dimensions = settings.dimensions_of(dim)
    with Workers(num_threads) as workers:
        axes = better_axes([users[:, :dim], items[:, :dim]], dimensions, workers)
    of_users = settings
    if settings.rescore is not None:
        of_users = Compression(storage=settings.rescore)

    def side(embeddings: Embeddings, vectors: np.ndarray, how: Compression) -> CompressedEmbeddings:
        return compress_vectors(
            embeddings.ids, vectors, how, axes=axes, keep_axes=False, kept=kept, provenance=embeddings.provenance,
            num_threads=num_threads,
        )  # fmt: skip

    return side(model.user_embeddings, users, of_users), side(model.item_embeddings, items, settings), axes


def turned_fold_in(method: FoldIn | None, axes: np.ndarray | None, dim: int, num_threads: int | None) -> FoldIn | None:
    """The fold-in for vectors of `dim` columns, those of biases among them, in other axes."""
    if method is None:
        return None

    def turn(vectors: np.ndarray, left: int) -> np.ndarray:
        with Workers(num_threads) as workers:
            return in_axes(vectors, axes, dim - method.bias_columns, left, workers)

    return method.turned(turn)


def side_arrays(embeddings: Embeddings, side: str) -> dict[str, np.ndarray]:
    """What is saved of one side, "user" or "item", of a model."""
    if isinstance(embeddings, CompressedEmbeddings):
        return {f"{side}_{name}": array for name, array in embeddings.arrays().items()}
    return {f"{side}_vectors": embeddings.vectors}


def side_facts(model: Model) -> dict[str, Any]:
    """The attribute that says which sides are compressed, and how; none for a model of plain vectors."""
    sides = {"user": model.user_embeddings, "item": model.item_embeddings}
    facts = {name: side.describe() for name, side in sides.items() if isinstance(side, CompressedEmbeddings)}
    return {"compressed": facts} if facts else {}


def side_from_stored(stored: Stored, ids: IdMap, side: str) -> Embeddings:
    """What `side_arrays` and `side_facts` were saved as."""
    facts: Mapping[str, Any] = stored.attributes.get("compressed", {})
    if side in facts:
        return compressed_from_stored(stored, ids, facts[side], prefix=f"{side}_", provenance=stored.provenance)
    return Embeddings(ids, stored.array(f"{side}_vectors"), stored.provenance)
