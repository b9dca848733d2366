"""Retrieval: query vectors and item vectors → ranked item positions. Knows arrays, no ids.

May import errors, kernels and parallel. Filters are part of the search, so a filtered item never appears.
"""

from __future__ import annotations

from recsys.retrieval.exact import RankedLists, top_k

__all__ = ["RankedLists", "top_k"]
