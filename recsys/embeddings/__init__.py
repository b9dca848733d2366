"""Embeddings as a product of their own: ids, vectors, linear operations that mean something, alignment and comparison."""

from __future__ import annotations

from recsys.embeddings.alignment import Alignment
from recsys.embeddings.clusters import Clusters
from recsys.embeddings.comparison import compare
from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.versions import VersionComparison

__all__ = ["Alignment", "Clusters", "Embeddings", "VersionComparison", "compare"]
