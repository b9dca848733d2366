"""The metrics against the length of the list. May import errors and the rest of evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recsys.evaluation.intervals import mean_intervals
from recsys.evaluation.metrics import METRICS, Metric
from recsys.evaluation.report import charts, wording
from recsys.evaluation.report.evidence import Evidence
from recsys.evaluation.report.figure import Figure, Section
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Column, Table

__all__ = ["cutoffs_section", "metrics_by_cutoff"]

# Near each other where the curves bend, far apart where they are flat.
_CUTOFFS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100)
_MOST_FAMILIES = 6
# Up to this depth the axis is linear.
_LINEAR_DEPTH = 30
_NEAR_TICKS, _FAR_TICKS = (1, 5, 10, 15, 20, 25, 30), (1, 2, 5, 10, 20, 50, 100)


def metrics_by_cutoff(result: EvaluationResult, evidence: Evidence) -> pd.DataFrame:
    """Columns metric (without its cut-off), k, mean, low, high: as `result.summary()` gives where it names that cut-off.

    The intervals are drawn with the seed of the result, so that they are the same ones.
    """
    families = _families(result.metrics)
    asked = {wording.cutoff(metric) for metric in result.metrics}
    cutoffs = sorted({k for k in {*_CUTOFFS, *asked, evidence.depth} if k is not None and k <= evidence.depth})
    metrics = [Metric(family, k) for family in families for k in cutoffs]
    values = np.column_stack([metric.of(evidence.judged) for metric in metrics])
    low, high = mean_intervals(values, result.confidence, np.random.default_rng(result.random_state))
    names, depths = [metric.name for metric in metrics], [metric.k for metric in metrics]
    return pd.DataFrame({"metric": names, "k": depths, "mean": values.mean(axis=0), "low": low, "high": high})


def cutoffs_section(result: EvaluationResult, evidence: Evidence) -> Section | None:
    """The curves; None where no metric has a cut-off."""
    families = _families(result.metrics)
    if not families:
        return None
    curves = metrics_by_cutoff(result, evidence)
    records = [
        {
            "series": row["metric"],
            "x": row["k"],
            "value": row["mean"],
            "low": wording.or_none(row["low"]),
            "high": wording.or_none(row["high"]),
        }
        for row in curves.to_dict(orient="records")
    ]
    far = evidence.depth > _LINEAR_DEPTH
    ticks = [k for k in (_FAR_TICKS if far else _NEAR_TICKS) if k <= evidence.depth]
    spec = charts.lines(records, families, "k, places of the list", "mean over users", ticks, logarithmic=far)
    figure = Figure(
        name="cutoffs",
        title="How the numbers change with k",
        note="Only the first k places of each list count. The bands are the intervals.",
        description=f"Lines of {', '.join(families)} against k from 1 to {evidence.depth}.",
        spec=spec,
        table=_table(curves, families),
        legend=families,
        wide=True,
    )
    return Section("cutoffs", "Length of the list", (), (figure,))


def _table(curves: pd.DataFrame, families: Sequence[str]) -> Table:
    means = curves.pivot(index="k", columns="metric", values="mean")
    rows = [(str(k), *(wording.number(row[family]) for family in families)) for k, row in means.iterrows()]
    columns = [Column("k", is_number=True), *(Column(family, is_number=True) for family in families)]
    return Table("Mean over users at each k", columns, rows)


def _families(metrics: Sequence[str]) -> list[str]:
    """The metrics that judge the first k places and ask for nothing but hits, each once, as many as there are colours."""
    names = dict.fromkeys(metric.partition("@")[0] for metric in metrics if wording.cutoff(metric) is not None)
    known = [name for name in names if name in METRICS and METRICS[name].of_relevant and not METRICS[name].needs]
    return known[:_MOST_FAMILIES]
