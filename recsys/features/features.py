"""`Features`: ids × sparse columns, with how a table is read into them. May import errors, ids, storage and this room."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse

from recsys.errors import DataError, FormatError, ParameterError, closest_hint, quote_some
from recsys.features.columns import Column
from recsys.features.reading import chosen_columns, encoded, id_column, id_types, ids_of, in_order, refuse_absent
from recsys.features.tables import column_of, read_table
from recsys.ids import IdMap
from recsys.storage import Stored, id_table, open_stored, read_ids, write_stored

__all__ = ["Features"]


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """What is known about users or items: one row an id, one feature a category, a member of a set or a bin.

    ids : whose rows these are.
    columns : how each column of a table becomes features; features stand in their order.
    indptr : (n + 1,) int64;  indices : (nnz,) int32, rising within a row;  values : (nnz,) float32, 1 where a table was read.

    Nothing can be changed after construction. Raises `DataError` when the parts do not fit together.
    """

    ids: IdMap
    columns: tuple[Column, ...]
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        parts = (("indptr", np.int64, len(self.ids) + 1), ("indices", np.int32, None), ("values", np.float32, None))
        for name, dtype, length in parts:
            array = getattr(self, name)
            wanted = (len(self.indices) if length is None else length,)
            if array.dtype != dtype or array.shape != wanted:
                raise DataError(
                    f"Features.{name} must be {np.dtype(dtype)} of shape {wanted}. Got {array.dtype} of shape {array.shape}."
                )
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.indices) or (np.diff(self.indptr) < 0).any():
            raise DataError("Features.indptr must rise from 0 to the number of entries.")
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < self.n_features:
            raise DataError(f"Features.indices must lie within the {self.n_features:,} features.")
        if not np.isfinite(self.values).all():
            raise DataError("Features.values must be finite.")

    # ---- making -------------------------------------------------------------------------------------------------

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        id: str | None = None,
        columns: Sequence[str] | None = None,
        multi_valued: Mapping[str, str] | None = None,
        bins: int | Mapping[str, Any] = 10,
        categories: Sequence[str] = (),
        ids: IdMap | None = None,
        missing: str = "raise",
    ) -> Features:
        """Reads a table with one row an id: a .csv, .tsv, .parquet or .jsonl file, a DataFrame or an Arrow table.

            item_id  genres        year      features: genres=Action, genres=Comedy, genres=Drama,
            7        Drama|Action  1994                year=below 1994, year=1994 to 2001, year=from 2001
            9        Comedy        2001

        Text, truth values and lists make a feature of each category, numbers of each bin between quantiles. A missing value
        makes none.

        id : column of the ids; "item_id" or "user_id" if not given.
        columns : which others to read; all if not given.
        multi_valued : columns of text that hold several categories, and what stands between them: {"genres": "|"}. Columns
            of lists need not be named.
        bins : how many for a column of numbers; or for some, by column: a number, or a rising list of edges.
        categories : columns of numbers that name and do not measure.
        ids : the ids wanted, in that order: others in the table are left out, and text is read as their type.
        missing : what becomes of `ids` that the table lacks: "raise" names them (`UnknownIdError`), "zero" leaves them
            without features.

        Raises `DataError` for a table without rows, ids that are missing or twice there, and columns without values;
        `ParameterError` for a wrong argument.
        """
        arrow, called = read_table(table, id_types(id, ids))
        name = id_column(arrow, called, id, ids)
        rows = ids_of(arrow, name, called, name if ids is None else ids.name)
        chosen = chosen_columns(arrow, called, name, columns, multi_valued, bins, categories)
        if ids is not None:
            arrow, rows = in_order(arrow, rows, ids, missing)
        learnt = tuple(
            Column.learnt(
                column,
                column_of(arrow, column, called),
                separator=(multi_valued or {}).get(column),
                bins=bins.get(column, 10) if isinstance(bins, Mapping) else bins,
                as_category=column in categories,
            )
            for column in chosen
        )
        features = cls(rows, learnt, *encoded(arrow, called, learnt))
        return features if ids is None else features.for_ids(ids, missing=missing)

    def like(self, table: Any, *, id: str | None = None) -> Features:
        """The rows of another table, of ids that need not be known here, in these columns.

        A category that is not known here has no feature: a warning counts and names some. Raises `DataError` when a column
        is missing.
        """
        arrow, called = read_table(table, id_types(id, self.ids))
        ids = ids_of(arrow, id_column(arrow, called, id, self.ids), called, self.ids.name)
        return Features(ids, self.columns, *encoded(arrow, called, self.columns))

    @classmethod
    def empty(cls, ids: IdMap, columns: Sequence[Column]) -> Features:
        """Rows of `ids` that have no feature."""
        return cls(ids, tuple(columns), np.zeros(len(ids) + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))

    # ---- looking ------------------------------------------------------------------------------------------------

    @cached_property
    def names(self) -> list[str]:
        """The name of each feature, such as `genre=Drama`."""
        return list(itertools.chain.from_iterable(column.feature_names for column in self.columns))

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return sum(column.n_features for column in self.columns)

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: how many features each id has."""
        return np.diff(self.indptr)

    @property
    def without(self) -> IdMap:
        """The ids that have no feature at all."""
        return self.ids.subset(np.flatnonzero(self.counts == 0))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, columns and entries: equal features have equal fingerprints."""
        digest = hashlib.sha256(b"integer" if self.ids.is_integer else b"string")
        for part in self.ids.content():
            digest.update(part)
        digest.update(repr(self.columns).encode())
        for array in (self.indptr, self.indices, self.values):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        columns = ", ".join(f"{column.name} ({column.n_features:,})" for column in self.columns[:6])
        more = f" and {len(self.columns) - 6} more" if len(self.columns) > 6 else ""
        none = int((self.counts == 0).sum())
        bare = f"; {none:,} without any" if none else ""
        return f"Features({len(self):,} {self.ids.name}s × {self.n_features:,} features of {columns}{more}{bare})"

    def to_csr(self) -> scipy.sparse.csr_array:
        """As a scipy CSR array of ids × features, float32. A copy: changing it changes nothing here."""
        parts = (self.values.copy(), self.indices.copy(), self.indptr.copy())
        return scipy.sparse.csr_array(parts, shape=(len(self), self.n_features))

    def to_frame(self) -> pd.DataFrame:
        """As a DataFrame: the ids, and each column with its categories or bins as text, those of sets joined by "|"."""
        frame = pd.DataFrame({self.ids.name: self.ids.series(np.arange(len(self)))})
        rows = np.repeat(np.arange(len(self)), self.counts)
        first = 0
        for column in self.columns:
            inside = (self.indices >= first) & (self.indices < first + column.n_features)
            labels = np.array(column.labels, dtype=object)[self.indices[inside] - first]
            joined = pd.Series(labels, dtype="str").groupby(rows[inside]).agg("|".join)
            frame[column.name] = joined.reindex(frame.index).astype("str")
            first += column.n_features
        return frame

    def column(self, name: str) -> Column:
        """The column of that name. Raises `ParameterError` that says which there are."""
        for column in self.columns:
            if column.name == name:
                return column
        there = [column.name for column in self.columns]
        close = closest_hint(name, there)
        raise ParameterError(f"There is no feature column {name!r}; there are {quote_some(there, 12)}.{close}")

    def of_column(self, name: str) -> scipy.sparse.csr_array:
        """(n, features of that column) float32: one column of the table. Raises `ParameterError`."""
        wanted = self.column(name)
        first = sum(column.n_features for column in self.columns[: self.columns.index(wanted)])
        return self.to_csr()[:, first : first + wanted.n_features]

    # ---- choosing -----------------------------------------------------------------------------------------------

    def take(self, positions: np.ndarray) -> Features:
        """The rows at `positions` (unique), in that order; columns stay."""
        return Features(self.ids.subset(positions), self.columns, *self._rows(np.asarray(positions)))

    def for_ids(self, ids: IdMap, *, missing: str = "raise") -> Features:
        """The rows of `ids`, in that order; columns stay, other ids go.

        missing : "raise" names ids that have no row here (`UnknownIdError`), "zero" gives them rows without features.
        """
        if missing not in ("raise", "zero"):
            raise ParameterError(f"`missing` must be 'raise' or 'zero'. Got {missing!r}.")
        if ids == self.ids:
            return self
        found = self.ids.positions(ids, unknown="ignore")
        absent = int((found < 0).sum())
        if absent and (missing == "raise" or (absent == len(ids) and ids.is_integer != self.ids.is_integer)):
            refuse_absent(ids, found, self.ids, missing)
        return Features(ids, self.columns, *self._rows(found))

    def followed_by(self, other: Features) -> Features:
        """These rows, then those of `other` for ids that are not here. Raises `DataError` where the columns differ."""
        if other.columns != self.columns:
            raise DataError(
                f"Features with other columns can not be put together: {quote_some(self.names)} here, "
                f"{quote_some(other.names)} there. Hint: features.like(table) reads a table in the columns that are here."
            )
        ids = self.ids.extended(other.ids)
        new = other.for_ids(ids.subset(np.arange(len(self), len(ids))))
        return Features(
            ids,
            self.columns,
            np.concatenate([self.indptr, self.indptr[-1] + new.indptr[1:]]),
            np.concatenate([self.indices, new.indices]),
            np.concatenate([self.values, new.values]),
        )

    def _rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The entries of the rows at `positions`; -1 stands for a row without any."""
        counts = np.where(positions >= 0, self.counts[positions], 0) if len(self) else np.zeros(len(positions), np.int64)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        begins = self.indptr[np.maximum(positions, 0)] if len(self) else np.zeros(len(positions), np.int64)
        entries = np.repeat(begins - indptr[:-1], counts) + np.arange(indptr[-1])
        return indptr, self.indices[entries], self.values[entries]

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "features" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        described = [
            (column.name, column.kind, category, edge, column.separator)
            for column in self.columns
            for category, edge in itertools.zip_longest(column.categories, column.edges)
        ]
        described += [(c.name, c.kind, None, None, c.separator) for c in self.columns if not c.categories and not c.edges]
        names = ("column", "kind", "category", "edge", "separator")
        types = (pa.large_string(), pa.large_string(), pa.large_string(), pa.float64(), pa.large_string())
        parts = list(zip(*described, strict=True)) if described else [()] * len(names)
        write_stored(
            path,
            "features",
            arrays={"indptr": self.indptr, "indices": self.indices, "values": self.values},
            tables={
                "ids": id_table(self.ids),
                "columns": pa.table({name: pa.array(part, kind) for name, part, kind in zip(names, parts, types, strict=True)}),
            },
            attributes={
                "n_ids": len(self),
                "n_features": self.n_features,
                "columns": [column.name for column in self.columns],
                "fingerprint": self.fingerprint,
            },
            provenance={},
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Features:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "features", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored) -> Features:
        """The features in an opened directory."""
        described = stored.table("columns").to_pandas()
        columns = []
        for name in stored.attribute("columns"):
            rows = described[described["column"] == name]
            if not len(rows):
                raise FormatError(f"{stored.path} does not describe its column {name!r}.")
            separator = rows["separator"].iloc[0]
            categories, edges = (tuple(rows[part].dropna().tolist()) for part in ("category", "edge"))
            columns.append(
                Column(name, rows["kind"].iloc[0], categories, edges, separator if isinstance(separator, str) else None)
            )
        arrays = (stored.array(name) for name in ("indptr", "indices", "values"))
        return cls(read_ids(stored, "ids"), tuple(columns), *arrays)
