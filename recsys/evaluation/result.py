"""`EvaluationResult`: the value of each metric for each user, and what they are about.

May import errors, ids and this folder's intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from recsys.errors import DataError
from recsys.evaluation.intervals import RESAMPLES, mean_intervals
from recsys.ids import IdMap

__all__ = ["EvaluationResult"]


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult:
    """What `recsys.evaluate` found. Immutable.

    users : ids of the evaluated users.
    metrics : their names, such as ("recall@20", "ndcg@20").
    values : (n_users, n_metrics) float64, one row a user.
    counts : users and pairs evaluated and left out; see `recsys.evaluate`.
    provenance : "model" and "test" that the numbers are about, and the settings of the "evaluation".
    confidence, random_state : of the intervals in `summary()`.
    """

    users: IdMap
    metrics: tuple[str, ...]
    values: np.ndarray
    counts: Mapping[str, int]
    provenance: Mapping[str, Any]
    confidence: float = 0.95
    random_state: int = 0

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
        """
        low, high = self._intervals
        columns = {"metric": list(self.metrics), "mean": self._means, "low": low, "high": high, "n_users": len(self.users)}
        return pd.DataFrame(columns)

    @property
    def per_user(self) -> pd.DataFrame:
        """One row a user, in order of the test set: user_id, then one float64 column a metric."""
        columns = {name: self.values[:, column].copy() for column, name in enumerate(self.metrics)}
        return pd.DataFrame({"user_id": self.users.series(np.arange(len(self.users))), **columns})

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

    @property
    def _means(self) -> np.ndarray:
        return np.asarray(self.values.mean(axis=0))

    @cached_property
    def _intervals(self) -> tuple[np.ndarray, np.ndarray]:
        return mean_intervals(self.values, self.confidence, np.random.default_rng(self.random_state))

    def _heading(self) -> str:
        return f"EvaluationResult: {len(self.users):,} users, means with {100 * self.confidence:g} % intervals over users"

    def _left_out(self) -> str:
        """What a reader of the means must know, as one line; empty when nothing was left out."""
        return "; ".join(f"{self.counts[key]:,} {text}" for key, text in self._notes.items() if self.counts.get(key))

    def __repr__(self) -> str:
        table = self.summary().to_string(index=False, float_format="{:.4f}".format)
        return "\n".join(line for line in (self._heading(), table, self._left_out()) if line)

    def _repr_html_(self) -> str:
        table = self.summary().to_html(index=False, float_format="{:.4f}".format, border=0)
        return f"<p>{escape(self._heading())}</p>{table}<p>{escape(self._left_out())}</p>"


def _plain(value: Any) -> Any:
    """A number as JSON knows it: NaN, which it does not, becomes None."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and math.isnan(number) else number
