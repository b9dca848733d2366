"""Retrieval: query vectors and item vectors → ranked item positions. Knows arrays, no ids.

May import errors, kernels, parallel, progress and storage. Filters are part of the search, so a filtered item never appears.
"""

from __future__ import annotations

from recsys.retrieval.exact import RankedLists, RepeatedSearch, top_k
from recsys.retrieval.searcher import Searcher
from recsys.retrieval.shortlists import empty_lists

__all__ = ["RankedLists", "RepeatedSearch", "Searcher", "empty_lists", "top_k"]
