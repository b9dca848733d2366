"""How many bytes what a model's vectors stand for would take. May import ids and interactions."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from recsys.ids import IdMap
from recsys.interactions import Interactions

__all__ = ["sizes_of_data"]

# A time in seconds since 1970, as it stands in a log.
_TIME_CHARACTERS = 10
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".dat")


def sizes_of_data(history: Interactions) -> dict[str, int]:
    """Bytes by name: the event log, the matrix of users by items dense and sparse.

    The log's are those of the text files that the history was read from where these are known and it holds all that was read;
    else those of a CSV with a line for each interaction: both ids, the weight where weights differ, the time in seconds.
    """
    read = _bytes_read(history)
    name, log = ("event log, as read", read) if read else ("event log, as CSV (estimated)", _as_csv(history))
    n_users, n_items, n = history.n_users, history.n_items, len(history)
    return {
        name: log,
        "dense matrix, float32": 4 * n_users * n_items,
        "dense matrix, one bit a pair": -(-n_users * n_items // 8),
        "sparse matrix (position and weight of each pair)": 8 * n + 8 * (n_users + 1),
    }


def _bytes_read(history: Interactions) -> int:
    sources = history.provenance.get("sources")
    rows = history.provenance.get("rows_read")
    if not isinstance(sources, list) or rows != len(history):
        return 0
    plain = all(str(source.get("path", "")).endswith(_TEXT_SUFFIXES) and "bytes" in source for source in sources)
    return sum(int(source["bytes"]) for source in sources) if plain else 0


def _as_csv(history: Interactions) -> int:
    users = int(_characters(history.users) @ history.user_counts)
    items = int(_characters(history.items) @ history.item_counts)
    weights = 0
    if len(history) and history.weights.min() != history.weights.max():
        values, counts = np.unique(history.weights, return_counts=True)
        weights = int(sum(len(f"{value:g}") * int(count) for value, count in zip(values, counts, strict=True))) + len(history)
    # Two commas and the end of the line.
    return users + items + weights + (_TIME_CHARACTERS + 3) * len(history)


def _characters(ids: IdMap) -> np.ndarray:
    """(n,) int64: the bytes of each id as text."""
    text = pc.cast(ids.to_arrow(), "large_string")
    return np.asarray(pc.binary_length(text).to_numpy(zero_copy_only=False), np.int64)
