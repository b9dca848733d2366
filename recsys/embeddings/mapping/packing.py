"""The data of a page, packed: a JSON header and binary sections, compressed, as one line of base64. May import this room.

    length of the header (uint32) · header (JSON, UTF-8, padded to 8 bytes) · sections, each padded to 8 bytes

All little-endian, compressed as zlib has it, which browsers read by themselves. The header names each section by its place:
[offset from the end of the header, number of values, type], the type one of u8, u16, u32, f32, f64.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys.embeddings.mapping.embedding_map import EmbeddingMap
from recsys.embeddings.mapping.frames import Square
from recsys.embeddings.mapping.joined import Categories, Column, Numbers
from recsys.ids import IdMap

__all__ = ["Sections", "pack", "packed_column", "packed_view", "shortened_all"]

_TYPES = {"u8": "<u1", "u16": "<u2", "u32": "<u4", "f32": "<f4", "f64": "<f8"}
_LONGEST_TEXT = 200


class Sections:
    """Arrays laid one behind the other."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: np.ndarray, kind: str) -> list[Any]:
        """Appends an array as values of type `kind` and returns its place."""
        content = np.ascontiguousarray(array, dtype=_TYPES[kind]).tobytes()
        place = [self._size, int(array.size), kind]
        padded = content + bytes(-len(content) % 8)
        self._parts.append(padded)
        self._size += len(padded)
        return place

    def add_unsigned(self, array: np.ndarray, largest: int) -> list[Any]:
        """Appends whole numbers from 0 to `largest` in the smallest type that holds them."""
        return self.add(array, "u8" if largest < 2**8 else "u16" if largest < 2**16 else "u32")

    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


def pack(header: dict[str, Any], sections: Sections) -> str:
    """Header and sections as base64."""
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    content = len(text).to_bytes(4, "little") + text + sections.content()
    return base64.b64encode(zlib.compress(content, 9)).decode()


def packed_column(column: Column, sections: Sections) -> dict[str, Any]:
    """A column for the header. In categories 0 stands for none."""
    if isinstance(column, Categories):
        codes = sections.add_unsigned(column.codes + 1, len(column.values))
        return {
            "kind": "category",
            "name": column.name,
            "values": shortened_all(column.values),
            "counts": column.counts,
            "codes": codes,
        }
    if isinstance(column, Numbers):
        place = sections.add(column.values, "f64" if column.is_time else "f32")
        kind = "time" if column.is_time else "number"
        return {"kind": kind, "name": column.name, "log": column.is_skewed, "numbers": place}
    return {"kind": "text", "name": column.name, "texts": shortened_all(column.values)}


def packed_view(name: str, map_: EmbeddingMap, ids: IdMap, square: Square, sections: Sections) -> dict[str, Any]:
    """One map for the header: where its points stand, and which ids they are.

    ids : those of the page; a point is told by its position there.
    """
    steps = square.steps(map_.coordinates)
    rows = ids.positions(map_.ids.to_arrow())
    view: dict[str, Any] = {
        "name": name,
        "x": sections.add(steps[:, 0], "u16"),
        "y": sections.add(steps[:, 1], "u16"),
        "rows": None if np.array_equal(rows, np.arange(len(ids))) else sections.add_unsigned(rows, len(ids)),
    }
    if map_.neighbours is not None and map_.neighbours.shape[1]:
        view["near"] = sections.add_unsigned(rows[map_.neighbours], len(ids))
        view["per"] = int(map_.neighbours.shape[1])
    return view


def shortened_all(texts: Sequence[str | None]) -> list[str | None]:
    """Texts of up to 200 characters, an ellipsis in the place of what is beyond."""
    return [text if text is None or len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…" for text in texts]
