"""`Titles`: what items are called by people, beside their ids. May import errors, ids and the markup of pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap, as_id_array
from recsys.pages.markup import Safe, element, joined

__all__ = ["Titles", "shortened"]

_LONGEST = 120


class Titles:
    """Names of items by position. Items without a title go by their id.

    table : columns item_id and title, one row an item; other columns are not looked at, nor are items unknown to `items`.
        None: there are no titles.
    items : the model's items, then those of the test that it does not know.

    Raises `ParameterError` for a table without these columns, `DataError` for two titles of one item, and when no item of
    the model has one.
    """

    def __init__(self, table: pd.DataFrame | None, items: IdMap) -> None:
        self._items = items
        self._titles: dict[int, str] = {}
        if table is None:
            return
        if not isinstance(table, pd.DataFrame) or not {"item_id", "title"} <= set(table.columns):
            got = quote_some(table.columns) if isinstance(table, pd.DataFrame) else type(table).__name__
            raise ParameterError(f"`titles` must be a DataFrame with columns item_id and title. Got {got}.")
        named = table[table["title"].notna()]
        ids = as_id_array(named["item_id"], name="item_id")
        positions = items.positions(ids, unknown="ignore")
        known = positions >= 0
        if not known.any():
            raise DataError(_nothing_matches(ids, items))
        self._titles = dict(zip(positions[known].tolist(), named["title"].astype(str).to_numpy()[known], strict=True))
        if len(self._titles) < known.sum():
            twice = pd.Series(positions[known]).duplicated().to_numpy()
            raise DataError(f"`titles` must have one row an item. Items named twice: {self._quoted(positions[known][twice])}.")

    def _quoted(self, positions: np.ndarray) -> str:
        return quote_some(self._items.ids_at(positions).to_pylist())

    def text(self, position: int) -> str:
        """The title, or the id where there is none."""
        return shortened(self._titles.get(position) or self.id_text(position))

    def id_text(self, position: int) -> str:
        """The id as text."""
        return str(self._items.ids_at([position])[0].as_py())

    def to_html(self, position: int) -> Safe:
        """The title, followed by the id where they differ."""
        name, id_ = self.text(position), shortened(self.id_text(position))
        return joined(name, None if name == id_ else joined(" ", element("span", id_, class_="id")))


def shortened(text: str) -> str:
    """A text of up to 120 characters, an ellipsis in the place of what is beyond."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _nothing_matches(ids: Any, items: IdMap) -> str:
    example = quote_some(ids.slice(0, 1).to_pylist())
    ours = quote_some(items.ids_at([0]).to_pylist()) if len(items) else "none"
    return f"`titles` names no item of the model. Its ids are such as {example}, those of the model such as {ours}."
