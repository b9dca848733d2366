"""`evaluate`: rank each test user's items once, hold the lists against the test set, and gather every metric.

May import errors, kernels, interactions, retrieval, model and the rest of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from recsys.errors import ParameterError
from recsys.evaluation.intervals import check_confidence
from recsys.evaluation.metrics import JudgedLists, Metric, parse_metrics
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.relevance import Relevance, relevant_items
from recsys.evaluation.result import EvaluationResult
from recsys.interactions import Interactions
from recsys.progress import show_progress

__all__ = ["evaluate", "require_whole"]


def evaluate(
    model: Ranker,
    test: Interactions,
    metrics: str | Iterable[str] = ("recall@20", "ndcg@20"),
    *,
    exclude_seen: bool = True,
    overlap: str = "raise",
    confidence: float = 0.95,
    random_state: int = 0,
    batch_users: int = 8192,
    num_threads: int | None = None,
    progress: bool = False,
) -> EvaluationResult:
    """How well the model's ranked lists hold up against what the test users really did.

    Every item of the model is ranked for each test user, once, as deep as the largest cut-off. Every pair in `test`
    is relevant whatever its weight; `test.filter(min_weight=4)` makes other choices.

    metrics : names with a cut-off, such as ["ndcg@10", "recall@20"]; see `recsys.evaluation.METRICS`. A cut-off may be
        larger than the number of items: lists are then shorter, and missing places count as misses.
    exclude_seen : leave out what stands in the model's history, as `recommend` does.
    overlap : what becomes, under exclude_seen, of test pairs that stand in the history and so can never be recommended:
        "raise" refuses them, "drop" takes them from the relevant items, "keep" leaves them as misses.
    confidence : of the intervals in `summary()`, which depend on `random_state`; the values of the users do not.
    batch_users : how many users are ranked at a time, which bounds the memory and changes no number.

    What cannot be evaluated is counted in `result.counts`, never silently dropped:
        users_in_test = users_evaluated + users_unknown (to the model) + users_without_relevant_items (also those whose pairs
            were all dropped)
        users_with_short_lists : of those evaluated, for whom fewer items than the largest cut-off were left
        pairs_in_test = pairs_relevant + pairs_of_unknown_users + pairs_dropped
        pairs_with_unknown_items : of the relevant ones, those whose item the model does not know; they are misses
        pairs_in_history : those that stand in the model's history; missing where the model keeps none

    Raises `ParameterError` for a bad argument, `DataError` for empty test data, for overlap, and when no user is left.
    """
    if not isinstance(test, Interactions):
        raise ParameterError(
            f"`test` must be Interactions. Got {type(test).__name__}. Hint: recsys.read_interactions makes them."
        )
    wanted = parse_metrics(metrics)
    sure = check_confidence(confidence)
    size, seed = require_whole(batch_users, "batch_users", 1), require_whole(random_state, "random_state", 0)
    relevance = relevant_items(model, test, exclude_seen=exclude_seen, overlap=overlap)
    with show_progress("Evaluating", len(relevance.users), enabled=progress) as advance:
        values, n_short = _judge(model, relevance, wanted, exclude_seen, size, num_threads, advance)
    settings = {"exclude_seen": exclude_seen, "overlap": overlap, "confidence": sure, "random_state": seed}
    about_test = {"fingerprint": test.fingerprint, **test.provenance}
    return EvaluationResult(
        users=relevance.users,
        metrics=tuple(str(metric) for metric in wanted),
        values=values,
        counts={**relevance.counts, "users_with_short_lists": n_short},
        provenance={"model": dict(model.provenance), "test": about_test, "evaluation": settings},
        confidence=sure,
        random_state=seed,
    )


def _judge(
    model: Ranker,
    relevance: Relevance,
    metrics: Sequence[Metric],
    exclude_seen: bool,
    batch_users: int,
    num_threads: int | None,
    advance: Callable[[int], None],
) -> tuple[np.ndarray, int]:
    """(n_users, n_metrics) float64, and how many lists were shorter than the largest cut-off."""
    deepest = max(metric.k for metric in metrics)
    values = np.empty((len(relevance.users), len(metrics)))
    n_short = 0
    for begin in range(0, len(values), batch_users):
        block = slice(begin, begin + batch_users)
        # A list cannot be longer than there are items; asking for more would only make the arrays wider.
        depth = min(deepest, len(model.items))
        lists = model.rank(relevance.user_positions[block], depth, exclude_seen=exclude_seen, num_threads=num_threads)
        indptr = relevance.indptr[begin : begin + batch_users + 1]
        judged = JudgedLists.from_ranked(lists, indptr, relevance.indices, relevance.n_relevant[block])
        for column, metric in enumerate(metrics):
            values[block, column] = metric.of(judged)
        n_short += int((lists.counts < deepest).sum())
        advance(len(judged.hits))
    return values, n_short


def require_whole(value: int, name: str, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ParameterError(f"`{name}` must be an int >= {least}. Got {value!r}.")
    return int(value)
