"""Opening whatever a directory holds. May import everything that can be saved."""

from __future__ import annotations

import os

from recsys.embeddings import Embeddings
from recsys.errors import FormatError, quote_some
from recsys.features import Features
from recsys.interactions import Interactions
from recsys.model import AnyModel, Model, model_from_stored
from recsys.retrieval.approximate import ItemIndex
from recsys.storage import kind_in_words, open_stored

__all__ = ["load"]

_KINDS: dict[str, type[Interactions] | type[Embeddings] | type[Model] | type[ItemIndex] | type[Features]] = {
    "dataset": Interactions,
    "embeddings": Embeddings,
    "model": Model,
    "index": ItemIndex,
    "features": Features,
}


def load(path: str | os.PathLike[str], *, verify: bool = True) -> Interactions | Embeddings | AnyModel | ItemIndex | Features:
    """The dataset, model, embeddings, index or features saved at `path`, arrays memory-mapped.

    verify : check the SHA-256 of every file; sizes, shapes and versions are always checked.
    Raises `FormatError` that names what is wrong.
    """
    stored = open_stored(path, verify=verify)
    if stored.kind not in _KINDS:
        raise FormatError(f"{path} holds {kind_in_words(stored.kind)}; recsys.load opens {quote_some(_KINDS)}.")
    if stored.kind == "model":
        return model_from_stored(stored, verify=verify)
    if stored.kind == "embeddings":
        return Embeddings.from_stored(stored, verify=verify)
    return _KINDS[stored.kind].from_stored(stored)
