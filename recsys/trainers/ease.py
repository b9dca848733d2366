"""EASE: a linear autoencoder with a closed form, all items by all items; among the best where the catalogue is small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.interactions import Interactions
from recsys.kernels import inverse, item_item
from recsys.kernels.dense import row_blocks
from recsys.model import ItemItemModel
from recsys.parallel import Workers
from recsys.retrieval.item_item import DenseWeights
from recsys.trainers.base import Trainer, Training
from recsys.trainers.item_item import ItemItemOutcome, both_sides
from recsys.trainers.memory import refuse_beyond_memory
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["EASE"]

_ITEMS = 64


@dataclass(frozen=True, kw_only=True)
class EASE(Trainer[ItemItemModel]):
    """Embarrassingly shallow autoencoder (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019).

    With R the matrix of users and items it minimises, under a diagonal of zeros (equations 2 and 3 there),

        ‖R - R B‖²_F + λ ‖B‖²_F        diag(B) = 0

    and has the closed form (equation 8)   B = I - P · diag(1 / diag(P)),   P = (RᵀR + λ I)⁻¹.   score(u, i) = Σ_j r_uj B_ji.

    The one dense float32 matrix of 4 · n_items² bytes is inverted in its own place, in about n_items³ multiplications and
    additions: seconds for 5,000 items, minutes for 40,000. Where that is more memory than there is, `DataError` says how much
    it would be before anything is made. There is nothing to go on from after an interruption. The same bytes for any number of
    threads. Raises `DataError` for negative weights.
    """

    name: ClassVar[str] = "ease"
    advice: ClassVar[str] = "one setting, often the most accurate; holds items × items, so for up to some 40,000; no embeddings"
    makes_embeddings: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {"regularization": Range(1.0, 5000.0, log=True)}

    regularization: float = 100.0
    """λ: more trusts rare items less; grows with the number of interactions."""
    use_weights: bool = False
    """Use the weights of the interactions; otherwise every pair counts 1."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        self._check_number("regularization", above=0)
        self._check("use_weights", "True or False", isinstance(self.use_weights, (bool, np.bool_)))
        self._check_num_threads()

    def start(self, train: Interactions) -> Training[ItemItemModel]:
        train.refuse_negative_weights("EASE")
        needed = 4 * train.n_items**2 + inverse.working_bytes(train.n_items)
        hint = "keep fewer items, such as data.k_core(items=20), or take another trainer: item-knn and als need far less."
        refuse_beyond_memory(needed, f"EASE on {train.n_items:,} items", hint)
        return _ClosedForm(self, train)


class _ClosedForm(Training[ItemItemModel]):
    epochs = 1

    def __init__(self, trainer: EASE, train: Interactions) -> None:
        self._trainer, self._train = trainer, train
        self.parts = len(row_blocks(train.n_items, inverse.PIVOT_ROWS))

    def train_epoch(self) -> dict[str, float]:
        n = self._train.n_items
        matrix = np.empty((n, n), np.float32)
        with Workers(self._trainer.num_threads) as workers:
            self._multiply(matrix, workers)
            np.einsum("ii->i", matrix)[:] += np.float32(self._trainer.regularization)
            inverse.invert(matrix, workers, self.part_done)
            scale = -np.einsum("ii->i", matrix).copy()

            def divide(rows: slice) -> None:
                matrix[rows] /= scale

            workers.map(divide, row_blocks(n, _ITEMS))
        np.einsum("ii->i", matrix)[:] = 0
        self._weights = DenseWeights(np.zeros(n, np.float32), matrix)
        return {}

    def _multiply(self, matrix: np.ndarray, workers: Workers) -> None:
        """matrix ← RᵀR"""
        users, items = both_sides(self._train, self._trainer.use_weights)

        def work(block: slice) -> None:
            item_item.multiply_by_item(
                block.start, block.stop, items.indptr, items.indices, items.weights, users.indptr, users.indices, users.weights,
                matrix,
            )  # fmt: skip

        workers.map(work, row_blocks(len(matrix), _ITEMS))

    def outcome(self) -> ItemItemOutcome:
        return ItemItemOutcome(self._weights, self._trainer.use_weights)
