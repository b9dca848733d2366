"""Ids to positions, block after block, by first appearance in the log. Imports errors, ids, kernels and `blocks`.

Ids are integers as long as all of them are. When a column that was read from text turns out to hold other text too, the
integers so far become strings: only integers in their shortest form were taken for integers, so no text is lost.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from recsys.errors import DataError, quote_some
from recsys.ids import IdMap
from recsys.ingest.blocks import Ids, Text
from recsys.kernels import encode as kernels

__all__ = ["IdEncoder"]

_FEWEST_SLOTS = 1 << 10
# How far the table of integers that need no hash reaches, beside the slots for those that do.
_DIRECT_A_SLOT = 2


class IdEncoder:
    """The ids of one side, users or items, met so far.

    `find` only reads and may run in several threads at once; `add` changes the encoder and must run alone.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._integers = _Integers()
        self._texts: _Texts | None = None  # once there is text, the integers have moved here
        self._example: int | None = None  # an id of a column whose type is integer, so that it can not become text

    def __len__(self) -> int:
        return self._table.count

    @property
    def _table(self) -> _Integers | _Texts:
        return self._integers if self._texts is None else self._texts

    def find(self, ids: Ids) -> np.ndarray:
        """(n,) int32 positions, -1 for ids not met yet."""
        codes = np.full(len(ids), -1, dtype=np.int32)
        if self._texts is not None and ids.as_text is not None:
            self._texts.find(ids.as_text, codes)
        elif self._texts is None and ids.integers is not None:
            self._integers.find(ids.integers, codes)
        return codes

    def add(self, ids: Ids, codes: np.ndarray, where: str) -> None:
        """Gives the ids that `find` did not know positions, in `codes`. Raises `DataError` for ids of mixed type."""
        if len(ids) == 0:
            return
        if ids.text is None and ids.integers is not None and not ids.loose:
            if self._texts is not None:
                raise self._mixed(int(ids.integers[0]), self._texts.first(), where)
            self._example = int(ids.integers[0]) if self._example is None else self._example
        if ids.integers is None and self._texts is None:
            self._turn_into_text(ids, where)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown) == 0:
            return
        new = np.full(len(unknown), -1, dtype=np.int32)
        if self._texts is not None and ids.as_text is not None:
            self._texts.add(ids.as_text.take(unknown), new)
        elif self._texts is None and ids.integers is not None:
            self._integers.add(ids.integers[unknown], new)
        codes[unknown] = new

    def ids(self) -> IdMap:
        """All ids met, in order of position."""
        return IdMap._trusted(self._table.to_arrow(), self.name)

    def _turn_into_text(self, ids: Ids, where: str) -> None:
        if self._example is not None and ids.text is not None:
            raise self._mixed(self._example, ids.text[0], where)
        self._texts = _Texts()
        if self._integers.count:
            text = Text.from_arrow(self._integers.to_arrow().cast(pa.large_string()))
            self._texts.add(text, np.full(len(text), -1, dtype=np.int32))
        self._integers = _Integers()

    def _mixed(self, number: int, text: str, where: str) -> DataError:
        return DataError(
            f"All {self.name}s must have one type, integer or string. Got the integer {number} and the string "
            f"{quote_some([text])}, the later of them in {where}. Hint: convert them to strings first."
        )


class _Integers:
    """Growing tables of int64 keys: small ones find their code directly, others by a hash."""

    def __init__(self) -> None:
        self.count = 0
        self._known = np.empty(_FEWEST_SLOTS // 2, dtype=np.int64)
        self._slots = np.zeros(_FEWEST_SLOTS, dtype=np.int32)
        self._direct = np.zeros(_DIRECT_A_SLOT * _FEWEST_SLOTS, dtype=np.int32)

    def find(self, keys: np.ndarray, codes: np.ndarray) -> None:
        kernels.find_integers(self._direct, self._slots, self._known, _frozen(keys), codes)

    def add(self, keys: np.ndarray, codes: np.ndarray) -> None:
        wanted = _capacity(self.count + len(keys))
        if wanted > len(self._slots):
            self._known = _enlarged(self._known, wanted // 2, self.count)
            # Pages of zeros that are never written take no memory: of the two tables mostly one is used.
            self._slots = np.zeros(wanted, dtype=np.int32)
            self._direct = np.zeros(_DIRECT_A_SLOT * wanted, dtype=np.int32)
            kernels.rehash_integers(self._direct, self._slots, self._known, self.count)
        self.count = int(kernels.add_integers(self._direct, self._slots, self._known, self.count, _frozen(keys), codes))

    def to_arrow(self) -> pa.Array:
        return pa.array(self._known[: self.count].copy())


class _Texts:
    """A growing hash table of texts, which lie one behind the other in one array of bytes."""

    def __init__(self) -> None:
        self.count = 0
        self._text = np.empty(1 << 14, dtype=np.uint8)
        self._offsets = np.zeros(_FEWEST_SLOTS // 2 + 1, dtype=np.int64)
        self._slots = np.zeros(_FEWEST_SLOTS, dtype=np.int64)

    def find(self, text: Text, codes: np.ndarray) -> None:
        kernels.find_texts(self._slots, self._text, self._offsets, text.data, text.starts, text.ends, codes)

    def add(self, text: Text, codes: np.ndarray) -> None:
        used = int(self._offsets[self.count])
        needed = used + int((text.ends - text.starts).sum(dtype=np.int64))
        if needed > len(self._text):
            self._text = _enlarged(self._text, max(needed, 2 * len(self._text)), used)
        wanted = _capacity(self.count + len(text))
        if wanted > len(self._slots):
            self._offsets = _enlarged(self._offsets, wanted // 2 + 1, self.count + 1)
            self._slots = np.zeros(wanted, dtype=np.int64)
            kernels.rehash_texts(self._slots, self._text, self._offsets, self.count)
        self.count = int(
            kernels.add_texts(self._slots, self._text, self._offsets, self.count, text.data, text.starts, text.ends, codes)
        )

    def first(self) -> str:
        return self._text[: self._offsets[1]].tobytes().decode()

    def to_arrow(self) -> pa.Array:
        offsets = self._offsets[: self.count + 1].copy()
        text = self._text[: offsets[-1]].copy()
        return pa.LargeStringArray.from_buffers(self.count, pa.py_buffer(offsets), pa.py_buffer(text))


def _capacity(count: int) -> int:
    """Slots for `count` entries: a power of two, at most half full."""
    return max(_FEWEST_SLOTS, 1 << (2 * count - 1).bit_length())


def _enlarged(array: np.ndarray, length: int, used: int) -> np.ndarray:
    larger = np.empty(length, dtype=array.dtype)
    larger[:used] = array[:used]
    return larger


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
