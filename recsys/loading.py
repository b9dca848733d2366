"""Opening whatever a directory holds. May import everything that can be saved."""

from __future__ import annotations

import os

from recsys.embeddings import Embeddings
from recsys.errors import FormatError, quote_some
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.storage import open_stored

__all__ = ["load"]

_KINDS: dict[str, type[Interactions] | type[Embeddings] | type[Model]] = {
    "dataset": Interactions,
    "embeddings": Embeddings,
    "model": Model,
}


def load(path: str | os.PathLike[str], *, verify: bool = True) -> Interactions | Embeddings | Model:
    """The dataset, model or embeddings saved at `path`, arrays memory-mapped.

    verify : check the SHA-256 of every file; sizes, shapes and versions are always checked.
    Raises `FormatError` that names what is wrong.
    """
    stored = open_stored(path, verify=verify)
    if stored.kind not in _KINDS:
        raise FormatError(f"{path} holds a {stored.kind}; recsys.load opens {quote_some(_KINDS)}.")
    return _KINDS[stored.kind].from_stored(stored)
