"""GloVe: item vectors from how often items stand together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from recsys.errors import DataError, quote_some
from recsys.fold_in import BesideLearnedItems, Rows, WeightedMean
from recsys.interactions import Interactions
from recsys.kernels.glove import train_bucket
from recsys.model import Model
from recsys.parallel import Workers
from recsys.times import span_microseconds
from recsys.trainers.base import Factors, Run, Trainer, refuse_idle_factors
from recsys.trainers.heavy_tail import warn_of_heavy_tail
from recsys.trainers.item_pairs import BLOCKS, BYTES_A_PAIR, Cooccurrences, ItemPairs
from recsys.trainers.memory import refuse_beyond_memory
from recsys.trainers.search_space import Range, SearchSpace
from recsys.trainers.sequences import sequences_of

__all__ = ["GloVe"]

_USER_VECTORS = ("least_squares", "mean")


@dataclass(frozen=True, kw_only=True)
class GloVe(Trainer[Model]):
    """Global vectors (Pennington, Socher & Manning, "GloVe: Global Vectors for Word Representation", EMNLP 2014) of items.

    X_ij counts the users who have both items; with `window` it is the sum of 1 / distance over the times that they stand so
    near each other in a user's order of time, as the paper has it for words (section 4.2). It minimises (equation 8 there)

        J = ½ Σ_{i≠j, X_ij>0} f(X_ij) (w_i · w̃_j + b_i + b̃_j - log X_ij)²      f(x) = min(1, (x / x_max)^exponent)

    by AdaGrad, and an item's vector is w_i + w̃_i. An item that never stands with another keeps a vector of zeros and is
    recommended last. Weights of interactions count for the users' vectors only.

    The objective has no users. Their vectors follow from what they have, by least squares with the items fixed: on held-out
    data that ranks better than the mean of their items' vectors (NDCG@10 .157 against .148 on Last.fm, NDCG@20 .095 against
    .091 on Gowalla, at equal items). A trained user's vector equals the one that folding in the same events gives.

    Pairs are counted before memory is taken for them: 20 bytes each while they are built, 12 afterwards. Items are cut into 16
    blocks; pairs of blocks that share no block are trained side by side, in an order that does not depend on the threads
    (Gemulla et al., KDD 2011): the same seed gives the same bytes, whatever their number.

    Raises `DataError` for negative weights, without timestamps where a window or session needs them, when no user has two
    items, and when the pairs would not fit into memory, with their number and size.
    """

    name: ClassVar[str] = "glove"
    advice: ClassVar[str] = "vectors whose directions mean something, from which items stand together; needs no order in time"
    search_space: ClassVar[SearchSpace] = {
        "x_max": Range(1.0, 100.0, log=True),
        "unobserved_weight": Range(0.01, 1.0, log=True),
        "regularization": Range(0.01, 1.0, log=True),
    }

    factors: int = 64
    """Length of each vector."""
    window: int | None = None
    """How many places in order of time items stand together across; None for all that a user has, in no order."""
    session_gap: float | str | None = None
    """Items stand together only where no longer pause lies between them, such as "30min" or seconds; None for no limit."""
    max_history: int = 1000
    """Of a longer sequence this many items are drawn, without `window`: n items make n²/2 pairs and say little of each."""
    x_max: float = 10.0
    """From which X on a pair counts in full: more trusts only what is seen together often."""
    exponent: float = 0.75
    """α: how fast rarer pairs count less."""
    iterations: int = 25
    """Passes over all pairs."""
    learning_rate: float = 0.05
    """AdaGrad's: lower needs more passes."""
    user_vectors: str = "least_squares"
    """"least_squares": the half sweep of ALS with the items fixed; "mean": the weighted mean of the user's items."""
    unobserved_weight: float = 0.1
    """α₀ of least squares: how strongly a user's score of every item is pulled towards 0."""
    regularization: float = 0.1
    """λ of least squares, in units of the mean squared length of item vectors: more makes it more like the mean."""
    max_memory_gb: float | None = None
    """Most memory that pairs may take, in 10⁹ bytes; None for what the machine has left."""
    random_state: int = 0
    """Seed of the initial vectors and of the order of pairs."""
    num_threads: int | None = None
    """Threads, of which 16 at most have work; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        self._check("user_vectors", quote_some(_USER_VECTORS), self.user_vectors in _USER_VECTORS)
        for name in ("factors", "iterations"):
            self._check_integer(name, at_least=1)
        self._check_integer("max_history", at_least=2)
        self._check_integer("random_state", at_least=0)
        for name in ("x_max", "exponent", "learning_rate", "unobserved_weight", "regularization"):
            self._check_number(name, above=0)
        if self.window is not None:
            self._check_integer("window", at_least=1)
        if self.session_gap is not None:
            span_microseconds(self.session_gap, "session_gap")
        if self.max_memory_gb is not None:
            self._check_number("max_memory_gb", above=0)
        self._check_num_threads()

    def start(self, train: Interactions) -> Run:
        train.refuse_negative_weights("GloVe")
        if self.user_vectors == "least_squares":
            warn_of_heavy_tail(train, self._least_squares(1.0))
        refuse_idle_factors("GloVe", self.factors, train)
        return _GloVeRun(self, train)

    def pairs(self, train: Interactions) -> ItemPairs:
        """The pairs of items that are trained on. Raises `DataError` where they would not fit."""
        order = "none" if self.window is None else "time"
        sequences = sequences_of(train, wanted_by="GloVe", order=order, session_gap=self.session_gap)
        if self.window is None:
            sequences = sequences.thinned(self.max_history, self.random_state)
        with Workers(self.num_threads) as workers:
            counted = Cooccurrences.of(
                sequences, train.n_items, window=self.window, by_distance=self.window is not None,
                check_size=self._refuse_too_many, workers=workers,
            )  # fmt: skip
            return ItemPairs.of(counted, self.random_state, workers)

    def _refuse_too_many(self, n_pairs: int) -> None:
        needed = n_pairs * BYTES_A_PAIR
        what = f"GloVe on {n_pairs:,} pairs of items"
        hint = "a smaller `max_history` or a `window` makes fewer pairs, and so do fewer items, such as data.k_core(items=20)."
        if self.max_memory_gb is not None and needed > self.max_memory_gb * 1e9:
            raise DataError(f"{what} needs {needed:,} bytes of memory; max_memory_gb = {self.max_memory_gb:g}. Hint: {hint}")
        refuse_beyond_memory(needed, what, hint)

    def with_users(self, train: Interactions, items: np.ndarray) -> Factors:
        """Item vectors (n_items, dim) float32 and those that the users of `train` get from them."""
        rows = Rows.of(train, "users")
        if self.user_vectors == "mean":
            mean = WeightedMean()
            return Factors(mean.solve(rows, items, self.num_threads), items, mean)
        method = self._least_squares(_mean_squared_length(items))
        users = method.solve(rows, items, self.num_threads)
        method = replace(method, item_regularization=self.regularization * _mean_squared_length(users))
        return Factors(users, items, method)

    def _least_squares(self, squared_length: float) -> BesideLearnedItems:
        return BesideLearnedItems(
            alpha=1.0, target=0.0, unobserved_weight=self.unobserved_weight,
            regularization=self.regularization * squared_length, regularization_exponent=1.0,
        )  # fmt: skip


class _GloVeRun(Run):
    parts = BLOCKS

    def __init__(self, trainer: GloVe, train: Interactions) -> None:
        self.epochs = trainer.iterations
        self._trainer, self._train, self._pairs = trainer, train, trainer.pairs(train)
        generator = np.random.default_rng(trainer.random_state)
        # Vectors with their bias behind, at first within ± 1 / (2 dim), as the authors' program has them.
        shape = (train.n_items, trainer.factors + 1)
        self._left, self._right = (
            (generator.random(shape, np.float32) - np.float32(0.5)) / np.float32(trainer.factors) for _ in range(2)
        )
        self._left_squares, self._right_squares = np.ones(shape, np.float32), np.ones(shape, np.float32)

    def train_epoch(self) -> dict[str, float]:
        total = 0.0
        with Workers(self._trainer.num_threads) as workers:
            for turn in range(BLOCKS):
                # No two tasks of a turn have the same block on the same side.
                total += sum(workers.map(self._train_blocks, [(left, (left + turn) % BLOCKS) for left in range(BLOCKS)]))
                self.part_done()
        return {"loss": total / (4 * len(self._pairs.logs))}

    def _train_blocks(self, blocks: tuple[int, int]) -> float:
        """Trains w of one block with w̃ of another on the pairs of both; the sum of f · error²."""
        left, right = blocks
        pairs, trainer = self._pairs, self._trainer
        tables = (self._left, self._right, self._left_squares, self._right_squares)
        settings = (np.float32(number) for number in (trainer.learning_rate, np.log(trainer.x_max), trainer.exponent))
        rate, log_most, exponent = settings
        total = 0.0
        # A bucket holds each pair once, the item of the earlier block as its row; within a block both directions are due.
        if left <= right:
            where = pairs.bucket(left, right)
            total += train_bucket(*where, pairs.rows, pairs.columns, pairs.logs, *tables, rate, log_most, exponent)
        if right <= left:
            where = pairs.bucket(right, left)
            total += train_bucket(*where, pairs.columns, pairs.rows, pairs.logs, *tables, rate, log_most, exponent)
        return total

    def factors(self) -> Factors:
        items = (self._left + self._right)[self._pairs.numbers, :-1]
        items[~self._pairs.paired] = 0
        return self._trainer.with_users(self._train, np.ascontiguousarray(items))

    def state(self) -> dict[str, np.ndarray]:
        tables = {"left": self._left, "right": self._right}
        return tables | {"left_squares": self._left_squares, "right_squares": self._right_squares}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._left, self._right = state["left"], state["right"]
        self._left_squares, self._right_squares = state["left_squares"], state["right_squares"]


def _mean_squared_length(vectors: np.ndarray) -> float:
    """Of those that are not zero, which belong to ids that nothing was learned of."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    known = squares[squares > 0]
    return float(known.mean()) if len(known) else 1.0
