"""`Comparison`: the differences between models that `recsys.compare` found, as a table, in words, and user by user.

May import errors, ids and this folder's metrics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError
from recsys.evaluation.metrics import METRICS
from recsys.ids import IdMap

__all__ = ["Comparison", "Difference"]

_SENTENCES_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """One row of a comparison: models `a` and `b` on `metric`, the difference being b - a. See `recsys.compare`.

    p_adjusted : corrected over all rows of the comparison.
    effect_size : NaN where all users' differences are equal.
    better, equal, worse : shares of users whose value is higher, the same and lower under b; they sum to 1.
    verdict : where shown, "better" or "worse" for metrics that judge a list, "higher" or "lower" for those that describe it
        (such as novelty); "same" where every user has the same value under both; else "not shown".
    """

    metric: str
    a: str
    b: str
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    effect_size: float
    better: float
    equal: float
    worse: float
    detectable_difference: float
    n_users: int
    verdict: str

    @property
    def judges(self) -> bool:
        """Whether more of the metric is better."""
        definition = METRICS.get(self.metric.partition("@")[0])
        return definition is not None and definition.of_relevant

    def corrected(self, p_adjusted: float, alpha: float) -> Difference:
        """This row with its corrected p-value, and the verdict that it gives at level `alpha`."""
        return dataclasses.replace(self, p_adjusted=p_adjusted, verdict=self._judged(p_adjusted <= alpha))

    def _judged(self, shown: bool) -> str:
        if self.equal == 1:
            return "same"
        if not shown:
            return "not shown"
        words = ("better", "worse") if self.judges else ("higher", "lower")
        return words[self.difference < 0]

    def in_words(self, correction: str = "") -> str:
        """The verdict as a sentence; `correction` follows the p-value, such as " (Holm)"."""
        if self.verdict == "same":
            return f"{self.a} and {self.b} have the same {self.metric} for every user"
        p_value = f"{_probability(self.p_adjusted)}{correction}"
        if self.verdict == "not shown":
            return (
                f"no difference between {self.a} and {self.b} on {self.metric} is shown: {self.size_in_words()}, {p_value}; "
                f"{self._power_in_words()}"
            )
        low, high = (self.low, self.high) if self.difference >= 0 else (-self.high, -self.low)
        size, ends = f"{abs(self.difference):.{self._decimals}f}", f"[{low:.{self._decimals}f}, {high:.{self._decimals}f}]"
        return f"{self.b} is {self.verdict} than {self.a} on {self.metric} by {size} {ends}, {p_value}"

    def _power_in_words(self) -> str:
        if math.isinf(self.detectable_difference):
            return f"{self.n_users:,} users are too few to show any difference"
        return f"this test set could show {self.detectable_difference:.{self._decimals}f}"

    def size_in_words(self) -> str:
        """The difference b - a and its interval: `-0.0020 [-0.0094, +0.0052]`."""
        size, low, high = (f"{value:+.{self._decimals}f}" for value in (self.difference, self.low, self.high))
        return f"{size} [{low}, {high}]"

    @property
    def _decimals(self) -> int:
        """At least four, and enough for two digits of the interval's width."""
        width = self.high - self.low
        scale = width if width > 1e-6 * abs(self.difference) else abs(self.difference)
        return min(12, max(4, 1 - math.floor(math.log10(scale)))) if scale > 0 else 4


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `recsys.compare` found. Immutable.

    models, metrics : their names.
    users : the users that are compared, in order of the first model's result.
    values : for each model (n_users, n_metrics) float64.
    differences : one a pair of models and metric; pairs in order of the models, a before b, or all with the baseline as a.
    left_out : for each model how many of its users are not compared.
    provenance : "models", where each comes from; "test" and "evaluation", which they share.
    """

    models: tuple[str, ...]
    metrics: tuple[str, ...]
    users: IdMap
    values: tuple[np.ndarray, ...]
    differences: tuple[Difference, ...]
    left_out: Mapping[str, int]
    provenance: Mapping[str, Any]
    baseline: str | None
    confidence: float
    resamples: int
    random_state: int

    def __post_init__(self) -> None:
        wanted = (len(self.users), len(self.metrics))
        shapes = [values.shape for values in self.values]
        if shapes != [wanted] * len(self.models):
            raise DataError(f"Comparison.values must hold an array of shape {wanted} (users, metrics) a model. Got {shapes}.")
        views = tuple(values.view() for values in self.values)
        for view in views:
            view.flags.writeable = False
        object.__setattr__(self, "values", views)

    def table(self) -> pd.DataFrame:
        """One row a metric and pair: the fields of `Difference`, in order of the metrics."""
        return pd.DataFrame([dataclasses.asdict(row) for row in self.differences])

    @property
    def per_user(self) -> pd.DataFrame:
        """One row a pair of models and user: a, b, user_id, then for each metric the value of b less that of a."""
        ids = self.users.series(np.arange(len(self.users)))
        frames = [pd.DataFrame({"a": a, "b": b, "user_id": ids, **columns}) for a, b, columns in self._user_differences()]
        return pd.concat(frames, ignore_index=True)

    def sentence(self, row: Difference) -> str:
        """What a row says, in words."""
        return row.in_words(" (Holm)" if len(self.differences) > 1 else "")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows of the users, ready for JSON; a number that is not defined is None."""
        rows = [{name: _plain(value) for name, value in dataclasses.asdict(row).items()} for row in self.differences]
        return {
            "models": list(self.models),
            "metrics": list(self.metrics),
            "baseline": self.baseline,
            "n_users": len(self.users),
            "users_left_out": dict(self.left_out),
            "differences": [
                values | {"sentence": self.sentence(row)} for values, row in zip(rows, self.differences, strict=True)
            ],
            "test_of_differences": {
                "p_value": "sign flips of users' differences, two-sided",
                "correction": "Holm",
                "family": len(self.differences),
                "interval": "BCa bootstrap over users",
                "confidence": self.confidence,
                "resamples": self.resamples,
                "random_state": self.random_state,
            },
            "provenance": dict(self.provenance),
        }

    def _user_differences(self) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
        for a, b in dict.fromkeys((row.a, row.b) for row in self.differences):
            found = self.values[self.models.index(b)] - self.values[self.models.index(a)]
            yield a, b, {name: found[:, column] for column, name in enumerate(self.metrics)}

    def _heading(self) -> str:
        count = len(self.differences)
        corrected = f", p-values corrected over {count} differences" if count > 1 else ""
        return (
            f"Comparison: {len(self.models)} models, the same {len(self.users):,} users, "
            f"{100 * self.confidence:g} % intervals over users{corrected}"
        )

    def _sentences(self) -> list[str]:
        sentences = [self.sentence(row) for row in self.differences[:_SENTENCES_SHOWN]]
        more = len(self.differences) - len(sentences)
        return sentences + ([f"and {more:,} more: see table()"] if more else [])

    def _left_out(self) -> str:
        gone = [f"{count:,} of {model}" for model, count in self.left_out.items() if count]
        return f"Users left out because not all results have them: {', '.join(gone)}" if gone else ""

    def __repr__(self) -> str:
        lines = [self._heading(), *(f"- {sentence}" for sentence in self._sentences()), self._left_out()]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        table = self.table().to_html(index=False, float_format="{:.4f}".format, border=0)
        sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in self._sentences())
        return f"<p>{escape(self._heading())}</p><ul>{sentences}</ul>{table}<p>{escape(self._left_out())}</p>"


def _probability(value: float) -> str:
    return f"p = {value:.4f}" if value >= 0.00005 else "p < 0.0001"


def _plain(value: Any) -> Any:
    """A number as JSON knows it: NaN and infinities, which it does not, become None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
