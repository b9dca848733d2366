"""Events so far, as positions, weights and times. Imports `interactions` only for the form of its blocks.

Few large arrays are filled, not many small ones kept: large ones go back to the system when they are freed.
"""

from __future__ import annotations

import numpy as np

from recsys.interactions import EventBlock

__all__ = ["EventStore"]

_CHUNK_ROWS = 1 << 23


class EventStore:
    """Growing columns of events: user and item positions (int32), weights (float32) and timestamps (int64) or None."""

    def __init__(self, chunk_rows: int = _CHUNK_ROWS) -> None:
        self._chunk_rows = chunk_rows
        self._full: list[EventBlock] = []
        self._chunk: list[np.ndarray | None] | None = None
        self._used = 0  # rows of the last chunk

    def __len__(self) -> int:
        return sum(len(block[0]) for block in self._full) + self._used

    def append(self, *columns: np.ndarray | None) -> None:
        """Adds rows: users, items, weights, timestamps; the last two are None in every call or in none."""
        length = 0 if columns[0] is None else len(columns[0])
        done = 0
        while done < length:
            if self._chunk is None:
                # Pages that are never written take no memory, so room to spare costs nothing.
                self._chunk = [None if column is None else np.empty(self._chunk_rows, column.dtype) for column in columns]
                self._used = 0
            taken = min(length - done, self._chunk_rows - self._used)
            for target, column in zip(self._chunk or (), columns, strict=True):
                if target is not None and column is not None:
                    target[self._used : self._used + taken] = column[done : done + taken]
            done += taken
            self._used += taken
            if self._used == self._chunk_rows:
                self._full.extend(self._pop_chunk())

    def take(self) -> list[EventBlock]:
        """All events, in order; the store is empty afterwards."""
        blocks = self._full + self._pop_chunk()
        self._full = []
        return blocks

    def _pop_chunk(self) -> list[EventBlock]:
        chunk, used = self._chunk, self._used
        self._chunk, self._used = None, 0
        if chunk is None:
            return []
        users, items, weights, times = (None if column is None else column[:used] for column in chunk)
        return [] if users is None or items is None else [(users, items, weights, times)]
