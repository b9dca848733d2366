"""`GivenLists`: ranked lists from elsewhere, to be judged like a model's. May import errors, ids, interactions, retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap
from recsys.interactions import Interactions, require_interactions
from recsys.retrieval import RankedLists

__all__ = ["GivenLists"]


@dataclass(frozen=True, eq=False, repr=False)
class GivenLists:
    """A ranker that gives the lists it was given: another library's, or those that were shown to users.

        lists = recsys.evaluation.GivenLists.from_frame(recommendations, history=train)
        recsys.evaluate(lists, test, ["ndcg@10", "coverage@10"])

    Lists are judged as they are: what stands in the history is not taken out. Users without a list are unknown.
    """

    users: IdMap
    items: IdMap
    history: Interactions | None
    lists: RankedLists
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        history: Interactions | None = None,
        items: Any = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> GivenLists:
        """From a row a place: columns user_id, item_id, and rank (from 1) or score; without both, rows come best first.

        history : what the lists' maker was trained on, for the metrics and slices that go by it.
        items : ids that could have been shown, for metrics of the catalogue; those of the lists and the history always count.
        provenance : what `result.provenance["model"]` is to hold.

        Raises `ParameterError` for missing columns, `DataError` for an empty table, an item twice in a list, and ids of
        another type than the history's.
        """
        if not isinstance(table, pd.DataFrame) or not {"user_id", "item_id"} <= set(table.columns):
            got = f"columns {quote_some(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
            raise ParameterError(f"Lists are a DataFrame with columns 'user_id' and 'item_id'. Got {got}.")
        if not len(table):
            raise DataError("The lists have no rows, so there is nothing to evaluate.")
        if history is not None:
            require_interactions(history, "GivenLists")
        ordered = _best_first(table)
        users = IdMap([], name="user_id").extended(ordered["user_id"])
        known = IdMap([], name="item_id") if history is None else history.items
        all_items = known.extended(ordered["item_id"]).extended([] if items is None else items)
        rows, columns = users.positions(ordered["user_id"]), all_items.positions(ordered["item_id"])
        lists = _packed(rows, columns, users, all_items)
        aligned = None if history is None else _aligned(history, users, all_items)
        return cls(users, all_items, aligned, lists, dict(provenance or {"trainer": "given lists"}))

    def __repr__(self) -> str:
        return f"GivenLists({len(self.users):,} users, up to {self.lists.positions.shape[1]:,} of {len(self.items):,} items)"

    def rank(
        self, user_positions: np.ndarray, k: int, *, exclude_seen: bool = True, num_threads: int | None = None
    ) -> RankedLists:
        """The first k places of the users' lists; `exclude_seen` and `num_threads` change nothing."""
        lists = self.lists
        counts = np.minimum(lists.counts[user_positions], k)
        return RankedLists(lists.positions[user_positions, :k], lists.scores[user_positions, :k], counts)


def _best_first(table: pd.DataFrame) -> pd.DataFrame:
    for column, rising in (("rank", True), ("score", False)):
        if column in table.columns:
            if not pd.api.types.is_numeric_dtype(table[column]) or table[column].isna().any():
                raise DataError(f"The column {column!r} of the lists must hold a number in every row.")
            return table.sort_values(column, ascending=rising, kind="stable")
    return table


def _packed(rows: np.ndarray, columns: np.ndarray, users: IdMap, items: IdMap) -> RankedLists:
    """Lists from entries that come best first for each user."""
    order = np.argsort(rows, kind="stable")
    rows, columns = rows[order], columns[order]
    pairs = rows * len(items) + columns
    _, first = np.unique(pairs, return_index=True)
    if len(first) < len(pairs):
        twice = int(np.setdiff1d(np.arange(len(pairs)), first)[0])
        user, item = users.ids_at([rows[twice]])[0].as_py(), items.ids_at([columns[twice]])[0].as_py()
        raise DataError(f"A list must hold each item once. That of user {user!r} holds item {item!r} twice.")
    counts = np.bincount(rows, minlength=len(users)).astype(np.int32)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    positions = np.zeros((len(users), int(counts.max())), np.int32)
    positions[rows, places] = columns
    return RankedLists(positions, np.zeros(positions.shape, np.float32), counts)


def _aligned(history: Interactions, users: IdMap, items: IdMap) -> Interactions:
    """The history with the users of the lists as its first rows, then its others, and with all items."""
    everybody = users.extended(history.users)
    rows = everybody.positions(history.users)[history.row_positions()].astype(np.int32)
    columns = items.positions(history.items)[history.indices].astype(np.int32)
    return Interactions.from_events(everybody, items, rows, columns, history.weights, provenance=history.provenance)
