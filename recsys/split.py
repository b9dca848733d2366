"""Cutting interactions into a part to learn from and a part to be judged on. May import errors, ids, kernels, interactions.

Every entry of the data lands in exactly one part (but for `unseen="drop"`), and a part holds the ids of its own entries only.
The same arguments give the same cut. How a part was made stands in its `provenance["split"]`.

The drawings show what becomes of one small log; `[item]` is an entry of `test`, an item without brackets one of `train`:

    user   day 1  day 2  day 3  day 4  day 5
    u1     tea    rice   figs          oats
    u2            tea           rice   salt
    u3                   rice
    u4                          tea    rice
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.kernels import csr
from recsys.times import as_microseconds

__all__ = ["Split", "leave_last", "random", "temporal", "users"]

# The three uses of randomness, so that one `random_state` gives each its own stream.
_USER_STREAM, _ITEM_STREAM, _HELD_OUT_STREAM = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of a cut; `train, test = split` takes the two that every split has.

    fold_in : only from `users`: the entries by which a model gets to know the users of `test`.
    """

    train: Interactions
    test: Interactions
    fold_in: Interactions | None = None

    def __iter__(self) -> Iterator[Interactions]:
        return iter((self.train, self.test))


def random(data: Interactions, *, test_fraction: float = 0.2, random_state: int = 0) -> Split:
    """Of each user's entries a random share is held out; at least one stays in train.

        user   day 1  day 2  day 3  day 4  day 5
        u1     tea    rice   [figs]        [oats]    test_fraction=0.4: 4 entries, 1.6 is rounded to 2
        u2            [tea]         rice   salt      3 entries, 1.2 is rounded to 1
        u3                   rice                    one entry, which stays
        u4                          [tea]  rice      2 entries, 0.8 is rounded to 1

    A user with n entries gives test_fraction · n of them, rounded to the nearest whole number (halves up), at most n - 1.
    Which ones depends on the user's id, the items' ids and `random_state` alone: more users or other rows change nothing
    in this user's cut. Times and weights play no part.

    Raises `ParameterError` for a fraction outside (0, 1), `DataError` when no user has enough entries for the test part.
    """
    _check_data(data, "random")
    fraction = _fraction(test_fraction, "test_fraction")
    seed = _seed(random_state)
    n_test = np.minimum(_share(fraction, data.user_counts), np.maximum(data.user_counts - 1, 0))
    in_test = _last_of_rows(data, _shuffled_within_rows(data, seed), n_test)
    settings = {"by": "random", "test_fraction": fraction, "random_state": seed}
    hint = "no user has enough entries. Hint: raise test_fraction or leave out short rows with k_core(users=5, items=1)."
    return _parts(data, settings, train=~in_test, test=in_test, hint=hint)


def leave_last(data: Interactions, *, n: int = 1) -> Split:
    """The latest `n` entries of each user are held out.

        user   day 1  day 2  day 3  day 4  day 5
        u1     tea    rice   figs          [oats]    n=1
        u2            tea           rice   [salt]
        u3                   rice                    one entry, which stays: nothing would be left to learn from
        u4                          tea    [rice]

    Users with n entries or fewer keep all of them in train. Of entries with the same time, the one whose item has the
    higher position counts as the later. Note that train holds events later than some of test: u1's oats are
    predicted by a model that may have seen day 5 of others. `temporal` does not do that.

    Raises `ParameterError` for n < 1, `DataError` without timestamps or when no user has more than n entries.
    """
    _check_data(data, "leave_last")
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ParameterError(f"The `n` parameter of leave_last must be an int >= 1. Got {n!r}.")
    data.required_timestamps("split.leave_last")
    n_test = np.where(data.user_counts > n, int(n), 0)
    in_test = _last_of_rows(data, _by_time_within_rows(data), n_test)
    hint = f"no user has more than {n} {'entry' if n == 1 else 'entries'}."
    return _parts(data, {"by": "leave_last", "n": int(n)}, train=~in_test, test=in_test, hint=hint)


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
    _check_data(data, "temporal")
    _check_unseen(unseen)
    times = data.required_timestamps("split.temporal")
    if cutoff is not None:
        moment = as_microseconds(cutoff, "cutoff")
    else:
        moment = _cutoff_of_share(times, _fraction(test_fraction, "test_fraction"))
    in_test = times >= moment
    known_user, known_item = _known_in(data, ~in_test)
    known = known_user[data.row_positions()] & known_item[data.indices]
    settings: dict[str, Any] = {"by": "temporal", "cutoff": _as_text(moment), "unseen": unseen} | {
        "unseen_users": _count_ids(data.row_positions()[in_test], ~known_user),
        "unseen_items": _count_ids(data.indices[in_test], ~known_item),
        "unseen_entries": int((in_test & ~known).sum()),
    }
    if cutoff is None:
        settings["test_fraction"] = float(test_fraction)
    test = in_test if unseen == "keep" else in_test & known
    return _parts(data, settings, train=~in_test, test=test, hint=_temporal_hint(times, moment, in_test))


def users(
    data: Interactions,
    *,
    test_fraction: float = 0.1,
    fold_in_fraction: float = 0.8,
    unseen: str = "drop",
    random_state: int = 0,
) -> Split:
    """Strong generalisation: whole users are held out, and part of what they did is shown to the model afterwards.

        user   day 1  day 2  day 3  day 4  day 5
        u1     (tea)  (rice) [figs]        (oats)    held out: (fold_in), [test]
        u2            tea           rice   salt      train
        u3                   rice                    train
        u4                          tea    rice      train

        train, test = parts = recsys.split.users(data)
        recsys.evaluate(recsys.ALS().fit(train).fold_in(parts.fold_in), test)

    A random share `test_fraction` of all users (rounded, at least one) is held out, taken from those with two entries or
    more; the others are train. Of a held-out user's n entries, fold_in_fraction · n, rounded to the nearest whole
    number (halves up), at least 1 and at most n - 1, are `fold_in`, the rest is `test`; which ones is random, as in
    the published protocol (Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering", section 4.1).

    unseen : what becomes of held-out entries whose item has no entry in train (figs and oats above), after the cut. "drop":
        they are in no part, as in the published protocol; a model can not fold them in. "keep": they stay in fold_in and
        test. Either way provenance["split"] says how many items and entries that are.

    The choice depends on ids and `random_state` alone: when a user is added, at most one other changes sides, and
    the rows of those that stay held out are cut as before.

    Raises `ParameterError` for a bad argument, `DataError` when there are too few users.
    """
    _check_data(data, "users")
    _check_unseen(unseen)
    fraction, shown = _fraction(test_fraction, "test_fraction"), _fraction(fold_in_fraction, "fold_in_fraction")
    seed = _seed(random_state)
    held_out = _chosen_users(data, fraction, seed)
    counts = np.where(held_out, data.user_counts, 0)
    n_fold_in = np.clip(_share(shown, counts), np.minimum(counts, 1), np.maximum(counts - 1, 0))
    in_test = _last_of_rows(data, _shuffled_within_rows(data, seed), counts - n_fold_in)
    in_train = ~held_out[data.row_positions()]
    _, known_item = _known_in(data, in_train)
    known = known_item[data.indices]
    settings = {"by": "users", "test_fraction": fraction, "fold_in_fraction": shown, "random_state": seed, "unseen": unseen}
    settings |= {"unseen_items": _count_ids(data.indices[~in_train], ~known_item), "unseen_entries": int((~known).sum())}
    kept = known if unseen == "drop" else np.ones_like(known)
    hint = "it takes two users, one of them with two entries or more, and items in common unless unseen='keep'."
    return _parts(data, settings, train=in_train, test=in_test & kept, fold_in=~in_train & ~in_test & kept, hint=hint)


# ---- making the parts -------------------------------------------------------------------------------------------


def _parts(data: Interactions, settings: dict[str, Any], *, hint: str, **masks: np.ndarray) -> Split:
    """The entries of each mask as Interactions that know how they were cut. `hint` says why a part can be empty."""
    about = settings | {"of": data.fingerprint}
    if "split" in data.provenance:
        about["earlier"] = data.provenance["split"]
    parts = {}
    for name, mask in masks.items():
        part = data.select(mask)
        if not len(part):
            raise DataError(f"split.{settings['by']} leaves the part `{name}` without entries: {hint}")
        parts[name] = replace(part, provenance={**data.provenance, "split": {**about, "part": name}})
    return Split(**parts)


def _last_of_rows(data: Interactions, order: np.ndarray, n_last: np.ndarray) -> np.ndarray:
    """(n_interactions,) bool: the last n_last[user] entries of each row, where `order` lists entries row by row."""
    counts = data.user_counts
    from_end = np.repeat(data.indptr[1:], counts) - np.arange(data.n_interactions)
    chosen = np.zeros(data.n_interactions, dtype=bool)
    chosen[order[from_end <= np.repeat(n_last, counts)]] = True
    return chosen


def _by_time_within_rows(data: Interactions) -> np.ndarray:
    by_time = np.argsort(data.required_timestamps("leave_last"), kind="stable")
    return np.asarray(csr.counting_order(data.row_positions(), data.n_users, by_time))


def _cutoff_of_share(times: np.ndarray, fraction: float) -> int:
    if len(times) == 0:
        return 0
    n_test = int(np.clip(_share(fraction, np.array([len(times)]))[0], 1, len(times)))
    return int(np.partition(times, len(times) - n_test)[len(times) - n_test])


def _known_in(data: Interactions, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which users and which items have an entry under `mask`: two boolean arrays by position."""
    known_user, known_item = np.zeros(data.n_users, dtype=bool), np.zeros(data.n_items, dtype=bool)
    known_user[data.row_positions()[mask]] = True
    known_item[data.indices[mask]] = True
    return known_user, known_item


def _count_ids(positions: np.ndarray, wanted: np.ndarray) -> int:
    """How many different positions there are among those that `wanted` (bool by position) marks."""
    present = np.zeros(len(wanted), dtype=bool)
    present[positions] = True
    return int((present & wanted).sum())


def _temporal_hint(times: np.ndarray, moment: int, in_test: np.ndarray) -> str:
    if len(times) == 0:
        return "there are no entries at all."
    span = f"the entries reach from {_as_text(int(times.min()))} to {_as_text(int(times.max()))}"
    if in_test.any() and not in_test.all():
        return "every test entry has a user or an item unseen in train. Hint: unseen='keep' keeps them."
    return f"{span}, the cut-off is {_as_text(moment)}."


def _as_text(moment: int) -> str:
    return str(np.datetime64(moment, "us"))


# ---- randomness that hangs on ids -------------------------------------------------------------------------------
#
# Each entry gets a number that is a hash of its user's id, its item's id and the seed, and is chosen by it. A generator would
# tie each user's cut to how many users come before.


def _chosen_users(data: Interactions, fraction: float, seed: int) -> np.ndarray:
    """(n_users,) bool: the held-out users."""
    eligible = np.flatnonzero(data.user_counts >= 2)
    wanted = max(1, int(_share(fraction, np.array([data.n_users]))[0]))
    lots = _hashed_ids(data.users, seed, _HELD_OUT_STREAM)[eligible]
    held_out = np.zeros(data.n_users, dtype=bool)
    held_out[eligible[np.argsort(lots, kind="stable")[:wanted]]] = True
    return held_out


def _shuffled_within_rows(data: Interactions, seed: int) -> np.ndarray:
    """(n_interactions,) int64: the entries row by row, within a row in random order."""
    of_users = _hashed_ids(data.users, seed, _USER_STREAM)
    of_items = _hashed_ids(data.items, seed, _ITEM_STREAM)
    lots = np.repeat(of_users, data.user_counts)
    lots ^= of_items[data.indices]
    _mix(lots)
    # Three counting sorts by 16 bits, 16 bits and the row are several times faster than sorting 64-bit numbers. Where 32
    # bits of two entries of a row agree, the order of items decides.
    order = np.empty(0, np.int64)
    for shift in (32, 48):
        digits = ((lots >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int32)
        order = csr.counting_order(digits, 1 << 16, order)
    return np.asarray(csr.counting_order(data.row_positions(), data.n_users, order))


def _hashed_ids(ids: IdMap, seed: int, stream: int) -> np.ndarray:
    """(n_ids,) uint64: evenly spread numbers that depend on the id, the seed and the stream only."""
    key = np.array([seed], dtype=np.uint64)
    _mix(key)
    key += np.uint64(stream)
    _mix(key)
    values = ids.to_numpy()
    numbers = values.astype(np.uint64) if ids.is_integer else pd.util.hash_array(values, categorize=False)
    numbers = numbers ^ key
    _mix(numbers)
    return numbers


def _mix(numbers: np.ndarray) -> None:
    """Spreads uint64 numbers evenly, in place: the finaliser of SplitMix64 (Steele, Lea & Flood 2014), one to one."""
    numbers += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)


# ---- arguments --------------------------------------------------------------------------------------------------


def _share(fraction: float, counts: np.ndarray) -> np.ndarray:
    """fraction · counts to the nearest whole number, halves up; 0.285 · 100 is 28.4999…96 in binary and counts as a half."""
    return np.floor(fraction * counts + 0.5 + 1e-9).astype(np.int64)


def _check_data(data: Interactions, function: str) -> None:
    if not isinstance(data, Interactions):
        raise ParameterError(
            f"split.{function} takes Interactions. Got {type(data).__name__}. Hint: recsys.read_interactions makes them."
        )
    if not len(data):
        raise DataError(f"split.{function} cannot cut data that have no entries.")


def _check_unseen(unseen: str) -> None:
    if unseen not in ("keep", "drop"):
        raise ParameterError(f"`unseen` must be 'keep' or 'drop'. Got {unseen!r}.{closest_hint(str(unseen), ['keep', 'drop'])}")


def _fraction(value: float, name: str) -> float:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise ParameterError(f"`{name}` must be a number between 0 and 1, both excluded. Got {quote_some([value])}.")
    return float(value)


def _seed(value: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise ParameterError(f"`random_state` must be an int >= 0 and below 2**64. Got {value!r}.")
    return int(value)
