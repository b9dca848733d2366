"""How jobs measure and word what they did: sizes, seconds; the JSON files they write. Imports nothing of the project."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Clock", "bytes_in_words", "counted", "json_ready", "seconds_in_words", "size_of", "write_json"]


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far, to the millisecond."""
        return round(time.perf_counter() - self._start, 3)


def size_of(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files of a directory."""
    place = Path(path)
    if place.is_file():
        return place.stat().st_size
    return sum(member.stat().st_size for member in place.rglob("*") if member.is_file())


def bytes_in_words(number: int) -> str:
    """`812 B`, `1.7 MB`, `20.3 GB`: decimal units, as disks are sold."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def counted(number: int, noun: str) -> str:
    """`1 user`, `1,200 users`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds_in_words(seconds: float) -> str:
    """`0.42 s`, `12.3 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def json_ready(value: Any) -> Any:
    """`value` with everything in it as JSON has it: numbers that are not finite become null, numpy scalars Python's."""
    if isinstance(value, Mapping):
        return {str(name): json_ready(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(member) for member in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Writes `content` as a JSON file."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")
