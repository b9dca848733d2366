"""A folder of parts, resumable: `part-00000.parquet`, … and `_manifest.json`.

While it is written it is `NAME.partial`, with `_checkpoint.json`: the task, how far it had come, and the parts that are whole.
A part is renamed to its name when it is on disk, then entered in the checkpoint, which is replaced as a whole. So after a kill
at any moment the entered parts hold each list once, and what is not entered is removed by whoever goes on. Readers of Parquet
folders pass over names that begin with an underscore.

    format, format_version   "recsys-parts", 1
    task                     settings and sums of the inputs
    done                     users, with_rows, rows
    parts                    for each its name, rows, users (how many were asked for), bytes, sha256
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from recsys.errors import FormatError, ParameterError, StorageError
from recsys.jobs.destinations import Destination, Done, Sink, Task, as_done, refuse_other_task
from recsys.jobs.list_files import Append, list_writer, require_suffix
from recsys.jobs.locks import held
from recsys.jobs.report import size_of, write_json
from recsys.storage import failures_named, move_into_place, sha256_of_file, write_file

__all__ = ["CHECKPOINT", "MANIFEST", "is_folder_of_parts", "partial_path", "partition_destination", "parts_sum"]

MANIFEST, CHECKPOINT = "_manifest.json", "_checkpoint.json"
_FORMAT, _VERSION = "recsys-parts", 1


def partial_path(output: Path) -> Path:
    """Where a folder of parts is until it is complete."""
    return output.with_name(f"{output.name}.partial")


def is_folder_of_parts(path: Path) -> bool:
    """Whether a complete folder of parts is there."""
    return (path / MANIFEST).is_file()


def parts_sum(folder: Path) -> str | None:
    """One sum over the parts as they are now; None when one is not what the manifest says."""
    sums = hashlib.sha256()
    for part in _read(folder / MANIFEST)["parts"]:
        path = folder / part["name"]
        if not path.is_file() or sha256_of_file(path) != part["sha256"]:
            return None
        sums.update(f"{part['name']} {part['sha256']}\n".encode())
    return sums.hexdigest()


@contextmanager
def partition_destination(output: str, *, overwrite: bool) -> Iterator[Destination]:
    """A folder of parts in the format of its suffix."""
    suffix, path = require_suffix(output), Path(output)
    _refuse_existing(path, overwrite=overwrite)
    with held(path):
        place = _Folder(path, suffix)
        try:
            with failures_named(path):
                yield place
        except StorageError as error:
            raise StorageError(f"{error} {place.what_is_left()}".rstrip()) from error


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise ParameterError(f"{path} already exists. Hint: ask to overwrite it, or choose another path.")
    if not is_folder_of_parts(path):
        raise ParameterError(f"{path} is not a folder of parts written by recsys, so it is not overwritten.")


class _Folder:
    def __init__(self, path: Path, suffix: str) -> None:
        self._path, self._suffix = path, suffix
        self._partial = partial_path(path)
        self._saved = _read(self._partial / CHECKPOINT) if (self._partial / CHECKPOINT).exists() else None

    @property
    def left(self) -> Mapping[str, Any] | None:
        return None if self._saved is None else self._saved["task"]

    @contextmanager
    def open(self, task: Task, *, resume: bool) -> Iterator[Sink]:
        saved = self._begin(task, resume)
        sink = _PartSink(self._partial, self._suffix, task, saved)
        try:
            yield sink
        except BaseException:
            sink.give_up()
            raise
        sink.finish()
        move_into_place(self._partial, self._path)
        if self._partial.exists():  # the systems that can swap two names left the old folder there
            shutil.rmtree(self._partial)

    def _begin(self, task: Task, resume: bool) -> Mapping[str, Any]:
        if self._saved is not None and resume:
            refuse_other_task(self._saved["task"], task.key, str(self._partial))
            return self._saved
        if self._partial.exists():
            self._remove_partial()
        self._partial.mkdir()
        return {"task": dict(task.key), "done": asdict(Done()), "parts": []}

    def _remove_partial(self) -> None:
        if self._saved is None and any(self._partial.iterdir()):
            raise ParameterError(f"{self._partial} is in the way, and was not left by an interrupted run.")
        if self._saved is not None:
            done = as_done(self._saved["done"], str(self._partial))
            warnings.warn(
                f"{self._partial} was left by an interrupted run with {done.users:,} users done; --resume would go on from "
                "there, this run starts anew.",
                stacklevel=6,
            )
        shutil.rmtree(self._partial)

    def what_is_left(self) -> str:
        if not (self._partial / CHECKPOINT).exists():
            return ""
        done = as_done(_read(self._partial / CHECKPOINT)["done"], str(self._partial))
        return f"{self._partial} holds the lists of {done.users:,} users; --resume goes on from there."

    def size(self) -> int | None:
        return size_of(self._path)


class _PartSink:
    """Writes part after part; a part that is whole is entered in the checkpoint."""

    def __init__(self, folder: Path, suffix: str, task: Task, saved: Mapping[str, Any]) -> None:
        self._folder, self._suffix, self._task = folder, suffix, task
        self.done = as_done(saved["done"], str(folder))
        self._parts: list[dict[str, Any]] = list(saved["parts"])
        self._at_part = self.done
        self._part: _OpenPart | None = None
        self._remove_what_is_not_entered()
        self._save(CHECKPOINT)

    def _remove_what_is_not_entered(self) -> None:
        kept = {CHECKPOINT, *(part["name"] for part in self._parts)}
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink()
        for part in self._parts:
            path = self._folder / part["name"]
            if not path.is_file() or path.stat().st_size != part["bytes"]:
                raise FormatError(f"{path} is missing or cut short. Hint: without --resume everything is done anew.")

    def write(self, frame: pd.DataFrame, done: Done) -> None:
        part = self._part or _OpenPart(self._folder / f".part.tmp{self._suffix}", self._suffix, self._task)
        self._part = part
        part.append(frame)
        if self._task.plan.ends_part(done.users):
            self._end_part(part, done)

    def _end_part(self, part: _OpenPart, done: Done) -> None:
        path = self._folder / f"part-{len(self._parts):05d}{self._suffix}"
        part.close(path)
        self._part = None
        self._parts.append(
            {
                "name": path.name,
                "rows": done.rows - self._at_part.rows,
                "users": done.users - self._at_part.users,
                "bytes": path.stat().st_size,
                "sha256": sha256_of_file(path),
            }
        )
        self._at_part = done
        self._save(CHECKPOINT)

    def _save(self, name: str) -> None:
        content = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "task": dict(self._task.key),
            "done": asdict(self._at_part),
            "parts": self._parts,
        }
        with write_file(self._folder / name) as temporary:
            write_json(temporary, content)

    def finish(self) -> None:
        """Puts the manifest where the checkpoint was."""
        self._save(MANIFEST)
        (self._folder / CHECKPOINT).unlink()

    def give_up(self) -> None:
        """Leaves the parts that are whole; nothing where there is none."""
        if self._part is not None:
            self._part.drop()
        if not self._parts:
            shutil.rmtree(self._folder, ignore_errors=True)


class _OpenPart:
    """A part that is being written, under a name that is not its own yet."""

    def __init__(self, path: Path, suffix: str, task: Task) -> None:
        self._stack, self._path = ExitStack(), path
        self.append: Append = self._stack.enter_context(list_writer(path, suffix, task.schema))

    def close(self, name: Path) -> None:
        """Ends the file and gives it its name once it is on disk."""
        self._stack.close()
        with open(self._path, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(self._path, name)

    def drop(self) -> None:
        """Removes the file; what its writer still wanted to write does not matter any more."""
        # A disk that was full for the rows is full for the footer too: the first failure is the one to tell of.
        with suppress(OSError, pa.ArrowInvalid):
            self._stack.close()
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path} can not be read: {error}. Hint: remove the folder to start anew.") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT or not {"task", "done", "parts"} <= content.keys():
        raise FormatError(f"{path} is not a checkpoint of parts. Hint: remove the folder to start anew.")
    if content.get("format_version") != _VERSION:
        raise FormatError(f"{path} has format version {content.get('format_version')!r}; this recsys reads {_VERSION}.")
    return content
