"""How much memory there is, for trainers that need much at once. Imports `errors` only."""

from __future__ import annotations

import os
from pathlib import Path

from recsys.errors import DataError

__all__ = ["available_bytes", "refuse_beyond_memory"]

_GROUPS = Path("/sys/fs/cgroup")
# (most that may be used, used now) of a container, in both versions of control groups.
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def available_bytes() -> int | None:
    """What this process may still take without swapping: of the machine, or of its container; None where none can say."""
    free = [_machine_bytes(), *(_container_bytes(*names) for names in _LIMITS)]
    return min((number for number in free if number is not None), default=None)


def refuse_beyond_memory(needed: int, what: str, hint: str) -> None:
    """Raises `DataError` with both numbers when `needed` bytes are more than there are."""
    free = available_bytes()
    if free is not None and needed > free:
        raise DataError(f"{what} needs {needed:,} bytes of memory, and {free:,} are available. Hint: {hint}")


def _machine_bytes() -> int | None:
    table = Path("/proc/meminfo")
    if table.is_file():
        fields = dict(line.split(":", 1) for line in table.read_text(encoding="ascii").splitlines() if ":" in line)
        if "MemAvailable" in fields:
            return int(fields["MemAvailable"].split()[0]) * 1024
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container_bytes(limit: str, usage: str) -> int | None:
    try:
        most, used = (int((_GROUPS / name).read_text(encoding="ascii")) for name in (limit, usage))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return None
    return max(0, most - used)
