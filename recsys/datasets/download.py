"""One file over HTTP: resumed where an earlier attempt stopped, verified before it gets its name.

May import errors, progress, storage. The bytes received so far lie in a `.part` file beside the target.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from recsys.errors import StorageError
from recsys.progress import show_progress
from recsys.storage import sha256_of_file

__all__ = ["download"]

_TIMEOUT_SECONDS = 30.0  # Without a byte for so long, the connection counts as broken.
_CHUNK_BYTES = 1 << 18
_MEGABYTE = 1_000_000


def download(url: str, target: Path, *, sha256: str, size_bytes: int, progress: bool = False) -> Path:
    """Brings the file at `url` to `target` and returns `target`; a `target` that is right already is left as it is.

    A `.part` file of an earlier attempt is continued where the server allows it (HTTP Range), otherwise the download
    begins anew. Size and SHA-256 are checked before the file gets its name; a file that fails is removed.

    Raises `StorageError` when there is no connection, the server refuses, the connection breaks (what has come is kept
    for the next attempt), the disk is full, or the file is not the one with that sum.
    """
    if target.is_file() and target.stat().st_size == size_bytes and sha256_of_file(target) == sha256:
        return target
    part = target.with_name(target.name + ".part")
    with _disk_failures_named(part, size_bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = _receive(url, part, size_bytes, progress)
        if resumed and sha256_of_file(part) != sha256:
            # The file may have changed between the attempts, so that the part mixes two of them: once more from the start.
            part.unlink()
            _receive(url, part, size_bytes, progress)
        found = sha256_of_file(part)
        if found != sha256:
            raise _not_the_file(url, part, f"its SHA-256 is {found}, that of the known file {sha256}")
        os.replace(part, target)
    return target


def _receive(url: str, part: Path, size_bytes: int, progress: bool) -> bool:
    """Completes `part`; returns whether it began from an earlier attempt's bytes."""
    begun = part.stat().st_size if part.exists() else 0
    if begun == size_bytes:
        return True
    if begun > size_bytes:
        begun = 0
    if shutil.disk_usage(part.parent).free < size_bytes - begun:
        raise StorageError(f"{part.parent} has too little free space: {_megabytes(size_bytes - begun)} are needed.")
    with _network_failures_named(url, part):
        response = _open(url, begun)
        if begun and not _continues(response, begun, size_bytes):
            response.close()
            begun, response = 0, _open(url, 0)
        with response:
            _refuse_other_size(url, part, response, begun, size_bytes)
            with open(part, "ab" if begun else "wb") as handle:
                _copy(response, handle, part, begun, size_bytes, progress)
    _refuse_incomplete(url, part, size_bytes)
    return begun > 0


def _refuse_incomplete(url: str, part: Path, size_bytes: int) -> None:
    received = part.stat().st_size
    if received > size_bytes:
        raise _not_the_file(url, part, f"it is longer than the {size_bytes:,} bytes of the known file")
    if received < size_bytes:
        raise StorageError(f"{_cannot(url)}: the connection ended after {received:,} of {size_bytes:,} bytes.{_kept(part)}")


def _open(url: str, begin: int) -> Any:
    headers = {"User-Agent": "recsys"} | ({"Range": f"bytes={begin}-"} if begin else {})
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if begin and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error  # An answer like any other: it does not continue the part, so the download begins anew.
        raise
    except urllib.error.URLError:
        raise
    except OSError as error:  # The connection stood, and no answer came.
        raise _broken(error) from error


def _continues(response: Any, begun: int, size_bytes: int) -> bool:
    wanted = f"bytes {begun}-{size_bytes - 1}/{size_bytes}"
    return bool(response.status == http.HTTPStatus.PARTIAL_CONTENT and response.headers.get("Content-Range") == wanted)


def _refuse_other_size(url: str, part: Path, response: Any, begun: int, size_bytes: int) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) != size_bytes - begun:
        raise _not_the_file(url, part, f"it has {int(length) + begun:,} bytes, the known file {size_bytes:,}")


def _copy(response: Any, handle: IO[bytes], part: Path, begun: int, size_bytes: int, progress: bool) -> None:
    name = f"{part.name.removesuffix('.part')} (MB)"
    with show_progress(name, size_bytes / _MEGABYTE, enabled=progress) as advance:
        advance(begun / _MEGABYTE)
        received = begun
        # A server that sends too much is stopped just past the size, so that the excess is noticed but not stored.
        while received <= size_bytes and (chunk := _read(response, min(_CHUNK_BYTES, size_bytes + 1 - received))):
            handle.write(chunk)
            received += len(chunk)
            advance(len(chunk) / _MEGABYTE)


def _read(response: Any, count: int) -> bytes:
    try:
        return bytes(response.read(count))
    except OSError as error:
        raise _broken(error) from error


@contextlib.contextmanager
def _network_failures_named(url: str, part: Path) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise StorageError(f"{_cannot(url)}: the server answered {error.code} {error.reason}.") from error
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        hint = f"Hint: check the network connection, or put a copy fetched in another way at {part.with_suffix('')}"
        raise StorageError(f"{_cannot(url)}: {reason}. {hint}") from error
    except (http.client.HTTPException, ConnectionError) as error:
        reason = str(error) or type(error).__name__
        raise StorageError(f"{_cannot(url)}: the connection broke ({reason}).{_kept(part)}") from error


@contextlib.contextmanager
def _disk_failures_named(part: Path, size_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk is full: {part} could not be written; {_megabytes(size_bytes)} are needed."
            ) from error
        raise StorageError(f"{part} could not be written: {os.strerror(error.errno or errno.EIO)}.") from error


def _broken(error: OSError) -> ConnectionError:
    """Said where it happens, so that it can not be taken for a failure of the disk."""
    return ConnectionError(error.strerror or str(error))


def _cannot(url: str) -> str:
    return f"{url} could not be downloaded"


def _kept(part: Path) -> str:
    kept = part.stat().st_size if part.exists() else 0
    return f" Hint: the next attempt goes on after the {_megabytes(kept)} that were received." if kept else ""


def _not_the_file(url: str, part: Path, difference: str) -> StorageError:
    part.unlink(missing_ok=True)
    return StorageError(f"{url} no longer holds the file known under this name: {difference}. Nothing was kept.")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / _MEGABYTE:,.1f} MB"
