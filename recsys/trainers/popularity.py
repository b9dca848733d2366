"""Popularity: every user gets the most popular items. The baseline that anything else has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import DataError
from recsys.fold_in import Rows
from recsys.fold_in.popular import Popular, popularity
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.times import span_microseconds
from recsys.trainers.base import Factors, Run, Trainer

__all__ = ["Popularity"]


@dataclass(frozen=True, kw_only=True)
class Popularity(Trainer[Model]):
    """Everybody's score of an item is its popularity: with all, or with their group, in all time or of late.

    A model of one column: each user's vector is 1, each item's is its popularity. With `group` a column for each group comes
    after it: a user's vector is 1 in their groups' columns, and so little in the first that it only orders what is equally
    popular there; a user of no group has 1 in the first. New users get what is popular with everybody, unless
    `fit` knows them.
    """

    name: ClassVar[str] = "popularity"
    advice: ClassVar[str] = "the baseline: the most popular items for everybody, or for a group, in all time or of late"

    by: str = "users"
    """What popularity counts: "users" who have the item, or their summed "weight"."""
    window: float | str | None = None
    """Only what happened so long before the newest event counts: "30D", "12h", or seconds; None for all time."""
    half_life: float | str | None = None
    """After so long an event counts half: "30D", "12h", or seconds; None for all alike."""
    group: str | None = None
    """A column of the user features by which users are told apart, such as "country"; None for everybody together."""

    def __post_init__(self) -> None:
        self._check("by", "'users' or 'weight'", self.by in ("users", "weight"))
        for name in ("window", "half_life"):
            if getattr(self, name) is not None:
                span_microseconds(getattr(self, name), name)

    def start(self, train: Interactions) -> Run:
        return _Counted(self, train)


class _Counted(Run):
    epochs = 1

    def __init__(self, trainer: Popularity, train: Interactions) -> None:
        self._trainer, self._train = trainer, train
        self._groups = _members(trainer.group, train)
        self._weights = _counted_weights(trainer, train)

    def train_epoch(self) -> dict[str, float]:
        return {}

    def factors(self) -> Factors:
        counted = Interactions(self._train.users, self._train.items, self._train.indptr, self._train.indices, self._weights)
        items = popularity(Rows.of(counted, "items"), self._groups)
        users = np.zeros((self._train.n_users, items.shape[1]), np.float32)
        users[:, 1:] = self._groups
        # Less than one event in the group, however popular an item is with everybody.
        grouped = self._groups.any(axis=1)
        users[:, 0] = np.where(grouped, 0.5 / max(1.0, float(np.abs(items[:, 0]).max())), 1)
        return Factors(users, items, Popular(self._trainer.by, always=self._trainer.window is self._trainer.half_life is None))


def _counted_weights(trainer: Popularity, train: Interactions) -> np.ndarray:
    """(n_interactions,) float32: how much each entry counts."""
    weights = train.weights.astype(np.float64) if trainer.by == "weight" else np.ones(len(train))
    for name in ("window", "half_life"):
        if getattr(trainer, name) is None:
            continue
        times = train.required_timestamps(f"Popularity({name}=…)")
        age, span = times.max() - times, span_microseconds(getattr(trainer, name), name)
        weights *= age <= span if name == "window" else np.exp2(-age / span)
    return weights.astype(np.float32)


def _members(group: str | None, train: Interactions) -> np.ndarray:
    """(n_users, n_groups) bool: who belongs to which group."""
    if group is None:
        return np.zeros((train.n_users, 0), bool)
    if train.user_features is None:
        hint = "Hint: data.with_features(users=recsys.Features.from_table(…)) brings them."
        raise DataError(f"Popularity(group={group!r}) needs features of the users, and these interactions have none. {hint}")
    return np.asarray(train.user_features.of_column(group).toarray() > 0)
