"""`Ranker`: what an evaluation needs of a model, and `Scorer`: what the metrics of whole rankings need beside.

Imports ids, interactions and retrieval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.retrieval import RankedLists

__all__ = ["Ranker", "Scorer"]


class Ranker(Protocol):
    """What `evaluate` needs of a model: ids, what it was trained on, and ranked lists by position. `Model` is one."""

    @property
    def users(self) -> IdMap: ...
    @property
    def items(self) -> IdMap: ...
    @property
    def history(self) -> Interactions | None: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...
    def rank(
        self, user_positions: np.ndarray, k: int, *, exclude_seen: bool = True, num_threads: int | None = None
    ) -> RankedLists: ...


@runtime_checkable
class Scorer(Protocol):
    """A ranker without embeddings that can still score every item, which "auc" needs."""

    def scores(self, user_positions: np.ndarray) -> np.ndarray:
        """(n, n_items) floats for users given by position, in order of the items; more is better, also for seen items."""
        ...
