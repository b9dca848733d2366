"""ItemKNN: users get the items that are nearest to what they have. The oldest item-item method, and a strong baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import quote_some
from recsys.interactions import Interactions
from recsys.model import ItemItemModel
from recsys.trainers.base import Trainer, Training
from recsys.trainers.item_item import ItemItemOutcome, both_sides, entries, nearest, nearest_blocks, weights_by_source
from recsys.trainers.search_space import Choice, Range, SearchSpace

__all__ = ["ItemKNN"]

_SIMILARITIES = ("cosine", "jaccard")


@dataclass(frozen=True, kw_only=True)
class ItemKNN(Trainer[ItemItemModel]):
    """Item-based nearest neighbours (Sarwar, Karypis, Konstan & Riedl, "Item-based collaborative filtering recommendation
    algorithms", WWW 2001; Deshpande & Karypis, TOIS 2004).

    With R the matrix of users and items and n_ij = Σ_u r_ui r_uj, two items are alike by

        cosine   n_ij / (√n_ii √n_jj + shrink)
        jaccard  n_ij / (n_ii + n_jj - n_ij + shrink)

    s_ij is that for the `neighbours` items j nearest to i, and 0 for all others; of equally near ones the lower position counts
    as nearer. Then

        score(u, i) = Σ_j s_ij r_uj

    or with `normalized` Σ_j s̃_ij r_uj, where s̃_ij = s_ij / Σ_j s_ij; with `centred` sums are over deviations from the mean m_j
    of item j over all users: score(u, i) = m_i + Σ_j s_ij (r_uj - m_j). The row "Item-CF" of BARS (arXiv 2205.09626) has both:
    `ItemKNN(neighbours=100, shrink=0, normalized=True, centred=True)`. Both do harm where many items have few users.

    The model is sparse: at most `neighbours` weights an item. For TF-IDF or BM25 weights train on `data.weighted("tfidf")` or
    `data.weighted("bm25")` with use_weights=True. Raises `DataError` for negative weights.
    """

    name: ClassVar[str] = "item-knn"
    advice: ClassVar[str] = "trains in seconds, says why, knows new users at once; for items with many users; no embeddings"
    makes_embeddings: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "neighbours": Range(20, 500, log=True),
        "shrink": Range(0.1, 100.0, log=True),
        "similarity": Choice(_SIMILARITIES),
        "normalized": Choice((True, False)),
    }

    neighbours: int = 100
    """How many nearest items may speak for an item: few are sharper, many reach further."""
    similarity: str = "cosine"
    """How alike two items are: "cosine" or "jaccard"."""
    shrink: float = 5.0
    """Added to the denominator: more trusts likeness that rests on few users less."""
    normalized: bool = False
    """Divide each item's similarities by their sum: items with few neighbours then reach as high as others."""
    centred: bool = False
    """Sum deviations from each item's mean, and add the item's own mean."""
    use_weights: bool = False
    """Use the weights of the interactions; otherwise every pair counts 1."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        self._check_integer("neighbours", at_least=1)
        self._check("similarity", quote_some(_SIMILARITIES), self.similarity in _SIMILARITIES)
        self._check_number("shrink", at_least=0)
        for name in ("normalized", "centred", "use_weights"):
            self._check(name, "True or False", isinstance(getattr(self, name), (bool, np.bool_)))
        self._check_num_threads()

    def start(self, train: Interactions) -> Training[ItemItemModel]:
        train.refuse_negative_weights("ItemKNN")
        return _Neighbours(self, train)


class _Neighbours(Training[ItemItemModel]):
    epochs = 1

    def __init__(self, trainer: ItemKNN, train: Interactions) -> None:
        self._trainer, self._train = trainer, train
        self.parts = len(nearest_blocks(train.n_items))

    def train_epoch(self) -> dict[str, float]:
        positions, likeness, counts = self._nearest()
        if self._trainer.normalized:
            kept = np.arange(positions.shape[1]) < counts[:, None]
            likeness /= np.maximum(likeness.sum(axis=1, keepdims=True, where=kept), 1e-30)
        by_item = entries(positions, likeness, counts)
        self._weights = weights_by_source(by_item, self._offsets(*by_item))
        return {}

    def _nearest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions and likeness (n_items, neighbours) of each item's nearest, in no order, and how many there are."""
        users, items = both_sides(self._train, self._trainer.use_weights)
        n = self._train.n_items
        sizes = np.zeros(n)
        np.add.at(sizes, users.indices, users.weights.astype(np.float64) ** 2)
        by_union = self._trainer.similarity == "jaccard"
        lengths_sizes = np.column_stack([np.zeros(n) if by_union else np.sqrt(sizes), sizes])
        likeness_of = lengths_sizes, float(by_union), float(self._trainer.shrink)
        return nearest(items, users, likeness_of, self._trainer.neighbours, self._trainer.num_threads, self.part_done)

    def _offsets(self, indptr: np.ndarray, neighbours: np.ndarray, likeness: np.ndarray) -> np.ndarray:
        """(n_items,) float32: m_i - Σ_j s_ij m_j; 0 where nothing is centred."""
        n = self._train.n_items
        if not self._trainer.centred:
            return np.zeros(n, np.float32)
        users, _ = both_sides(self._train, self._trainer.use_weights)
        means = np.bincount(users.indices, users.weights, minlength=n) / self._train.n_users
        owners = np.repeat(np.arange(n), np.diff(indptr))
        return (means - np.bincount(owners, likeness * means[neighbours], minlength=n)).astype(np.float32)

    def outcome(self) -> ItemItemOutcome:
        return ItemItemOutcome(self._weights, self._trainer.use_weights)
