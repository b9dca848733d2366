"""Cold start: whole items are held out. May import this folder."""

from __future__ import annotations

import numpy as np

from recsys.interactions import Interactions
from recsys.split.checks import check_data, check_unseen, fraction_of, seed_of
from recsys.split.lots import HELD_OUT_STREAM, hashed_ids
from recsys.split.parts import Split, known_in, make_parts, n_marked_ids, share

__all__ = ["items"]


def items(data: Interactions, *, test_fraction: float = 0.1, unseen: str = "keep", random_state: int = 0) -> Split:
    """Cold start: whole items are held out, as if they came after the model was trained.

        user   day 1  day 2  day 3  day 4  day 5
        u1     tea    rice   [figs]        oats      held out: figs
        u2            tea           rice   salt
        u3                   rice
        u4                          tea    rice

        train, test = recsys.split.items(data.with_features(items=features))
        model = recsys.LightFM().fit(train).add_items(test.item_features)

    A random share `test_fraction` of all items (rounded, at least one) is held out with all that users did with them; the rest
    is train. Models know held-out items by what is known about them, or not at all.

    unseen : what becomes of entries of test whose user has none in train. "keep": they stay. "drop": they are in no part.
        Either way provenance["split"] says how many users and entries that are.

    The choice depends on ids and `random_state` alone. Raises `ParameterError` for a bad argument, `DataError` when there are
    too few items.
    """
    check_data(data, "items")
    check_unseen(unseen)
    fraction, seed = fraction_of(test_fraction, "test_fraction"), seed_of(random_state)
    wanted = max(1, int(share(fraction, np.array([data.n_items]))[0]))
    held_out = np.zeros(data.n_items, dtype=bool)
    held_out[np.argsort(hashed_ids(data.items, seed, HELD_OUT_STREAM), kind="stable")[:wanted]] = True
    in_test = held_out[data.indices]
    known_user, _ = known_in(data, ~in_test)
    known = known_user[data.row_positions()]
    settings = {"by": "items", "test_fraction": fraction, "random_state": seed, "unseen": unseen}
    settings |= {
        "unseen_users": n_marked_ids(data.row_positions()[in_test], ~known_user),
        "unseen_entries": int((in_test & ~known).sum()),
    }
    test = in_test & known if unseen == "drop" else in_test
    hint = "it takes two items, and users who have more than the held-out ones unless unseen='keep'."
    return make_parts(data, settings, train=~in_test, test=test, hint=hint)
