"""`IdMap`: the ids of a log and their positions in arrays. Imports `errors` only; no files, no interactions.

An *id* is the user's own name of a user or an item: an integer or a string. A *position* is the row in our arrays.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError, UnknownIdError, closest_hint, quote_some

__all__ = ["IdMap", "as_id_array", "id_series"]


class IdMap:
    """An immutable, ordered set of ids; the place of an id in it is its position.

    All ids of one map have one type, int64 or string. Adding ids returns a new map in which old positions stay.
    """

    def __init__(self, ids: Any, *, name: str = "id") -> None:
        """`ids`: a sequence, array, Series or Arrow array of unique integers or strings; `name` is used in messages.

        Raises `DataError` for ids that are missing, empty, duplicated, of mixed or of any other type.
        """
        self._name = name
        self._values = as_id_array(ids, name=name)
        if len(self._index) and not self._index.is_unique:
            twice = self._index[self._index.duplicated()].unique()
            raise DataError(f"Each {name} must be unique. Found more than once: {quote_some(twice)}.")

    @classmethod
    def _trusted(cls, values: pa.Array, name: str) -> IdMap:
        """A map over values already known to be unique and of the right type (they come from another map or a file)."""
        new = cls.__new__(cls)
        new._name, new._values = name, values
        return new

    @property
    def name(self) -> str:
        """What these ids name, as used in messages and as the column's name in tables: `user_id`, `item_id`."""
        return self._name

    @property
    def is_integer(self) -> bool:
        """True when the ids are integers, False when they are strings."""
        return bool(pa.types.is_integer(self._values.type))

    @cached_property
    def _index(self) -> Any:
        # The hash table behind a pandas Index is built on the first look-up, not here.
        if self.is_integer:
            return pd.Index(self._values.to_numpy(zero_copy_only=False))
        return pd.Index(self._values.to_numpy(zero_copy_only=False), dtype=object)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self._values.equals(other._values)

    def __hash__(self) -> int:
        return hash((len(self), self.is_integer))

    def __repr__(self) -> str:
        kind = "integers" if self.is_integer else "strings"
        first = quote_some(self._values.slice(0, 3).to_pylist())
        return f"IdMap({len(self):,} {self._name}s, {kind}{': ' + first if first else ''}{', …' if len(self) > 3 else ''})"

    def to_arrow(self) -> pa.Array:
        """The ids in order of position, as an int64 or large_string array (no copy)."""
        return self._values

    def to_numpy(self) -> np.ndarray:
        """The ids in order of position: int64, or an object array of str."""
        return np.asarray(self._values.to_numpy(zero_copy_only=False))

    def content(self) -> list[Any]:
        """The ids as raw bytes, for hashing: equal maps give equal bytes."""
        if self.is_integer:
            return [self.to_numpy()]
        lengths = np.ascontiguousarray(pc.binary_length(self._values).to_numpy(zero_copy_only=False))
        _, offsets, text = self._values.buffers()
        begin = np.frombuffer(offsets, np.int64)[self._values.offset] if len(self) else 0
        return [lengths, memoryview(text)[begin : begin + int(lengths.sum())] if len(self) else b""]

    def ids_at(self, positions: Any) -> pa.Array:
        """The ids at `positions` (any integer array), in that order."""
        return self._values.take(pa.array(np.asarray(positions, dtype=np.int64)))

    def series(self, positions: Any) -> pd.Series:
        """The ids at `positions` as a pandas Series named after this map, of dtype int64 or str."""
        return id_series(self.ids_at(positions), self._name)

    def positions(self, ids: Any, *, unknown: str = "raise") -> np.ndarray:
        """Positions (int64) of `ids`, in that order; an unknown id raises `UnknownIdError`, or gives -1 (unknown="ignore")."""
        wanted = as_id_array(ids, name=self._name, allow_empty=True)
        if len(wanted) == 0:
            return np.empty(0, dtype=np.int64)
        same_type = bool(pa.types.is_integer(wanted.type)) == self.is_integer or len(self) == 0
        if same_type:
            found = np.asarray(self._index.get_indexer(_as_index(wanted)), dtype=np.int64)
        else:
            found = np.full(len(wanted), -1, dtype=np.int64)
        if unknown == "raise" and (found < 0).any():
            self._raise_unknown(wanted.filter(pa.array(found < 0)), same_type)
        return found

    def position(self, id_: Any) -> int:
        """The position of one id. Raises `UnknownIdError`."""
        return int(self.positions([id_])[0])

    def _raise_unknown(self, missing: pa.Array, same_type: bool) -> None:
        some = missing.slice(0, 6).to_pylist()
        message = f"Unknown {self._name}: {quote_some(missing.to_pylist())}."
        if not same_type:
            here, there = ("integers", "strings") if self.is_integer else ("strings", "integers")
            message += f" Hint: the {self._name}s of this data are {here}, these are {there}."
        elif not self.is_integer and len(some) == 1 and len(self) <= 100_000:
            message += closest_hint(some[0], self._values.to_pylist())
        raise UnknownIdError(message)

    def subset(self, positions: Any) -> IdMap:
        """A new map of the ids at `positions` (unique), in that order."""
        return IdMap._trusted(self.ids_at(positions), self._name)

    def extended(self, ids: Any) -> IdMap:
        """A new map with those of `ids` that are not here yet appended in order of first appearance; old positions stay."""
        new = as_id_array(ids, name=self._name, allow_empty=True)
        if len(new) == 0:
            return self
        if len(self) and pa.types.is_integer(new.type) != self.is_integer:
            here, there = ("integers", "strings") if self.is_integer else ("strings", "integers")
            raise DataError(f"The {self._name}s here are {here} and the new ones are {there}; one map holds one type.")
        fresh = pc.unique(new.filter(pa.array(self.positions(new, unknown="ignore") < 0)))
        if len(fresh) == 0:
            return self
        return IdMap._trusted(pa.concat_arrays([self._values, fresh]) if len(self) else fresh, self._name)


def id_series(ids: pa.Array, name: str) -> pd.Series:
    """Ids as a pandas Series of dtype int64 or str."""
    if pa.types.is_integer(ids.type):
        return pd.Series(ids.to_numpy(zero_copy_only=False), name=name)
    return pd.Series(pd.array(ids, dtype="str"), name=name)


def as_id_array(ids: Any, *, name: str = "id", allow_empty: bool = True) -> pa.Array:
    """`ids` as one Arrow array, int64 or large_string, without missing or empty values.

    Accepts sequences, numpy arrays, pandas Series / Index, polars Series and Arrow arrays. Floats are taken only when
    every one is a whole number below 2**53 (integers that passed through a column with gaps). Raises `DataError`.
    """
    values = _to_arrow(ids, name)
    if len(values) == 0 and allow_empty and not _is_text(values.type):
        return pa.array([], type=pa.int64())
    if values.null_count:
        raise DataError(f"A {name} must not be missing. Position {_first(pc.is_null(values))} of {len(values):,} is.")
    if pa.types.is_integer(values.type):
        try:
            return values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(f"A {name} must fit a signed 64-bit integer; pass larger ones as strings.") from error
    if pa.types.is_floating(values.type):
        return _whole_numbers(values, name)
    if _is_text(values.type):
        empty = pc.equal(values, pa.scalar("", values.type))
        if pc.any(empty).as_py():
            raise DataError(f"A {name} must not be an empty string. Position {_first(empty)} of {len(values):,} is.")
        return values.cast(pa.large_string())
    raise DataError(f"A {name} must be an integer or a string. Got values of type {values.type}.")


def _to_arrow(ids: Any, name: str) -> pa.Array:
    if isinstance(ids, IdMap):
        return ids.to_arrow()
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
        raise DataError(f"Expected a list or array of {name}s. Got {ids!r}. Hint: one id is given as [{ids!r}].")
    if hasattr(ids, "to_arrow"):  # polars
        ids = ids.to_arrow()
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if not isinstance(ids, pa.Array):
        if not hasattr(ids, "dtype"):
            ids = list(ids)
        try:
            ids = pa.array(ids, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise DataError(_mixed_message(ids, name)) from error
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    return ids


def _mixed_message(ids: Any, name: str) -> str:
    kinds: dict[str, Any] = {}
    for value in ids:
        kinds.setdefault("integer" if isinstance(value, (int, np.integer)) else type(value).__name__, value)
    if len(kinds) > 1:
        found = ", ".join(f"{kind} (such as {quote_some([value])})" for kind, value in list(kinds.items())[:3])
        return f"All {name}s must have one type, integer or string. Got {found}. Hint: convert them with str."
    return f"A {name} must be a signed 64-bit integer or a string. Got {quote_some(kinds.values())}."


def _whole_numbers(values: pa.Array, name: str) -> pa.Array:
    numbers = values.to_numpy(zero_copy_only=False)
    bad = ~(np.isfinite(numbers) & (np.abs(numbers) < 2.0**53) & (np.floor(numbers) == numbers))
    if bad.any():
        raise DataError(f"A {name} must be an integer or a string. Got the float {quote_some(numbers[bad][:1])}.")
    return pa.array(numbers.astype(np.int64))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_index(values: pa.Array) -> Any:
    numbers = values.to_numpy(zero_copy_only=False)
    return pd.Index(numbers) if numbers.dtype == np.int64 else pd.Index(numbers, dtype=object)


def _first(mask: Any) -> int:
    return int(pc.index(mask, pa.scalar(True)).as_py())
