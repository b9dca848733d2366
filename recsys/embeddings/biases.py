"""Vectors without their columns of biases. May import errors, fold_in and this room's class."""

from __future__ import annotations

from recsys.embeddings.embeddings import Embeddings
from recsys.errors import InputError
from recsys.fold_in import FoldIn

__all__ = ["without_biases"]


def without_biases(embeddings: Embeddings, fold_in: FoldIn | None) -> Embeddings:
    """The embeddings without their columns of biases: those are much the same for all, so they would make all alike."""
    columns = 0 if fold_in is None else fold_in.bias_columns
    if not columns:
        return embeddings
    if columns == embeddings.dim:
        raise InputError(f"A model with biases alone can not tell which {embeddings.ids.name}s are alike.")
    return Embeddings(embeddings.ids, embeddings.vectors[:, :-columns].copy(), embeddings.provenance)
