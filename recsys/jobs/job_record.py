"""The record of one run of a job: what went in, what came out, what it took.

format, format_version   "recsys-job", 1
job                      its name
versions                 recsys, Python and the libraries that matter
started, finished        UTC, ISO 8601
options                  as they were given or filled in
inputs                   for each path: SHA-256 (a directory of ours: one sum over the sums of its files) and bytes
output, counts           what was written
seconds, rows_per_second, peak_memory_bytes (of the whole process)
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.jobs.report import json_ready, size_of, write_json
from recsys.storage import sha256_of_file, write_file
from recsys.trainers.base import library_versions

if sys.platform != "win32":
    import resource

__all__ = ["content_sum", "input_sums", "now", "peak_memory_bytes", "write_job_record"]

_VERSION = 1


def write_job_record(path: str, *, overwrite: bool, job: str, started: str, seconds: float, rows: int, **content: Any) -> None:
    """Writes the record; `content` are the options, inputs, output and counts."""
    record = {
        "format": "recsys-job",
        "format_version": _VERSION,
        "job": job,
        "versions": library_versions(),
        "started": started,
        "finished": now(),
        **content,
        "seconds": seconds,
        "rows_per_second": round(rows / seconds, 1) if seconds > 0 else None,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    with write_file(path, overwrite=overwrite) as temporary:
        write_json(temporary, json_ready(record))


def input_sums(paths: Mapping[str, str | None]) -> dict[str, dict[str, Any]]:
    """For each input that was given its path, SHA-256 and bytes. A path that is no file (standard input) has none of these."""
    sums: dict[str, dict[str, Any]] = {}
    for name, path in paths.items():
        if path is None:
            continue
        place = Path(path)
        entry: dict[str, Any] = {"path": path}
        if place.is_dir():
            entry |= {"sha256": content_sum(place), "bytes": size_of(place)}
        elif place.is_file():
            entry |= {"sha256": sha256_of_file(place), "bytes": place.stat().st_size}
        sums[name] = entry
    return sums


def content_sum(directory: Path) -> str | None:
    """One sum over the sums in the manifest of a directory of ours: the same content, whenever written, has the same sum."""
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        files, attributes = manifest["files"], manifest["attributes"]
        # Features of users and items lie in folders of their own, which the manifest knows by fingerprint.
        folders = [name for name in sorted(attributes) if name.endswith(("user_features", "item_features"))]
        sums = [f"{name} {files[name]['sha256']}" for name in sorted(files)]
        sums += [f"{name} {attributes[name]['fingerprint']}" for name in folders]
        # So do the parts of a blend.
        sums += [f"{name} {part['fingerprint']} {part['weight']!r}" for name, part in attributes.get("parts", {}).items()]
        lines = "\n".join(sums)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return hashlib.sha256(lines.encode()).hexdigest()


def peak_memory_bytes() -> int | None:
    """The most memory that this process ever held, where the system tells it."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":
        # What getrusage says here begins with the peak of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def now() -> str:
    """The time, UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
