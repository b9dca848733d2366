"""Popularity: every user gets the most popular items. The baseline that anything else has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.interactions import Interactions
from recsys.trainers.base import Factors, Run, Trainer

__all__ = ["Popularity"]


@dataclass(frozen=True, kw_only=True)
class Popularity(Trainer):
    """A model of one column: each user's vector is 1, each item's is its popularity, so the score is the popularity."""

    name: ClassVar[str] = "popularity"
    advice: ClassVar[str] = "the baseline: the same most popular items for everybody"

    by: str = "users"
    """What popularity counts: "users" who have the item, or their summed "weight"."""

    def __post_init__(self) -> None:
        self._check("by", "'users' or 'weight'", self.by in ("users", "weight"))

    def start(self, train: Interactions) -> Run:
        return _Counted(self, train)


class _Counted(Run):
    epochs = 1

    def __init__(self, trainer: Popularity, train: Interactions) -> None:
        self._trainer, self._train = trainer, train

    def train_epoch(self) -> dict[str, float]:
        return {}

    def factors(self) -> Factors:
        train = self._train
        by_weight = self._trainer.by == "weight"
        scores = np.bincount(train.indices, train.weights if by_weight else None, minlength=train.n_items)
        return Factors(np.ones((train.n_users, 1), np.float32), scores.astype(np.float32)[:, None])
