"""HNSW: a graph of near items, walked towards the query (Malkov & Yashunin 2018). Imports the engine's protocol and faiss.

Vectors are held as 8-bit codes: a quarter of the memory, and faster, since the best finds are scored again anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.retrieval.approximate.engine import load_faiss, one_thread, padded, saved_index

__all__ = ["GraphEngine"]

_NEIGHBOURS = 32
_BUILD_BREADTH = 200
_BREADTHS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]
_STEP = 16  # faiss' codes are fastest for a number of columns that is a multiple of it


@dataclass(frozen=True)
class GraphEngine:
    """HNSW over the inner product itself, or over vectors with a column that makes all lengths equal.

    reduction : "raw": the graph is built and walked by inner product. "augmented": each y gets a column √(M² - ‖y‖²), M
        the greatest length, and queries a zero; the nearest by Euclidean distance then has the highest inner product
        (Bachrach et al. 2014). "distance": the last two columns only make an inner product of a Euclidean distance (see
        `build_index`); the graph leaves them out and is built and walked by the distance itself.
    """

    faiss_index: Any
    reduction: str

    kind = "hnsw"

    @classmethod
    def build(cls, items: np.ndarray, reduction: str, random_state: int) -> GraphEngine:
        """Items are entered one after the other, on one thread: the same bytes every time."""
        faiss = load_faiss()
        vectors = _lengthened(items) if reduction == "augmented" else _reduced(items, reduction)
        metric = faiss.METRIC_INNER_PRODUCT if reduction == "raw" else faiss.METRIC_L2
        width = _width(vectors.shape[1])
        index = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_8bit, _NEIGHBOURS, metric)
        index.hnsw.efConstruction = _BUILD_BREADTH
        index.hnsw.rng = faiss.RandomGenerator(random_state)
        vectors = padded(vectors, width)
        with one_thread(faiss):
            index.train(vectors)
            index.add(vectors)
        return cls(index, reduction)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], reduction: str) -> GraphEngine:
        """From what `arrays` gave."""
        return cls(saved_index(load_faiss(), arrays), reduction)

    def arrays(self) -> dict[str, np.ndarray]:
        """The faiss index as bytes."""
        return {"faiss": load_faiss().serialize_index(self.faiss_index)}

    @property
    def breadths(self) -> list[int]:
        """Candidates held while the graph is walked (`efSearch`)."""
        return [breadth for breadth in _BREADTHS if breadth <= max(16, self.faiss_index.ntotal)]

    def find(self, queries: np.ndarray, count: int, breadth: int) -> np.ndarray:
        """See `Engine.find`."""
        faiss = load_faiss()
        parameters = faiss.SearchParametersHNSW(efSearch=max(breadth, count))
        with one_thread(faiss):
            _, found = self.faiss_index.search(
                padded(_reduced(queries, self.reduction), self.faiss_index.d), count, params=parameters
            )
        return np.asarray(found)

    def parameters(self) -> dict[str, Any]:
        """See `Engine.parameters`."""
        return {"neighbours": _NEIGHBOURS, "build_breadth": _BUILD_BREADTH, "codes": "8 bit"}


def _reduced(vectors: np.ndarray, reduction: str) -> np.ndarray:
    """Without the columns that stand for lengths where the graph goes by distance."""
    return vectors[:, :-2] if reduction == "distance" else vectors


def _width(columns: int) -> int:
    return -(-columns // _STEP) * _STEP


def _lengthened(items: np.ndarray) -> np.ndarray:
    squares = np.einsum("ij,ij->i", items, items, dtype=np.float64)
    missing = np.sqrt(squares.max(initial=0) - squares)
    return np.hstack([items, missing[:, None]]).astype(np.float32)
