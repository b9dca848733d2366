"""`EvaluationResult`: the value of each metric for each user, and what they are about.

May import errors, ids, retrieval and this folder's averages and slices.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError
from recsys.evaluation.averages import Averages, average, ratio_average
from recsys.evaluation.intervals import RESAMPLES
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.slices import Basis, Slicing, slice_table
from recsys.ids import IdMap
from recsys.retrieval import RankedLists

__all__ = ["EvaluationResult"]


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult:
    """What `recsys.evaluate` found. Immutable.

    users : ids of the evaluated users.
    metrics : names of those that have a value for each user, such as ("recall@20", "ndcg@20").
    values : (n_users, n_metrics) float64, one row a user; NaN where a metric has no value for a user (a list too short to be
        diverse, no item left to compare with), who is then left out of its mean.
    overall : the metrics that are one number over all lists, such as {"coverage@20": 0.31}.
    counts : users and pairs evaluated and left out; see `recsys.evaluate`.
    provenance : "model" and "test" that the numbers are about, and the settings of the "evaluation".
    confidence, random_state : of the intervals in `summary()`.
    lists : the ranked lists, by position in the model, one row a user, cut at the largest cut-off; None unless
        `recsys.evaluate` was asked to keep them.
    basis : what `by` makes slices of; None for a result that was not made by `recsys.evaluate`.
    """

    users: IdMap
    metrics: tuple[str, ...]
    values: np.ndarray
    counts: Mapping[str, int]
    provenance: Mapping[str, Any]
    confidence: float = 0.95
    random_state: int = 0
    overall: Mapping[str, float] = field(default_factory=dict)
    lists: RankedLists | None = None
    basis: Basis | None = None

    _notes: ClassVar[Mapping[str, str]] = {
        "users_unknown": "users unknown to the model left out",
        "users_without_relevant_items": "users without relevant items left out",
        "pairs_with_unknown_items": "pairs with items unknown to the model counted as misses",
        "pairs_dropped": "pairs in the model's history dropped",
        "users_with_short_lists": "users with lists shorter than the largest cut-off",
    }

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.users), len(self.metrics)):
            wanted = f"{(len(self.users), len(self.metrics))} (users, metrics)"
            raise DataError(f"EvaluationResult.values must be of shape {wanted}. Got {self.values.shape}.")
        view = self.values.view()
        view.flags.writeable = False
        object.__setattr__(self, "values", view)

    def summary(self) -> pd.DataFrame:
        """One row a metric: metric, mean over users, low and high end of its bootstrap interval (BCa), n_users.

        The interval says what other users like these would give; see `recsys.evaluation.intervals`. With one user it is NaN.
        n_users is how many have a value. Metrics over all lists come last: "mean" is their number, which for a ratio of means
        ("popularity_lift") has an interval. Those that count items ("coverage", "gini", "personalisation") have none: they
        depend on how many different users there are, and drawing users again leaves fewer.
        """
        low, high = self._intervals
        columns = {"metric": list(self.metrics), "mean": self._means, "low": low, "high": high, "n_users": self._n_users}
        table = pd.DataFrame(columns)
        return pd.concat([table, self._overall_rows], ignore_index=True) if self.overall else table

    def by(self, name: str, *, of: str | None = None, bins: int = 4, fewer_than: int = 1) -> pd.DataFrame:
        """The metrics in slices: one row a slice and metric, with columns slice, metric, mean, low, high, n_users.

        name : what to cut by.
            "user_activity" : by how many items users have in the history, cut into `bins` parts at quantiles.
            "item_popularity" : "head", the most popular items that hold a fifth of the history's interactions; "tail", the
                least popular that hold a fifth; "mid", those between; "no interactions".
            "cold_users", "cold_items" : those with fewer than `fewer_than` interactions in the history, and the others. Items
                unknown to the model are cold. Users unknown to it have no lists: `counts["users_unknown"]` says how many.
            a column of user_features or item_features, as given to `recsys.evaluate`: a slice a value; numbers of more than
                `bins` values are cut at quantiles; "missing" comes last.
        of : "users" or "items", where both tables have a column of that name.

        A slice of users averages over these users; n_users is how many have a value. Metrics over all lists are given too:
        a ratio of means ("popularity_lift") always, the others when the lists were kept (`keep_lists=True`), over the lists
        of the slice.
        A slice of items S keeps every list as it is and counts R ∩ S as relevant in the place of R, for the users who have such
        items (n_users). An item outside S takes its place in the list and is no hit; "auc" compares the items of R ∩ S with
        the same others as before. Metrics that do not look at relevant items are left out.

        A slice without users has mean NaN. Raises `ParameterError` for what can not be cut by, naming what can.
        """
        if self.basis is None:
            raise ParameterError(f"{type(self).__name__} has no slices: only what recsys.evaluate returns has.")
        for argument, value, least in (("bins", bins, 2), ("fewer_than", fewer_than, 1)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
                raise ParameterError(f"The `{argument}` parameter of by must be an int >= {least}. Got {value!r}.")
        how = Slicing(int(bins), int(fewer_than))
        return slice_table(self.basis, self.values, self.lists, name, of, how, self.confidence, self.random_state)

    @property
    def per_user(self) -> pd.DataFrame:
        """One row a user, in order of the test set: user_id, then one float64 column a metric."""
        columns = {name: self.values[:, column].copy() for column, name in enumerate(self.metrics)}
        return pd.DataFrame({"user_id": self.users.series(np.arange(len(self.users))), **columns})

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        compare_with: Mapping[str, EvaluationResult] | None = None,
        name: str | None = None,
        model: Ranker | None = None,
        titles: pd.DataFrame | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Writes one HTML page about this result, complete in itself, to look at and to pass on; returns its path.

            result = recsys.evaluate(model, test, ["ndcg@20", "recall@20"], keep_lists=True)
            result.report("report.html", compare_with={"popularity": other}, titles=films)

        It shows the verdict in words, the means with intervals, the metrics against the length of the list, slices (by
        activity, by popularity, by the columns given to `recsys.evaluate`), distributions over users, popularity and scores,
        lists of single users, and where data and model come from. Charts are drawn when the page is opened; it loads
        nothing from anywhere.

        compare_with : names and results of other models for the same test; see `recsys.compare`.
        name : what this model is called; by default its trainer's name.
        model : the model that was evaluated; where the lists were not kept it ranks again (the first 100 places at most).
            Without either there are no distributions of popularity and scores and no examples.
        titles : a DataFrame with columns item_id and title, for the examples; items that it lacks go by their id.

        Ids and titles stand on the page: what may not be shown to its readers must not be in them. Raises
        `MissingExtraError` without the extra `report`, `ParameterError` for an existing path unless `overwrite`, `DataError`
        for another model than the one evaluated.
        """
        from recsys.evaluation.report import write_report  # below it, all of this folder

        return write_report(self, path, compare_with=compare_with, name=name, model=model, titles=titles, overwrite=overwrite)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows of the users, ready for JSON; an end of an interval that is not defined is None."""
        rows = self.summary().set_index("metric").to_dict(orient="index")
        metrics = {name: {key: _plain(value) for key, value in row.items()} for name, row in rows.items()}
        interval = {"method": "BCa bootstrap over users", "confidence": self.confidence, "resamples": RESAMPLES}
        return {
            "metrics": metrics,
            "interval": {**interval, "random_state": self.random_state},
            "counts": dict(self.counts),
            **self.provenance,
        }

    @cached_property
    def _averages(self) -> Averages:
        return average(self.values, self.confidence, self.random_state)

    @property
    def _means(self) -> np.ndarray:
        return self._averages.mean

    @property
    def _n_users(self) -> np.ndarray:
        return np.asarray((~np.isnan(self.values)).sum(axis=0))

    @property
    def _intervals(self) -> tuple[np.ndarray, np.ndarray]:
        return self._averages.low, self._averages.high

    @cached_property
    def _overall_rows(self) -> pd.DataFrame:
        """The rows of `summary` for the metrics over all lists."""
        rows = []
        for name, value in self.overall.items():
            parts = None if self.basis is None else self.basis.parts.get(name)
            numbers: tuple[float, ...] = (value, np.nan, np.nan, len(self.users))
            rows.append((name, *(numbers if parts is None else ratio_average(parts, self.confidence, self.random_state))))
        return pd.DataFrame(rows, columns=["metric", "mean", "low", "high", "n_users"])

    def _heading(self) -> str:
        return f"EvaluationResult: {len(self.users):,} users, means with {100 * self.confidence:g} % intervals over users"

    def _left_out(self) -> str:
        """What a reader of the means must know, as one line; empty when nothing was left out."""
        return "; ".join(f"{self.counts[key]:,} {text}" for key, text in self._notes.items() if self.counts.get(key))

    def __repr__(self) -> str:
        table = self.summary().to_string(index=False, float_format="{:.4f}".format, na_rep="–")
        return "\n".join(line for line in (self._heading(), table, self._left_out()) if line)

    def _repr_html_(self) -> str:
        table = self.summary().to_html(index=False, float_format="{:.4f}".format, border=0, na_rep="–")
        return f"<p>{escape(self._heading())}</p>{table}<p>{escape(self._left_out())}</p>"


def _plain(value: Any) -> Any:
    """A number as JSON knows it: NaN, which it does not, becomes None."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and math.isnan(number) else number
