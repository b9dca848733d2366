"""Cuts of each user's own entries: a random share, the latest, or folds. May import the rest of this folder and kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys.errors import DataError
from recsys.interactions import Interactions
from recsys.kernels import csr
from recsys.split.checks import check_data, fraction_of, seed_of, whole_number
from recsys.split.lots import FIRST_FOLD_STREAM, hashed_ids, shuffled_within_rows
from recsys.split.parts import Split, last_of_rows, make_parts, share

__all__ = ["k_folds", "leave_last", "random"]


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
    check_data(data, "random")
    fraction = fraction_of(test_fraction, "test_fraction")
    seed = seed_of(random_state)
    n_test = np.minimum(share(fraction, data.user_counts), np.maximum(data.user_counts - 1, 0))
    in_test = last_of_rows(data, shuffled_within_rows(data, seed), n_test)
    settings = {"by": "random", "test_fraction": fraction, "random_state": seed}
    hint = "no user has enough entries. Hint: raise test_fraction or leave out short rows with k_core(users=5, items=1)."
    return make_parts(data, settings, train=~in_test, test=in_test, hint=hint)


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
    check_data(data, "leave_last")
    n = whole_number(n, "n", "leave_last", 1)
    by_time = np.argsort(data.required_timestamps("split.leave_last"), kind="stable")
    order = np.asarray(csr.counting_order(data.row_positions(), data.n_users, by_time))
    in_test = last_of_rows(data, order, np.where(data.user_counts > n, n, 0))
    hint = f"no user has more than {n} {'entry' if n == 1 else 'entries'}."
    return make_parts(data, {"by": "leave_last", "n": n}, train=~in_test, test=in_test, hint=hint)


def k_folds(data: Interactions, *, folds: int = 5, random_state: int = 0) -> Iterator[Split]:
    """Cross-validation: each user's entries are dealt to `folds` folds, and each fold is the test part of one cut.

        user   day 1   day 2   day 3   day 4   day 5
        u1     tea/2   rice/1  figs/1          oats/3    folds=3
        u2             tea/2           rice/3  salt/1
        u3                     rice                      one entry: always in train
        u4                             tea/3   rice/2    two entries: none in the first fold

        for train, test in recsys.split.k_folds(data, folds=3): ...

    Train is everything that is not in the fold. Every entry of a user with two or more is in the test part of exactly one cut,
    and never all entries of a user. A user with n entries has n / folds in each fold, rounded up or down; in which fold the
    dealing begins is random, so that folds are of about the same size. An item all of whose entries fall into one
    fold is unseen in that cut's train; `evaluate` counts it apart.

    Which entries go where depends on the user's id, the items' ids and `random_state` alone, as in `random`. Times and weights
    play no part: train holds events later than some of test, which `rolling` does not do.

    A cut is made when it is asked for. Raises at the call: `ParameterError` for fewer than two folds, `DataError` when there
    are too few entries to give each fold one.
    """
    check_data(data, "k_folds")
    n_folds, seed = whole_number(folds, "folds", "k_folds", 2), seed_of(random_state)
    fold_of = _dealt(data, n_folds, seed)
    sizes = np.bincount(fold_of[fold_of >= 0], minlength=n_folds)
    if not sizes.all():
        raise DataError(
            f"split.k_folds leaves fold {int(sizes.argmin()) + 1} of {n_folds} without entries: users with two entries or more "
            f"have {sizes.sum():,} in all. Hint: ask for fewer folds."
        )
    settings = {"by": "k_folds", "folds": n_folds, "random_state": seed}
    return (
        make_parts(data, settings | {"fold": fold + 1}, train=fold_of != fold, test=fold_of == fold, hint="")
        for fold in range(n_folds)
    )


def _dealt(data: Interactions, n_folds: int, seed: int) -> np.ndarray:
    """(n_interactions,) int64: the fold of each entry, -1 for that of a user who has no other."""
    first = (hashed_ids(data.users, seed, FIRST_FOLD_STREAM) % np.uint64(n_folds)).astype(np.int64)
    counts = data.user_counts
    place = np.arange(data.n_interactions) - np.repeat(data.indptr[:-1], counts)
    fold_of = np.empty(data.n_interactions, np.int64)
    fold_of[shuffled_within_rows(data, seed)] = (np.repeat(first, counts) + place) % n_folds
    fold_of[np.repeat(counts, counts) < 2] = -1
    return fold_of
