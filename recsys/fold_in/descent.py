"""`Descent`: how vectors are moved by stochastic gradient steps, and what is drawn for them. May import kernels, parallel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.fold_in.rows import Rows
from recsys.kernels import hybrid
from recsys.parallel import Workers

__all__ = ["LOSSES", "SCHEDULES", "Descent"]

LOSSES = {"warp": hybrid.WARP, "bpr": hybrid.BPR, "warp-kos": hybrid.WARP_KOS, "logistic": -1}
SCHEDULES = {"adagrad": hybrid.ADAGRAD, "adadelta": hybrid.ADADELTA}

# AdaDelta as in Zeiler 2012: what is kept of past squares, and what keeps the first steps from vanishing.
_RHO, _EPSILON = 0.95, 1e-6
# No cost of a rank is above that: in a large catalogue one unlucky example must not throw its vectors away.
_MOST_COST = 10.0
# Steps for which candidates are drawn at a time, and for which a new user's are drawn at all.
_DRAWN = 2**14
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Descent:
    """The settings of the steps; those of `recsys.LightFM`, where they are explained."""

    loss: str
    learning_rate: float
    schedule: str
    user_regularization: float
    item_regularization: float
    max_sampled: int
    kth_positive: int
    positives_sampled: int
    use_weights: bool
    iterations: int
    random_state: int

    @property
    def pairwise(self) -> bool:
        """Whether liked items are held against others, so that disliked ones say nothing."""
        return self.loss != "logistic"

    @property
    def settings(self) -> np.ndarray:
        """(5,) float32, as the kernels take them."""
        numbers = (self.learning_rate, _RHO, _EPSILON, self.user_regularization, self.item_regularization)
        return np.array(numbers, np.float32)

    def importance(self, weights: np.ndarray) -> np.ndarray:
        """(n,) float32: how much each entry counts."""
        return np.abs(weights) if self.use_weights else np.ones(len(weights), np.float32)

    def entries(self, rows: Rows) -> Rows:
        """The entries that are learnt from: pairwise those that are liked; signed by that, as large as they count."""
        signed = np.where(rows.weights > 0, np.float32(1), np.float32(-1)) * self.importance(rows.weights)
        if not self.pairwise:
            return Rows(rows.indptr, rows.indices, signed)
        liked = rows.weights > 0
        indptr = np.concatenate([[0], np.cumsum(liked)])[rows.indptr].astype(np.int64)
        return Rows(indptr, rows.indices[liked], signed[liked])

    def start_squares(self, shape: tuple[int, int]) -> np.ndarray:
        """What the schedule keeps of squared gradients, before the first step."""
        return np.full(shape, 1 if self.schedule == "adagrad" else 0, np.float32)

    def costs(self, n_items: int) -> np.ndarray:
        """(n_items,) float32: WARP's cost of a rank from 0, log(rank)."""
        return np.minimum(np.log(np.maximum(np.arange(n_items), 1)), _MOST_COST).astype(np.float32)

    def draw(self, n: int, n_items: int, generator: np.random.Generator, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates (n, tries) int32 and picks (n, p) float32 for n steps.

        WARP searches all items alike; BPR, which takes the first, draws from the items `among` (any,) int32.
        """
        shape = (n, self.max_sampled if self.pairwise else 0)
        if self.loss == "bpr" and len(among):
            candidates = among[generator.integers(len(among), size=shape)]
        else:
            candidates = generator.integers(n_items, size=shape, dtype=np.int32)
        picks = generator.random((n, self.positives_sampled if self.loss == "warp-kos" else 0), dtype=np.float32)
        return candidates, picks

    def epoch(self, rows: Rows, users: tuple[np.ndarray, ...], items: tuple[np.ndarray, ...], number: int) -> float:
        """Steps over all entries, in an order that follows from the seed and the epoch's number; moves both sides in place.

        rows : as `entries` gives them. Returns the share of steps that moved anything.
        """
        generator = np.random.default_rng([self.random_state, number])
        order = generator.permutation(len(rows.indices))
        owner = np.repeat(np.arange(len(rows), dtype=np.int32), rows.counts)
        n_items, moved = len(items[0]) - 1, 0
        costs, schedule, loss = self.costs(n_items), SCHEDULES[self.schedule], LOSSES[self.loss]
        for begin in range(0, len(order), _DRAWN):
            some = order[begin : begin + _DRAWN]
            examples = (owner[some], rows.indices[some])
            weights = rows.weights[some]
            if not self.pairwise:
                liked = (weights > 0).astype(np.float32)
                moved += hybrid.logistic_steps(*examples, liked, np.abs(weights), users, items, self.settings, schedule)
                continue
            drawn = self.draw(len(some), n_items, generator, rows.indices)
            moved += hybrid.pairwise_steps(
                *examples, weights, rows.indptr, rows.indices, *drawn, costs, users, items, self.settings, schedule, loss,
                self.kth_positive,
            )  # fmt: skip
        return moved / max(1, len(order))

    def fold_in(self, rows: Rows, fixed: np.ndarray, num_threads: int | None) -> np.ndarray:
        """(n, dim + 1) float32: the vectors with biases of new users, given those of the items (m, dim + 1)."""
        rows, vectors = self.entries(rows), np.empty((len(rows), fixed.shape[1]), np.float32)
        drawn = self.draw(_DRAWN, len(fixed), np.random.default_rng(self.random_state), np.empty(0, np.int32))
        parts = (*drawn, self.costs(len(fixed)), np.ascontiguousarray(fixed), self.settings, SCHEDULES[self.schedule])

        def solve(begin: int) -> None:
            hybrid.fold_in_users(
                begin, min(begin + _BLOCK_ROWS, len(rows)), rows.indptr, rows.indices, rows.weights, self.iterations, *parts,
                LOSSES[self.loss], self.kth_positive, vectors,
            )  # fmt: skip

        with Workers(num_threads) as workers:
            workers.map(solve, range(0, len(rows), _BLOCK_ROWS))
        return vectors
