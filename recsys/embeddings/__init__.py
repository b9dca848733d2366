"""Embeddings as a product of their own: ids, vectors, linear operations that mean something, alignment and comparison."""

from __future__ import annotations

from recsys.embeddings.alignment import Alignment
from recsys.embeddings.clusters import Clusters
from recsys.embeddings.comparison import compare
from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.mapping import EmbeddingMap
from recsys.embeddings.store import EmbeddingStore, StoreVersion, is_store, open_store, publish_model
from recsys.embeddings.versions import VersionComparison

__all__ = [
    "Alignment",
    "Clusters",
    "EmbeddingMap",
    "EmbeddingStore",
    "Embeddings",
    "StoreVersion",
    "VersionComparison",
    "compare",
    "is_store",
    "open_store",
    "publish_model",
]
