"""The metrics of ranked lists: one stated definition each, the table of their names, and reading `"ndcg@10"`.

May import errors, kernels and this folder's judged lists and `beyond_accuracy`. A new metric is a kernel, a function with its
formula (here when it looks at what is relevant, in `beyond_accuracy` when at what is shown), and a line in `METRICS`.

For one user, R is the set of relevant items, |R| >= 1; the list holds distinct items at the places r = 1, 2, …; h(r) is 1 when
the item at place r is in R, else 0, and 0 beyond the end of a list that is shorter than k: missing
recommendations count as misses. Sums over r go from 1 to k. Every value lies in [0, 1]. A user without relevant items has no
value and is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.evaluation import beyond_accuracy as beyond
from recsys.evaluation.judged import JudgedLists
from recsys.kernels import metrics as kernels

__all__ = [
    "METRICS",
    "Definition",
    "JudgedLists",
    "Metric",
    "OverLists",
    "PerUser",
    "RatioOfMeans",
    "auc",
    "average_precision",
    "hit_rate",
    "ndcg",
    "ndcg_graded",
    "parse_metrics",
    "precision",
    "r_precision",
    "recall",
    "recall_capped",
    "reciprocal_rank",
]


def recall(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the relevant items that were found: Σ h(r) / |R|.

    The plain definition (Manning, Raghavan & Schütze 2008, "Introduction to Information Retrieval", section 8.3). With |R| > k
    it stays below 1 even for a perfect list; the variant divided by min(k, |R|) is `recall_capped`.

    Returns (n_lists,) float64, as all metrics here do.
    """
    return np.asarray(kernels.recall(*lists.hit_rows, k))


def recall_capped(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the relevant items that k places can hold that was found: Σ h(r) / min(k, |R|).

    What papers on variational autoencoders call Recall@R (Liang et al. 2018, "Variational autoencoders for collaborative
    filtering", section 4.2) and BEIR R_cap@k (Thakur et al. 2021, "BEIR: a heterogeneous benchmark for zero-shot evaluation of
    information retrieval models"). 1 for a perfect list however many items are relevant; equal to `recall` where |R| <= k.
    """
    return np.asarray(kernels.recall_capped(*lists.hit_rows, k))


def precision(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the k places that hold a relevant item: Σ h(r) / k.

    Always divided by k (Manning, Raghavan & Schütze 2008, section 8.4), also when the list is shorter than k or |R| < k;
    some libraries divide by the length of the list or by min(k, |R|) and keep the name.
    """
    return np.asarray(kernels.precision(*lists.hit_rows, k))


def hit_rate(lists: JudgedLists, k: int) -> np.ndarray:
    """1 when at least one relevant item was found, else 0: max h(r).

    Equal to recall where each user has one relevant item (Deshpande & Karypis 2004, "Item-based top-N recommendation
    algorithms", section 6.2).
    """
    return np.asarray(kernels.hit_rate(*lists.hit_rows, k))


def reciprocal_rank(lists: JudgedLists, k: int) -> np.ndarray:
    """1 / place of the first relevant item, 0 when none stands within k.

    Its mean over users is `mrr` (Voorhees 1999, "The TREC-8 Question Answering Track Report").
    """
    return np.asarray(kernels.reciprocal_rank(*lists.hit_rows, k))


def average_precision(lists: JudgedLists, k: int) -> np.ndarray:
    """The mean precision at the places of the relevant items: Σ h(r) · P(r) / min(k, |R|), P(r) = Σ_{s ≤ r} h(s) / r.

    Its mean over users is `map` (Manning, Raghavan & Schütze 2008, section 8.4, cut at k). Divided by min(k, |R|), so that
    a perfect list gives 1. Two other definitions go by the same name: divided by |R| (the one of TREC's map_cut, at
    most k / |R|), and divided by the hits found, which rewards a list for stopping early.
    """
    return np.asarray(kernels.average_precision(*lists.hit_rows, k))


def ndcg(lists: JudgedLists, k: int) -> np.ndarray:
    """Discounted cumulative gain over the best possible one: Σ h(r) / log2(r + 1) / Σ_{r ≤ min(k, |R|)} 1 / log2(r + 1).

    Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with gains 0 and 1 and the discount
    1 / log2(r + 1), so that places 1 and 2 differ. The ideal list is as long as k or |R|, whichever is smaller, whatever
    the length of the list that was returned.
    """
    return np.asarray(kernels.ndcg(*lists.hit_rows, k))


def ndcg_graded(lists: JudgedLists, k: int) -> np.ndarray:
    """NDCG whose gain is the weight in the test set: Σ g(r) / log2(r + 1) over the largest such sum of k items of R.

    g(r) is the weight of the item at place r where that is in R, else 0: the linear gains of Järvelin & Kekäläinen 2002, as in
    scikit-learn's `ndcg_score`, and not 2^g - 1 (Burges et al. 2005), which has no finite value for a count of plays;
    `test.weighted(lambda w: 2**w - 1)` gives that one. Equal to `ndcg` where all weights are the same. Weights must not be
    negative; NaN for a user whose weights are all 0.
    """
    pairs = lists.require("pairs")
    owners = np.repeat(np.arange(len(pairs.indptr) - 1), np.diff(pairs.indptr))
    rising = pairs.gains[np.lexsort((pairs.gains, owners))]
    return np.asarray(kernels.ndcg_graded(pairs.indptr, pairs.places, pairs.gains, rising, k))


def r_precision(lists: JudgedLists, k: int | None = None) -> np.ndarray:
    """Precision, which is then also recall, at |R|: Σ_{r ≤ |R|} h(r) / |R|. It has no cut-off: each user has an own one.

    Manning, Raghavan & Schütze 2008, section 8.4. 1 exactly when all relevant items stand first. The lists must reach to |R|,
    which `recsys.evaluate` sees to.
    """
    return np.asarray(kernels.r_precision(*lists.hit_rows))


def auc(lists: JudgedLists, k: int | None = None) -> np.ndarray:
    """The area under the ROC curve over all candidates N: the chance that a relevant item scores above another item.

    Σ_{i ∈ R} Σ_{j ∈ N} ([s_i > s_j] + [s_i = s_j] / 2) / (|R| |N|), where N are the model's items that are neither relevant nor
    left out of the lists (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve"; Rendle et al. 2009, "BPR",
    section 4.1). It has no cut-off. Exact: scores are compared as float64 products rounded to float32, every item counts.
    A relevant item that no list can hold loses every comparison. Where N is empty there is nothing to compare: NaN.
    """
    pairs = lists.require("pairs")
    return np.asarray(kernels.mean_over_relevant(pairs.indptr, pairs.wins, lists.n_relevant))


@dataclass(frozen=True)
class Definition:
    """A line of `METRICS`.

    compute : the function whose docstring is the definition.
    needs : what the lists alone do not tell: "history", "vectors", "features" (of the catalogue) and "scores" (of all items).
    has_cutoff : whether its name goes on with @k.
    of_relevant : whether it has a meaning for a part of the relevant items, so that it can be cut by item.
    """

    compute: Callable[..., Any]
    needs: tuple[str, ...] = ()
    has_cutoff: bool = True
    of_relevant: bool = False


@dataclass(frozen=True)
class PerUser(Definition):
    """A value for each list: compute(lists, k) is (n_lists,) float64, NaN for a list that has none."""

    def __call__(self, lists: JudgedLists, k: int = 0) -> np.ndarray:
        return np.asarray(self.compute(lists, k))


@dataclass(frozen=True)
class OverLists(Definition):
    """One number over all lists: compute(times each item is shown within k, number of lists, k)."""

    def __call__(self, times_shown: np.ndarray, n_lists: int, k: int) -> float:
        return float(self.compute(times_shown, n_lists, k))


@dataclass(frozen=True)
class RatioOfMeans(Definition):
    """One number over all lists: compute(parts), where parts(lists, k) is (n_lists, 2) float64, two values of each user.

    It is the mean of the first over the mean of the second, less 1, over the users who have both (the others' are NaN).
    """

    parts: Callable[[JudgedLists, int], np.ndarray] = beyond.popularity_parts

    def __call__(self, parts: np.ndarray) -> float:
        return float(self.compute(parts))


METRICS: dict[str, Definition] = {
    "recall": PerUser(recall, of_relevant=True),
    "recall_capped": PerUser(recall_capped, of_relevant=True),
    "precision": PerUser(precision, of_relevant=True),
    "ndcg": PerUser(ndcg, of_relevant=True),
    "ndcg_graded": PerUser(ndcg_graded, of_relevant=True),
    "map": PerUser(average_precision, of_relevant=True),
    "mrr": PerUser(reciprocal_rank, of_relevant=True),
    "hit_rate": PerUser(hit_rate, of_relevant=True),
    "r_precision": PerUser(r_precision, of_relevant=True, has_cutoff=False),
    "auc": PerUser(auc, ("scores",), of_relevant=True, has_cutoff=False),
    "novelty": PerUser(beyond.novelty, ("history",)),
    "average_popularity": PerUser(beyond.average_popularity, ("history",)),
    "intra_list_diversity": PerUser(beyond.intra_list_diversity, ("vectors",)),
    "feature_diversity": PerUser(beyond.feature_diversity, ("features",)),
    "serendipity": PerUser(beyond.serendipity, ("history",)),
    "coverage": OverLists(beyond.coverage),
    "gini": OverLists(beyond.gini),
    "personalisation": OverLists(beyond.personalisation),
    "popularity_lift": RatioOfMeans(beyond.popularity_lift, ("history",)),
}


@dataclass(frozen=True)
class Metric:
    """One metric as asked for, at one cut-off or (k None) without. `str(metric)` is its name in tables, such as "ndcg@10"."""

    name: str
    k: int | None = None

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def definition(self) -> Definition:
        """Its line in `METRICS`."""
        return METRICS[self.name]

    def of(self, lists: JudgedLists) -> np.ndarray:
        """(n_lists,) float64, the value of each list. Raises `ParameterError` for a metric over all lists together."""
        definition = self.definition
        if not isinstance(definition, PerUser):
            raise ParameterError(f"{self} is one number over all lists and has no value for each of them.")
        return definition(lists, self.k or 0)


def parse_metrics(names: str | Iterable[str]) -> list[Metric]:
    """Reads `["ndcg@10", "Recall@20", "auc"]` or `"ndcg@10,recall@20"`; in either case, repetitions count once.

    Raises `ParameterError` for an empty list, an unknown name (the closest is named), a cut-off that is missing or below 1, and
    one where there is none.
    """
    parts = names.split(",") if isinstance(names, str) else list(names)
    parts = [part for part in parts if not isinstance(part, str) or part.strip()]
    if not parts:
        raise ParameterError(f"`metrics` must name at least one metric, such as 'ndcg@10'. Known: {', '.join(METRICS)}.")
    return list(dict.fromkeys(_parse_metric(part) for part in parts))


def _parse_metric(text: str) -> Metric:
    if not isinstance(text, str):
        raise ParameterError(f"A metric must be a text such as 'ndcg@10'. Got {quote_some([text])}.")
    name, at, cutoff = (part.strip() for part in text.lower().partition("@"))
    name = name.replace("-", "_")
    if name not in METRICS:
        raise ParameterError(f"Unknown metric {text!r}. Known: {', '.join(METRICS)}.{closest_hint(name, list(METRICS))}")
    if not METRICS[name].has_cutoff:
        if at:
            raise ParameterError(f"The metric {name!r} looks at whole rankings and has no cut-off. Got {text!r}.")
        return Metric(name)
    if not re.fullmatch(r"[0-9]{1,9}", cutoff) or int(cutoff) < 1:
        raise ParameterError(f"A metric must name a cut-off of at least 1 after @, such as '{name}@20'. Got {text!r}.")
    return Metric(name, int(cutoff))
