"""`AlignedTable`: the columns of a table about users or items, brought into our order. Imports errors, ids and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError, quote_some
from recsys.features import Features
from recsys.ids import IdMap

__all__ = ["AlignedTable"]


@dataclass(frozen=True, eq=False)
class AlignedTable:
    """A table with one row for each id of `ids`, in their order; ids that the given table lacks have missing values.

    given : the table as it was given, to be brought into another order by `for_ids`.
    """

    ids: IdMap
    table: pd.DataFrame
    given: pd.DataFrame

    @classmethod
    def of(cls, table: Any, ids: IdMap, argument: str) -> AlignedTable | None:
        """`table` (a DataFrame with a column named as `ids`, or Features) in the order of `ids`; None for None.

        argument : what messages call it.

        Raises `ParameterError` for anything else and `DataError` for an id that stands there twice or when none is known.
        """
        if table is None:
            return None
        column = ids.name
        if isinstance(table, Features):
            table = table.to_frame()
        if not isinstance(table, pd.DataFrame) or column not in table.columns:
            got = f"columns {quote_some(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
            raise ParameterError(f"`{argument}` must be a DataFrame with a column {column!r}. Got {got}.")
        if len(table.columns) < 2:
            raise ParameterError(f"`{argument}` has no column beside {column!r}.")
        named = IdMap(table[column], name=column)
        rows = named.positions(ids, unknown="ignore")
        if not (rows >= 0).any():
            example = quote_some(named.ids_at(np.arange(min(1, len(named)))).to_pylist())
            kinds = {True: "integers", False: "strings"}
            hint = f" Hint: its ids are {kinds[named.is_integer]}, those wanted {kinds[ids.is_integer]}."
            told = hint if named.is_integer != ids.is_integer else ""
            raise DataError(f"`{argument}` holds none of the {len(ids):,} {column}s wanted; its first is {example}.{told}")
        others = table.drop(columns=column).rename(columns=str).reset_index(drop=True)
        return cls(ids, others.reindex(np.where(rows >= 0, rows, -1)).reset_index(drop=True), table)

    def for_ids(self, ids: IdMap, argument: str) -> AlignedTable:
        """The same table in the order of other ids."""
        found = AlignedTable.of(self.given, ids, argument)
        return self if found is None else found

    @property
    def columns(self) -> list[str]:
        """The names of the columns, that of the ids left out."""
        return list(self.table.columns)

    @property
    def categories(self) -> list[str]:
        """The columns that name rather than measure: all but those of floats and of times."""
        given = self.given.drop(columns=self.ids.name).rename(columns=str)
        return [name for name in self.columns if given[name].dtype.kind not in "fmM"]
