"""`Embeddings`: ids with a vector each, and linear operations on them.

May import errors, ids, retrieval and the other files of this room, which know arrays and leave the ids to this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys.embeddings import directions
from recsys.embeddings.alignment import Alignment, find_alignment, shared_positions, weights_by_id
from recsys.embeddings.clusters import Clusters, find_clusters
from recsys.embeddings.columns import labels_by_id, numbers_by_id
from recsys.embeddings.search import METRICS, MetricSearch, require_metric, unit_rows
from recsys.embeddings.table import VectorTable
from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap
from recsys.retrieval import RankedLists

if TYPE_CHECKING:
    from recsys.embeddings.mapping import EmbeddingMap

__all__ = ["METRICS", "Embeddings"]


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(VectorTable):
    """Immutable vectors with their ids.

    ids : the names of the rows; what they name (`user_id`, `item_id`) becomes the column name in results.
    vectors : (n, dim) float32, finite, read-only.
    provenance : where they come from; saved with them.

    Metrics: "dot" is x · y; "cosine" x · y / ‖x‖‖y‖, for which a zero vector has no neighbours; "euclidean" is -‖x - y‖, so
    that more is nearer everywhere. Operations return new Embeddings, arrays or tables; these stay as they are.
    """

    # ---- operations ---------------------------------------------------------------------------------------------

    def mean(self, ids: Any, *, weights: Any = None) -> np.ndarray:
        """(dim,) float32: the (weighted) mean of the vectors of `ids`. Raises `UnknownIdError`, or `DataError` for none."""
        positions = self.ids.positions(ids)
        if len(positions) == 0:
            raise DataError(f"A mean needs at least one {self.ids.name}.")
        try:
            return np.asarray(np.average(self.vectors[positions], axis=0, weights=weights), dtype=np.float32)
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise ParameterError(
                f"`weights` must be {len(positions)} numbers that do not sum to 0. Got {weights!r}."
            ) from error

    def nearest(self, query: Any, k: int = 10, *, metric: str = "cosine") -> pd.DataFrame:
        """The k nearest ids to an id, to a vector (dim,), or to the mean of a list of ids; ids in the query are left out.

        Returns columns {ids.name}, score, rank (from 1), best first.
        """
        if isinstance(query, np.ndarray) and query.dtype.kind == "f":
            return self._nearest_to(query, np.empty(0, np.int64), k, metric)
        wanted = [query] if isinstance(query, (str, int, np.integer)) else query
        return self._nearest_to(self.mean(wanted), self.ids.positions(wanted), k, metric)

    def analogy(self, *, positive: Iterable[Any], negative: Iterable[Any] = (), k: int = 10) -> pd.DataFrame:
        """The k ids nearest to the sum of the unit vectors of `positive` less that of `negative` ("king - man + woman").

        By cosine (Mikolov et al. 2013); the ids in the query are left out. Columns as in `nearest`.
        """
        plus, minus = self.ids.positions(list(positive)), self.ids.positions(list(negative))
        if len(plus) == 0:
            raise ParameterError("`positive` needs at least one id.")
        vector = self.units[plus].sum(axis=0) - self.units[minus].sum(axis=0)
        return self._nearest_to(vector, np.concatenate([plus, minus]), k, "cosine")

    def between(self, a: Any, b: Any, k: int = 10, *, share: float = 0.5) -> pd.DataFrame:
        """The k ids nearest, by cosine, to the point a `share` of the way from the unit vector of `a` to that of `b`.

        `a` and `b` themselves are left out. Columns as in `nearest`.
        """
        if not 0 <= share <= 1:
            raise ParameterError(f"`share` must be a number from 0 to 1. Got {share!r}.")
        ends = self.ids.positions([a, b])
        return self._nearest_to(np.array([1 - share, share], np.float32) @ self.units[ends], ends, k, "cosine")

    def doesnt_match(self, ids: Iterable[Any]) -> Any:
        """The one of `ids` that is least like the others: of lowest cosine with the mean of all their unit vectors."""
        positions = self.ids.positions(list(ids))
        if len(np.unique(positions)) < 3:
            raise DataError(
                f"Which one does not match can be told of 3 different {self.ids.name}s or more. Got {len(positions)}."
            )
        units = self.units[positions]
        return self.ids.ids_at(positions[[int((units @ units.mean(axis=0)).argmin())]])[0].as_py()

    def neighbours(
        self, ids: Any = None, k: int = 10, *, metric: str = "cosine", num_threads: int | None = None
    ) -> pd.DataFrame:
        """The k nearest other ids of each of `ids` (all if None).

        Returns columns {ids.name}, similar_{ids.name}, score, rank (from 1), in order of `ids`, best first.
        """
        positions = np.arange(len(self)) if ids is None else self.ids.positions(ids)
        lists = self.neighbour_lists(positions, k, metric=metric, num_threads=num_threads)
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        similar = self.ids.series(lists.positions[valid]).rename(f"similar_{self.ids.name}")
        columns = [self.ids.series(np.repeat(positions, lists.counts)), similar, pd.Series(lists.scores[valid], name="score")]
        return pd.concat([*columns, pd.Series(np.nonzero(valid)[1] + 1, name="rank")], axis=1)

    def neighbour_lists(
        self, positions: np.ndarray, k: int, *, metric: str = "cosine", num_threads: int | None = None
    ) -> RankedLists:
        """The same as positions, for rows given by position."""
        itself = (np.arange(len(positions) + 1, dtype=np.int64), np.asarray(positions, np.int32))
        return self._search(metric).top_k(self.vectors[positions], k, seen=itself, num_threads=num_threads)

    def _nearest_to(self, vector: np.ndarray, left_out: np.ndarray, k: int, metric: str) -> pd.DataFrame:
        if np.shape(vector) != (self.dim,) or not np.isfinite(vector).all():
            raise ParameterError(f"A query vector must be {self.dim} finite numbers. Got shape {np.shape(vector)}.")
        skip = np.unique(left_out).astype(np.int32)
        seen = (np.array([0, len(skip)], np.int64), skip)
        lists = self._search(metric).top_k(np.asarray(vector, np.float32)[None], k, seen=seen, num_threads=1)
        found = slice(0, int(lists.counts[0]))
        table = pd.DataFrame({self.ids.name: self.ids.series(lists.positions[0, found]), "score": lists.scores[0, found]})
        return table.assign(rank=np.arange(1, len(table) + 1))

    def _search(self, metric: str) -> MetricSearch:
        """What is arranged for searching is kept, for each metric that was asked for."""
        require_metric(metric)
        return self._searches.setdefault(metric, MetricSearch(self.vectors, metric))

    @cached_property
    def _searches(self) -> dict[str, MetricSearch]:
        return {}

    @cached_property
    def units(self) -> np.ndarray:
        """(n, dim) float32: the vectors brought to length 1; a zero vector stays zero."""
        return unit_rows(self.vectors)

    # ---- pairs --------------------------------------------------------------------------------------------------

    def dot(self, a: Any, b: Any) -> Any:
        """x · y of two ids as a float, or of pairs from two lists of ids as (n,) float64; one id alone goes with all others."""
        return self._of_pairs(a, b, lambda x, y: np.einsum("...j,...j->...", x, y))

    def cosine(self, a: Any, b: Any) -> Any:
        """The cosine of the angle between two ids, or pairs, as `dot` takes them; NaN where a vector is zero."""
        return self._of_pairs(a, b, _cosine)

    def euclidean(self, a: Any, b: Any) -> Any:
        """The distance ‖x - y‖ of two ids, or pairs, as `dot` takes them."""
        return self._of_pairs(a, b, lambda x, y: np.linalg.norm(x - y, axis=-1))

    def _of_pairs(self, a: Any, b: Any, measure: Callable[[np.ndarray, np.ndarray], Any]) -> Any:
        sides = []
        for given in (a, b):
            alone = isinstance(given, (str, int, np.integer))
            vectors = self.vectors[self.ids.positions([given] if alone else given)].astype(np.float64)
            sides.append(vectors[0] if alone else vectors)
        x, y = sides
        if x.ndim == y.ndim == 2 and len(x) != len(y):
            raise ParameterError(f"Pairs need as many ids on both sides. Got {len(x)} and {len(y)}.")
        measured = measure(x, y)
        return float(measured) if np.ndim(measured) == 0 else np.asarray(measured)

    # ---- directions ---------------------------------------------------------------------------------------------

    def direction(self, *, positive: Iterable[Any], negative: Iterable[Any] = ()) -> np.ndarray:
        """(dim,) float32 of length 1: from the mean of the ids `negative` (the origin, if none) to that of `positive`."""
        plus, minus = list(positive), list(negative)
        vector = self.mean(plus).astype(np.float64) - (self.mean(minus) if minus else 0)
        return directions.unit(vector, f"The direction from {quote_some(minus) or 'the origin'} to {quote_some(plus)}")

    def trend(self, values: Any) -> np.ndarray:
        """(dim,) float32 of length 1: where vectors go as the number of an id grows, such as its popularity.

        values : a Series or mapping from id to number; ids without one are passed over. The direction is that of the slopes
        of a least-squares regression of the vectors on the values, which is that of the covariances: `remove` it, and no
        linear function of what is left tells anything of the values. Raises `DataError` when all values are the same.
        """
        numbers = numbers_by_id(self.ids, values, "values")
        known = ~np.isnan(numbers)
        slopes = directions.trend(self.vectors[known], numbers[known])
        return directions.unit(slopes, "The trend of these values")

    def along(self, direction: Any) -> pd.DataFrame:
        """All ids in the order in which they lie along a direction (dim,): columns {ids.name}, score, rank; farthest first."""
        basis = self._basis(direction)
        if len(basis) != 1:
            raise ParameterError(f"`direction` must be one direction. Got a subspace of {len(basis)}. Hint: see `project`.")
        scores = directions.coordinates(self.vectors, basis)[:, 0]
        order = np.argsort(-scores, kind="stable")
        table = pd.DataFrame({self.ids.name: self.ids.series(order), "score": scores[order]})
        return table.assign(rank=np.arange(1, len(table) + 1))

    def project(self, onto: Any) -> Embeddings:
        """Embeddings of m dimensions: coordinates in a direction (dim,), or in the subspace of several (m, dim).

        Coordinates are those along orthonormal axes, the first along the first direction, so that dot products and distances
        are those of the projected vectors. A Series or mapping stands for its `trend`.
        """
        basis = self._basis(onto)
        return self._changed(directions.coordinates(self.vectors, basis), projected_onto=len(basis))

    def remove(self, directions_: Any, /) -> Embeddings:
        """Embeddings of the same dimensions less their parts along a direction (dim,), or along several (m, dim).

        A Series or mapping from id to number stands for its `trend`: `items.remove(popularity)`.
        """
        basis = self._basis(directions_)
        return self._changed(directions.without(self.vectors, basis), removed_directions=len(basis))

    def _basis(self, given: Any) -> np.ndarray:
        if isinstance(given, (pd.Series, Mapping)):
            given = self.trend(given)
        return directions.as_basis(given, self.dim)

    def _changed(self, vectors: np.ndarray, **facts: Any) -> Embeddings:
        return Embeddings(self.ids, vectors, {**self.provenance, **facts})

    # ---- groups -------------------------------------------------------------------------------------------------

    def centroids(self, groups: Any, *, name: str = "group") -> Embeddings:
        """The mean of each group, as embeddings by the group's label: the average city of each country.

        groups : a Series or mapping from id to label, an integer or a string; ids without one are passed over.
        """
        codes, labels = labels_by_id(self.ids, groups, "groups")
        known = codes >= 0
        sums = np.zeros((len(labels), self.dim))
        np.add.at(sums, codes[known], self.vectors[known])
        counts = np.bincount(codes[known], minlength=len(labels))
        return Embeddings(IdMap(labels, name=name), sums / counts[:, None], self.provenance)

    def clusters(self, n: int, *, metric: str = "cosine", random_state: int = 0, num_threads: int | None = None) -> Clusters:
        """`n` clusters by k-means: see `Clusters` for their members, sizes and most typical ids.

        metric : "cosine" clusters the unit vectors, "euclidean" the vectors as they are.
        """
        return find_clusters(self.ids, self.vectors, n, metric, random_state, num_threads)

    # ---- alignment ----------------------------------------------------------------------------------------------

    def alignment_to(self, reference: Embeddings, *, weights: Any = None, num_threads: int | None = None) -> Alignment:
        """The rotation that brings these vectors nearest to `reference` on the ids that both have (Schönemann 1966).

        weights : a Series or mapping from id to a number >= 0, such as popularity: how much each shared id counts.
        Raises `DataError` when no id is shared.
        """
        if not isinstance(reference, Embeddings):
            raise ParameterError(f"`reference` must be Embeddings. Got {type(reference).__name__}.")
        positions = shared_positions(self.ids, reference.ids)
        by_pair = None if weights is None else weights_by_id(self.ids.subset(positions[0]), weights)
        return find_alignment(self.vectors, reference.vectors, positions, by_pair, num_threads)

    def align_to(self, reference: Embeddings, *, weights: Any = None, num_threads: int | None = None) -> Embeddings:
        """These embeddings turned as near to `reference` as a rotation can: vectors become comparable, dot products stay.

        Of different dimensions the larger is taken, the smaller space as part of it; a warning says when the result has more
        than these. To keep the scores of a model use `Model.align_to`, which turns its users with its items. Arguments and
        errors as in `alignment_to`; provenance["aligned_to"] says what came of it.
        """
        alignment = self.alignment_to(reference, weights=weights, num_threads=num_threads)
        alignment.warn_if_wider(self.dim)
        return self._changed(alignment.apply(self.vectors, num_threads=num_threads), aligned_to=alignment.describe())

    # ---- map ----------------------------------------------------------------------------------------------------

    def map(
        self,
        method: str = "umap",
        *,
        metric: str = "cosine",
        ids: Any = None,
        like: EmbeddingMap | None = None,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        random_state: int | None = 0,
        num_threads: int | None = None,
    ) -> EmbeddingMap:
        """These vectors in two dimensions, to be looked at: see `EmbeddingMap` for its table, page and picture.

        method : "umap" keeps near together what is near (McInnes et al. 2018; extra `map`); "pca" is the view along the two
            axes of largest variance: linear, quick, and crowded.
        metric : "cosine" maps the unit vectors, on which a zero vector has no place (a warning names them); "euclidean" the
            vectors as they are.
        ids : only these, held against each other alone.
        like : a map of another version. This one begins where its ids stand there and is turned to lie alike, so that the two
            can be looked at side by side; distances within this map are its own.
        n_neighbors, min_dist : of umap: how many neighbours count, 2 or more, fewer for finer grain; how close points may come.
        random_state : of umap. With a seed the same vectors give the same bytes on the same machine and versions, laid out by
            one thread; None uses all threads and gives another map each time. Neighbours are found by all threads either way.

        Raises `ParameterError`, `DataError` for too few vectors, `UnknownIdError`, and `MissingExtraError`.
        """
        from recsys.embeddings.mapping import map_embeddings

        return map_embeddings(
            self, method, metric=metric, ids=ids, like=like, n_neighbors=n_neighbors, min_dist=min_dist,
            random_state=random_state, num_threads=num_threads,
        )  # fmt: skip


def _cosine(x: np.ndarray, y: np.ndarray) -> Any:
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.einsum("...j,...j->...", x, y) / lengths
