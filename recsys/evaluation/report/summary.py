"""The verdict in words, and the table of means with intervals. May import the rest of evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable

from recsys.evaluation.report import wording
from recsys.evaluation.report.evidence import Evidence
from recsys.evaluation.report.figure import Section
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Column, Content, Safe, Table, element, joined

__all__ = ["cautions", "metric_name", "summary_section", "verdict"]

_FEW_USERS = 200
_USUAL_CUTOFF = 20
_MANY_LEFT_OUT = 0.1
_SYMBOLS = (
    "R is the set of items that are relevant to a user, those of the test set; h(r) is 1 when the item at place r of the list "
    "is in R, else 0; sums over r go from 1 to k."
)


def verdict(result: EvaluationResult, evidence: Evidence | None) -> list[str]:
    """What was found, in sentences: how many users find anything, where lists tell; then the first metric."""
    row = result.summary().iloc[0]
    finding = wording.finding(row["metric"], row["mean"], row["low"], row["high"], result.confidence)
    k = wording.cutoff(row["metric"]) or _USUAL_CUTOFF
    if evidence is None or k > evidence.depth:
        return [finding]
    found, n = int(evidence.judged.hits[:, :k].any(axis=1).sum()), len(result.users)
    return [
        f"{wording.percent(found / n)} of the users find at least one item that is right among the first {k}.",
        f"{finding} Of {wording.counted(n, 'user')}, {wording.count(n - found)} find nothing right among the first {k}.",
    ]


def cautions(result: EvaluationResult) -> list[str]:
    """What a reader must know before believing the numbers; often nothing."""
    counts, found = result.counts, []
    n = len(result.users)
    if n < _FEW_USERS:
        found.append(f"Only {wording.count(n)} users were evaluated: read the intervals, not the means alone.")
    in_test = counts.get("users_in_test", n)
    if counts.get("users_unknown", 0) > _MANY_LEFT_OUT * in_test:
        unknown = counts["users_unknown"]
        found.append(
            f"{wording.count(unknown)} of {wording.count(in_test)} test users ({wording.percent(unknown / in_test)}) are "
            "unknown to the model and left out: the numbers speak of the others."
        )
    pairs = counts.get("pairs_relevant", 0)
    if pairs and counts.get("pairs_with_unknown_items", 0) > _MANY_LEFT_OUT * pairs:
        unknown = counts["pairs_with_unknown_items"]
        found.append(
            f"{wording.count(unknown)} of {wording.count(pairs)} relevant pairs ({wording.percent(unknown / pairs)}) are with "
            "items unknown to the model; no list can hold them, they count as misses."
        )
    return found


def summary_section(result: EvaluationResult) -> Section:
    """The table of `result.summary()` and the definitions."""
    table, n_users = result.summary(), len(result.users)
    rows: list[list[Content]] = [
        [
            metric_name(row["metric"]),
            wording.number(row["mean"]),
            wording.interval(row["low"], row["high"]),
            wording.count(int(row["n_users"])),
            _gauge(row["mean"], row["low"], row["high"]),
        ]
        for row in table.to_dict(orient="records")
    ]
    columns = [
        Column("Metric"),
        Column("Mean", is_number=True),
        Column(wording.confident(result.confidence), is_number=True),
        Column("Users", is_number=True),
        Column("From 0 to 1", is_wide=True),
    ]
    if (table["n_users"] == n_users).all():
        rows, columns = [[*row[:3], row[4]] for row in rows], [*columns[:3], columns[4]]
    caption = f"Means over {wording.counted(n_users, 'user')}"
    caption += "; what has no interval speaks of all lists together" if result.overall else ""
    summary = Table(caption, columns, rows, name="summary-table").to_html()
    return Section("summary", "Summary", (summary, _definitions(table["metric"])))


def metric_name(metric: str) -> Safe:
    """The name; where its definition is known, a link to it that also shows it under the pointer."""
    text = wording.definition(metric)
    family, at, k = metric.partition("@")
    # Where the line is too short for the whole name it breaks before the cut-off.
    name = joined(family, Safe("<wbr>") if at else None, at + k)
    return element("a", name, href=f"#definition-{family}", title=text, class_="term") if text else name


def _definitions(metrics: Iterable[str]) -> Safe | None:
    """The definitions of all metrics of the page, to be opened; None where none is known."""
    families = dict.fromkeys(metric.partition("@")[0] for metric in metrics)
    known = [(family, wording.definition(family)) for family in families]
    terms = [
        part
        for family, text in known
        if text
        for part in (element("dt", family, id=f"definition-{family}"), element("dd", text))
    ]
    if not terms:
        return None
    content = (element("summary", "Definitions of the metrics"), element("p", _SYMBOLS), element("dl", *terms))
    return element("details", *content, class_="definitions", id="definitions")


def _gauge(mean: float, low: float, high: float) -> Safe | None:
    """A rail from 0 to 1 with the interval and the mean, for the eye alone; none for a metric beyond that scale."""
    if not 0 <= mean <= 1:
        return None
    low, high = (mean, mean) if math.isnan(low) else (low, high)
    marks = [("rail", 0.0, 1.0), ("range", low, high)]
    lines = [
        element("line", class_=name, x1=f"{100 * begin:.2f}%", x2=f"{100 * end:.2f}%", y1="50%", y2="50%")
        for name, begin, end in marks
    ]
    tick = element("line", class_="mean", x1=f"{100 * mean:.2f}%", x2=f"{100 * mean:.2f}%", y1="10%", y2="90%")
    return element("svg", *lines, tick, class_="gauge", aria_hidden="true", focusable="false")
