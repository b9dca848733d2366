"""`Embeddings`: ids with a vector each, and linear operations on them.

May import errors, ids and the other files of this room, which know arrays and leave the ids to this one. What is near what is
in `searchable`, files are in `table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys.embeddings import directions
from recsys.embeddings.alignment import Alignment, find_alignment, shared_positions, weights_by_id
from recsys.embeddings.clusters import Clusters, find_clusters
from recsys.embeddings.columns import labels_by_id, numbers_by_id
from recsys.embeddings.search import METRICS
from recsys.embeddings.searchable import SearchableVectors, listed
from recsys.errors import ParameterError, quote_some
from recsys.ids import IdMap

if TYPE_CHECKING:
    from recsys.embeddings.compression import CompressedEmbeddings
    from recsys.embeddings.mapping import EmbeddingMap

__all__ = ["METRICS", "Embeddings"]


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(SearchableVectors):
    """Immutable vectors with their ids.

    ids : the names of the rows; what they name (`user_id`, `item_id`) becomes the column name in results.
    vectors : (n, dim) float32, finite, read-only.
    provenance : where they come from; saved with them.
    indexes : approximate indexes by name (see `build_index`), saved with them; operations that change vectors leave them out.

    Metrics: "dot" is x · y; "cosine" x · y / ‖x‖‖y‖, for which a zero vector has no neighbours; "euclidean" is -‖x - y‖, so
    that more is nearer everywhere. Operations return new Embeddings, arrays or tables; these stay as they are.
    """

    # ---- directions ---------------------------------------------------------------------------------------------

    def direction(self, *, positive: Iterable[Any], negative: Iterable[Any] = ()) -> np.ndarray:
        """(dim,) float32 of length 1: from the mean of the ids `negative` (the origin, if none) to that of `positive`."""
        plus, minus = listed(positive), listed(negative)
        vector = self.mean(plus).astype(np.float64) - (self.mean(minus) if len(minus) else 0)
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

    # ---- size -----------------------------------------------------------------------------------------------------

    def compress(
        self,
        dimensions: int | None = None,
        storage: str = "int8",
        *,
        subspaces: int | None = None,
        rescore: str | None = None,
        oversample: float | None = None,
        random_state: int = 0,
        num_threads: int | None = None,
    ) -> CompressedEmbeddings:
        """These embeddings in fewer bytes, as codes that `nearest` and `neighbours` search directly.

        dimensions : how many are kept: the leading ones, where these carry as much as any, or those of the principal axes, to
            which the vectors are then turned (see `CompressedEmbeddings.to_space`). None for all.
        storage : what is kept of a vector of d dimensions, beside what is there once for all:
            "float32", "float16" : 4 d and 2 d bytes;
            "int8" : d bytes and a length (2 bytes). 255 steps a dimension over its range among the directions;
            "int4" : d / 2 bytes and a length. 16 steps a dimension, of vectors that were turned at random to be nearly normal;
            "pq" : `subspaces` bytes and a length. Product quantisation: the nearest of 256 centres of each subspace;
            "binary" : d / 8 bytes and a length. Signs of the vectors turned at random; lists are proposed by how many signs
                differ and scored again by the signs with their lengths.
        subspaces : of "pq"; one for each 4 dimensions by default.
        rescore : "float32" or "float16" keeps whole vectors beside the codes, memory-mapped when loaded: of `oversample` · k
            that the codes propose, the best k by these are listed with their exact scores.
        oversample : how many times k codes propose where lists are scored again; 4 by default, 20 for "binary".
        random_state : of turns and codebooks. The same bytes for any number of threads.

        Without `rescore` lists are exactly those of `decompress()`, but for "binary". Raises `ParameterError` for a wrong
        argument, such as more dimensions than there are, and `DataError` where "pq" has fewer than 256 rows to learn from.
        """
        from recsys.embeddings.compression import Compression, compress_embeddings  # they are made of this class

        settings = Compression(dimensions, storage, subspaces, rescore, oversample, random_state)
        return compress_embeddings(self, settings, num_threads)

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
