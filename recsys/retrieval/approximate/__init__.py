"""Approximate search: `ItemIndex`, engines that it searches by, and the choice of its parameters by measurement.

May import what retrieval may: errors, kernels, parallel, progress, storage. faiss is the extra `ann`, imported where it is
used.
"""

from __future__ import annotations

from recsys.retrieval.approximate.choice import build_index
from recsys.retrieval.approximate.index import KINDS, ItemIndex
from recsys.retrieval.approximate.stored import Indexes

__all__ = ["KINDS", "Indexes", "ItemIndex", "build_index"]
