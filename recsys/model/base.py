"""`RankingModel`: recommending, whatever the scores come from. May import everything below trainers.

A kind of model says how users score items (`_scores`), what lists are drawn from (`_catalogue`) and how a basket scores
(`_basket_scores`); requests, filters, re-ranking, tables and baskets are then the same for all.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsys.fold_in import Rows
from recsys.ids import IdMap
from recsys.interactions import Interactions, same_timing
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

__all__ = ["RankingModel"]


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

    def history_with(self, events: Interactions) -> Interactions:
        """The history followed by new events. Weights of the same pair are summed; of two ratings the later one holds."""
        history, events = same_timing(self.history, events)
        return history.merge(events, duplicates=self._duplicates)

    @property
    def _duplicates(self) -> str:
        return "sum"
