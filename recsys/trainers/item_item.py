"""What trainers of weights between items have in common. May import model, retrieval, interactions and trainers.base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.fold_in import Rows
from recsys.interactions import Interactions
from recsys.model import ItemItemModel
from recsys.recommending.item_item import summed_entries
from recsys.retrieval.item_item import ItemWeights
from recsys.trainers.base import Outcome

__all__ = ["ItemItemOutcome", "both_sides"]


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


def both_sides(train: Interactions, use_weights: bool) -> tuple[Rows, Rows]:
    """The matrix R by user and by item: weights, or 1 for every entry."""
    return tuple(summed_entries(Rows.of(train, side), use_weights) for side in ("users", "items"))  # type: ignore[return-value]
