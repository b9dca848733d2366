"""Clusters of vectors by k-means, with their typical members. May import errors, ids, kernels, parallel and retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse

from recsys.embeddings.search import unit_rows
from recsys.errors import ParameterError
from recsys.ids import IdMap
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers
from recsys.retrieval.exact import require_k

if TYPE_CHECKING:
    from recsys.embeddings.embeddings import Embeddings

__all__ = ["Clusters", "find_clusters"]

_ITERATIONS = 100
_STARTS = 3


@dataclass(frozen=True, eq=False, repr=False)
class Clusters:
    """A partition of embeddings: cluster 0 is the largest.

    ids : of the members;  labels : (n,) int64, the cluster of each;  centres : (n_clusters, dim) float32.
    scores : (n,) float32, how near each is to its centre by `metric`: cosine, or minus the distance.
    """

    ids: IdMap
    labels: np.ndarray
    centres: np.ndarray
    scores: np.ndarray
    metric: str

    def __len__(self) -> int:
        return len(self.centres)

    def __repr__(self) -> str:
        return f"Clusters({len(self)} of {len(self.ids):,} {self.ids.name}s, {self.sizes.min():,} to {self.sizes.max():,} each)"

    @cached_property
    def sizes(self) -> np.ndarray:
        """(n_clusters,) int64, falling."""
        return np.bincount(self.labels, minlength=len(self.centres))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Columns {ids.name}, cluster, score, in order of the ids."""
        columns = {self.ids.name: self.ids.series(np.arange(len(self.ids))), "cluster": self.labels, "score": self.scores}
        return pd.DataFrame(columns)

    @cached_property
    def centroids(self) -> Embeddings:
        """The centres as embeddings of their own, by the cluster's number."""
        from recsys.embeddings.embeddings import Embeddings  # they import each other

        return Embeddings(IdMap(np.arange(len(self)), name="cluster"), self.centres)

    def typical(self, k: int = 5) -> pd.DataFrame:
        """The k members nearest to each centre: columns cluster, size, {ids.name}, score, rank (from 1)."""
        require_k(k)
        order = np.lexsort((np.arange(len(self.labels)), -self.scores, self.labels))
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        ranks = np.arange(len(order)) - np.repeat(starts, self.sizes) + 1
        chosen = order[ranks <= k]
        labels = self.labels[chosen]
        columns = {"cluster": labels, "size": self.sizes[labels], self.ids.name: self.ids.series(chosen)}
        return pd.DataFrame(columns | {"score": self.scores[chosen], "rank": ranks[ranks <= k]})


def find_clusters(ids: IdMap, vectors: np.ndarray, n: int, metric: str, random_state: int, num_threads: int | None) -> Clusters:
    """The best of a few runs of k-means, each from centres drawn as k-means++ draws them (Arthur & Vassilvitskii 2007).

    metric : "cosine" clusters the unit vectors, "euclidean" the vectors as they are.
    """
    if metric not in ("cosine", "euclidean"):
        raise ParameterError(f"`metric` of clusters must be 'cosine' or 'euclidean'. Got {metric!r}.")
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or not 1 <= n <= len(vectors):
        raise ParameterError(f"`n` must be an int from 1 to the number of {ids.name}s, {len(vectors):,}. Got {n!r}.")
    points = unit_rows(vectors) if metric == "cosine" else vectors
    generator = np.random.default_rng(random_state)
    with Workers(num_threads) as workers:
        runs = [_k_means(points, _spread_out(points, n, generator), workers) for _ in range(_STARTS)]
    labels, centres, _ = min(runs, key=lambda run: run[2])
    order = np.argsort(-np.bincount(labels, minlength=n), kind="stable")
    labels, centres = np.argsort(order)[labels], centres[order]
    return Clusters(ids, labels, centres, _scores(points, labels, centres, metric), metric)


def _k_means(points: np.ndarray, centres: np.ndarray, workers: Workers) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels, centres and the sum of squared distances where Lloyd's two steps from `centres` come to rest."""
    labels = np.full(len(points), -1)
    for _ in range(_ITERATIONS):
        nearest, squares = _assign(points, centres, workers)
        if (nearest == labels).all():
            break
        labels = nearest
        centres = _means(points, labels, len(centres), squares)
    labels, squares = _assign(points, centres, workers)
    if len(np.unique(labels)) < len(centres):
        raise ParameterError(
            f"There are not {len(centres)} different groups among these vectors. Hint: ask for fewer clusters."
        )
    return labels, centres, float(squares.sum())


def _assign(points: np.ndarray, centres: np.ndarray, workers: Workers) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 the nearest centre of each point, and (n,) float64 the squared distance to it."""
    lengths = np.einsum("ij,ij->i", centres, centres)

    def part(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        nearest = (points[rows] @ centres.T - lengths / 2).argmax(axis=1)
        steps = points[rows] - centres[nearest]
        return nearest, np.einsum("ij,ij->i", steps, steps, dtype=np.float64)

    labels, squares = zip(*workers.map(part, row_blocks(len(points))), strict=True)
    return np.concatenate(labels), np.concatenate(squares)


def _means(points: np.ndarray, labels: np.ndarray, n: int, squares: np.ndarray) -> np.ndarray:
    """(n, dim) float32: the mean of each cluster; one without members begins anew at a point far from its centre."""
    sizes = np.bincount(labels, minlength=n)
    members = scipy.sparse.csr_array((np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), (n, len(labels)))
    means = (members @ points) / np.maximum(sizes, 1)[:, None]
    empty = np.flatnonzero(sizes == 0)
    means[empty] = points[np.argsort(-squares, kind="stable")[: len(empty)]]
    return np.asarray(means, np.float32)


def _spread_out(points: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """(n, dim) of the points: each is drawn with a chance in proportion to its squared distance from those before it."""
    chosen = [int(generator.integers(len(points)))]
    squares = np.full(len(points), np.inf)
    while len(chosen) < n:
        steps = points - points[chosen[-1]]
        squares = np.minimum(squares, np.einsum("ij,ij->i", steps, steps, dtype=np.float64))
        total = squares.sum()
        shares = squares / total if total > 0 else None
        chosen.append(int(generator.choice(len(points), p=shares)))
    return points[chosen]


def _scores(points: np.ndarray, labels: np.ndarray, centres: np.ndarray, metric: str) -> np.ndarray:
    own = centres[labels]
    if metric == "cosine":
        return np.asarray(np.einsum("ij,ij->i", points, unit_rows(own), dtype=np.float64), np.float32)
    return np.asarray(-np.linalg.norm(points - own, axis=1), np.float32)
