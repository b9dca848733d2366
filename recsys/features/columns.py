"""`Column`: how the values of one column of a table become features. May import errors and this room's `tables`.

A column of names has one feature for each category, a column of sets one for each member, a column of numbers one for each
bin. Categories and edges are learnt once and kept, so that later tables are read in the same columns.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError, ParameterError, quote_some
from recsys.features.tables import as_numbers, as_text, is_list, is_number, is_text

__all__ = ["BINS", "CATEGORY", "SET", "Column", "Encoded"]

# So many rows do not differ by chance in a column that tells which are alike.
_TELLING = 20

CATEGORY, SET, BINS = "category", "set", "bins"


@dataclass(frozen=True)
class Encoded:
    """The entries that a column makes: (n,) rows int64 and features int64 from 0, and the values that had no feature."""

    rows: np.ndarray
    features: np.ndarray
    unseen: tuple[str, ...] = ()
    n_unseen: int = 0


@dataclass(frozen=True)
class Column:
    """One column of a table.

    kind : "category" (one name a row), "set" (several) or "bins" (a number).
    categories : the names, in order; each is a feature.
    edges : of bins, rising; feature j holds edges[j - 1] <= value < edges[j], the first and the last are open.
    separator : of a set that is written as text.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    separator: str | None = None

    @property
    def n_features(self) -> int:
        """How many features it makes."""
        return len(self.edges) + 1 if self.kind == BINS else len(self.categories)

    @property
    def labels(self) -> list[str]:
        """What each feature stands for: a category, or the bounds of a bin."""
        if self.kind != BINS:
            return list(self.categories)
        edges = [f"{edge:g}" for edge in self.edges]
        if not edges:
            return ["any"]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return [f"below {edges[0]}", *between, f"from {edges[-1]}"]

    @property
    def feature_names(self) -> list[str]:
        """`genre=Drama`, `year=1990 to 1995`."""
        return [f"{self.name}={label}" for label in self.labels]

    @classmethod
    def learnt(cls, name: str, values: pa.Array, *, separator: str | None, bins: Any, as_category: bool) -> Column:
        """The column with the categories or edges that `values` have. Raises `DataError` where there is no value at all."""
        if is_number(values.type) and not as_category and separator is None:
            return cls(name, BINS, edges=_edges(name, as_numbers(values, name), bins))
        if is_list(values.type) or separator is not None:
            rows, members = _members(name, values, separator)
            return cls(name, SET, categories=_categories(name, members, len(rows)), separator=separator)
        text = as_text(values, name)
        categories = _categories(name, text.drop_null(), len(text))
        if len(categories) == len(text) >= _TELLING:
            warnings.warn(
                f"The column {name!r} has another value in each of {len(text):,} rows, so it makes no two alike. "
                "Hint: leave it out by columns=.",
                stacklevel=5,
            )
        return cls(name, CATEGORY, categories=categories)

    def encoded(self, values: pa.Array) -> Encoded:
        """Which feature each row has; a missing value has none. Categories that are not known are counted."""
        if self.kind == BINS:
            return self._binned(values)
        if self.kind == SET:
            rows, members = _members(self.name, values, self.separator)
        else:
            text = as_text(values, self.name)
            there = pc.is_valid(text)
            rows, members = np.flatnonzero(there.to_numpy(zero_copy_only=False)), text.filter(there)
        found = pc.index_in(members, value_set=pa.array(self.categories, pa.large_string()))
        positions = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        known = positions >= 0
        strangers = members.filter(pa.array(~known)) if not known.all() else members.slice(0, 0)
        return Encoded(rows[known], positions[known], tuple(pc.unique(strangers).to_pylist()), len(strangers))

    def _binned(self, values: pa.Array) -> Encoded:
        if not (is_number(values.type) or pa.types.is_null(values.type)):
            raise DataError(f"The column {self.name!r} must hold numbers, as when its bins were made. Got {values.type}.")
        numbers = as_numbers(values, self.name)
        rows = np.flatnonzero(~np.isnan(numbers))
        return Encoded(rows, np.searchsorted(np.array(self.edges), numbers[rows], side="right").astype(np.int64))


def _categories(name: str, values: pa.Array, n_rows: int) -> tuple[str, ...]:
    """The different values in order of the alphabet, which does not depend on the order of the rows."""
    if not len(values):
        raise DataError(f"The column {name!r} has no value in any of {n_rows:,} rows. Hint: leave it out by columns=.")
    return tuple(sorted(pc.unique(values).to_pylist()))


def _members(name: str, values: pa.Array, separator: str | None) -> tuple[np.ndarray, pa.Array]:
    """(n,) rows and the members of sets, which are lists or texts with a separator; a set names each member once."""
    if is_list(values.type):
        lists = values
    elif is_text(values.type) or pa.types.is_null(values.type):
        lists = pc.split_pattern(as_text(values, name), pattern=separator or "|")
    else:
        raise ParameterError(f"The column {name!r} must hold lists or text to be cut into several values. Got {values.type}.")
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    members = as_text(pc.list_flatten(lists), name)
    there = pc.is_valid(members).to_numpy(zero_copy_only=False)
    rows, members = rows[there], members.filter(pa.array(there))
    codes = members.dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    pairs = rows * max(1, len(codes.dictionary)) + codes.indices.to_numpy(zero_copy_only=False)
    first = np.sort(np.unique(pairs, return_index=True)[1])
    return rows[first], members.take(pa.array(first))


def _edges(name: str, numbers: np.ndarray, bins: Any) -> tuple[float, ...]:
    """The edges asked for, or quantiles; numbers of as few different values as bins have a bin each."""
    numbers = np.sort(numbers[~np.isnan(numbers)])
    if not isinstance(bins, (int, np.integer)):
        return _given_edges(name, bins)
    if not len(numbers):
        raise DataError(f"The column {name!r} has no number in any row. Hint: leave it out by columns=.")
    if isinstance(bins, bool) or bins < 1:
        raise ParameterError(f"`bins` of the column {name!r} must be an int >= 1 or a rising list of edges. Got {bins!r}.")
    values = np.unique(numbers)
    if len(values) <= bins:
        return tuple(values[1:].tolist())
    quantiles = np.quantile(numbers, np.arange(1, bins) / bins, method="higher")
    return tuple(np.unique(quantiles[quantiles > values[0]]).tolist())


def _given_edges(name: str, edges: Any) -> tuple[float, ...]:
    try:
        given = np.asarray(list(edges), np.float64)
    except (TypeError, ValueError) as error:
        wanted = "an int >= 1 or a rising list of edges"
        raise ParameterError(f"`bins` of the column {name!r} must be {wanted}. Got {edges!r}.") from error
    if not np.isfinite(given).all() or (np.diff(given) <= 0).any():
        raise ParameterError(f"The edges of the column {name!r} must be finite and rising. Got {quote_some(given)}.")
    return tuple(given.tolist())
