"""What trainers of weights between items have in common. May import what lies below trainers, and trainers.base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.fold_in import Rows
from recsys.interactions import Interactions
from recsys.kernels import csr, item_item
from recsys.kernels.dense import row_blocks
from recsys.model import ItemItemModel
from recsys.parallel import Workers
from recsys.recommending.item_item import summed_entries
from recsys.retrieval.item_item import ItemWeights, SparseWeights
from recsys.trainers.base import Outcome

__all__ = ["ItemItemOutcome", "both_sides", "entries", "nearest", "nearest_blocks", "weights_by_source"]

_ITEMS = 64


@dataclass(frozen=True)
class ItemItemOutcome(Outcome[ItemItemModel]):
    """Weights between items. use_weights : whether users are summed by their weights, or by 1 for all they have."""

    weights: ItemWeights
    use_weights: bool

    def check(self, train: Interactions) -> None:
        """Every weight must be finite."""
        bad = np.flatnonzero(~self.weights.is_finite())
        if len(bad):
            raise DataError(
                f"The training diverged: a weight of item_id {train.items.ids_at(bad[:1])[0].as_py()!r} is not finite. "
                "Hint: the data's weights may be too large, see Interactions.weighted('log')."
            )

    def model(self, train: Interactions, provenance: Mapping[str, Any]) -> ItemItemModel:
        """A model whose scores are sums of these weights over what users have."""
        return ItemItemModel(train, self.weights, self.use_weights, dict(provenance))


def nearest(
    by_item: Rows,
    by_user: Rows,
    likeness_of: tuple[np.ndarray, float, float],
    neighbours: int,
    num_threads: int | None,
    block_done: Callable[[], object],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions and likeness (n_items, neighbours) of each item's nearest, in no order, and how many there are.

    likeness_of : lengths and sizes (n_items, 2), by_union and shrink, as `recsys.kernels.item_item.nearest_items` has them.
    block_done is called after each of `nearest_blocks`.
    """
    n = len(by_item)
    shape = n, min(neighbours, n - 1)
    positions, likeness, counts = np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(n, np.int64)

    def work(block: slice) -> None:
        item_item.nearest_items(
            block.start, block.stop, by_item.indptr, by_item.indices, by_item.weights, by_user.indptr, by_user.indices,
            by_user.weights, *likeness_of, likeness, positions, counts,
        )  # fmt: skip
        block_done()

    with Workers(num_threads) as workers:
        workers.map(work, nearest_blocks(n))
    return positions, likeness, counts


def nearest_blocks(n_items: int) -> list[slice]:
    """The items that are worked on at a time."""
    return row_blocks(n_items, _ITEMS)


def entries(positions: np.ndarray, likeness: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `nearest` found as rows of entries: indptr, positions, likeness."""
    kept = np.arange(positions.shape[1]) < counts[:, None]
    return np.concatenate([[0], np.cumsum(counts)]), positions[kept], likeness[kept]


def weights_by_source(by_item: tuple[np.ndarray, np.ndarray, np.ndarray], offsets: np.ndarray) -> SparseWeights:
    """Entries that say for each item what speaks for it, turned to what each item speaks for."""
    indptr, sources, values = by_item
    indptr, indices, order = csr.transpose(indptr, sources, len(offsets))
    return SparseWeights(offsets, indptr, indices, values[order])


def both_sides(train: Interactions, use_weights: bool) -> tuple[Rows, Rows]:
    """The matrix R by user and by item: weights, or 1 for every entry."""
    return tuple(summed_entries(Rows.of(train, side), use_weights) for side in ("users", "items"))  # type: ignore[return-value]
