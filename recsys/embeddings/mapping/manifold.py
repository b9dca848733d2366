"""Coordinates by UMAP (McInnes, Healy and Melville 2018), through umap-learn. May import errors; arrays in, arrays out."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from recsys.errors import require_extra

__all__ = ["require_umap", "umap_coordinates"]

# The size of the first layout beside the jitter that keeps equal vectors apart.
_JITTER = 1e-4


def require_umap() -> Any:
    """The module `umap`. Raises `MissingExtraError`."""
    with _known_warnings_passed_over():
        return require_extra("umap", "map", "A map by UMAP")


def umap_coordinates(
    vectors: np.ndarray,
    neighbours: tuple[np.ndarray, np.ndarray] | None,
    first_layout: np.ndarray,
    *,
    n_neighbors: int,
    min_dist: float,
    random_state: int | None,
) -> np.ndarray:
    """(n, 2) float32 coordinates of vectors (n, dim) that are compared by Euclidean distance.

    neighbours : positions and distances (n, n_neighbors) of the nearest of each, itself first; None leaves it to umap to
        find them, approximately.
    first_layout : (n, 2) where the optimisation begins. What is far apart in it stays so, and maps that begin alike
        end alike (Kobak and Linderman 2021).
    random_state : a seed means one thread; None all threads and another map each time.
    """
    umap = require_umap()
    generator = np.random.default_rng(0 if random_state is None else random_state)
    spread = np.maximum(first_layout.std(axis=0), np.finfo(np.float32).tiny).max()
    first = first_layout + generator.normal(scale=_JITTER * spread, size=first_layout.shape)
    settings: dict[str, Any] = {} if neighbours is None else {"precomputed_knn": (*neighbours, None)}
    reducer = umap.UMAP(
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        metric="euclidean",
        init=first.astype(np.float32),
        random_state=random_state,
        n_jobs=-1 if random_state is None else 1,
        **settings,
    )
    with _known_warnings_passed_over():
        return np.ascontiguousarray(reducer.fit_transform(vectors), dtype=np.float32)


@contextlib.contextmanager
def _known_warnings_passed_over() -> Iterator[None]:
    """umap tells that new vectors can not be placed later, and other things its caller has not asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transforming new data with transform.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message="Tensorflow not installed.*")
        yield
