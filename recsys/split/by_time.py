"""Cuts at a moment that is the same for all users: once, or rolling from period to period. May import times and this folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.interactions import Interactions
from recsys.split.checks import check_data, check_unseen, fraction_of, whole_number
from recsys.split.parts import Split, known_in, make_parts, n_marked_ids, share
from recsys.times import as_microseconds, span_microseconds

__all__ = ["rolling", "temporal"]


def temporal(data: Interactions, *, test_fraction: float = 0.1, cutoff: Any = None, unseen: str = "keep") -> Split:
    """One moment for all: what happened before it is train, what happened at it or after is test.

        user   day 1  day 2  day 3  | day 4  day 5
        u1     tea    rice   figs   |        [oats]    cutoff = day 4; oats are unseen in train
        u2            tea           | [rice] [salt]    salt is unseen in train
        u3                   rice   |
        u4                          | [tea]  [rice]    u4 is unseen in train

    test_fraction : the share of entries in test; the cut-off is the time of the earliest of them. Entries of one time stay
        together, so test can be larger. Not used when `cutoff` is given.
    cutoff : a date, a date as text, or Unix seconds.
    unseen : what becomes of test entries whose user or item has no entry in train. "keep": they stay, and `evaluate`
        counts them apart. "drop": they are in neither part. Either way provenance["split"] says how many users,
        items and entries that are.

    Raises `ParameterError` for a bad argument, `DataError` without timestamps or when a part would be empty.
    """
    check_data(data, "temporal")
    check_unseen(unseen)
    times = data.required_timestamps("split.temporal")
    settings: dict[str, Any] = {"by": "temporal"}
    if cutoff is not None:
        moment = as_microseconds(cutoff, "cutoff")
    else:
        settings["test_fraction"] = fraction_of(test_fraction, "test_fraction")
        moment = _cutoff_of_share(times, settings["test_fraction"])
    in_test = times >= moment
    test, counts = _with_unseen(data, ~in_test, in_test, unseen)
    settings |= {"cutoff": _as_text(moment), **counts}
    return make_parts(data, settings, train=~in_test, test=test, hint=_temporal_hint(times, moment, in_test))


def rolling(
    data: Interactions,
    *,
    periods: int = 3,
    length: Any = None,
    gap: Any = None,
    train_length: Any = None,
    end: Any = None,
    unseen: str = "keep",
) -> Iterator[Split]:
    """Again and again, as a service would live it: train on what was before a period, test on the period, go on to the next.

        user   day 1  day 2  day 3  | day 4  | day 5
        u1     tea    rice   figs   |        | oats/2    periods=2, length="1D"
        u2            tea           | rice/1 | salt/2
        u3                   rice   |        |
        u4                          | tea/1  | rice/2

        for train, test in recsys.split.rolling(data, periods=4, length="7D"): ...

    In the first cut days 1 to 3 are train and day 4 is test; in the second days 1 to 4 are train and day 5 is test. No train
    part holds anything later than its test part begins. This is evaluation with a rolling origin (Tashman 2000, "Out-of-sample
    tests of forecasting accuracy", International Journal of Forecasting 16).

    periods : how many; they follow one another, and the last one ends at `end`.
    length : of each period, a length of time such as "7D" or seconds. None: periods divide the later half of the time.
    gap : a length of time before each period that is in neither part, as it takes until a model trained at night is served.
    train_length : train only on so long a time before the period (and its gap). None: on everything before.
    end : the moment before which the last period ends; later entries are in no part. None: right after the latest entry.
    unseen : as in `temporal`, for each period.

    A cut is made when it is asked for; all periods are checked at the call. Raises `ParameterError` for a bad argument,
    `DataError` without timestamps and when a part of some period would be empty.
    """
    check_data(data, "rolling")
    check_unseen(unseen)
    n_periods = whole_number(periods, "periods", "rolling", 1)
    times = data.required_timestamps("split.rolling")
    stop = int(times.max()) + 1 if end is None else as_microseconds(end, "end")
    half = max(stop - int(times.min()), 1) / 2
    span = half / n_periods if length is None else span_microseconds(length, "length")
    before = 0 if gap is None else round(span_microseconds(gap, "gap"))
    reach = None if train_length is None else round(span_microseconds(train_length, "train_length"))
    begins = [stop - round(number * span) for number in range(n_periods, -1, -1)]
    windows = [_window(begin, end_of_it, before, reach) for begin, end_of_it in itertools.pairwise(begins)]
    for number, window in enumerate(windows, 1):
        _check_window(data, window, f"period {number} of {n_periods}", unseen)
    settings = {"by": "rolling", "periods": n_periods}
    return (_period(data, window, settings | {"period": n}, unseen) for n, window in enumerate(windows, 1))


@dataclass(frozen=True)
class _Window:
    """One period, in microseconds: train from `learn_from` (None: the beginning) to `learn_to`, test from `begin` to `end`."""

    learn_from: int | None
    learn_to: int
    begin: int
    end: int

    def train(self, times: np.ndarray) -> np.ndarray:
        mask = times < self.learn_to
        return mask if self.learn_from is None else mask & (times >= self.learn_from)

    def test(self, times: np.ndarray) -> np.ndarray:
        return (times >= self.begin) & (times < self.end)


def _window(begin: int, end: int, gap: int, reach: int | None) -> _Window:
    return _Window(None if reach is None else begin - gap - reach, begin - gap, begin, end)


def _check_window(data: Interactions, window: _Window, name: str, unseen: str) -> None:
    """Raises `DataError` when a part would be empty: better now than after the periods before it were trained on."""
    times = data.required_timestamps("split.rolling")
    train, test = window.train(times), window.test(times)
    span = f"{_as_text(window.begin)} to {_as_text(window.end)}"
    if not train.any() or not test.any():
        part = "train" if test.any() else "test"
        raise DataError(
            f"split.rolling leaves the part `{part}` of {name} ({span}) without entries: {_span_of(times)}. "
            "Hint: ask for other periods, or another length."
        )
    if unseen == "drop" and not _with_unseen(data, train, test, unseen)[0].any():
        raise DataError(
            f"split.rolling leaves the part `test` of {name} ({span}) without entries: each has a user or an item unseen in "
            "train. Hint: unseen='keep' keeps them."
        )


def _period(data: Interactions, window: _Window, settings: dict[str, Any], unseen: str) -> Split:
    times = data.required_timestamps("split.rolling")
    train, in_test = window.train(times), window.test(times)
    test, counts = _with_unseen(data, train, in_test, unseen)
    moments = {"begin": window.begin, "end": window.end, "train_until": window.learn_to, "train_from": window.learn_from}
    settings |= {name: None if moment is None else _as_text(moment) for name, moment in moments.items()}
    return make_parts(data, settings | counts, train=train, test=test, hint="")


def _with_unseen(data: Interactions, train: np.ndarray, test: np.ndarray, unseen: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The mask `test` under the rule `unseen`, and what provenance says of ids that train does not have."""
    known_user, known_item = known_in(data, train)
    known = known_user[data.row_positions()] & known_item[data.indices]
    counts = {
        "unseen": unseen,
        "unseen_users": n_marked_ids(data.row_positions()[test], ~known_user),
        "unseen_items": n_marked_ids(data.indices[test], ~known_item),
        "unseen_entries": int((test & ~known).sum()),
    }
    return (test if unseen == "keep" else test & known), counts


def _cutoff_of_share(times: np.ndarray, fraction: float) -> int:
    n_test = int(np.clip(share(fraction, np.array([len(times)]))[0], 1, len(times)))
    return int(np.partition(times, len(times) - n_test)[len(times) - n_test])


def _temporal_hint(times: np.ndarray, moment: int, in_test: np.ndarray) -> str:
    if in_test.any() and not in_test.all():
        return "every test entry has a user or an item unseen in train. Hint: unseen='keep' keeps them."
    return f"{_span_of(times)}, the cut-off is {_as_text(moment)}."


def _span_of(times: np.ndarray) -> str:
    return f"the entries reach from {_as_text(int(times.min()))} to {_as_text(int(times.max()))}"


def _as_text(moment: int) -> str:
    return str(np.datetime64(moment, "us"))
