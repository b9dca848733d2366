"""One writer at a time: a lock beside each output, which the system takes back from a process that has died.

May import errors, storage.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recsys.errors import StorageError
from recsys.storage import failures_named

if sys.platform != "win32":
    import fcntl

__all__ = ["held", "holder_in_words", "lock_path", "myself"]


def lock_path(output: Path) -> Path:
    """The file that stands for the right to write `output`."""
    return output.with_name(f".{output.name}.lock")


@contextmanager
def held(output: Path) -> Iterator[None]:
    """Holds the right to write `output`. Raises `StorageError` that names who has it (where the system can tell)."""
    path = lock_path(output)
    with failures_named(output):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(path, output)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, output: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(descriptor):
                raise StorageError(
                    f"{output} is being written by {holder_in_words(_read(path))}. "
                    "Hint: wait until that has ended, or choose another output."
                )
            # Whoever had the lock may have removed the file between the two calls: then it is another one that counts.
            if _is_the_file(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps(myself()).encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_the_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def myself() -> dict[str, Any]:
    """This process as others are told of it."""
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": since}


def holder_in_words(holder: dict[str, Any]) -> str:
    """`process 123 on host a since 2024-01-01T00:00:00+00:00`."""
    if not {"process", "host", "since"} <= holder.keys():
        return "another job"
    return f"another job, process {holder['process']} on {holder['host']} since {holder['since']}"
