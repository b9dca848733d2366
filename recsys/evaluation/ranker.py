"""`Ranker`: what an evaluation needs of a model. Imports ids, interactions and retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.retrieval import RankedLists

__all__ = ["Ranker"]


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
