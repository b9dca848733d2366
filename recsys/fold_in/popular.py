"""`Popular`: popularity, which does not go by what a user has. May import this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse

from recsys.errors import InputError
from recsys.fold_in.base import WithoutReasons
from recsys.fold_in.rows import Rows

__all__ = ["Popular"]


@dataclass(frozen=True)
class Popular(WithoutReasons):
    """Rows of `Popularity`: a new user gets what is popular with everybody, a new item is as popular as its events say.

    Item vectors hold the popularity with everybody, then that in each group; user vectors 1 for everybody, or for their groups.
    """

    name: ClassVar[str] = "popularity"
    no_reasons: ClassVar[str] = (
        "A model of the trainer 'popularity' can not explain: its scores do not follow from what users have."
    )
    takes_negative_weights: ClassVar[bool] = True

    by: str
    """What popularity counts: "users" or "weight"."""
    always: bool = True
    """Whether all entries count alike, whenever they happened."""

    @property
    def sides(self) -> tuple[str, ...]:
        """A user's vector says their groups, which no event changes; items are counted again where times do not matter."""
        return ("items",) if self.always else ()

    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: [1, 0, …] for every user; for items the entries, or their weights, in all and by group."""
        if of == "users":
            vectors = np.zeros((len(rows), fixed.shape[1]), np.float32)
            vectors[:, 0] = 1
            return vectors
        if not self.always:
            raise InputError(
                "A model of the trainer 'popularity' with a window or half-life can not fold in items: how popular they are of "
                "late depends on times. Hint: train again."
            )
        values = rows.weights if self.by == "weight" else np.ones(len(rows.indices), np.float32)
        return popularity(Rows(rows.indptr, rows.indices, values), fixed[:, 1:] >= 1)


def popularity(items: Rows, groups: np.ndarray) -> np.ndarray:
    """(n_items, 1 + g) float32: the summed weights of each item's entries, over all users and over those of each group.

    items : one row an item, of the users who have it;  groups : (n_users, g) bool, who belongs to which.
    """
    shape = (len(items), len(groups))
    entries = scipy.sparse.csr_array((items.weights.astype(np.float64), items.indices, items.indptr), shape=shape)
    members = np.hstack([np.ones((len(groups), 1)), groups])
    return np.asarray(entries @ members, dtype=np.float32)
