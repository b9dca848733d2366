"""What finds item positions approximately: `Engine`, and what all of them need of faiss. Imports errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from recsys.errors import require_extra

__all__ = ["Engine", "load_faiss", "one_thread", "padded", "saved_index"]


class Engine(Protocol):
    """Item vectors arranged for search. It proposes positions; scoring and filters are the index's.

    kind, reduction : how it searches, and how inner product becomes what it searches by.
    """

    @property
    def kind(self) -> str: ...

    @property
    def reduction(self) -> str: ...

    @property
    def breadths(self) -> list[int]:
        """Rising: how widely a query may be searched, each with more recall and more time than the one before."""

    def find(self, queries: np.ndarray, count: int, breadth: int) -> np.ndarray:
        """(n, count) int64 positions for (n, dim) queries, -1 where nothing more was found. Stays on the calling thread."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` of its class needs."""

    def parameters(self) -> dict[str, Any]:
        """What it was built with, for people to read."""


def load_faiss() -> ModuleType:
    """The module faiss; raises `MissingExtraError` where it is not installed."""
    return require_extra("faiss", "ann", "An approximate index")


@contextmanager
def one_thread(faiss: ModuleType) -> Iterator[None]:
    """Inside, faiss works on the calling thread alone; its number of threads is put back after."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def padded(vectors: np.ndarray, width: int) -> np.ndarray:
    """`vectors` as contiguous float32 of `width` columns, the new ones zero: inner products stay."""
    if vectors.shape[1] == width:
        return np.ascontiguousarray(vectors, dtype=np.float32)
    longer = np.zeros((len(vectors), width), np.float32)
    longer[:, : vectors.shape[1]] = vectors
    return longer


def saved_index(faiss: ModuleType, arrays: Mapping[str, np.ndarray]) -> Any:
    """The faiss index that `faiss.serialize_index` turned into bytes."""
    return faiss.deserialize_index(np.array(arrays["faiss"]))
