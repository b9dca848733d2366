"""The metrics in slices: by activity, by popularity, by columns of users and items. May import the rest of evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recsys.evaluation.aligned_table import AlignedTable
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.report import charts, wording
from recsys.evaluation.report.figure import Figure, Section
from recsys.evaluation.result import EvaluationResult
from recsys.evaluation.slices import Basis
from recsys.pages.markup import Column, Content, Table, element

__all__ = ["slices_section"]

_MOST_VALUES = 60
_MOST_ROWS = 12
_MOST_COLUMNS = 8
_OF_USERS = "How many items a user has in the training data."
_OF_ITEMS = (
    "Head: the most popular items that hold a fifth of the training interactions; tail: the least popular that hold a fifth. "
    "Lists stay as they are; only items of the slice count as relevant."
)


def slices_section(result: EvaluationResult) -> Section | None:
    """A figure for each way of cutting; None where nothing can be cut or nothing judges relevant items."""
    metrics = [name for name in result.metrics if METRICS[name.partition("@")[0]].of_relevant]
    if result.basis is None or not metrics:
        return None
    figures: list[Figure] = []
    if result.basis.catalogue.history is not None:
        figures = [
            _figure(result, metrics, "user_activity", "users", "Users by activity", _OF_USERS),
            _figure(result, metrics, "item_popularity", "items", "Items by popularity", _OF_ITEMS),
        ]
    columns, skipped = _columns(result.basis)
    figures += [_figure(result, metrics, name, of, f"{of.capitalize()} by {name}", "") for name, of in columns]
    body: list[Content] = [element("p", f"{metrics[0]} in parts of the users and of the items, with intervals.")]
    if skipped:
        body.append(element("p", f"Not shown, for their many values: {wording.enumerated(skipped)}.", class_="small"))
    return Section("slices", "Slices", body, figures) if figures else None


def _columns(basis: Basis) -> tuple[list[tuple[str, str]], list[str]]:
    """The columns given by the user that make a readable number of slices, with their side, and those that do not."""
    shown: list[tuple[str, str]] = []
    skipped: list[str] = []
    tables: list[tuple[str, AlignedTable | None]] = [("users", basis.users), ("items", basis.catalogue.features)]
    for side, features in tables:
        for name in [] if features is None else features.columns:
            column = features.table[name] if features is not None else pd.Series()
            many = column.nunique() > _MOST_VALUES and not pd.api.types.is_numeric_dtype(column)
            if many or len(shown) == _MOST_COLUMNS:
                skipped.append(name)
            else:
                shown.append((name, side))
    return shown, skipped


def _figure(result: EvaluationResult, metrics: Sequence[str], by: str, of: str, title: str, note: str) -> Figure:
    found = result.by(by) if by in ("user_activity", "item_popularity") else result.by(by, of=of)
    found = found[found["metric"].isin(metrics) & found["mean"].notna()]
    first = found[found["metric"] == metrics[0]]
    largest = first.nlargest(_MOST_ROWS, "n_users").index
    if len(first) > _MOST_ROWS:
        first, note = first.loc[sorted(largest)], f"{note} The {_MOST_ROWS} with the most users.".strip()
    records = [
        {"label": row["slice"], "mean": row["mean"], "low": wording.or_none(row["low"]), "high": wording.or_none(row["high"])}
        for row in first.to_dict(orient="records")
    ]
    line = result.summary().set_index("metric")["mean"][metrics[0]] if of == "users" else None
    note = f"{note} The dashed line is the mean over all." if line is not None else note
    return Figure(
        name=f"slice-{of}-{_plain(by)}",
        title=title,
        note=note.strip(),
        description=f"Dots with intervals: {metrics[0]} in {wording.counted(len(records), 'slice')} by {by}.",
        spec=charts.interval_dots(records, metrics[0], line_at=line),
        table=_table(found, title, result.confidence),
    )


def _table(found: pd.DataFrame, title: str, confidence: float) -> Table:
    numbers = ("Mean", wording.confident(confidence), "Users")
    columns = [Column("Slice"), Column("Metric"), *(Column(heading, is_number=True) for heading in numbers)]
    rows = [
        (
            row["slice"],
            row["metric"],
            wording.number(row["mean"]),
            wording.interval(row["low"], row["high"]),
            wording.count(int(row["n_users"])),
        )
        for row in found.to_dict(orient="records")
    ]
    return Table(title, columns, rows)


def _plain(text: str) -> str:
    """A column's name as a part of an identifier: other characters by their number."""
    return "".join(character if character.isascii() and character.isalnum() else f"-{ord(character)}-" for character in text)
