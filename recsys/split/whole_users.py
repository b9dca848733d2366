"""Strong generalisation: whole users are held out. May import this folder."""

from __future__ import annotations

import numpy as np

from recsys.interactions import Interactions
from recsys.split.checks import check_data, check_unseen, fraction_of, seed_of
from recsys.split.lots import HELD_OUT_STREAM, hashed_ids, shuffled_within_rows
from recsys.split.parts import Split, known_in, last_of_rows, make_parts, n_marked_ids, share

__all__ = ["users"]


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
    check_data(data, "users")
    check_unseen(unseen)
    fraction, shown = fraction_of(test_fraction, "test_fraction"), fraction_of(fold_in_fraction, "fold_in_fraction")
    seed = seed_of(random_state)
    held_out = _chosen_users(data, fraction, seed)
    counts = np.where(held_out, data.user_counts, 0)
    n_fold_in = np.clip(share(shown, counts), np.minimum(counts, 1), np.maximum(counts - 1, 0))
    in_test = last_of_rows(data, shuffled_within_rows(data, seed), counts - n_fold_in)
    in_train = ~held_out[data.row_positions()]
    _, known_item = known_in(data, in_train)
    known = known_item[data.indices]
    settings = {"by": "users", "test_fraction": fraction, "fold_in_fraction": shown, "random_state": seed, "unseen": unseen}
    settings |= {"unseen_items": n_marked_ids(data.indices[~in_train], ~known_item), "unseen_entries": int((~known).sum())}
    kept = known if unseen == "drop" else np.ones_like(known)
    hint = "it takes two users, one of them with two entries or more, and items in common unless unseen='keep'."
    return make_parts(data, settings, train=in_train, test=in_test & kept, fold_in=~in_train & ~in_test & kept, hint=hint)


def _chosen_users(data: Interactions, fraction: float, seed: int) -> np.ndarray:
    """(n_users,) bool: the held-out users."""
    eligible = np.flatnonzero(data.user_counts >= 2)
    wanted = max(1, int(share(fraction, np.array([data.n_users]))[0]))
    lots = hashed_ids(data.users, seed, HELD_OUT_STREAM)[eligible]
    held_out = np.zeros(data.n_users, dtype=bool)
    held_out[eligible[np.argsort(lots, kind="stable")[:wanted]]] = True
    return held_out
