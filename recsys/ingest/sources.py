"""Which files a source names, the form each is in, and its bytes, decompressed. Imports `errors` only."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.errors import DataError, FormatError, ParameterError, StorageError, closest_hint, quote_some

__all__ = ["FORMATS", "FileSource", "find_files"]

FORMATS = ("csv", "tsv", "parquet", "jsonl")
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_COMPRESSED_SUFFIX = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True)
class FileSource:
    """A file of events: its path, its format (one of `FORMATS`) and its compression, found by its first bytes."""

    path: Path
    format: str
    compression: str | None

    @property
    def name(self) -> str:
        """How messages and the file of rejected rows call it."""
        return str(self.path)

    @property
    def total_bytes(self) -> int:
        """Size on disk."""
        return self.path.stat().st_size

    @contextmanager
    def open(self) -> Iterator[ByteStream]:
        """The decompressed bytes, from the beginning."""
        with open(self.path, "rb", buffering=0) as raw:
            yield ByteStream(self, raw)


class ByteStream:
    """The bytes of a file, decompressed on the way; knows how much of the file on disk was used."""

    def __init__(self, source: FileSource, raw: Any) -> None:
        self._source, self._raw = source, raw
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, "r"), source.compression) if source.compression else raw

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end. Raises `FormatError` when the compressed file is cut short or damaged."""
        try:
            return bytes(self._stream.read(size))
        except OSError as error:
            kind = self._source.compression
            if kind is None:
                raise StorageError(f"{self._source.name} could not be read: {error}.") from error
            what = "is cut short" if "runcated" in str(error) else "is damaged"
            raise FormatError(f"{self._source.name} {what}: its {kind} stream ends in error ({error}).") from error

    def read_all(self) -> bytes:
        """All that is left."""
        parts = []
        while part := self.read(1 << 24):
            parts.append(part)
        return b"".join(parts)

    def used_bytes(self) -> int:
        """Bytes of the file on disk that were read so far."""
        return int(self._raw.tell())


def find_files(source: Any, format: str | None) -> list[FileSource]:
    """The files that a path, a glob or a list of these names, in order; those of a glob by name.

    Raises `ParameterError` for an unknown format, `DataError` for what is not there, `FormatError` for unknown suffixes.
    """
    if format is not None and format not in FORMATS:
        raise ParameterError(
            f"`format` must be one of {quote_some(FORMATS)}. Got {format!r}.{closest_hint(str(format), FORMATS)}"
        )
    named = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not named:
        raise ParameterError("`source` is an empty list; at least one path is needed.")
    paths: list[Path] = []
    for one in named:
        if not isinstance(one, (str, os.PathLike)):
            raise ParameterError(f"A list of sources holds paths and globs only. Got {type(one).__name__}.")
        paths.extend(_expand(os.fspath(one)))
    twice = {str(path) for path in paths if paths.count(path) > 1} if len(set(paths)) < len(paths) else set()
    if twice:
        raise ParameterError(f"Each file can be read once. Named more than once: {quote_some(sorted(twice))}.")
    return [_inspect(path, format) for path in paths]


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        raise DataError(
            f"{name} is a directory; a file of events was expected. Hint: '{name.rstrip('/')}/*.csv' names the files in it."
        )
    if path.exists():
        return [path]
    if not glob.has_magic(name):
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{name} does not exist.{closest_hint(path.name, near)}")
    found = sorted(match for match in glob.glob(name, recursive=True) if not os.path.isdir(match))
    if not found:
        raise DataError(f"No file matches {name}.")
    return [Path(match) for match in found]


def _inspect(path: Path, format: str | None) -> FileSource:
    try:
        with open(path, "rb") as handle:
            head = handle.read(4)
    except OSError as error:
        raise StorageError(f"{path} could not be read: {os.strerror(error.errno or 0)}.") from error
    if not head:
        raise FormatError(f"{path} is empty (0 bytes).")
    compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    promised = _COMPRESSED_SUFFIX.get(path.suffix.lower())
    if promised not in (None, compression):
        raise FormatError(f"{path} is named as a {promised} file, but its content is not {promised}.")
    if format is None:
        suffixes = [suffix.lower() for suffix in path.suffixes]
        last = [suffix for suffix in suffixes if suffix not in _COMPRESSED_SUFFIX][-1:]
        format = _BY_SUFFIX.get(last[0]) if last else None
    if format is None:
        raise FormatError(f"{path} has no suffix that tells its format. Hint: pass format=, one of {quote_some(FORMATS)}.")
    if format != "parquet" and head == b"PAR1":
        raise FormatError(f"{path} is a Parquet file, not {format}. Hint: pass format='parquet'.")
    return FileSource(path, format, compression)
