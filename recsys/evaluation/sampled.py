"""Ranking among sampled negatives: a biased way to judge, kept only for making published numbers again.

May import errors, kernels, interactions, model, retrieval, the lots of `recsys.split`, and the rest of this folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recsys.errors import ParameterError, closest_hint
from recsys.evaluation.metrics import parse_metrics
from recsys.evaluation.protocol import evaluate, require_whole
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.relevance import model_positions
from recsys.evaluation.result import EvaluationResult
from recsys.ids import IdMap
from recsys.interactions import Interactions, require_interactions
from recsys.kernels.dense import row_blocks
from recsys.model import Model
from recsys.retrieval import RankedLists, empty_lists, top_k
from recsys.split.lots import hashed_ids, mix

__all__ = ["evaluate_sampled_biased"]

# Those that only look at where the relevant items stand. What speaks of whole lists means nothing among a few candidates.
_METRICS = ("hit_rate", "map", "mrr", "ndcg", "ndcg_graded", "precision", "recall", "recall_capped")
_RULES = ("uniform", "popularity")
# Streams of their own: with those of `recsys.split`, one seed would tie the negatives to what was held out.
_USER_STREAM, _ITEM_STREAM = 101, 102
_CELLS_AT_ONCE = 1 << 22
_BIAS = "Means over sampled negatives are biased and can order models otherwise than ranking all items does."


def evaluate_sampled_biased(
    model: Ranker,
    test: Interactions,
    metrics: str | Iterable[str] = ("hit_rate@10", "ndcg@10"),
    *,
    negatives: int = 100,
    by: str = "uniform",
    exclude_seen: bool = True,
    overlap: str = "raise",
    confidence: float = 0.95,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> EvaluationResult:
    """Ranks each user's relevant items among a few sampled others only. Biased: use `recsys.evaluate` to choose a model.

    For comparing with publications that did so and nothing else. Krichene & Rendle (KDD 2020, "On Sampled Metrics for Item
    Recommendation", sections 4 and 5) show that what is found this way is not the metric on all items, not even in
    expectation, and can call the worse of two models the better one; with few negatives every metric tends to the AUC.
    The metrics of the result carry what was done in their names, such as "ndcg@10(sampled 100)".

    The candidates of a user are all relevant items and `negatives` items that are neither relevant nor (under exclude_seen) in
    the model's history, drawn without replacement; where fewer are there all are taken, so that as many negatives as there
    are items give what `recsys.evaluate` gives. Candidates stand in the order in which the model ranks all items: equal scores
    go by item position, whether relevant or not. (Some published codes put the relevant item first among equals, which
    rewards a model that gives every item the same score.)

    by : "uniform": each item is as likely as any other;  "popularity": in proportion to how many users have it in the
        model's history, items of no user never (Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir").

    Which items are drawn for a user depends on the user's id, the items' ids and `random_state` alone: two models that know the
    same items are judged on the same candidates. The other arguments, and the counts of the result, are those of
    `recsys.evaluate`; counts["users_with_fewer_negatives"] says for how many users there were not enough.

    Raises as `recsys.evaluate` does, and `ParameterError` for a metric that speaks of whole lists.
    """
    require_interactions(test, "evaluate_sampled_biased")
    wanted = parse_metrics(metrics)
    for metric in wanted:
        if str(metric).partition("@")[0] not in _METRICS:
            raise ParameterError(f"Among sampled negatives there are {', '.join(_METRICS)}. Got {str(metric)!r}.")
    if by not in _RULES:
        raise ParameterError(f"`by` must be 'uniform' or 'popularity'. Got {by!r}.{closest_hint(str(by), _RULES)}")
    if by == "popularity" and model.history is None:
        raise ParameterError("Sampling by popularity goes by the model's history, and this model keeps none.")
    size, seed = require_whole(negatives, "negatives", 1), require_whole(random_state, "random_state", 0)
    among = _AmongSamples(model, test, size, by == "popularity", seed)
    result = evaluate(
        among, test, [str(metric) for metric in wanted], exclude_seen=exclude_seen, overlap=overlap, confidence=confidence,
        random_state=seed, num_threads=num_threads, progress=progress,
    )  # fmt: skip
    mark = f"(sampled {size})" if by == "uniform" else f"(sampled {size} by popularity)"
    about = {**result.provenance["evaluation"], "negatives": size, "sampled_by": by, "bias": _BIAS}
    return replace(
        result,
        metrics=tuple(name + mark for name in result.metrics),
        counts={**result.counts, "users_with_fewer_negatives": among.n_short},
        provenance={**result.provenance, "evaluation": about},
        # Slices would give the metrics their names without the mark.
        basis=None,
    )


class _AmongSamples:
    """A ranker whose lists hold each user's relevant and sampled items only, in the order of the ranker inside."""

    def __init__(self, model: Ranker, test: Interactions, negatives: int, by_popularity: bool, seed: int) -> None:
        self._model, self._test, self._negatives, self._by_popularity = model, test, negatives, by_popularity
        users, self._test_items = model_positions(model, test)
        self._test_rows = np.full(len(model.users), -1)
        self._test_rows[users[users >= 0]] = np.flatnonzero(users >= 0)
        self._user_lots = hashed_ids(model.users, seed, _USER_STREAM)
        self._item_lots = hashed_ids(model.items, seed, _ITEM_STREAM)
        self.n_short = 0

    @property
    def users(self) -> IdMap:
        return self._model.users

    @property
    def items(self) -> IdMap:
        return self._model.items

    @property
    def history(self) -> Interactions | None:
        return self._model.history

    @property
    def provenance(self) -> Mapping[str, Any]:
        return self._model.provenance

    def rank(
        self, user_positions: np.ndarray, k: int, *, exclude_seen: bool = True, num_threads: int | None = None
    ) -> RankedLists:
        """Lists of up to k of each user's candidates."""
        n, k = len(user_positions), min(k, len(self.items))
        lists = empty_lists(n, k)
        for rows in row_blocks(n, max(1, _CELLS_AT_ONCE // len(self.items))):
            users = user_positions[rows]
            block = _rank_among(self._model, users, self._candidates(users, exclude_seen), k, exclude_seen, num_threads)
            lists.positions[rows], lists.scores[rows], lists.counts[rows] = block.positions, block.scores, block.counts
        return lists

    def _candidates(self, users: np.ndarray, exclude_seen: bool) -> np.ndarray:
        """(n_users, n_items) bool: relevant items and sampled ones."""
        allowed = np.ones((len(users), len(self.items)), dtype=bool)
        if exclude_seen and self.history is not None:
            _mark(allowed, self.history.indptr, self.history.indices, users, False)
        relevant = np.zeros_like(allowed)
        _mark(relevant, self._test.indptr, self._test_items[self._test.indices], self._test_rows[users], True)
        others = allowed & ~relevant
        return np.asarray((relevant & allowed) | self._sampled(users, others))

    def _sampled(self, users: np.ndarray, others: np.ndarray) -> np.ndarray:
        """`negatives` of the items that the bool matrix `others` marks, in each row."""
        lots = self._user_lots[users][:, None] ^ self._item_lots
        mix(lots)
        # Uniform numbers in (0, 1), then each item's key; the smallest keys are drawn.
        keys = -np.log((lots >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54)
        if self._by_popularity and self.history is not None:
            counts = self.history.item_counts
            others = others & (counts > 0)
            keys /= np.maximum(counts, 1)
        keys[~others] = np.inf
        self.n_short += int((others.sum(axis=1) < self._negatives).sum())
        if self._negatives >= len(self.items):
            return others
        last = np.partition(keys, self._negatives - 1, axis=1)[:, self._negatives - 1]
        return np.asarray(others & (keys <= last[:, None]))


def _mark(cells: np.ndarray, indptr: np.ndarray, columns: np.ndarray, rows: np.ndarray, value: bool) -> None:
    """cells[i, columns of row rows[i]] = value, where columns below 0 are passed over."""
    for cell_row, row in zip(cells, rows, strict=True):
        found = columns[indptr[row] : indptr[row + 1]]
        cell_row[found[found >= 0]] = value


def _rank_among(
    model: Ranker, users: np.ndarray, candidates: np.ndarray, k: int, exclude_seen: bool, num_threads: int | None
) -> RankedLists:
    """The k best of each row's candidates."""
    if isinstance(model, Model):
        # The others are masked as seen items are, so that scores and ties are those of every other list.
        rows, items = np.nonzero(~candidates)
        indptr = np.searchsorted(rows, np.arange(len(users) + 1))
        queries, vectors = model.user_embeddings.vectors[users], model.item_embeddings.vectors
        return top_k(queries, vectors, k, seen=(indptr, items.astype(np.int32)), num_threads=num_threads)
    everything = model.rank(users, candidates.shape[1], exclude_seen=exclude_seen, num_threads=num_threads)
    within = np.arange(everything.positions.shape[1]) < everything.counts[:, None]
    kept = within & np.take_along_axis(candidates, everything.positions, axis=1)
    # A stable sort brings the kept places to the front in their order.
    front = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    counts = np.minimum(kept.sum(axis=1), k).astype(np.int32)
    positions, scores = (np.take_along_axis(part, front, axis=1) for part in (everything.positions, everything.scores))
    return RankedLists(positions, scores, counts)
