"""`evaluate`: rank each test user's items once, hold the lists against the test set, and gather every metric.

May import errors, kernels, interactions, retrieval, model and the rest of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from recsys.errors import ParameterError
from recsys.evaluation.aligned_table import AlignedTable
from recsys.evaluation.catalogue import Catalogue
from recsys.evaluation.intervals import check_confidence
from recsys.evaluation.judging import Judging, deepest_cutoff, require_available
from recsys.evaluation.metrics import parse_metrics
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.relevance import relevant_items
from recsys.evaluation.result import EvaluationResult
from recsys.evaluation.slices import Basis
from recsys.features import Features
from recsys.interactions import Interactions
from recsys.kernels.dense import row_blocks
from recsys.progress import show_progress
from recsys.retrieval import RankedLists

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
    user_features: pd.DataFrame | Features | None = None,
    item_features: pd.DataFrame | Features | None = None,
    keep_lists: bool = False,
    batch_users: int = 8192,
    num_threads: int | None = None,
    progress: bool = False,
) -> EvaluationResult:
    """How well the model's ranked lists hold up against what the test users really did.

    Every item of the model is ranked for each test user, once, as deep as the largest cut-off. Every pair in `test`
    is relevant whatever its weight; `test.filter(min_weight=4)` makes other choices. (Only "ndcg_graded" looks at weights.)

    metrics : names with a cut-off, such as ["ndcg@10", "coverage@20"], and those that have none ("auc", "r_precision"); see
        `recsys.evaluation.METRICS`. A cut-off may be larger than the number of items: lists are then shorter, and missing
        places count as misses. "auc" scores every item for every user, "r_precision" ranks each batch as deep as its largest
        set of relevant items.
    exclude_seen : leave out what stands in the model's history, as `recommend` does.
    overlap : what becomes, under exclude_seen, of test pairs that stand in the history and so can never be recommended:
        "raise" refuses them, "drop" takes them from the relevant items, "keep" leaves them as misses.
    confidence : of the intervals in `summary()`, which depend on `random_state`; the values of the users do not.
    user_features, item_features : DataFrames with a column user_id (item_id) and others, or `recsys.Features`, by which
        `result.by` makes slices; "feature_diversity" goes by the items'. An id that is missing there has missing values.
    keep_lists : keep the lists, as `result.lists`, cut at the largest cut-off.
    batch_users : how many users are ranked at a time, which bounds the memory and changes no number.

    What cannot be evaluated is counted in `result.counts`, never silently dropped:
        users_in_test = users_evaluated + users_unknown (to the model) + users_without_relevant_items (also those whose pairs
            were all dropped)
        users_with_short_lists : of those evaluated, for whom fewer items than the largest cut-off were left
        pairs_in_test = pairs_relevant + pairs_of_unknown_users + pairs_dropped
        pairs_with_unknown_items : of the relevant ones, those whose item the model does not know; they are misses
        pairs_in_history : those that stand in the model's history; missing where the model keeps none

    `model` may be any `recsys.evaluation.Ranker`; what a metric needs beyond ranked lists, its message says.

    Raises `ParameterError` for a bad argument and a metric that this model can not give, `DataError` for empty test
    data, for overlap, for negative weights under "ndcg_graded", and when no user is left.
    """
    if not isinstance(test, Interactions):
        raise ParameterError(
            f"`test` must be Interactions. Got {type(test).__name__}. Hint: recsys.read_interactions makes them."
        )
    wanted = parse_metrics(metrics)
    sure = check_confidence(confidence)
    size, seed = require_whole(batch_users, "batch_users", 1), require_whole(random_state, "random_state", 0)
    if any(metric.name == "ndcg_graded" for metric in wanted):
        test.refuse_negative_weights("ndcg_graded")
    relevance = relevant_items(model, test, exclude_seen=exclude_seen, overlap=overlap)
    about_users = AlignedTable.of(user_features, relevance.users, "user_features")
    about_items = AlignedTable.of(item_features, relevance.items, "item_features")
    catalogue = Catalogue.of(model, about_items, exclude_seen=exclude_seen)
    require_available(wanted, model, catalogue)
    if keep_lists and not deepest_cutoff(wanted):
        raise ParameterError("keep_lists=True keeps lists as deep as the largest cut-off, and no metric here has one.")
    judging = Judging(relevance, wanted, catalogue)
    with show_progress("Evaluating", len(relevance.users), enabled=progress) as advance:
        lists, n_short = _rank_and_judge(model, judging, size, keep_lists, num_threads, advance)
    settings = {"exclude_seen": exclude_seen, "overlap": overlap, "confidence": sure, "random_state": seed}
    about_test = {"fingerprint": test.fingerprint, **test.provenance}
    return EvaluationResult(
        users=relevance.users,
        metrics=tuple(str(metric) for metric in judging.per_user),
        values=judging.values,
        counts={**relevance.counts, "users_with_short_lists": n_short},
        provenance={"model": dict(model.provenance), "test": about_test, "evaluation": settings},
        confidence=sure,
        random_state=seed,
        overall=judging.overall(),
        lists=lists,
        basis=Basis(relevance, tuple(wanted), judging.pairs(), catalogue, judging.parts, about_users),
    )


def _rank_and_judge(
    model: Ranker,
    judging: Judging,
    batch_users: int,
    keep_lists: bool,
    num_threads: int | None,
    advance: Callable[[int], None],
) -> tuple[RankedLists | None, int]:
    """The lists, where they are to be kept, and how many were shorter than the largest cut-off."""
    deepest, n_items = deepest_cutoff(judging.metrics), judging.catalogue.n_items
    kept, n_short = [], 0
    for rows in row_blocks(len(judging.values), batch_users):
        lists = _ranked(model, judging, rows, num_threads)
        judging.compare(model, rows, num_threads)
        judging.enter(rows, lists, num_threads)
        n_short += int((lists.counts < deepest).sum())
        if keep_lists:
            width = min(deepest, n_items)
            kept.append((lists.positions[:, :width], lists.scores[:, :width], np.minimum(lists.counts, width)))
        advance(len(lists))
    if not keep_lists:
        return None, n_short
    positions, scores, counts = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return RankedLists(positions, scores, counts), n_short


def _ranked(model: Ranker, judging: Judging, rows: slice, num_threads: int | None) -> RankedLists:
    """The lists of a block of users, as deep as its metrics look."""
    depth = deepest_cutoff(judging.metrics)
    if any(metric.name == "r_precision" for metric in judging.metrics):
        depth = max(depth, int(judging.relevance.n_relevant[rows].max()))
    # A list cannot be longer than there are items; asking for more would only make the arrays wider.
    depth = min(depth, judging.catalogue.n_items)
    users = judging.relevance.user_positions[rows]
    if depth == 0:
        nothing = np.empty((len(users), 0))
        return RankedLists(nothing.astype(np.int32), nothing.astype(np.float32), np.zeros(len(users), np.int32))
    return model.rank(users, depth, exclude_seen=judging.catalogue.exclude_seen, num_threads=num_threads)


def require_whole(value: int, name: str, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ParameterError(f"`{name}` must be an int >= {least}. Got {value!r}.")
    return int(value)
