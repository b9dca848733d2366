"""This model against others: paired differences as forest plots. May import errors and the rest of evaluation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from recsys.errors import ParameterError
from recsys.evaluation.comparison import compare
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.report import charts, wording
from recsys.evaluation.report.figure import Figure, Section
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Column, Table, element

__all__ = ["comparison_section", "comparison_sentences", "differences_from"]

_MINUS = "−"


def differences_from(result: EvaluationResult, name: str, others: Mapping[str, EvaluationResult]) -> pd.DataFrame:
    """Rows metric, other, mean, other_mean, difference, low, high, p_adjusted, detectable_difference, outcome.

    As `recsys.compare` finds them with this model as its baseline, turned round: the difference is this model less the other.
    outcome : "better", "worse", "differs" for a metric that describes lists and does not judge them, or "same" where no
        difference is shown.
    """
    if name in others:
        raise ParameterError(f"`compare_with` names another model {name!r}, as this one is called. Hint: pass another name=.")
    results = {name: result, **others}
    found = compare(results, baseline=name, confidence=result.confidence, random_state=result.random_state)
    return pd.DataFrame([_turned(row) for row in found.table().to_dict(orient="records")])


def _turned(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """A row of `Comparison.table`, b less a where a is this model, as a less b."""
    turned = {"better": "worse", "worse": "better", "higher": "differs", "lower": "differs"}
    return {
        "metric": row["metric"],
        "other": row["b"],
        "mean": row["mean_a"],
        "other_mean": row["mean_b"],
        "difference": -row["difference"],
        "low": -row["high"],
        "high": -row["low"],
        "p_adjusted": row["p_adjusted"],
        "detectable_difference": row["detectable_difference"],
        "outcome": turned.get(row["verdict"], "same"),
    }


def comparison_sentences(table: pd.DataFrame, name: str, confidence: float) -> list[str]:
    """The outcome in one sentence, then one about each other model; all speak of the first metric."""
    first = table[table["metric"] == table["metric"].iloc[0]].to_dict(orient="records")
    return [_outcome(first, name), *(_sentence(row, confidence) for row in first)]


def _outcome(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    words = {
        "better": "ranks better than {}",
        "worse": "ranks worse than {}",
        "differs": "differs from {}",
        "same": "shows no difference from {}",
    }
    groups = {kind: [str(row["other"]) for row in rows if row["outcome"] == kind] for kind in words}
    parts = [words[kind].format(wording.enumerated(others)) for kind, others in groups.items() if others]
    return f"{name} {'; it '.join(parts)}."


def _sentence(row: Mapping[str, Any], confidence: float) -> str:
    metric, other = row["metric"], row["other"]
    span = f"{wording.confident(confidence)} {wording.signed(row['low'])} to {wording.signed(row['high'])}"
    if row["outcome"] == "same":
        return (
            f"Against {other} no difference could be shown in {metric}: {wording.signed(row['difference'])} ({span}); the "
            f"smallest that these users can reliably show is about {wording.number(row['detectable_difference'])}."
        )
    p_value = _p_value(row["p_adjusted"])
    values = f"{wording.number(row['mean'])} against {wording.number(row['other_mean'])}"
    return f"Against {other}: {metric} {values}, a difference of {wording.signed(row['difference'])} ({span}, {p_value})."


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.3f}"


def comparison_section(table: pd.DataFrame, name: str, confidence: float) -> Section:
    """A forest plot for each other model, with its table."""
    pairs = enumerate(table.groupby("other", sort=False))
    figures = [_figure(number, str(other), rows, name, confidence) for number, (other, rows) in pairs]
    text = (
        "The differences are taken user by user, over the same users. Right of the dashed line "
        f"{name} has the higher value; grey is what chance may explain. P-values come from a permutation test and are "
        "corrected for the number of comparisons (Holm); the intervals are not."
    )
    return Section("comparison", "Comparison", (element("p", text),), figures)


def _figure(number: int, other: str, rows: pd.DataFrame, name: str, confidence: float) -> Figure:
    judging = rows[[_judges(metric) for metric in rows["metric"]]]
    drawn = rows if judging.empty else judging
    records = [
        {
            "label": row["metric"],
            "mean": row["difference"],
            "low": wording.or_none(row["low"]),
            "high": wording.or_none(row["high"]),
            "outcome": row["outcome"],
        }
        for row in drawn.to_dict(orient="records")
    ]
    others = "" if len(drawn) == len(rows) else " Metrics that describe lists and do not judge them are among the numbers."
    return Figure(
        name=f"difference-{number}",
        title=f"{name} {_MINUS} {other}",
        note=f"Differences of the means, with {wording.confident(confidence)}s.{others}",
        description=f"Forest plot: {name} less {other} in {wording.counted(len(records), 'metric')}, with intervals.",
        spec=charts.interval_dots(records, "difference", line_at=0, coloured=True),
        table=_table(other, rows, name, confidence),
    )


def _judges(metric: str) -> bool:
    """Whether more is better. What describes lists (novelty, popularity) may have quite another scale."""
    known = METRICS.get(metric.partition("@")[0])
    return known is not None and known.of_relevant


def _table(other: str, rows: pd.DataFrame, name: str, confidence: float) -> Table:
    headings = [name, other, "Difference", wording.confident(confidence), "p, corrected", "Could be shown"]
    columns = [Column("Metric"), *(Column(heading, is_number=True) for heading in headings)]
    cells = [
        (
            row["metric"],
            wording.number(row["mean"]),
            wording.number(row["other_mean"]),
            wording.signed(row["difference"]),
            f"{wording.signed(row['low'])} to {wording.signed(row['high'])}",
            _p_value(row["p_adjusted"]),
            wording.number(row["detectable_difference"]),
        )
        for row in rows.to_dict(orient="records")
    ]
    return Table(f"{name} and {other} over the same users", columns, cells)
