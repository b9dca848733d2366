"""What may be asked for when lists are made: every option, its default and its meaning, once. Imports errors, retrieval."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from recsys.errors import ParameterError
from recsys.retrieval.exact import require_k

__all__ = ["POOL_A_PLACE", "BasketRequest", "Choices", "Request", "taking"]

POOL_A_PLACE = 5
_REASONS = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class Choices:
    """exclude_seen : leave out what the history (or the basket) has.
    only_items, exclude_items : ids to choose among, ids never to show. A filtered item never appears: where fewer
        than k are left there are fewer rows.
    item_rules, at : a table item_id, available_from, expires (one of the two may be missing, as may any time in it): an item
        that has rows in it may appear when for one of them available_from <= at < expires; an item without a row always may.
        `at` is a date, a date as text, or Unix seconds; now if None.
    min_score : leave out items of a lower score.
    diversity : 0 … 1; above 0 the list is chosen by maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): place by
        place the item i of greatest (1 - diversity) r_i - diversity · max_j cos(i, j) over the items j chosen before, with
        r the scores of the user's pool brought to 0 … 1 and cos that of the item vectors.
    calibration : 0 … 1; above 0 the list is calibrated (Steck, RecSys 2018, eq. 5 - 7) to the popularity of what the user has
        (groups as Abdollahpouri et al., UMAP 2021: the most popular items with 20 % of the interactions, the least popular
        with 20 %, the others): - calibration · KL(p ‖ q̃) is added and r_i weighs 1 - diversity - calibration, p being the
        groups' shares in the history, q those in the list so far with i, q̃ = 0.99 q + 0.01 p.
    pool : how many of the best items `diversity` and `calibration` choose from; 5 k if None. Lists are then in the order of
        choice, and scores may rise within a list.
    with_reasons : True, or up to how many: a column `reasons` with the user's own items that carried the score, as dicts
        item_id, contribution, largest first; at most 3 for True, positive ones only (see `explain`).
    index : "exact", or the name of an index of the model.
    num_threads : threads to use, all processors if None. Results do not depend on it.
    """

    exclude_seen: bool = True
    only_items: Any = None
    exclude_items: Any = None
    item_rules: Any = None
    at: Any = None
    min_score: float | None = None
    diversity: float = 0.0
    calibration: float = 0.0
    pool: int | None = None
    with_reasons: bool | int = False
    index: str = "exact"
    num_threads: int | None = None

    def check(self, k: int) -> None:
        """Raises `ParameterError` for a value that can not be, `k` being how many items a list is to have."""
        require_k(k)
        if self.at is not None and self.item_rules is None:
            raise ParameterError("`at` is the time that `item_rules` are read for, and there are none.")
        if self.min_score is not None and not _is_number(self.min_score):
            raise ParameterError(f"`min_score` must be a number. Got {self.min_score!r}.")
        for name, share in (("diversity", self.diversity), ("calibration", self.calibration)):
            if not _is_number(share) or not 0 <= share <= 1:
                raise ParameterError(f"`{name}` must be a number from 0 to 1. Got {share!r}.")
        if self.diversity + self.calibration > 1:
            raise ParameterError(
                "`diversity` and `calibration` are shares of one whole, so their sum must be at most 1. "
                f"Got {self.diversity!r} and {self.calibration!r}."
            )
        self._check_pool(k)
        if not isinstance(self.with_reasons, (bool, int, np.integer)) or self.with_reasons < 0:
            raise ParameterError(f"`with_reasons` must be True, False or an int >= 0. Got {self.with_reasons!r}.")

    def _check_pool(self, k: int) -> None:
        if self.pool is None:
            return
        if not self.reranks:
            raise ParameterError("`pool` is what `diversity` and `calibration` choose from, and both are 0.")
        if not isinstance(self.pool, (int, np.integer)) or isinstance(self.pool, bool) or self.pool < k:
            raise ParameterError(f"`pool` must be an int of at least k = {k}. Got {self.pool!r}.")

    @property
    def reranks(self) -> bool:
        """Whether lists are chosen from a pool."""
        return self.diversity > 0 or self.calibration > 0

    @property
    def n_reasons(self) -> int:
        """Up to how many reasons an item gets."""
        return _REASONS if self.with_reasons is True else int(self.with_reasons)

    def pool_size(self, k: int) -> int:
        """How many items the search is asked for, for a list of k."""
        if not self.reranks:
            return k
        return POOL_A_PLACE * k if self.pool is None else int(self.pool)


@dataclass(frozen=True, eq=False)
class Request(Choices):
    """users : ids, in the order in which their lists are to come; all users if None.
    k : items a list.
    allow : a table user_id, item_id: no other pairs appear, so a user without a row gets nothing. The pairs are scored one
        by one, without a search.
    deny : a table user_id, item_id of pairs that never appear.
    unknown : "raise" names users the model does not know, "skip" leaves them out, "popular" gives them the most popular items
        that may appear, scored by the number of users who have them (`min_score` and re-ranking are not for these lists). Ids
        in `allow`, `deny` and `item_rules` that the model does not know are named or passed over alike.
    batch_users : how many users are worked on at once. Results do not depend on it.
    progress : show progress on standard error.
    """

    users: Any = None
    k: int = 10
    _: KW_ONLY
    allow: Any = None
    deny: Any = None
    unknown: str = "raise"
    batch_users: int = 10_000
    progress: bool = False

    def __post_init__(self) -> None:
        self.check(self.k)
        if self.unknown not in ("raise", "skip", "popular"):
            raise ParameterError(f"`unknown` must be 'raise', 'skip' or 'popular'. Got {self.unknown!r}.")
        if not isinstance(self.batch_users, (int, np.integer)) or self.batch_users < 1:
            raise ParameterError(f"`batch_users` must be an int >= 1. Got {self.batch_users!r}.")


@dataclass(frozen=True, eq=False)
class BasketRequest(Choices):
    """items : the ids of what is in the basket.
    k : items in the list.
    weights : as many numbers, weighted as the training data were; 1 each if None.
    """

    items: Any
    k: int = 10
    _: KW_ONLY
    weights: Any = None

    def __post_init__(self) -> None:
        self.check(self.k)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and math.isfinite(value)


Owner = TypeVar("Owner")
Given = TypeVar("Given", bound=Choices)
Result = TypeVar("Result")
Options = ParamSpec("Options")


def taking(
    request: Callable[Options, Given],
) -> Callable[[Callable[[Owner, Given], Result]], Callable[Concatenate[Owner, Options], Result]]:
    """Makes a method of one request into one of the request's fields: signature, defaults and words come from there."""

    def decorate(method: Callable[[Owner, Given], Result]) -> Callable[Concatenate[Owner, Options], Result]:
        fields = inspect.signature(request)

        @functools.wraps(method)
        def call(owner: Owner, /, *given: Options.args, **options: Options.kwargs) -> Result:
            try:
                fields.bind(*given, **options)
            except TypeError as error:
                raise TypeError(f"{method.__name__}() {error}") from None
            return method(owner, request(*given, **options))

        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        result = inspect.signature(method).return_annotation
        signature = fields.replace(parameters=[itself, *fields.parameters.values()], return_annotation=result)
        call.__signature__ = signature  # type: ignore[attr-defined]
        words = [inspect.cleandoc(part.__doc__ or "") for part in (method, request, Choices)]
        call.__doc__ = "\n\n".join((words[0], "\n".join(words[1:])))
        return call

    return decorate
