"""What trainers by stochastic gradient descent on drawn negatives have in common. May import trainers.base and below.

Users and items are cut into as many blocks, users once and items anew, by chance, in each epoch. An epoch has as many rounds
as there are blocks; in each round every user block meets another item block, so that no two work on the same row (Gemulla,
Nijkamp, Haas & Sismanis, "Large-Scale Matrix Factorization with Distributed Stochastic Gradient Descent", KDD 2011). A round
may thus run on any number of threads and give the same bytes, and what a thread works on stays in its cache.

Steps are those of AdaGrad with one number a row (Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and
Stochastic Optimization", JMLR 2011): a row moves by rate / √(sum of its squared gradients), so that rare items, whose
gradients are few, and rows that are right already, whose gradients are small, are not left behind. The rate falls evenly
over the epochs.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.errors import DataError, ParameterError
from recsys.fold_in import BesideItemBiases, Rows
from recsys.interactions import Interactions
from recsys.kernels import sgd
from recsys.model import Model
from recsys.parallel import Workers
from recsys.trainers.base import Factors, Run, known_vectors, require_finite

__all__ = ["NEGATIVES", "Bucket", "SampledRun"]

NEGATIVES = ("uniform", "popularity")

# Enough blocks for the threads of a large machine; but few items would be a poor choice of negatives, and a pass over few
# entries takes no longer than a thread needs to begin it.
_BLOCKS, _ITEMS_OF_A_BLOCK, _ENTRIES_OF_A_BUCKET = 32, 64, 1000

# Of the vectors that training starts from. Far shorter ones spend many epochs on growing.
_INITIAL_LENGTH = 0.3

# Where AdaGrad's sums of squares start: a few gradients of initial vectors, so that the first step is none too long.
_INITIAL_SQUARE = 1e-3
# The same for rows that an earlier model brings, about where a training ends: from the former they would be thrown about.
_KNOWN_SQUARE = 4.0


class _Settings(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def factors(self) -> int: ...
    @property
    def iterations(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def random_state(self) -> int: ...
    @property
    def num_threads(self) -> int | None: ...


@dataclass(frozen=True)
class Bucket:
    """The entries of one block of users and one of items: their numbers, the items of the block, a seed."""

    entries: np.ndarray
    members: np.ndarray
    seed: np.uint64


class SampledRun(Run):
    """A run whose epoch passes once over all observed pairs. A subclass says what a pass over a bucket does.

    Epoch e draws from the seed and e alone, so the vectors, the sums of squares of AdaGrad (one a row) and the number of
    epochs are all its state.
    """

    def __init__(self, settings: _Settings, train: Interactions, *, fold_in: type[BesideItemBiases]) -> None:
        train.refuse_negative_weights(type(settings).__name__)
        self.epochs = settings.iterations
        self._settings, self._train, self._fold_in = settings, train, fold_in
        # A pair of weight 0 was not observed.
        observed = train.weights > 0
        if not observed.any():
            raise DataError("There are no interactions of a weight > 0 to train on.")
        self._rows, self._indices = train.row_positions()[observed], train.indices[observed]
        self._weights = train.weights[observed]
        counts = np.bincount(self._rows, minlength=train.n_users)
        self._indptr = np.concatenate([[0], np.cumsum(counts)])
        self._n_blocks = _number_of_blocks(train.n_users, train.n_items, len(self._rows))
        shares = np.linspace(0, len(self._rows), self._n_blocks + 1)[1:-1]
        self._user_edges = np.concatenate([[0], np.searchsorted(self._indptr, shares), [train.n_users]])
        self._order = np.empty(len(self._rows), np.int64)
        self._epoch = 0
        self._users, self._items = _initial_vectors(settings, counts, self._indices, train.n_items, fold_in.bias_columns)
        self._user_squares, self._item_squares = (np.full(n, _INITIAL_SQUARE, np.float32) for n in train.shape)

    @abstractmethod
    def _pass(self, bucket: Bucket) -> np.ndarray:
        """Trains on the entries of a bucket and returns what it measured, to be added up."""

    @abstractmethod
    def _measured(self, sums: np.ndarray) -> dict[str, float]:
        """What is said of an epoch, from what its passes measured."""

    def factors(self) -> Factors:
        users, items = self._users.copy(), self._items.copy()
        by_user = Rows(self._indptr, self._indices, self._weights)
        fold_in = self._fold_in.fitted(users, items, by_user, Rows.of(self._train, "items"), self._settings.num_threads)
        return Factors(users, items, fold_in)

    def train_epoch(self) -> dict[str, float]:
        generator = np.random.default_rng([self._settings.random_state, self._epoch])
        blocks = range(self._n_blocks)
        members, block_of_item = self._drawn_blocks(generator)
        seeds = generator.integers(1, 2**64, (self._n_blocks, self._n_blocks), dtype=np.uint64)
        edges = np.empty((self._n_blocks, self._n_blocks + 1), np.int64)

        def deal(block: int) -> None:
            first, last = self._user_edges[block : block + 2]
            sgd.deal_entries(self._indptr, self._indices, block_of_item, self._n_blocks, first, last, self._order, edges[block])

        def train(place: tuple[int, int]) -> np.ndarray:
            begin, end = edges[place[0], place[1] : place[1] + 2]
            return self._pass(Bucket(self._order[begin:end], members[place[1]], seeds[place]))

        sums = np.zeros(2)
        with Workers(self._settings.num_threads) as workers:
            workers.map(deal, blocks)
            for turn in blocks:
                for measured in workers.map(train, [(block, (block + turn) % self._n_blocks) for block in blocks]):
                    sums += measured
        self._epoch += 1
        require_finite(self._users, self._train.users)
        require_finite(self._items, self._train.items)
        return self._measured(sums)

    def _drawn_blocks(self, generator: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """The items of each block, and the block of each item."""
        members = np.array_split(generator.permutation(self._train.n_items).astype(np.int32), self._n_blocks)
        block_of_item = np.empty(self._train.n_items, np.int32)
        for block, items in enumerate(members):
            block_of_item[items] = block
        return members, block_of_item

    def _rate(self) -> np.float32:
        """Of the steps of this epoch: falls evenly from the first epoch on, and would be 0 after the last."""
        return np.float32(self._settings.learning_rate * (1 - self._epoch / self.epochs))

    def state(self) -> dict[str, np.ndarray]:
        vectors = {"users": self._users, "items": self._items, "epochs": np.array([self._epoch])}
        return vectors | {"user_squares": self._user_squares, "item_squares": self._item_squares}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._users, self._items, self._epoch = state["users"], state["items"], int(state["epochs"][0])
        self._user_squares, self._item_squares = state["user_squares"], state["item_squares"]

    def warm_start(self, model: Model) -> None:
        if type(model.fold_in_method) is not self._fold_in:
            raise ParameterError(f"{self._settings.name!r} can start from a model of its own only ({model!r} was given).")
        factors = model.item_embeddings.dim - self._fold_in.bias_columns
        if factors != self._settings.factors:
            raise ParameterError(f"This trainer has factors = {self._settings.factors}, the model to start from {factors}.")
        sides = (
            (self._users, self._user_squares, self._train.users, model.user_embeddings),
            (self._items, self._item_squares, self._train.items, model.item_embeddings),
        )
        for vectors, squares, ids, known in sides:
            is_known, earlier = known_vectors(ids, known)
            vectors[is_known], squares[is_known] = earlier, _KNOWN_SQUARE


def _number_of_blocks(n_users: int, n_items: int, n_entries: int) -> int:
    """Of users and of items; whatever the number of threads."""
    most = min(_BLOCKS, n_users, n_items // _ITEMS_OF_A_BLOCK, math.isqrt(n_entries // _ENTRIES_OF_A_BUCKET))
    return max(1, most)


def _initial_vectors(
    settings: _Settings, user_counts: np.ndarray, indices: np.ndarray, n_items: int, n_biases: int
) -> tuple[np.ndarray, np.ndarray]:
    """Small normal vectors, zeros for ids without a pair, then the columns of biases: see `recsys.fold_in.beside_biases`."""
    generator = np.random.default_rng(settings.random_state)
    vectors = []
    for counts in (user_counts, np.bincount(indices, minlength=n_items)):
        rows = np.zeros((len(counts), settings.factors + n_biases), np.float32)
        drawn = generator.standard_normal((len(counts), settings.factors), dtype=np.float32)
        rows[:, :-n_biases] = drawn * np.float32(_INITIAL_LENGTH * settings.factors**-0.5) * (counts > 0)[:, None]
        vectors.append(rows)
    users, items = vectors
    users[:, settings.factors] = 1
    if n_biases == 2:
        items[:, -1] = 1
    return users, items
