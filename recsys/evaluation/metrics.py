"""The metrics of ranked lists: one stated definition each, the table of their names, and reading `"ndcg@10"`.

May import errors, kernels. A new metric is a kernel, a function here with its formula, and a line in `METRICS`.

For one user, R is the set of relevant items, |R| >= 1; the list holds distinct items at the places r = 1, 2, …; h(r) is 1 when
the item at place r is in R, else 0, and 0 beyond the end of a list that is shorter than k: missing
recommendations count as misses. Sums over r go from 1 to k. Every value lies in [0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.kernels import metrics as kernels

if TYPE_CHECKING:
    from recsys.retrieval import RankedLists

__all__ = [
    "METRICS",
    "JudgedLists",
    "Metric",
    "average_precision",
    "hit_rate",
    "ndcg",
    "parse_metrics",
    "precision",
    "recall",
    "reciprocal_rank",
]


@dataclass(frozen=True, eq=False)
class JudgedLists:
    """Ranked lists held against the relevant items: all that the metrics look at. Built once, read by every metric.

    hits : (n_lists, width) bool, True where the item at that place is relevant; False beyond the end of a list.
    n_relevant : (n_lists,) int64, how many items are relevant, at least 1, also those that no list can hold.

    Raises `DataError` when the parts do not fit together.
    """

    hits: np.ndarray
    n_relevant: np.ndarray

    def __post_init__(self) -> None:
        if self.hits.dtype != np.bool_ or self.hits.ndim != 2 or self.n_relevant.shape != self.hits.shape[:1]:
            raise DataError(
                "JudgedLists.hits must be bool of shape (n_lists, width) and n_relevant of shape (n_lists,). "
                f"Got {self.hits.dtype} of shape {self.hits.shape} and shape {self.n_relevant.shape}."
            )
        if (self.n_relevant < 1).any():
            row = int(np.flatnonzero(self.n_relevant < 1)[0])
            raise DataError(f"A list without relevant items has no value and must be left out. List {row} is one.")

    @classmethod
    def from_ranked(cls, lists: RankedLists, indptr: np.ndarray, relevant: np.ndarray, n_relevant: np.ndarray) -> JudgedLists:
        """List r of `lists` against relevant[indptr[r]:indptr[r + 1]], item positions (int32) that rise.

        n_relevant : (n_lists,) int64, at least as many: relevant items that have no position are counted here alone.
        """
        n_lists, width = lists.positions.shape
        if lists.counts.shape != (n_lists,) or len(indptr) != n_lists + 1 or (lists.counts > width).any():
            raise DataError(
                f"There are {n_lists} lists of up to {width} items, and relevant items for {len(indptr) - 1} lists."
            )
        return cls(kernels.find_hits(lists.positions, lists.counts, indptr, relevant), n_relevant)


def recall(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the relevant items that were found: Σ h(r) / |R|.

    The plain definition (Manning, Raghavan & Schütze 2008, "Introduction to Information Retrieval", section 8.3). With |R| > k
    it stays below 1 even for a perfect list; the variant divided by min(k, |R|) (Liang et al. 2018) is another metric.

    Returns (n_lists,) float64, as all metrics here do.
    """
    return np.asarray(kernels.recall(lists.hits, lists.n_relevant, k))


def precision(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the k places that hold a relevant item: Σ h(r) / k.

    Always divided by k (Manning, Raghavan & Schütze 2008, section 8.4), also when the list is shorter than k or |R| < k;
    some libraries divide by the length of the list or by min(k, |R|) and keep the name.
    """
    return np.asarray(kernels.precision(lists.hits, lists.n_relevant, k))


def hit_rate(lists: JudgedLists, k: int) -> np.ndarray:
    """1 when at least one relevant item was found, else 0: max h(r).

    Equal to recall where each user has one relevant item (Deshpande & Karypis 2004, "Item-based top-N recommendation
    algorithms", section 6.2).
    """
    return np.asarray(kernels.hit_rate(lists.hits, lists.n_relevant, k))


def reciprocal_rank(lists: JudgedLists, k: int) -> np.ndarray:
    """1 / place of the first relevant item, 0 when none stands within k.

    Its mean over users is `mrr` (Voorhees 1999, "The TREC-8 Question Answering Track Report").
    """
    return np.asarray(kernels.reciprocal_rank(lists.hits, lists.n_relevant, k))


def average_precision(lists: JudgedLists, k: int) -> np.ndarray:
    """The mean precision at the places of the relevant items: Σ h(r) · P(r) / min(k, |R|), P(r) = Σ_{s ≤ r} h(s) / r.

    Its mean over users is `map` (Manning, Raghavan & Schütze 2008, section 8.4, cut at k). Divided by min(k, |R|), so that
    a perfect list gives 1. Two other definitions go by the same name: divided by |R| (the one of TREC's map_cut, at
    most k / |R|), and divided by the hits found, which rewards a list for stopping early.
    """
    return np.asarray(kernels.average_precision(lists.hits, lists.n_relevant, k))


def ndcg(lists: JudgedLists, k: int) -> np.ndarray:
    """Discounted cumulative gain over the best possible one: Σ h(r) / log2(r + 1) / Σ_{r ≤ min(k, |R|)} 1 / log2(r + 1).

    Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with gains 0 and 1 and the discount
    1 / log2(r + 1), so that places 1 and 2 differ. The ideal list is as long as k or |R|, whichever is smaller, whatever
    the length of the list that was returned.
    """
    return np.asarray(kernels.ndcg(lists.hits, lists.n_relevant, k))


@dataclass(frozen=True)
class Metric:
    """One metric at one cut-off, as asked for. `str(metric)` is its name in tables, such as "ndcg@10"."""

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    def of(self, lists: JudgedLists) -> np.ndarray:
        """(n_lists,) float64, the value of each list."""
        return METRICS[self.name](lists, self.k)


METRICS: dict[str, Callable[[JudgedLists, int], np.ndarray]] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def parse_metrics(names: str | Iterable[str]) -> list[Metric]:
    """Reads `["ndcg@10", "Recall@20"]` or `"ndcg@10,recall@20"`; upper and lower case are the same, repetitions count once.

    Raises `ParameterError` for an empty list, an unknown name (the closest is named), and a cut-off that is missing or below 1.
    """
    parts = names.split(",") if isinstance(names, str) else list(names)
    parts = [part for part in parts if not isinstance(part, str) or part.strip()]
    if not parts:
        raise ParameterError(f"`metrics` must name at least one metric, such as 'ndcg@10'. Known: {', '.join(METRICS)}.")
    return list(dict.fromkeys(_parse_metric(part) for part in parts))


def _parse_metric(text: str) -> Metric:
    if not isinstance(text, str):
        raise ParameterError(f"A metric must be a text such as 'ndcg@10'. Got {quote_some([text])}.")
    name, _, cutoff = (part.strip() for part in text.lower().partition("@"))
    name = name.replace("-", "_")
    if name not in METRICS:
        raise ParameterError(f"Unknown metric {text!r}. Known: {', '.join(METRICS)}.{closest_hint(name, list(METRICS))}")
    if not re.fullmatch(r"[0-9]{1,9}", cutoff) or int(cutoff) < 1:
        raise ParameterError(f"A metric must name a cut-off of at least 1 after @, such as '{name}@20'. Got {text!r}.")
    return Metric(name, int(cutoff))
