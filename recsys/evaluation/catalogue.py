"""`Catalogue`: what is known about the items that are shown and about those who see them: popularity, vectors, categories.

May import errors, kernels, interactions, model and this folder's ranker and aligned_table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys.evaluation.aligned_table import AlignedTable
from recsys.evaluation.ranker import Ranker
from recsys.interactions import Interactions
from recsys.model import Model

__all__ = ["Catalogue"]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items of a model.

    n_items : how many.
    history : what the model was trained on, in its positions; None where it keeps none.
    vectors : (n_items, dim) float32, the item embeddings; None where it has none.
    features : the columns of `item_features`, in order of the model's items; None where none were given.
    exclude_seen : whether lists leave out what stands in the history.
    """

    n_items: int
    history: Interactions | None = None
    vectors: np.ndarray | None = None
    features: AlignedTable | None = None
    exclude_seen: bool = True

    @classmethod
    def of(cls, model: Ranker, features: AlignedTable | None, *, exclude_seen: bool) -> Catalogue:
        """What `model` tells; a `Ranker` need not have embeddings."""
        return cls(len(model.items), model.history, _item_vectors(model), features, exclude_seen)

    @cached_property
    def popularity(self) -> np.ndarray:
        """(n_items,) float64: the share of the history's users (those with any item) who have the item."""
        history = self._history
        return np.asarray(history.item_counts / max(1, int((history.user_counts > 0).sum())))

    @cached_property
    def self_information(self) -> np.ndarray:
        """(n_items,) float64, bits: log2(users / users who have the item); an item that nobody has counts as one user's."""
        history = self._history
        n_users = max(1, int((history.user_counts > 0).sum()))
        return np.asarray(np.log2(n_users / np.maximum(history.item_counts, 1)))

    @cached_property
    def by_popularity(self) -> np.ndarray:
        """(n_items,) int64: item positions, the most popular first, ties in order of position (as `Popularity` ranks)."""
        return np.argsort(-self._history.item_counts, kind="stable")

    @cached_property
    def popularity_ranks(self) -> np.ndarray:
        """(n_items,) int64: the place of each item in `by_popularity`, from 0."""
        ranks = np.empty(self.n_items, np.int64)
        ranks[self.by_popularity] = np.arange(self.n_items)
        return ranks

    @cached_property
    def units(self) -> np.ndarray:
        """(n_items, dim) float32: the vectors scaled to length 1; a zero vector stays zero."""
        if self.vectors is None:
            raise TypeError("This catalogue has no vectors.")
        lengths = np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors, dtype=np.float64))
        return np.asarray((self.vectors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32))

    @cached_property
    def codes(self) -> tuple[np.ndarray, int]:
        """(n_items, n_columns) int32 and their number: the categories of the items, see `kernels.shown.mean_mismatch`."""
        if self.features is None:
            raise TypeError("This catalogue has no features.")
        columns, n_codes = [], 0
        for name in self.features.categories:
            codes, values = pd.factorize(self.features.table[name], use_na_sentinel=True)
            columns.append(np.where(codes >= 0, codes + n_codes, -1))
            n_codes += len(values)
        return np.column_stack(columns).astype(np.int32), n_codes

    @property
    def _history(self) -> Interactions:
        if self.history is None:
            raise TypeError("This catalogue has no history.")
        return self.history


def _item_vectors(model: Ranker) -> np.ndarray | None:
    """The item embeddings without columns of biases, which make all items alike; None for a ranker that has none."""
    if not isinstance(model, Model):
        embeddings = getattr(model, "item_embeddings", None)
        return None if embeddings is None else np.asarray(embeddings.vectors)
    biases = 0 if model.fold_in_method is None else model.fold_in_method.bias_columns
    vectors = model.item_embeddings.vectors
    return vectors if biases in (0, vectors.shape[1]) else vectors[:, :-biases]
