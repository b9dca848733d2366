"""word2vec's binary format: a line "n dim", then for each vector its id, a blank and dim float32 (little endian).

May import errors and this package's content and text.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from recsys.embeddings.formats.content import Content, ids_of, integers, is_compressed, opened, require_fitting
from recsys.embeddings.formats.text import parse_header, refuse_ids_with
from recsys.errors import DataError, FormatError

__all__ = ["read_word2vec_binary", "write_word2vec_binary"]

_READ_BYTES = 2**22
# An id that is longer means that the reader is not where an id begins.
_LONGEST_ID = 2**16


def write_word2vec_binary(places: list[Path], content: Content, *, compressed: bool) -> None:
    """As the first word2vec wrote it, with an end of line after each vector."""
    refuse_ids_with(content, r"\s", "blanks")
    with opened(places[0], "wb", compressed=compressed) as handle:
        handle.write(f"{len(content.ids)} {content.vectors.shape[1]}\n".encode())
        for start in range(0, len(content.ids), 8192):
            vectors = content.vectors[start : start + 8192].astype("<f4", copy=False)
            ids = content.ids.to_arrow()[start : start + len(vectors)].to_pylist()
            lines = (b"%s %s\n" % (str(id_).encode(), vector.tobytes()) for id_, vector in zip(ids, vectors, strict=True))
            handle.write(b"".join(lines))


def read_word2vec_binary(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """With or without an end of line after each vector. Raises `FormatError` that names the vector where it breaks off."""
    with opened(path, "rb", compressed=is_compressed(path)) as handle:
        n, dim = parse_header(path, handle.readline(2**10).rstrip(b"\r\n"))
        require_fitting(path, n, dim, n * (4 * dim + 2))
        vectors, ids = np.empty((n, dim), np.float32), []
        records = _Records(path, handle)
        for number in range(n):
            ids.append(records.id(number))
            vectors[number] = np.frombuffer(records.take(4 * dim, number), "<f4")
        records.require_end(n)
    return Content(ids_of(path, integers(path, ids) if integer_ids else ids, name), vectors)


class _Records:
    """The rest of a file after its header, read in large pieces."""

    def __init__(self, path: Path, handle: IO[bytes]) -> None:
        self._path, self._handle = path, handle
        self._bytes, self._at = b"", 0

    def _more(self) -> bool:
        read = self._handle.read(_READ_BYTES)
        self._bytes, self._at = self._bytes[self._at :] + read, 0
        return bool(read)

    def id(self, number: int) -> str:
        """The text up to the next blank."""
        while (end := self._bytes.find(b" ", self._at)) < 0:
            if len(self._bytes) - self._at > _LONGEST_ID or not self._more():
                raise self._broken(number)
        raw = self._bytes[self._at : end].lstrip(b"\r\n")
        self._at = end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{self._path}: the id of vector {number + 1:,} is not UTF-8. The header may be wrong.") from None

    def take(self, n: int, number: int) -> bytes:
        """The next n bytes."""
        while len(self._bytes) - self._at < n:
            if not self._more():
                raise self._broken(number)
        self._at += n
        return self._bytes[self._at - n : self._at]

    def require_end(self, n: int) -> None:
        """Raises `FormatError` unless nothing but ends of line are left."""
        while not self._bytes[self._at :].strip(b"\r\n"):
            self._at = len(self._bytes)
            if not self._more():
                return
        raise FormatError(f"{self._path}, line 1, says {n:,} vectors, and more follows: its header is wrong.")

    def _broken(self, number: int) -> FormatError:
        return FormatError(f"{self._path} breaks off in vector {number + 1:,}: it is cut short, or its header is wrong.")
