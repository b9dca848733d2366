"""What `recsys embeddings` reads: a model, a directory of embeddings, a file in an open format, or a version of a store.

A version of a store is written STORE@VERSION, by number, tag or "latest"; without @ it is the latest.
"""

from __future__ import annotations

from pathlib import Path

from recsys.embeddings import Embeddings, is_store, open_store
from recsys.embeddings.biases import without_biases
from recsys.embeddings.store.lineage import without_last
from recsys.errors import ParameterError
from recsys.jobs.id_files import parse_id
from recsys.model import Model
from recsys.storage import kind_in_words, open_stored

__all__ = ["embeddings_of", "open_source", "parse_ids"]


def open_source(path: str, *, biases: bool = False) -> Model | Embeddings:
    """What is there; of a store without columns of biases unless `biases`.

    Raises `FormatError` for a directory of another kind, and what a file can not be read for.
    """
    if Path(path).is_file():
        return Embeddings.from_file(path)
    if (version := _in_store(path, biases)) is not None:
        return version
    if (Path(path) / "_versions").is_dir():
        return Embeddings.from_file(path, "lance")
    stored = open_stored(path)
    if stored.kind == "model":
        return Model.from_stored(stored)
    if stored.kind != "embeddings":
        raise ParameterError(f"{path} holds {kind_in_words(stored.kind)}; a model, embeddings or a file of them was expected.")
    return Embeddings.from_stored(stored)


def _in_store(path: str, biases: bool) -> Embeddings | None:
    """The embeddings of STORE@VERSION or STORE; None where `path` is no store."""
    place, _, which = (path, "", "latest") if Path(path).exists() else path.rpartition("@")
    if not place or not is_store(place):
        return None
    store = open_store(place)
    found = store.get(which)
    return found if biases else without_last(found, store.version(found.provenance["store"]["version"]).biases)


def embeddings_of(source: Model | Embeddings, side: str | None, path: str, *, biases: bool = False) -> Embeddings:
    """The embeddings themselves, or those of one side of a model; columns of biases are left out unless `biases`."""
    if isinstance(source, Embeddings):
        if side is not None:
            raise ParameterError(f"`side` is for models, and {path} holds embeddings.")
        return source
    chosen = source.user_embeddings if side == "users" else source.item_embeddings
    return chosen if biases else without_biases(chosen, source.fold_in_method)


def parse_ids(texts: list[str] | tuple[str, ...], embeddings: Embeddings, path: str) -> list[str | int]:
    """Ids as typed, read as the type of id that there is."""
    return [parse_id(text, embeddings.ids, path) for text in texts]
