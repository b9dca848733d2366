"""From ranked lists to the values of all metrics: each block of lists is held against the test set once, on one thread.

May import errors, kernels, parallel and the rest of this folder, not `protocol` and `result`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recsys.errors import DataError, ParameterError
from recsys.evaluation.catalogue import Catalogue
from recsys.evaluation.judged import JudgedLists, RelevantPairs
from recsys.evaluation.metrics import Metric, OverLists, PerUser, RatioOfMeans
from recsys.evaluation.ordering import Contest, require_scores
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.relevance import Relevance
from recsys.kernels import metrics as kernels
from recsys.kernels.dense import row_blocks
from recsys.kernels.shown import all_within, count_shown
from recsys.parallel import Workers
from recsys.retrieval import RankedLists

__all__ = ["Judging", "deepest_cutoff", "require_available"]

# Lists judged at a time: their places and hits stay in a near cache from one metric to the next.
_LISTS_AT_ONCE = 2048


def deepest_cutoff(metrics: Sequence[Metric]) -> int:
    """The largest cut-off among the metrics, 0 where none has one."""
    return max((metric.k or 0 for metric in metrics), default=0)


def require_available(metrics: Sequence[Metric], model: Ranker, catalogue: Catalogue) -> None:
    """Raises `ParameterError` for a metric that needs what `model` and the arguments do not tell."""
    for metric in metrics:
        needs = metric.definition.needs
        if "history" in needs and catalogue.history is None:
            raise ParameterError(f"{metric} needs the training history, and this model keeps none.")
        if "vectors" in needs and catalogue.vectors is None:
            hint = f"Hint: feature_diversity@{metric.k} goes by item_features=."
            raise ParameterError(f"{metric} needs item embeddings, and {type(model).__name__} has none. {hint}")
        if "features" in needs and (catalogue.features is None or not catalogue.features.categories):
            asked = "item_features=, a DataFrame with item_id and columns that name rather than measure"
            raise ParameterError(f"{metric} needs {asked}: text, whole numbers, true and false.")
        if "scores" in needs:
            require_scores(model, str(metric))


@dataclass(eq=False)
class Judging:
    """The values of `metrics` for the lists of the users of `relevance`, which are entered block by block.

    values : (n_users, metrics that have a value a user) float64.
    places : (n_pairs,) int32, where each relevant item stands, -1 where it does not.
    wins : (n_pairs,) float64 for "auc", else None.
    times_shown : for each cut-off of a metric over all lists, (n_items,) int64.
    parts : for each ratio of means, (n_users, 2) float64.
    """

    relevance: Relevance
    metrics: Sequence[Metric]
    catalogue: Catalogue
    values: np.ndarray = field(init=False)
    places: np.ndarray = field(init=False)
    wins: np.ndarray | None = field(init=False, default=None)
    times_shown: dict[int, np.ndarray] = field(init=False)
    parts: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        n_users, n_pairs = len(self.relevance.users), len(self.relevance.pair_items)
        self.per_user = [metric for metric in self.metrics if isinstance(metric.definition, PerUser)]
        over_lists = [metric for metric in self.metrics if isinstance(metric.definition, OverLists)]
        ratios = [(metric, metric.definition) for metric in self.metrics]
        self._ratios = {metric: definition for metric, definition in ratios if isinstance(definition, RatioOfMeans)}
        self.values = np.empty((n_users, len(self.per_user)))
        self.places = np.empty(n_pairs, np.int32)
        if any("scores" in metric.definition.needs for metric in self.metrics):
            self.wins = np.empty(n_pairs)
        self.times_shown = {metric.k or 0: np.zeros(self.catalogue.n_items, np.int64) for metric in over_lists}
        self.parts = {str(metric): np.empty((n_users, 2)) for metric in self._ratios}

    def compare(self, model: Ranker, rows: slice, num_threads: int | None) -> None:
        """Enters, where a metric asks for it, how the relevant items of the block compare with all others."""
        if self.wins is None:
            return
        relevance = self.relevance
        hidden = self.catalogue.history if self.catalogue.exclude_seen else None
        indptr = relevance.pair_indptr[rows.start : rows.stop + 1]
        contest = Contest(model, relevance.user_positions[rows], indptr, relevance.pair_items, hidden)
        self.wins[indptr[0] : indptr[-1]] = contest.wins(num_threads)

    def enter(self, rows: slice, lists: RankedLists, num_threads: int | None) -> None:
        """Judges the lists of the users of a block. The same bytes for any number of threads and any blocks.

        Raises `DataError` for lists that can not be those of these users and items.
        """
        self._refuse_strange(rows, lists)
        blocks = row_blocks(len(lists), _LISTS_AT_ONCE)
        with Workers(num_threads) as workers:
            workers.map(lambda block: self._judge(rows.start + block.start, _part(lists, block)), blocks)
        for k, times_shown in self.times_shown.items():
            count_shown(lists.positions, lists.counts, k, times_shown)

    def overall(self) -> dict[str, float]:
        """The metrics that are one number over all lists, by name."""
        found = {}
        for metric in self.metrics:
            if isinstance(metric.definition, OverLists):
                k = metric.k or 0
                found[str(metric)] = metric.definition(self.times_shown[k], len(self.relevance.users), k)
            elif isinstance(metric.definition, RatioOfMeans):
                found[str(metric)] = metric.definition(self.parts[str(metric)])
        return found

    def pairs(self) -> RelevantPairs:
        """The relevant pairs of all users, once every block was entered."""
        return RelevantPairs(self.relevance.pair_indptr, self.places, self.relevance.pair_gains, self.wins)

    def _refuse_strange(self, rows: slice, lists: RankedLists) -> None:
        n_users, width = rows.stop - rows.start, lists.positions.shape[-1]
        if lists.positions.shape != (n_users, width) or lists.counts.shape != (n_users,):
            raise DataError(f"The ranker gave lists of shape {lists.positions.shape} for {n_users:,} users.")
        if (lists.counts < 0).any() or (lists.counts > width).any():
            raise DataError(f"The ranker gave lists of {lists.counts.min()} to {lists.counts.max()} items in {width} places.")

    def _judge(self, begin: int, lists: RankedLists) -> None:
        n_items = self.catalogue.n_items
        if not all_within(lists.positions, lists.counts, n_items):
            raise DataError(f"The ranker gave positions outside of its {n_items:,} items: are they those of another model?")
        rows = slice(begin, begin + len(lists))
        indptr = self.relevance.pair_indptr[begin : rows.stop + 1]
        entries = slice(indptr[0], indptr[-1])
        relevant = self.relevance.pair_items[entries]
        self.places[entries] = kernels.find_places(lists.positions, lists.counts, indptr - indptr[0], relevant)
        judged = JudgedLists.from_pairs(
            self.pairs().rows(rows),
            lists.positions.shape[1],
            shown=lists,
            users=self.relevance.user_positions[rows],
            catalogue=self.catalogue,
        )
        for column, metric in enumerate(self.per_user):
            self.values[rows, column] = metric.of(judged)
        for metric, definition in self._ratios.items():
            self.parts[str(metric)][rows] = definition.parts(judged, metric.k or 0)


def _part(lists: RankedLists, rows: slice) -> RankedLists:
    return RankedLists(lists.positions[rows], lists.scores[rows], lists.counts[rows])
