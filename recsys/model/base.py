"""`RankingModel`: recommending, whatever the scores come from. May import everything below trainers.

A kind of model says how users score items (`_scores`), what lists are drawn from (`_catalogue`) and how a basket scores
(`_basket_scores`); requests, filters, re-ranking, tables and baskets are then the same for all.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError
from recsys.fold_in import Rows
from recsys.ids import IdMap
from recsys.interactions import Interactions, require_interactions, same_timing
from recsys.progress import show_progress
from recsys.recommending import BasketRequest, Recommender, Request, taking
from recsys.recommending.asked import EventRules, basket_row, paired_positions
from recsys.recommending.catalogue import Catalogue
from recsys.recommending.filters import Filters
from recsys.recommending.recommender import Audience
from recsys.recommending.request import Choices
from recsys.recommending.scores import Scores
from recsys.recommending.search import ranked_lists
from recsys.retrieval import RankedLists
from recsys.retrieval.exact import require_k

__all__ = ["NeighbourTable", "RankingModel"]


# (positions of items, k, num_threads) → the table of `similar_items`.
NeighbourTable: TypeAlias = Callable[[np.ndarray, int, int | None], pd.DataFrame]


class RankingModel(ABC):
    """Ids, a history and scores: what recommends. Immutable."""

    history: Interactions
    provenance: Mapping[str, Any]

    @property
    def users(self) -> IdMap:
        """The users this model knows."""
        return self.history.users

    @property
    def items(self) -> IdMap:
        """The items this model knows."""
        return self.history.items

    @property
    def trainer_name(self) -> str:
        """What the provenance calls the trainer."""
        return str(self.provenance.get("trainer", "unknown"))

    # ---- what a kind of model says -------------------------------------------------------------------------------

    @abstractmethod
    def _scores(self, index: str) -> Scores:
        """How users score items; `index` is "exact" or names an index. Raises `ParameterError` where there is none."""

    @abstractmethod
    def _catalogue(self) -> Catalogue:
        """What lists are drawn from."""

    @abstractmethod
    def _event_rules(self, purpose: str) -> EventRules:
        """What is asked of the events of new users. Raises `InputError` saying that this model can not `purpose`."""

    @abstractmethod
    def _basket_scores(self, basket: Rows, index: str, num_threads: int | None) -> Scores:
        """How a new user with these entries (one row) scores the items."""

    @abstractmethod
    def _similar(self) -> NeighbourTable:
        """Looks up which items are like others, as often as it is asked."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 over all that scores come from: equal models have equal fingerprints."""

    @abstractmethod
    def fold_in(
        self, events: Interactions, *, of: str = "users", unknown: str = "raise", num_threads: int | None = None
    ) -> RankingModel:
        """A model that also knows the users (or, with of="items", the items) of `events`; this one stays as it is."""

    @abstractmethod
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "model" (see `recsys.storage`); an existing path is refused unless `overwrite`."""

    # ---- recommending -------------------------------------------------------------------------------------------

    @taking(Request)
    def recommend(self, request: Request) -> pd.DataFrame:
        """The k best items for each of `users`, as columns user_id, item_id, score, rank (from 1).

        Rows come in the order of `users`, best first; equal scores in order of item position. Raises `UnknownIdError`
        for unknown users or items, `DataError` for tables that can not be used and `ParameterError` for a wrong argument.
        """
        return pd.concat(list(self._recommender(request).frames()), ignore_index=True)

    @taking(Request)
    def recommend_batches(self, request: Request) -> Iterator[pd.DataFrame]:
        """What `recommend` returns, in frames of at most `batch_users` users: memory stays bounded however many there are.

        Everything is checked at the call, before the first frame is asked for. There is at least one frame, maybe empty.
        """
        return self._recommender(request).frames()

    @taking(Request)
    def recommender(self, request: Request) -> Recommender:
        """The same as an object whose `frame(start, stop)` gives the rows of any stretch of the users asked for.

        For jobs that write where they stopped: the rows of a user do not depend on the stretch.
        """
        return self._recommender(request)

    @taking(BasketRequest)
    def recommend_basket(self, request: BasketRequest) -> pd.DataFrame:
        """The k best items for somebody who has `items` and whom the model need not know: columns item_id, score, rank.

        The basket scores as a new user with these events would after `fold_in`. Raises `UnknownIdError` for unknown items,
        `DataError` for an empty basket and `InputError` for a model that can not fold in.
        """
        basket = basket_row(request, self.items, self._event_rules("fold in"))
        scores = self._basket_scores(basket, request.index, request.num_threads)
        audience = Audience.of_basket(basket, self.items, scores)
        choices = {name: getattr(request, name) for name in Choices.__dataclass_fields__}
        recommender = Recommender(self._catalogue(), audience, Request(k=request.k, **choices))
        return recommender.frame(0, 1).drop(columns="user_id")

    def score(self, users: Any, items: Any, *, num_threads: int | None = None) -> np.ndarray:
        """(n,) float32: the scores of n pairs of a user and an item, as `recommend` gives them.

        users, items : as many ids each; one id alone stands for as many as the other side has. Raises `UnknownIdError`.
        """
        return self._scores("exact").pairs(*paired_positions(users, self.users, items, self.items), num_threads)

    def rank(
        self,
        user_positions: np.ndarray,
        k: int,
        *,
        exclude_seen: bool = True,
        only_items: Any = None,
        exclude_items: Any = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """Ranked item positions for users given by position; the ground of evaluation."""
        require_k(k)
        choices = Choices(exclude_seen=exclude_seen, only_items=only_items, exclude_items=exclude_items)
        filters = Filters.of(choices, self.history, self.users)
        return ranked_lists(self._scores("exact"), np.asarray(user_positions), k, filters, num_threads)

    def _recommender(self, request: Request) -> Recommender:
        audience = Audience(self.users, self.history, self._scores(request.index))
        return Recommender(self._catalogue(), audience, request)

    # ---- likeness and reasons -----------------------------------------------------------------------------------

    def similar_items_batches(
        self,
        items: Any = None,
        k: int = 10,
        *,
        batch_items: int = 10_000,
        num_threads: int | None = None,
        progress: bool = False,
    ) -> Iterator[pd.DataFrame]:
        """What `similar_items` returns, in frames of at most `batch_items` items; at least one, maybe empty."""
        require_k(k)
        if batch_items < 1:
            raise ParameterError(f"`batch_items` must be an int >= 1. Got {batch_items!r}.")
        wanted, table = self._item_positions(items), self._similar()

        def frames() -> Iterator[pd.DataFrame]:
            with show_progress(f"Neighbours, {self.items.name}s", len(wanted), enabled=progress) as advance:
                for start in range(0, max(len(wanted), 1), batch_items):
                    some = wanted[start : start + batch_items]
                    yield table(some, k, num_threads)
                    advance(len(some))

        return frames()

    def _item_positions(self, items: Any) -> np.ndarray:
        return np.arange(len(self.items)) if items is None else self.items.positions(items)

    def _explanation(self, row: Rows, contributions: np.ndarray, base: float, k: int | None) -> pd.DataFrame:
        """The table of `explain` for one user's entries `row` and what each adds to the score above `base`."""
        order = np.argsort(-contributions, kind="stable")[:k]
        table = pd.DataFrame(
            {
                "item_id": self.items.series(row.indices[order]),
                "weight": row.weights[order],
                "contribution": contributions[order],
                "rank": np.arange(1, len(order) + 1),
            }
        )
        table.attrs["base"] = base
        table.attrs["score"] = base + float(contributions.sum())
        return table

    # ---- what is new and what goes ------------------------------------------------------------------------------

    def _check_fold_in(self, events: Interactions, of: str, unknown: str) -> None:
        if of not in ("users", "items"):
            raise ParameterError(f"`of` must be 'users' or 'items'. Got {of!r}.")
        if unknown not in ("raise", "skip"):
            raise ParameterError(f"`unknown` must be 'raise' or 'skip'. Got {unknown!r}.")
        require_interactions(events, "fold_in")

    def _usable(self, events: Interactions, of: str, unknown: str) -> tuple[Interactions, int]:
        """The events whose ids on the fixed side this model knows, and how many others were left out, if they may be."""
        asked = "raise" if unknown == "raise" else "ignore"
        if of == "users":
            known = (self.items.positions(events.items, unknown=asked) >= 0)[events.indices]
        else:
            known = (self.users.positions(events.users, unknown=asked) >= 0)[events.row_positions()]
        left_out = int((~known).sum())
        events = events.select(known) if left_out else events
        if not self._event_rules("fold in").takes_negative_weights:
            events.refuse_negative_weights("fold_in")
        return events, left_out

    def _remaining(self, users: Any, items: Any) -> Interactions:
        """The history without these ids. Raises `UnknownIdError`, and `DataError` when nothing would be left."""
        history = self.history.drop(users=users, items=items)
        if not history.n_users or not history.n_items:
            raise DataError("A model must keep at least one user and one item.")
        return history

    def history_with(self, events: Interactions) -> Interactions:
        """The history followed by new events. Weights of the same pair are summed; of two ratings the later one holds."""
        history, events = same_timing(self.history, events)
        return history.merge(events, duplicates=self._duplicates)

    @property
    def _duplicates(self) -> str:
        return "sum"
