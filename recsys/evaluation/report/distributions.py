"""How users differ, how scores tell hits from misses, popular and rare items in lists. May import the rest of evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from recsys.evaluation.report import charts, wording
from recsys.evaluation.report.evidence import Evidence, Shown
from recsys.evaluation.report.figure import Figure, Section
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Column, Content, Table

__all__ = ["distributions_section", "popularity_classes"]

_SCORE_BINS = 30
# Single scores far out would leave no room for the others.
_SCORE_TAIL = 0.002
_USER_BINS = 10
_ABOUT_SCORES = "The further apart the two are, the more a score says. The lowest and highest {} are not drawn."


def distributions_section(result: EvaluationResult, evidence: Evidence | None) -> Section | None:
    """Users where a metric has a value for each; scores and popularity where there are lists."""
    figures = [_users(result)] if result.metrics else []
    if evidence is not None and evidence.shown is not None:
        figures += [*_scores(evidence, evidence.shown), _popularity(evidence, evidence.shown)]
    return Section("distributions", "Distributions", (), figures) if figures else None


# ---- users ------------------------------------------------------------------------------------------------------


def _users(result: EvaluationResult) -> Figure:
    metric, values = result.metrics[0], result.values[:, 0]
    labels, counts = _user_classes(values)
    all_of_them = max(int(counts.sum()), 1)
    records = [{"series": metric, "x": label, "value": int(n) / all_of_them} for label, n in zip(labels, counts, strict=True)]
    zero = f"{wording.percent(counts[0] / all_of_them)} of the users have exactly 0." if labels[0] == "0" else ""
    return Figure(
        name="users",
        title=f"Users by their {metric}",
        note=f"The mean hides that users differ. {zero}".strip(),
        description=f"Bars: share of users in classes of {metric}.",
        spec=charts.shares(records, [metric], f"{metric} of a user", "share of users", labels, bars=True),
        table=_share_table(f"Users in classes of {metric}", metric, labels, {"Users": counts}),
    )


def _user_classes(values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Labels and counts: 0 by itself, where so many stand, then ten classes of equal width up to 1 or the highest value."""
    values = values[np.isfinite(values)]
    low, high = min(float(values.min(initial=0)), 0.0), max(float(values.max(initial=0)), 1.0)
    edges = np.linspace(low, high, _USER_BINS + 1)
    zeros = int((values == 0).sum()) if low == 0 else 0
    counts, _ = np.histogram(values[values != 0] if low == 0 else values, edges)
    names = [f"{begin:.3g}–{end:.3g}" for begin, end in itertools.pairwise(edges)]
    if low < 0:
        return names, counts
    return ["0", *(name if number else f">{name}" for number, name in enumerate(names))], np.array([zeros, *counts])


# ---- popularity -------------------------------------------------------------------------------------------------


def popularity_classes(counts: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The class of each item by how many users have it (0; 1; 2–4; 5–9; 10–19; 20–49; …), and the names of the classes."""
    top = int(counts.max(initial=1))
    edges = [0, 1, 2, 5]
    while edges[-1] <= top:
        edges.append(edges[-3] * 10 if len(edges) > 4 else edges[-1] * 2)
    names = [str(a) if b - a == 1 else f"{a:,}–{b - 1:,}" for a, b in itertools.pairwise(edges)]
    classes = np.searchsorted(edges, counts, side="right") - 1
    used = np.unique(classes)
    return np.searchsorted(used, classes), [names[number] for number in used]


def _popularity(evidence: Evidence, shown: Shown) -> Figure:
    classes, labels = popularity_classes(shown.history.item_counts)
    places = shown.lists.positions[shown.listed]
    groups = {
        "What users took": classes[evidence.relevance.indices],
        "What is recommended": classes[places],
        "Items there are": classes,
    }
    counts = {name: np.bincount(members, minlength=len(labels)) for name, members in groups.items()}
    records = [
        {"series": name, "x": label, "value": int(n) / max(int(column.sum()), 1)}
        for name, column in counts.items()
        for label, n in zip(labels, column, strict=True)
    ]
    covered, n_items = len(np.unique(places)), len(classes)
    note = (
        "Where the recommended lie right of what users took, lists lean to what is popular. "
        f"{wording.count(covered)} of {wording.count(n_items)} items ({wording.percent(covered / n_items)}) "
        "are in at least one list."
    )
    return Figure(
        name="popularity",
        title="Popular and rare items",
        note=note,
        description="Lines: shares of what users took, of what is recommended and of items, by the users who have the item.",
        spec=charts.shares(records, list(groups), "training users who have the item", "share", labels),
        table=_share_table("By how many training users have the item", "Users with the item", labels, counts),
        legend=list(groups),
        wide=True,
    )


# ---- scores -----------------------------------------------------------------------------------------------------


def _scores(evidence: Evidence, shown: Shown) -> list[Figure]:
    """One figure; none where all scores are alike or nothing was hit or missed."""
    scores, hits = shown.lists.scores, evidence.judged.hits
    groups = {"Hits": scores[hits], "Other recommended": scores[shown.listed & ~hits]}
    if min(map(len, groups.values())) == 0:
        return []
    low, high = np.quantile(scores[shown.listed], [_SCORE_TAIL, 1 - _SCORE_TAIL]).astype(float)
    if not low < high:
        return []
    edges = np.linspace(low, high, _SCORE_BINS + 1)
    counts = {name: np.histogram(members, edges)[0] for name, members in groups.items()}
    middles = (edges[:-1] + edges[1:]) / 2
    records = [
        {"series": name, "x": round(float(x), 6), "value": int(n) / max(int(column.sum()), 1)}
        for name, column in counts.items()
        for x, n in zip(middles, column, strict=True)
    ]
    labels = [f"{begin:.3g} to {end:.3g}" for begin, end in itertools.pairwise(edges)]
    figure = Figure(
        name="scores",
        title="Scores of hits and of other recommended items",
        note=_ABOUT_SCORES.format(wording.percent(_SCORE_TAIL)),
        description="Lines: distribution of scores of recommended items that were hits, and of the others.",
        spec=charts.densities(records, list(groups), "score", "share"),
        table=_share_table("Recommended items by score", "Score", labels, counts),
        legend=list(groups),
    )
    return [figure]


def _share_table(caption: str, first: str, labels: Sequence[str], counts: dict[str, np.ndarray]) -> Table:
    columns = [Column(first), *(Column(word, is_number=True) for name in counts for word in (name, "Share"))]
    rows: list[list[Content]] = [[label] for label in labels]
    for column in counts.values():
        for row, n in zip(rows, column.tolist(), strict=True):
            row += [wording.count(n), wording.percent(n / max(int(column.sum()), 1))]
    return Table(caption, columns, rows)
