"""What alternating least squares trainers have in common: two sides, solved in turn with the other one fixed.

May import trainers.base and what lies below trainers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from recsys.fold_in import Effort, Rows
from recsys.interactions import Interactions
from recsys.parallel import Workers
from recsys.trainers.base import Run, require_finite

__all__ = ["AlternatingRun"]


class _Settings(Protocol):
    @property
    def iterations(self) -> int: ...
    @property
    def cg_steps(self) -> int: ...
    @property
    def relaxation(self) -> float: ...
    @property
    def num_threads(self) -> int | None: ...
    @property
    def track_loss(self) -> bool: ...


class AlternatingRun(Run):
    """A run whose epoch is a sweep: users with the items fixed, then items with the users fixed.

    A subclass sets `_users` and `_items`, one row of float32 an id, and says how a half sweep and the loss go.
    """

    _users: np.ndarray
    _items: np.ndarray

    def __init__(self, settings: _Settings, train: Interactions) -> None:
        self.epochs = settings.iterations
        self._settings, self._train = settings, train
        self._rows, self._columns = Rows.of(train, "users"), Rows.of(train, "items")
        self._sweeps = 0

    @abstractmethod
    def _half_sweep(self, rows: Rows, solved: np.ndarray, fixed: np.ndarray, workers: Workers) -> None:
        """Moves `solved` in place towards its minimum given `fixed`."""

    @property
    def _effort(self) -> Effort:
        """The steps of a half sweep, whose rows then go on past their minimum (successive over-relaxation, Young 1971).

        Alternating creeps along the valleys in which one side's change asks for the other's; the longer step takes about half
        the sweeps. Any factor between 0 and 2 lowers the objective, which on the line through old and new row is a parabola
        with its least point at 1. In the first sweep there is no old row worth starting from.
        """
        return Effort(self._settings.cg_steps, relaxation=self._settings.relaxation if self._sweeps else 1.0)

    @abstractmethod
    def _after_half_sweep(self) -> None:
        """Calls `_balance` with what the penalties of both sides are."""

    def _balance(self, users_penalty: float, items_penalty: float, n_columns: int | None = None) -> None:
        """Scales the users' first columns by s and the items' by 1 / s, with the s that makes the objective least.

        No score changes, only the penalty s² A + B / s², which is least where both parts are equal. Alternating alone comes
        there too, in many small steps on which it spends itself.
        """
        if users_penalty > 0 and items_penalty > 0:
            scale = np.float32((items_penalty / users_penalty) ** 0.25)
            self._users[:, :n_columns] *= scale
            self._items[:, :n_columns] /= scale

    @abstractmethod
    def _loss(self, workers: Workers) -> float:
        """The objective as it stands."""

    def train_epoch(self) -> dict[str, float]:
        with Workers(self._settings.num_threads) as workers:
            self._half_sweep(self._rows, self._users, self._items, workers)
            require_finite(self._users, self._train.users)
            self._after_half_sweep()
            self._half_sweep(self._columns, self._items, self._users, workers)
            require_finite(self._items, self._train.items)
            self._after_half_sweep()
            self._sweeps += 1
            return {"loss": self._loss(workers)} if self._settings.track_loss else {}

    def state(self) -> dict[str, np.ndarray]:
        return {"users": self._users, "items": self._items, "sweeps": np.array([self._sweeps])}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._users, self._items, self._sweeps = state["users"], state["items"], int(state["sweeps"][0])
