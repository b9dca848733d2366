"""The record of a pipeline's runs: what each step did, from what, to what; and whether that still holds.

`run.json` in the pipeline's folder, format version 1:

    format, format_version   "recsys-run", 1
    pipeline, versions       the file, and the versions of the libraries that ran it last
    steps                    for each by name: state ("started" or "done"), recsys (its version), settings, inputs, outputs,
                             result (what the job says), seconds, finished (UTC, ISO 8601)

An input or output is known by its path and a print: for a directory of ours the sums of its files, for a file that a step
wrote its SHA-256, for any other file size and time of change. So a step is not done again when those before it were, and
came out the same. Written whole before and after each step, so an interrupted run is seen as what it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys import __version__
from recsys.errors import FormatError, RecsysError, StorageError
from recsys.jobs.job_record import content_sum, now
from recsys.jobs.partitions import is_folder_of_parts, parts_sum
from recsys.jobs.pipeline_plan import Step
from recsys.jobs.report import write_json
from recsys.storage import open_stored, sha256_of_file, write_file
from recsys.trainers.base import library_versions

if sys.platform != "win32":
    import fcntl

__all__ = ["RunRecord", "only_run_in"]

_VERSION = 1


class RunRecord:
    """The record in one folder. Paths in it are relative to that folder, so that both can move together."""

    def __init__(self, folder: Path, pipeline: Path) -> None:
        """Reads the record in `folder`, if there is one. Raises `FormatError` when it can not be understood."""
        self.path = folder / "run.json"
        self._pipeline = pipeline
        self._steps: dict[str, dict[str, Any]] = _read(self.path) if self.path.exists() else {}

    def is_done(self, step: Step) -> bool:
        """Whether the step was completed from the same settings and inputs, and what it wrote is intact."""
        entry = self._steps.get(step.name, {})
        return (
            entry.get("state") == "done"
            and self._same_task(entry, step)
            and set(entry["outputs"]) == {self._relative(path) for path in step.outputs}
            and all(_is_intact(Path(path), entry["outputs"][self._relative(path)]) for path in step.outputs)
        )

    def is_interrupted(self, step: Step) -> bool:
        """Whether the step was begun from the same settings and inputs, and not completed."""
        entry = self._steps.get(step.name, {})
        return entry.get("state") == "started" and self._same_task(entry, step)

    def wrote(self, path: str) -> bool:
        """Whether some run wrote `path`, or began to."""
        return any(self._relative(path) in entry["outputs"] for entry in self._steps.values())

    def begin(self, step: Step) -> None:
        """Notes that the step begins."""
        outputs = dict.fromkeys(self._relative(path) for path in step.outputs)
        self._steps[step.name] = {"state": "started", **self._task(step), "outputs": outputs}
        self._write()

    def complete(self, step: Step, result: dict[str, Any], seconds: float) -> None:
        """Notes what the step did."""
        entry = self._steps[step.name]
        entry["state"] = "done"
        entry["outputs"] = {self._relative(path): _output_print(Path(path)) for path in step.outputs}
        entry |= {"result": result, "seconds": seconds, "finished": now()}
        self._write()

    def _task(self, step: Step) -> dict[str, Any]:
        settings = json.loads(json.dumps(step.written, default=str))  # TOML's dates are no JSON
        inputs = {self._relative(path): _input_print(Path(path)) for path in step.inputs}
        return {"recsys": __version__, "settings": settings, "inputs": inputs}

    def _same_task(self, entry: dict[str, Any], step: Step) -> bool:
        task = self._task(step)
        return all(entry.get(name) == task[name] for name in task)

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.path.parent)

    def _write(self) -> None:
        content = {
            "format": "recsys-run",
            "format_version": _VERSION,
            "pipeline": self._relative(str(self._pipeline)),
            "versions": library_versions(),
            "steps": self._steps,
        }
        with write_file(self.path) as temporary:
            write_json(temporary, content)


@contextlib.contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Holds `folder` for one run at a time. Raises `StorageError` when another process has it (where the system can tell)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".run.lock", os.O_WRONLY | os.O_CREAT, 0o666)
    except OSError as error:
        raise StorageError(f"{folder} can not be written to: {error.strerror}.") from error
    with os.fdopen(descriptor, "w"):
        _lock(descriptor, folder)
        yield


def _lock(descriptor: int, folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(f"Another run is at work in {folder}. Hint: wait until it has ended.") from error


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path} can not be read: {error}. Hint: without it every step is done again.") from error
    if not isinstance(content, dict) or content.get("format") != "recsys-run":
        raise FormatError(f"{path} is not a record of a pipeline's runs. Hint: name another folder with work = …")
    if content.get("format_version") != _VERSION:
        raise FormatError(f"{path} has format version {content.get('format_version')!r}; this recsys reads {_VERSION}.")
    steps = content.get("steps")
    if not isinstance(steps, dict) or not all(isinstance(entry, dict) and "outputs" in entry for entry in steps.values()):
        raise FormatError(f"{path} is damaged: its steps are incomplete. Hint: without it every step is done again.")
    return steps


def _input_print(path: Path) -> Any:
    if path.is_dir():
        return content_sum(path)
    if not path.exists():
        return None
    status = path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _output_print(path: Path) -> str | None:
    if is_folder_of_parts(path):
        return parts_sum(path)
    return content_sum(path) if path.is_dir() else sha256_of_file(path)


def _is_intact(path: Path, noted: str | None) -> bool:
    if noted is None or not path.exists() or _output_print(path) != noted:
        return False
    if path.is_file() or is_folder_of_parts(path):
        return True
    try:
        open_stored(path)
    except RecsysError:
        return False
    return True
