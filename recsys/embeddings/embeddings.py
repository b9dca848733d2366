"""`Embeddings`: ids with a vector each. May import errors, ids, storage, interactions (id tables) and retrieval."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.ids import IdMap
from recsys.retrieval import RankedLists, top_k
from recsys.storage import Stored, id_table, open_stored, read_ids, write_stored

__all__ = ["METRICS", "Embeddings"]

METRICS = ("cosine", "dot", "euclidean")


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings:
    """Immutable vectors with their ids.

    ids : the names of the rows; what they name (`user_id`, `item_id`) becomes the column name in results.
    vectors : (n, dim) float32, finite, read-only.
    provenance : where they come from; saved with them.

    Metrics: "dot" is x · y; "cosine" x · y / ‖x‖‖y‖, for which a zero vector has no neighbours; "euclidean" is -‖x - y‖, so
    that more is nearer everywhere.
    """

    ids: IdMap
    vectors: np.ndarray
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = np.asarray(self.vectors)
        if given.ndim != 2 or len(given) != len(self.ids) or given.dtype.kind not in "fiu":
            raise DataError(
                f"Embeddings.vectors must be numbers of shape ({len(self.ids)}, dim), one row an id. "
                f"Got {given.dtype} of shape {given.shape}."
            )
        vectors = np.ascontiguousarray(given, dtype=np.float32).view()
        if not np.isfinite(vectors).all():
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            raise DataError(f"Every vector must be finite. Not so: {quote_some(self.ids.ids_at(bad).to_pylist())}.")
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)

    @classmethod
    def from_arrays(cls, ids: Any, vectors: Any, *, name: str = "id") -> Embeddings:
        """From a sequence of unique ids and as many vectors; `name` is what the ids name. Raises `DataError`."""
        return cls(IdMap(ids, name=name), np.asarray(vectors))

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.ids

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} {self.ids.name}s × {self.dim}, {self.vectors.nbytes / 1e6:,.1f} MB)"

    def __getitem__(self, wanted: Any) -> Any:
        """The vector (dim,) of one id, or the Embeddings of a list of ids. Raises `UnknownIdError`."""
        if isinstance(wanted, (str, int, np.integer)):
            return self.vectors[self.ids.position(wanted)]
        positions = self.ids.positions(wanted)
        return Embeddings(IdMap(self.ids.ids_at(positions), name=self.ids.name), self.vectors[positions], self.provenance)

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
            vector, left_out = query, np.empty(0, np.int64)
        else:
            wanted = [query] if isinstance(query, (str, int, np.integer)) else query
            vector, left_out = self.mean(wanted), self.ids.positions(wanted)
        return self._nearest_to(vector, left_out, k, metric)

    def analogy(self, *, positive: Iterable[Any], negative: Iterable[Any] = (), k: int = 10) -> pd.DataFrame:
        """The k ids nearest to the sum of the unit vectors of `positive` less that of `negative` ("king - man + woman").

        By cosine (Mikolov et al. 2013); the ids in the query are left out. Columns as in `nearest`.
        """
        plus, minus = self.ids.positions(list(positive)), self.ids.positions(list(negative))
        if len(plus) == 0:
            raise ParameterError("`positive` needs at least one id.")
        vector = self._unit[plus].sum(axis=0) - self._unit[minus].sum(axis=0)
        return self._nearest_to(vector, np.concatenate([plus, minus]), k, "cosine")

    def neighbours(
        self, ids: Any = None, k: int = 10, *, metric: str = "cosine", num_threads: int | None = None
    ) -> pd.DataFrame:
        """The k nearest other ids of each of `ids` (all if None).

        Returns columns {ids.name}, similar_{ids.name}, score, rank (from 1), in order of `ids`, best first.
        """
        positions = np.arange(len(self)) if ids is None else self.ids.positions(ids)
        itself = (np.arange(len(positions) + 1, dtype=np.int64), positions.astype(np.int32))
        lists = self._search(self.vectors[positions], k, metric, itself, num_threads)
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        similar = self.ids.series(lists.positions[valid]).rename(f"similar_{self.ids.name}")
        columns = [self.ids.series(np.repeat(positions, lists.counts)), similar, pd.Series(lists.scores[valid], name="score")]
        return pd.concat([*columns, pd.Series(np.nonzero(valid)[1] + 1, name="rank")], axis=1)

    def _nearest_to(self, vector: np.ndarray, left_out: np.ndarray, k: int, metric: str) -> pd.DataFrame:
        if np.shape(vector) != (self.dim,) or not np.isfinite(vector).all():
            raise ParameterError(f"A query vector must be {self.dim} finite numbers. Got shape {np.shape(vector)}.")
        skip = np.unique(left_out).astype(np.int32)
        seen = (np.array([0, len(skip)], np.int64), skip)
        lists = self._search(np.asarray(vector, np.float32)[None], k, metric, seen, 1)
        found = slice(0, int(lists.counts[0]))
        table = pd.DataFrame({self.ids.name: self.ids.series(lists.positions[0, found]), "score": lists.scores[0, found]})
        return table.assign(rank=np.arange(1, len(table) + 1))

    def _search(
        self, queries: np.ndarray, k: int, metric: str, seen: tuple[np.ndarray, np.ndarray], num_threads: int | None
    ) -> RankedLists:
        if metric not in METRICS:
            raise ParameterError(
                f"`metric` must be one of {quote_some(METRICS)}. Got {metric!r}.{closest_hint(str(metric), METRICS)}"
            )
        if metric == "dot":
            return top_k(queries, self.vectors, k, seen=seen, num_threads=num_threads)
        if metric == "cosine":
            lists = top_k(_unit_rows(queries), self._unit, k, seen=seen, candidates=self._nonzero, num_threads=num_threads)
            return RankedLists(lists.positions, lists.scores, np.where(queries.any(axis=1), lists.counts, 0).astype(np.int32))
        # ‖x - y‖² = ‖x‖² - 2 (x · y - ‖y‖² / 2): the nearest y has the highest product of (x, 1) and (y, -‖y‖² / 2).
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors, dtype=np.float64)
        longer = np.hstack([self.vectors, -squares[:, None] / 2]).astype(np.float32)
        lists = top_k(
            np.hstack([queries, np.ones((len(queries), 1), np.float32)]), longer, k, seen=seen, num_threads=num_threads
        )
        for row, (query, found) in enumerate(zip(queries, lists.positions, strict=True)):
            lists.scores[row] = -np.linalg.norm(self.vectors[found] - query, axis=1)
        return lists

    @cached_property
    def _unit(self) -> np.ndarray:
        return _unit_rows(self.vectors)

    @cached_property
    def _nonzero(self) -> np.ndarray | None:
        nonzero = self.vectors.any(axis=1)
        return None if nonzero.all() else np.flatnonzero(nonzero)

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "embeddings" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        write_stored(
            path,
            "embeddings",
            arrays={"vectors": self.vectors},
            tables={"ids": id_table(self.ids)},
            attributes={"n": len(self), "dim": self.dim},
            provenance=self.provenance,
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Embeddings:
        """Opens a directory written by `save`; the vectors are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "embeddings", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored) -> Embeddings:
        """The embeddings in an opened directory."""
        return cls(read_ids(stored, "ids"), stored.array("vectors"), stored.provenance)


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return (vectors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
