"""Sequences of items: what each user did in order of time, cut into sessions, or as a set. May import interactions, times."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from recsys.errors import DataError
from recsys.interactions import Interactions
from recsys.times import span_microseconds

__all__ = ["ORDERS", "Sequences", "sequences_of"]

ORDERS = ("auto", "time", "none")


@dataclass(frozen=True)
class Sequences:
    """Items by position, one sequence after the other, none of fewer than two.

    starts : (n + 1,) int64, where each sequence begins and ends.  items : int32.
    ordered : whether their order within a sequence means anything.
    users_left_out : users who have entries, but none of them beside another.
    """

    starts: np.ndarray
    items: np.ndarray
    ordered: bool
    users_left_out: int

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64."""
        return np.diff(self.starts)

    def thinned(self, most: int, random_state: int) -> Sequences:
        """Of each sequence of more than `most` items as many drawn at random, in their order."""
        lengths = self.lengths
        if not (lengths > most).any():
            return self
        kept = np.ones(len(self.items), bool)
        for number in np.flatnonzero(lengths > most).tolist():
            generator = np.random.default_rng([random_state, number])
            left_out = generator.permutation(lengths[number])[most:]
            kept[self.starts[number] + left_out] = False
        starts = np.concatenate([[0], np.cumsum(np.minimum(lengths, most))])
        return Sequences(starts, self.items[kept], self.ordered, self.users_left_out)


def sequences_of(
    train: Interactions, *, wanted_by: str, order: str, session_gap: float | str | None, min_count: int = 1
) -> Sequences:
    """Each user's items of weight > 0 in order of time (what came again stands at its latest event), ties by position.

    order : "time", "none" (a set, in order of position), or "auto": time where there are timestamps.
    session_gap : a longer pause between two events begins a new sequence.
    min_count : items with fewer entries are left out.

    Raises `DataError` where timestamps are needed and there are none, and where nothing stands beside anything.
    """
    if session_gap is not None or order == "time":
        train.required_timestamps(f"{wanted_by} with " + ("order='time'" if order == "time" else "session_gap"))
    ordered = order == "time" or (order == "auto" and train.timestamps is not None)
    items, rows, weights = train.indices, train.row_positions(), train.weights
    breaks = np.zeros(len(items) + 1, bool)
    breaks[train.indptr] = True
    if train.timestamps is not None and (ordered or session_gap is not None):
        by_time = np.lexsort((train.timestamps, rows))
        items, weights = items[by_time], weights[by_time]
        if session_gap is not None:
            gap = span_microseconds(session_gap, "session_gap")
            breaks[1:-1] |= np.diff(train.timestamps[by_time]) > gap
    sequence = np.cumsum(breaks[:-1]) - 1
    # A pair of weight 0 was not observed.
    frequent = (train.item_counts >= min_count)[items] & (weights > 0)
    lengths = np.bincount(sequence, frequent).astype(np.int64)
    kept = frequent & (lengths > 1)[sequence]
    if not kept.any():
        _refuse(train, wanted_by, session_gap, min_count)
    left_out = int(np.count_nonzero(train.user_counts)) - len(np.unique(rows[kept]))
    _warn_of_many(left_out, train, wanted_by, session_gap)
    starts = np.concatenate([[0], np.cumsum(lengths[lengths > 1])])
    return Sequences(starts, np.ascontiguousarray(items[kept]), ordered, left_out)


def _warn_of_many(left_out: int, train: Interactions, wanted_by: str, session_gap: float | str | None) -> None:
    n_users = np.count_nonzero(train.user_counts)
    if left_out > n_users / 2:
        within = "" if session_gap is None else f" within one session (session_gap = {session_gap!r})"
        warnings.warn(
            f"{wanted_by} learns nothing of {left_out:,} of {n_users:,} users, who have no two items{within}.", stacklevel=5
        )


def _refuse(train: Interactions, wanted_by: str, session_gap: float | str | None, min_count: int) -> NoReturn:
    within = "" if session_gap is None else f" within one session (session_gap = {session_gap!r})"
    among = "" if min_count == 1 else f" that {min_count} or more have (min_count)"
    hint = "" if session_gap is None and min_count == 1 else " Hint: a longer session_gap or a lower min_count."
    raise DataError(
        f"{wanted_by} learns from what users have together, and none of {train.n_users:,} users has two items{among}{within}."
        f"{hint}"
    )
