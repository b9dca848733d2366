"""Cutting interactions into a part to learn from and a part to be judged on.

`within_users` cuts each user's own entries · `by_time` cuts all at one moment, or again and again · `whole_users` and
`whole_items` hold out users and items · `parts` what comes out · `lots` randomness that hangs on ids · `checks` the arguments.
May import errors, times, ids, kernels, interactions.

An entry lands in one part at most, and a function says which land in none. A part holds the ids of its own entries only. The
same arguments give the same cut. How a part was made stands in its `provenance["split"]`.

The drawings show what becomes of one small log; `[item]` is an entry of `test`, an item without brackets one of `train`:

    user   day 1  day 2  day 3  day 4  day 5
    u1     tea    rice   figs          oats
    u2            tea           rice   salt
    u3                   rice
    u4                          tea    rice

Where there are several cuts, `item/2` is an entry of the test part of the second one.
"""

from __future__ import annotations

from recsys.split.by_time import rolling, temporal
from recsys.split.parts import Split
from recsys.split.whole_items import items
from recsys.split.whole_users import users
from recsys.split.within_users import k_folds, leave_last, random

__all__ = ["Split", "items", "k_folds", "leave_last", "random", "rolling", "temporal", "users"]
