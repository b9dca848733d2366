"""Embeddings in open formats, read and written a block at a time. May import errors, ids, storage and kernels' blocks.

| format | suffix | files | ids | provenance |
|---|---|---|---|---|
| parquet | .parquet | one: a column of ids, a column `vector` | keep their type and name | kept |
| safetensors | .safetensors | one: an array `vectors`, and those of ids | keep their type and name | kept |
| numpy | .npy | two: x.npy, x.ids.npy | keep their type | – |
| word2vec | .vec, .w2v, .txt | one, text with a header | texts without blanks; integers if asked for | – |
| word2vec-binary | .bin | one | as word2vec | – |
| lance | .lance | a Lance table (extra `store`): columns as in parquet | keep their type and name | kept |
| glove | .glove, .txt | one, text without a header | as word2vec | – |
| projector | .tsv | two: x.tsv, x.metadata.tsv | texts without tabs; integers if asked for | – |

All keep every bit of the vectors. Text and word2vec-binary may be compressed: .gz after the suffix.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys.embeddings.formats.binary import read_word2vec_binary, write_word2vec_binary
from recsys.embeddings.formats.content import Content, is_compressed
from recsys.embeddings.formats.lance_table import read_lance, refuse_other_lance, write_lance
from recsys.embeddings.formats.parquet import read_parquet, write_parquet
from recsys.embeddings.formats.tensors import read_numpy, read_safetensors, write_numpy, write_safetensors
from recsys.embeddings.formats.text import (
    has_header,
    read_glove,
    read_projector,
    read_word2vec,
    write_glove,
    write_projector,
    write_word2vec,
)
from recsys.errors import DataError, FormatError, ParameterError, closest_hint, quote_some
from recsys.storage import write_directory, write_file

__all__ = ["FORMATS", "Content", "format_of", "places_of", "read", "write"]


@dataclass(frozen=True)
class _Format:
    """write(places, content, compressed=…), read(*places, name=…, integer_ids=…).  second : how the other file ends, if two."""

    suffixes: tuple[str, ...]
    write: Callable[..., None]
    read: Callable[..., Content]
    second: str | None = None
    compressible: bool = True
    is_folder: bool = False


FORMATS = {
    "parquet": _Format((".parquet",), write_parquet, read_parquet, compressible=False),
    "safetensors": _Format((".safetensors",), write_safetensors, read_safetensors, compressible=False),
    "numpy": _Format((".npy",), write_numpy, read_numpy, ".ids.npy", compressible=False),
    "lance": _Format((".lance",), write_lance, read_lance, compressible=False, is_folder=True),
    "word2vec": _Format((".vec", ".w2v"), write_word2vec, read_word2vec),
    "word2vec-binary": _Format((".bin",), write_word2vec_binary, read_word2vec_binary),
    "glove": _Format((".glove",), write_glove, read_glove),
    "projector": _Format((".tsv",), write_projector, read_projector, ".metadata.tsv"),
}


def write(path: str | os.PathLike[str], content: Content, format: str | None = None, *, overwrite: bool = False) -> list[Path]:
    """Writes the file, the two files or the folder of a format, each whole or not at all, and returns where they are."""
    chosen, places = format_of(path, format, reading=False), places_of(path, format)
    if not content.vectors.shape[1]:
        raise DataError("Vectors without dimensions can not be written.")
    with contextlib.ExitStack() as stack:
        temporary = [stack.enter_context(_placed(place, FORMATS[chosen].is_folder, overwrite)) for place in places]
        FORMATS[chosen].write(temporary, content, compressed=is_compressed(Path(path)))
    return places


def _placed(place: Path, is_folder: bool, overwrite: bool) -> contextlib.AbstractContextManager[Path]:
    """Where to write what comes to stand at `place` when all is written."""
    if not is_folder:
        return write_file(place, overwrite=overwrite)
    refuse_other_lance(place, overwrite=overwrite)
    return write_directory(place)


def read(
    path: str | os.PathLike[str], format: str | None = None, *, name: str | None = None, integer_ids: bool = False
) -> Content:
    """What the file, or the two files, hold."""
    chosen, places = format_of(path, format, reading=True), places_of(path, format)
    for place in places:
        if not (place.is_dir() if FORMATS[chosen].is_folder else place.is_file()):
            kind = "folder" if FORMATS[chosen].is_folder else "file"
            beside = f" The {chosen} format has it beside {places[0]}." if place != places[0] else ""
            raise FormatError(f"{place} does not exist, or is not a {kind}.{beside}")
    try:
        return FORMATS[chosen].read(*places, name=name, integer_ids=integer_ids)
    except (EOFError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(f"{path} can not be read: {reason.rstrip('.')}.") from error


def format_of(path: str | os.PathLike[str], format: str | None, *, reading: bool) -> str:
    """The name of the format: as given, or told by the suffix; of a .txt that is read, by its first line."""
    place = Path(path)
    if format is None:
        format = _by_suffix(place, reading)
    if format not in FORMATS:
        raise ParameterError(
            f"`format` must be one of {quote_some(FORMATS, 10)}. Got {format!r}.{closest_hint(str(format), list(FORMATS))}"
        )
    if is_compressed(place) and not FORMATS[format].compressible:
        raise ParameterError(f"{path}: the {format} format is not compressed as a whole. Hint: leave .gz away.")
    return format


def places_of(path: str | os.PathLike[str], format: str | None) -> list[Path]:
    """The files that belong to `path`: itself, and for a format of two files the other one."""
    place = Path(path)
    chosen = format if format is not None else _by_suffix(place, reading=True, look=False)
    second = FORMATS[chosen].second if chosen in FORMATS else None
    if second is None:
        return [place]
    ends = ".gz" if is_compressed(place) else ""
    stem = place.name.removesuffix(ends).removesuffix(FORMATS[chosen].suffixes[0])
    return [place, place.with_name(stem + second + ends)]


def _by_suffix(place: Path, reading: bool, look: bool = True) -> str:
    suffix = (Path(place.stem) if is_compressed(place) else place).suffix.lower()
    for name, found in FORMATS.items():
        if suffix in found.suffixes:
            return name
    if suffix == ".txt" and reading:
        return "word2vec" if not look or not place.is_file() or has_header(place) else "glove"
    known = [suffix for found in FORMATS.values() for suffix in found.suffixes]
    hint = " Hint: .txt may be the format 'word2vec' or 'glove'; name it." if suffix == ".txt" else " Hint: or name the format."
    raise ParameterError(f"The format of {place} is told by its suffix, one of {quote_some(known, 12)}.{hint}")
