"""What a file of embeddings holds, and how the formats name what is wrong. May import errors, ids."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from recsys.errors import DataError, FormatError, InputError
from recsys.ids import IdMap

__all__ = ["Content", "ids_of", "integers", "is_compressed", "opened", "require_fitting"]

DEFAULT_NAME = "id"
# Deflate makes a file at most so much smaller.
_DEFLATE_RATIO = 1032


@dataclass(frozen=True)
class Content:
    """Ids, their vectors (n, dim) float32 in the same order, and where they come from."""

    ids: IdMap
    vectors: np.ndarray
    provenance: Mapping[str, Any] = field(default_factory=dict)


def is_compressed(path: Path) -> bool:
    """Whether the name says gzip."""
    return path.suffix.lower() == ".gz"


def opened(path: Path, mode: str, *, compressed: bool) -> IO[bytes]:
    """The file, to be read or written as if it were not compressed."""
    # Digits of vectors are near random: higher levels take several times as long and save a few per cent.
    return cast("IO[bytes]", gzip.open(path, mode, compresslevel=1) if compressed else open(path, mode))


def ids_of(path: Path, values: Any, name: str | None) -> IdMap:
    """The ids of a file. Raises `DataError` that names it for ids that are missing or there twice."""
    try:
        return IdMap(values, name=name or DEFAULT_NAME)
    except InputError as error:
        raise DataError(f"{path}: {error}") from error


def integers(path: Path, texts: list[str]) -> np.ndarray:
    """Ids of a text format as int64. Raises `DataError` for the first that is no integer."""
    try:
        return np.array(texts, np.int64) if texts else np.empty(0, np.int64)
    except (ValueError, OverflowError):
        wrong = next(text for text in texts if not _is_integer(text))
        raise DataError(f"{path}: its ids were to be read as integers. Got {wrong!r}.") from None


def _is_integer(text: str) -> bool:
    try:
        return -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


def require_fitting(path: Path, n: int, dim: int, least_bytes: int) -> None:
    """Raises `FormatError` when the file is too short for what its first line says: nothing is allocated on its word alone."""
    size = path.stat().st_size
    there = size * _DEFLATE_RATIO if is_compressed(path) else size
    if least_bytes > there:
        raise FormatError(
            f"{path}, line 1, says {n:,} vectors of {dim:,} numbers, which take {least_bytes:,} bytes or more. "
            f"The file has {size:,}: it is cut short, or its header is wrong."
        )
