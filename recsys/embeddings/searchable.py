"""`SearchableVectors`: a table of vectors that can be asked what is near what, exactly or by an approximate index.

May import errors, ids, retrieval and this room's search, which knows arrays and leaves the ids to this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from recsys.embeddings.search import MetricSearch, require_metric, unit_rows
from recsys.embeddings.table import VectorTable
from recsys.errors import DataError, ParameterError
from recsys.retrieval import RankedLists
from recsys.retrieval.approximate import ItemIndex, build_index
from recsys.retrieval.approximate.choice import drawn_queries
from recsys.retrieval.approximate.stored import require_name

__all__ = ["SearchableVectors", "listed"]


@dataclass(frozen=True, eq=False, repr=False)
class SearchableVectors(VectorTable):
    """What `Embeddings` knows of nearness: means, nearest ids, measures of pairs, and approximate indexes.

    `index` is "exact" everywhere unless one is named that `build_index` made, or that lies beside saved embeddings. Such a
    search misses some of the nearest, as many as the index' record says; scores, ties and what is left out are those of the
    exact one. It is for the metric that it was built for, which is then the default.
    """

    # ---- nearest ids --------------------------------------------------------------------------------------------

    def mean(self, ids: Any, *, weights: Any = None) -> np.ndarray:
        """(dim,) float32: the (weighted) mean of the vectors of `ids`. Raises `UnknownIdError`, or `DataError` for none."""
        positions = self.ids.positions(ids)
        if len(positions) == 0:
            raise DataError(f"A mean needs at least one {self.ids.name}.")
        try:
            return np.asarray(np.average(self.vectors_at(positions), axis=0, weights=weights), dtype=np.float32)
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise ParameterError(
                f"`weights` must be {len(positions)} numbers that do not sum to 0. Got {weights!r}."
            ) from error

    def nearest(self, query: Any, k: int = 10, *, metric: str | None = None, index: str = "exact") -> pd.DataFrame:
        """The k nearest ids to an id, to a vector (dim,), or to the mean of a list of ids; ids in the query are left out.

        metric : "cosine", "dot" or "euclidean"; by default that of the index, "cosine" for the exact search.
        index : "exact", or the name of an approximate index (see `build_index`).

        Returns columns {ids.name}, score, rank (from 1), best first.
        """
        vector = _as_vector(query)
        if vector is not None:
            return self._nearest_to(vector, np.empty(0, np.int64), k, metric, index)
        wanted = listed(query)
        return self._nearest_to(self.mean(wanted), self.ids.positions(wanted), k, metric, index)

    def analogy(
        self, *, positive: Iterable[Any], negative: Iterable[Any] = (), k: int = 10, index: str = "exact"
    ) -> pd.DataFrame:
        """The k ids nearest to the sum of the unit vectors of `positive` less that of `negative` ("king - man + woman").

        By cosine (Mikolov et al. 2013); the ids in the query are left out. Columns as in `nearest`.
        """
        plus, minus = self.ids.positions(listed(positive)), self.ids.positions(listed(negative))
        if len(plus) == 0:
            raise ParameterError("`positive` needs at least one id.")
        vector = self.units[plus].sum(axis=0) - self.units[minus].sum(axis=0)
        return self._nearest_to(vector, np.concatenate([plus, minus]), k, "cosine", index)

    def between(self, a: Any, b: Any, k: int = 10, *, share: float = 0.5, index: str = "exact") -> pd.DataFrame:
        """The k ids nearest, by cosine, to the point a `share` of the way from the unit vector of `a` to that of `b`.

        `a` and `b` themselves are left out. Columns as in `nearest`.
        """
        if not 0 <= share <= 1:
            raise ParameterError(f"`share` must be a number from 0 to 1. Got {share!r}.")
        ends = self.ids.positions([a, b])
        return self._nearest_to(np.array([1 - share, share], np.float32) @ self.units[ends], ends, k, "cosine", index)

    def doesnt_match(self, ids: Iterable[Any]) -> Any:
        """The one of `ids` that is least like the others: of lowest cosine with the mean of all their unit vectors."""
        positions = self.ids.positions(listed(ids))
        if len(np.unique(positions)) < 3:
            raise DataError(
                f"Which one does not match can be told of 3 different {self.ids.name}s or more. Got {len(positions)}."
            )
        units = self.units[positions]
        return self.ids.ids_at(positions[[int((units @ units.mean(axis=0)).argmin())]])[0].as_py()

    def neighbours(
        self,
        ids: Any = None,
        k: int = 10,
        *,
        metric: str | None = None,
        index: str = "exact",
        num_threads: int | None = None,
    ) -> pd.DataFrame:
        """The k nearest other ids of each of `ids` (all if None). `metric` and `index` as in `nearest`.

        Returns columns {ids.name}, similar_{ids.name}, score, rank (from 1), in order of `ids`, best first.
        """
        positions = np.arange(len(self)) if ids is None else self.ids.positions(ids)
        lists = self.neighbour_lists(positions, k, metric=metric, index=index, num_threads=num_threads)
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        similar = self.ids.series(lists.positions[valid]).rename(f"similar_{self.ids.name}")
        columns = [self.ids.series(np.repeat(positions, lists.counts)), similar, pd.Series(lists.scores[valid], name="score")]
        return pd.concat([*columns, pd.Series(np.nonzero(valid)[1] + 1, name="rank")], axis=1)

    def neighbour_lists(
        self,
        positions: np.ndarray,
        k: int,
        *,
        metric: str | None = None,
        index: str = "exact",
        num_threads: int | None = None,
    ) -> RankedLists:
        """The same as positions, for rows given by position."""
        itself = (np.arange(len(positions) + 1, dtype=np.int64), np.asarray(positions, np.int32))
        return self._top_k(self.vectors_at(positions), k, itself, metric, index, num_threads)

    def _nearest_to(self, vector: np.ndarray, left_out: np.ndarray, k: int, metric: str | None, index: str) -> pd.DataFrame:
        if np.shape(vector) != (self.dim,) or not np.isfinite(vector).all():
            raise ParameterError(f"A query vector must be {self.dim} finite numbers. Got shape {np.shape(vector)}.")
        skip = np.unique(left_out).astype(np.int32)
        seen = (np.array([0, len(skip)], np.int64), skip)
        lists = self._top_k(np.asarray(vector, np.float32)[None], k, seen, metric, index, 1)
        found = slice(0, int(lists.counts[0]))
        table = pd.DataFrame({self.ids.name: self.ids.series(lists.positions[0, found]), "score": lists.scores[0, found]})
        return table.assign(rank=np.arange(1, len(table) + 1))

    def _top_k(
        self,
        queries: np.ndarray,
        k: int,
        seen: tuple[np.ndarray, np.ndarray],
        metric: str | None,
        index: str,
        num_threads: int | None,
    ) -> RankedLists:
        chosen = None if index == "exact" else self._index(index)
        default = self.metric_of(index)
        if chosen is not None and metric not in (None, default):
            raise ParameterError(
                f"The index {index!r} was built for the metric {default!r}, not for {metric!r}. "
                "Hint: embeddings.build_index(…) makes one for it."
            )
        return self._search(metric or default).top_k(queries, k, seen=seen, num_threads=num_threads, index=chosen)

    def _search(self, metric: str) -> MetricSearch:
        """What is arranged for searching is kept, for each metric that was asked for."""
        require_metric(metric)
        if metric not in self._searches:
            self._searches[metric] = MetricSearch(self.vectors, metric)
        return self._searches[metric]

    @cached_property
    def _searches(self) -> dict[str, MetricSearch]:
        return {}

    @cached_property
    def units(self) -> np.ndarray:
        """(n, dim) float32: the vectors brought to length 1; a zero vector stays zero."""
        return unit_rows(self.vectors)

    # ---- approximate indexes ------------------------------------------------------------------------------------

    def build_index(
        self,
        kind: str = "auto",
        *,
        name: str | None = None,
        metric: str = "cosine",
        target_recall: float = 0.99,
        k: int = 10,
        n_queries: int = 1000,
        random_state: int = 0,
        num_threads: int | None = None,
        progress: bool = False,
    ) -> Self:
        """These embeddings with an approximate index, which `nearest(…, index=name)` then searches by.

        kind : "ivf", "ivf-flat", "ivf-pq", "hnsw", or "auto" for the one that answers single queries fastest on these vectors.
        name : how to ask for it; by default `kind`, as it stands here.
        metric : what makes near; the index is for this one alone.
        target_recall : the share of an id's exact `k` nearest others that must be found on average. Parameters are chosen on
            half of `n_queries` ids drawn at random, and measured on the other half: see `embeddings.indexes[name].describe()`.

        Parameters depend on measured times; what is built from them depends on `random_state` alone. `save` writes indexes
        beside the vectors; an index is refused by other vectors than it was built from. Raises `ParameterError` for a wrong
        argument, `MissingExtraError` without faiss, and `InputError` with the curve found when the recall can not be reached.
        """
        if name is not None:
            require_name(name)
        search = self._search(metric)
        drawn = drawn_queries(self.vectors, n_queries, random_state)
        itself = (np.arange(len(drawn) + 1, dtype=np.int64), drawn.astype(np.int32))
        built = build_index(
            search.rows, search.as_queries(self.vectors[drawn]), itself, kind=kind, target_recall=target_recall, k=k,
            random_state=random_state, num_threads=num_threads, progress=progress, fingerprint=self.fingerprint,
            by_distance=metric == "euclidean",
        )  # fmt: skip
        built = replace(built, record={"metric": metric, **built.record})
        return replace(self, indexes=self.indexes.with_index(kind if name is None else name, built))

    def metric_of(self, index: str) -> str:
        """The metric that the index of that name searches by; "cosine" for "exact", which can search by any."""
        return "cosine" if index == "exact" else str(self._index(index).record["metric"])

    def _index(self, name: str) -> ItemIndex:
        return self.indexes.checked(name, self.fingerprint, "embeddings")

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
            vectors = self.vectors_at(self.ids.positions([given] if alone else given)).astype(np.float64)
            sides.append(vectors[0] if alone else vectors)
        x, y = sides
        if x.ndim == y.ndim == 2 and len(x) != len(y):
            raise ParameterError(f"Pairs need as many ids on both sides. Got {len(x)} and {len(y)}.")
        measured = measure(x, y)
        return float(measured) if np.ndim(measured) == 0 else np.asarray(measured)


def listed(ids: Any) -> Any:
    """Ids as a sequence: one alone, which Python would take apart into letters, makes a list of one."""
    if isinstance(ids, (str, int, np.integer)):
        return [ids]
    return list(ids) if isinstance(ids, Iterator) else ids


def _as_vector(query: Any) -> np.ndarray | None:
    """The query if it is a vector: an array of floats, or a list of them, which are no ids."""
    if isinstance(query, (list, tuple)) and query and all(isinstance(number, (float, np.floating)) for number in query):
        query = np.asarray(query)
    return query if isinstance(query, np.ndarray) and query.dtype.kind == "f" else None


def _cosine(x: np.ndarray, y: np.ndarray) -> Any:
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.einsum("...j,...j->...", x, y) / lengths
