"""Embeddings as a product of their own: ids, vectors, and linear operations that mean something."""

from __future__ import annotations

from recsys.embeddings.embeddings import Embeddings

__all__ = ["Embeddings"]
