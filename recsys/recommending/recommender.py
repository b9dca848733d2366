"""`Recommender`: one request, answered for any stretch of the users asked for. The order of the work is that of `_lists`.

May import everything below `model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from recsys.fold_in import Rows
from recsys.ids import IdMap, id_series
from recsys.interactions import Interactions
from recsys.progress import show_progress
from recsys.recommending.asked import Asked
from recsys.recommending.catalogue import Catalogue
from recsys.recommending.filters import Filters
from recsys.recommending.reasons import Reasons
from recsys.recommending.request import Request
from recsys.recommending.rerank import Reranker, group_shares, popularity_groups
from recsys.recommending.scores import Scores, VectorScores
from recsys.recommending.search import at_least, ranked_lists, stacked
from recsys.retrieval import RankedLists, top_k

__all__ = ["Audience", "Recommender"]


@dataclass(frozen=True, eq=False)
class Audience:
    """Who lists can be made for: users, what they have and how they score the items, all in the same positions."""

    ids: IdMap
    history: Interactions
    scores: Scores

    @classmethod
    def of_basket(cls, basket: Rows, items: IdMap, scores: Scores) -> Audience:
        """One anonymous user who has `basket` (one row) and nothing else."""
        nobody = IdMap([0], name="user_id")
        zeros = np.zeros(len(basket.indices), np.int32)
        return cls(nobody, Interactions.from_events(nobody, items, zeros, basket.indices, basket.weights), scores)


class Recommender:
    """The lists of one request. Everything is checked when it is made; `frame` then answers for users `start` to `stop`."""

    def __init__(self, catalogue: Catalogue, audience: Audience, request: Request) -> None:
        self._catalogue, self._audience = catalogue, audience
        self._request, self._k = request, min(request.k, len(catalogue.ids))
        tables = {"allow": request.allow, "deny": request.deny}
        with_tables = any(table is not None for table in tables.values())
        self._asked = Asked.of(request.users, audience.ids, unknown=request.unknown, with_tables=with_tables)
        self._filters = Filters.of(request, audience.history, self._asked.users, unknown=request.unknown, **tables)
        self._reranker = _reranker(catalogue, request)
        self._reasons = catalogue.reason_finder(request.n_reasons) if request.n_reasons else None

    def __len__(self) -> int:
        """How many users are asked for."""
        return len(self._asked.ids)

    @property
    def ids(self) -> pa.Array:
        """The users asked for, in the order of their lists."""
        return self._asked.ids

    @property
    def rows_a_user(self) -> int:
        """How many rows a user has at most."""
        return self._k

    @property
    def pool_a_user(self) -> int:
        """How many items a user's list is chosen from, at most."""
        return min(self._request.pool_size(self._k), len(self._catalogue.ids))

    @property
    def reasons_a_row(self) -> int:
        """How many reasons a row has at most."""
        return self._request.n_reasons

    def frames(self) -> Iterator[pd.DataFrame]:
        """Frames of at most `batch_users` users, in order; at least one, maybe empty."""
        size = self._request.batch_users
        with show_progress("Recommending, users", len(self), enabled=self._request.progress) as advance:
            for start in range(0, max(len(self), 1), size):
                yield self.frame(start, start + size)
                advance(min(size, len(self) - start))

    def frame(self, start: int, stop: int) -> pd.DataFrame:
        """Columns user_id, item_id, score, rank (and reasons) for the users asked for from `start` to before `stop`."""
        lists, reasons = self._lists(self._asked.rows[start:stop])
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        owners = np.repeat(np.arange(start, start + len(lists)), lists.counts)
        items = self._catalogue.ids
        frame = pd.DataFrame(
            {
                "user_id": id_series(self._asked.ids.take(pa.array(owners)), self._audience.ids.name),
                "item_id": items.series(lists.positions[valid]),
                "score": lists.scores[valid],
                "rank": np.nonzero(valid)[1] + 1,
            }
        )
        if reasons is not None:
            frame["reasons"] = pd.Series(pd.arrays.ArrowExtensionArray(reasons.column(items, valid)))
        return frame

    def _lists(self, rows: np.ndarray) -> tuple[RankedLists, Reasons | None]:
        known = rows < len(self._audience.ids)
        lists = self._known_lists(rows[known])
        reasons = None
        if not known.all():
            place = np.argsort(np.argsort(~known, kind="stable"), kind="stable")
            lists = _taken(stacked([lists, self._popular_lists(rows[~known])]), place)
        if self._reasons is not None:
            history = Rows.of(self._audience.history, "users")
            own = history.take(rows) if known.all() else _with_empty_rows(history, rows, known)
            reasons = self._reasons.find(own, lists, self._request.num_threads)
        return lists, reasons

    def _known_lists(self, rows: np.ndarray) -> RankedLists:
        request, threads = self._request, self._request.num_threads
        lists = ranked_lists(self._audience.scores, rows, self.pool_a_user, self._filters, threads)
        if request.min_score is not None:
            lists = at_least(lists, request.min_score)
        if self._reranker is None:
            return lists
        own = Rows.of(self._audience.history, "users").take(rows)
        shares = group_shares(own.indptr, own.indices, self._reranker.groups)
        return self._reranker.rerank(lists, self._k, shares, threads)

    def _popular_lists(self, rows: np.ndarray) -> RankedLists:
        return ranked_lists(self._popularity, rows, self._k, self._filters, self._request.num_threads)

    @cached_property
    def _popularity(self) -> Scores:
        everybody = np.broadcast_to(np.ones((1, 1), np.float32), (len(self._asked.users) + 1, 1))
        return VectorScores(everybody, self._catalogue.counts.astype(np.float32)[:, None], top_k)


def _reranker(catalogue: Catalogue, request: Request) -> Reranker | None:
    if not request.reranks:
        return None
    units = catalogue.units() if request.diversity > 0 else np.zeros((len(catalogue.ids), 0), np.float32)
    groups = popularity_groups(catalogue.counts) if request.calibration > 0 else np.zeros(len(catalogue.ids), np.int64)
    return Reranker(float(request.diversity), float(request.calibration), units, groups)


def _with_empty_rows(history: Rows, rows: np.ndarray, known: np.ndarray) -> Rows:
    """The entries of `rows`, none for those that are not known."""
    taken = history.take(rows[known])
    counts = np.zeros(len(rows), np.int64)
    counts[known] = taken.counts
    return Rows(np.concatenate([[0], np.cumsum(counts)]), taken.indices, taken.weights)


def _taken(lists: RankedLists, places: np.ndarray) -> RankedLists:
    return RankedLists(lists.positions[places], lists.scores[places], lists.counts[places])
