"""What every search looks like from outside: exact `top_k`, and the `top_k` of each index. Imports `exact` for its result."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsys.retrieval.exact import RankedLists

__all__ = ["Searcher"]


class Searcher(Protocol):
    """Called as `recsys.retrieval.top_k`, with the same arrays and the same promises about filters, ties and scores."""

    def __call__(
        self,
        queries: np.ndarray,
        items: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists: ...
