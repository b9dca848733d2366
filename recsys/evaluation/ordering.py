"""How each relevant item compares with every other candidate: what the area under the ROC curve is the mean of.

May import errors, kernels, parallel and the rest of this folder. Nothing is sorted: the scores of a block of users are
multiplied out, a block of items at a time, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import ParameterError
from recsys.evaluation.ranker import Ranker, Scorer
from recsys.interactions import Interactions
from recsys.kernels import ordering as kernels
from recsys.kernels.dense import read_only, row_blocks
from recsys.kernels.metrics import shared_entries
from recsys.parallel import Workers

__all__ = ["Contest", "require_scores"]

_USERS_AT_ONCE = 128
_ITEMS_AT_ONCE = 4096
_UNIT_ROUNDOFF = 2.0**-24


def require_scores(model: Ranker, metric: str) -> None:
    """Raises `ParameterError` when the scores of all items can not be had from `model`."""
    if not isinstance(model, Scorer) and getattr(model, "item_embeddings", None) is None:
        raise ParameterError(
            f"{metric} needs the score of every item, and {type(model).__name__} gives ranked lists alone: it has neither "
            "embeddings nor a method `scores`."
        )


@dataclass(frozen=True, eq=False)
class Contest:
    """The relevant items of some users against all others that could stand in their lists.

    indptr, items : the relevant items of each user (int32, rising); positions beyond the model's are items it does not know.
    users : (n_users,) int64, their positions in the model.
    hidden : what lists must not show: the history of the model; None when everything may be shown.
    """

    model: Ranker
    users: np.ndarray
    indptr: np.ndarray
    items: np.ndarray
    hidden: Interactions | None

    def wins(self, num_threads: int | None) -> np.ndarray:
        """(n_pairs,) float64: the share of the other candidates that score below each relevant item, ties half.

        0 for a relevant item that can not be shown, NaN where there are no other candidates. The same bytes for any number of
        threads.
        """
        with Workers(num_threads) as workers:
            parts = workers.map(self._block, row_blocks(len(self.users), _USERS_AT_ONCE))
        return np.concatenate(parts) if parts else np.empty(0)

    def _block(self, rows: slice) -> np.ndarray:
        users, indptr = self.users[rows], self.indptr[rows.start : rows.stop + 1]
        relevant = self.items[indptr[0] : indptr[-1]]
        relevant, indptr = read_only(relevant), read_only(indptr - indptr[0])
        counts = _Counts.of(len(users), len(relevant))
        if isinstance(self.model, Scorer):
            self._count_given(users, indptr, relevant, counts)
        else:
            self._count_products(users, indptr, relevant, counts)
        others = np.repeat(counts.compared, np.diff(indptr)).astype(np.float64)
        return np.asarray(np.where(others > 0, (counts.below + counts.tied / 2) / np.maximum(others, 1), np.nan))

    def _count_given(self, users: np.ndarray, indptr: np.ndarray, relevant: np.ndarray, counts: _Counts) -> None:
        """From scores that the model gives, compared as they are."""
        scores = np.array(self.model.scores(users), np.float64)  # type: ignore[attr-defined]
        if scores.shape != (len(users), len(self.model.items)):
            wanted_shape = (len(users), len(self.model.items))
            raise ParameterError(f"{type(self.model).__name__}.scores must be of shape {wanted_shape}. Got {scores.shape}.")
        if self.hidden is not None:
            kernels.hide(scores, 0, users, self.hidden.indptr, self.hidden.indices)
        wanted = np.full(len(relevant), np.nan)
        known = relevant < scores.shape[1]
        wanted[known] = scores[np.repeat(np.arange(len(users)), np.diff(indptr))[known], relevant[known]]
        kernels.hide(scores, 0, np.arange(len(users)), indptr, relevant)
        no_vectors = np.empty((0, 0), np.float32)
        no_slack = np.zeros(len(users))
        kernels.count_below(scores, 0, indptr, wanted, no_slack, no_vectors, no_vectors, *counts.arrays)

    def _count_products(self, users: np.ndarray, indptr: np.ndarray, relevant: np.ndarray, counts: _Counts) -> None:
        """From dot products of embeddings."""
        queries = np.ascontiguousarray(self.model.user_embeddings.vectors[users])  # type: ignore[attr-defined]
        items = self.model.item_embeddings.vectors  # type: ignore[attr-defined]
        wanted = kernels.score_entries(queries, items, indptr, relevant)
        if self.hidden is not None:
            wanted[_stand_in(self.hidden, users, indptr, relevant)] = np.nan
        # Higham 2002, section 3.1: a product of length n is off by at most n unit roundoffs times ‖x‖ ‖y‖; a few more for
        # rounding the exact product and the ends of the interval around it.
        largest = np.sqrt(np.einsum("ij,ij->i", items, items, dtype=np.float64).max(initial=0.0))
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
        slack = (1.01 * (items.shape[1] + 4) * _UNIT_ROUNDOFF * lengths * largest).astype(np.float32)
        for block in row_blocks(len(items), _ITEMS_AT_ONCE):
            scores = queries @ items[block].T
            if self.hidden is not None:
                kernels.hide(scores, block.start, users, self.hidden.indptr, self.hidden.indices)
            kernels.hide(scores, block.start, np.arange(len(users)), indptr, relevant)
            kernels.count_below(scores, block.start, indptr, wanted, slack, queries, items, *counts.arrays)


@dataclass(frozen=True, eq=False)
class _Counts:
    """below, tied : (n_pairs,) int64, the candidates below and level with each relevant item; compared : (n_users,) all."""

    below: np.ndarray
    tied: np.ndarray
    compared: np.ndarray

    @classmethod
    def of(cls, n_users: int, n_pairs: int) -> _Counts:
        return cls(np.zeros(n_pairs, np.int64), np.zeros(n_pairs, np.int64), np.zeros(n_users, np.int64))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.below, self.tied, self.compared


def _stand_in(history: Interactions, users: np.ndarray, indptr: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Which of the entries stand in the history of their user."""
    return np.asarray(shared_entries(indptr, items, users, history.indptr, history.indices))
