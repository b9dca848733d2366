"""Slices of an evaluation: by user activity, by item popularity, cold users and items, by any column of users or items.

May import errors, ids, kernels, retrieval and the rest of this folder, not `protocol` and `result`.

A slice of users averages over fewer users. A slice of items keeps the lists as they were and lets only the slice's items count
as relevant: every metric of the relevant items is computed again with R ∩ S in the place of R, for users who have any such
item. So a hit on an item outside of S takes its place in the list and counts as no hit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import ParameterError, closest_hint
from recsys.evaluation.aligned_table import AlignedTable
from recsys.evaluation.averages import average, ratio_average
from recsys.evaluation.catalogue import Catalogue
from recsys.evaluation.judged import JudgedLists, RelevantPairs
from recsys.evaluation.metrics import Metric, OverLists, PerUser
from recsys.evaluation.relevance import Relevance
from recsys.kernels.shown import count_shown
from recsys.retrieval import RankedLists

__all__ = ["BUILT_IN", "Basis", "Slicing", "slice_table"]

# Abdollahpouri et al. 2021, "User-centered evaluation of popularity bias in recommender systems": the most popular items that
# hold a fifth of all interactions are the head, the least popular that hold a fifth the tail.
_HEAD_SHARE, _TAIL_SHARE = 0.2, 0.2
_MOST_SLICES = 200
_COLUMNS = ["slice", "metric", "mean", "low", "high", "n_users"]


@dataclass(frozen=True, eq=False)
class Basis:
    """What slices are made of: an evaluation before it was averaged.

    pairs : the relevant pairs of all users and their places in the lists.
    parts : for each ratio of means, (n_users, 2) float64.
    users : what the user of the library told about the users, if anything; that about the items is in the catalogue.
    """

    relevance: Relevance
    metrics: tuple[Metric, ...]
    pairs: RelevantPairs
    catalogue: Catalogue
    parts: Mapping[str, np.ndarray]
    users: AlignedTable | None


@dataclass(frozen=True)
class Slicing:
    """How to cut. bins : into how many parts numbers are cut at quantiles;  fewer_than : what counts as cold."""

    bins: int = 4
    fewer_than: int = 1


@dataclass(frozen=True, eq=False)
class Labels:
    """codes : (n,) int64, the slice of each user or item, -1 for none;  names : of the slices, in the order to show."""

    codes: np.ndarray
    names: list[str]


def slice_table(
    basis: Basis,
    values: np.ndarray,
    lists: RankedLists | None,
    name: str,
    of: str | None,
    how: Slicing,
    confidence: float,
    random_state: int,
) -> pd.DataFrame:
    """One row a slice and metric: slice, metric, mean, low, high, n_users. See `EvaluationResult.by`."""
    side, labels = _labels(basis, name, of, how)
    if len(labels.names) > _MOST_SLICES:
        hint = f"Hint: group its values to {_MOST_SLICES} or fewer."
        raise ParameterError(f"{name!r} would make {len(labels.names):,} slices. {hint}")
    make = _user_slices if side == "users" else _item_slices
    rows: list[tuple[Any, ...]] = []
    for label, per_user, parts, overall in make(basis, values, lists, labels):
        names = [metric for metric in basis.metrics if isinstance(metric.definition, PerUser)]
        names = names if side == "users" else [metric for metric in names if metric.definition.of_relevant]
        means = average(per_user, confidence, random_state)
        columns = zip(names, means.mean, means.low, means.high, means.n_users, strict=True)
        rows += [(label, str(metric), *numbers) for metric, *numbers in columns]
        rows += [(label, metric, *ratio_average(both, confidence, random_state)) for metric, both in parts.items()]
        rows += [(label, metric, value, np.nan, np.nan, len(per_user)) for metric, value in overall.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


Slices = Iterator[tuple[str, np.ndarray, dict[str, np.ndarray], dict[str, float]]]


def _user_slices(basis: Basis, values: np.ndarray, lists: RankedLists | None, labels: Labels) -> Slices:
    """For each slice of users: its name, their values, the parts of ratios, and the numbers over their lists, if kept."""
    for code, label in enumerate(labels.names):
        rows = np.flatnonzero(labels.codes == code)
        parts = {name: both[rows] for name, both in basis.parts.items()}
        overall = {} if lists is None else _over_lists(basis, lists, rows)
        yield label, values[rows], parts, overall


def _over_lists(basis: Basis, lists: RankedLists, rows: np.ndarray) -> dict[str, float]:
    overall = {}
    positions, counts = lists.positions[rows], lists.counts[rows]
    for metric in basis.metrics:
        definition = metric.definition
        if isinstance(definition, OverLists):
            times_shown = np.zeros(basis.catalogue.n_items, np.int64)
            count_shown(positions, counts, metric.k, times_shown)
            overall[str(metric)] = definition(times_shown, len(rows), metric.k or 0)
    return overall


def _item_slices(basis: Basis, values: np.ndarray, lists: RankedLists | None, labels: Labels) -> Slices:
    """For each slice of items: its name, and the values of those who have relevant items in it, these alone relevant."""
    metrics = [m for m in basis.metrics if isinstance(m.definition, PerUser) and m.definition.of_relevant]
    if not metrics:
        raise ParameterError("A slice of items needs a metric of relevant items, such as 'recall@20'; none was evaluated.")
    of_pair = labels.codes[basis.relevance.pair_items]
    width = int(basis.pairs.places.max(initial=-1)) + 1
    for code, label in enumerate(labels.names):
        _, pairs = basis.pairs.select(of_pair == code)
        judged = JudgedLists.from_pairs(pairs, width)
        columns = [metric.of(judged) for metric in metrics]
        yield label, np.column_stack(columns), {}, {}


# ---- labels ---------------------------------------------------------------------------------------------------------


def _labels(basis: Basis, name: str, of: str | None, how: Slicing) -> tuple[str, Labels]:
    """Which side ("users" or "items") is cut, and the slice of each."""
    if of not in (None, "users", "items"):
        raise ParameterError(f"`of` must be 'users' or 'items'. Got {of!r}.{closest_hint(str(of), ('users', 'items'))}")
    if name in BUILT_IN:
        side, labels = BUILT_IN[name]
        return side, labels(basis, how)
    tables = {"users": basis.users, "items": basis.catalogue.features}
    having = [side for side, table in tables.items() if table is not None and name in table.columns and of in (None, side)]
    if len(having) == 2:
        hint = "Hint: say of='users' or of='items'."
        raise ParameterError(f"Both user_features and item_features have a column {name!r}. {hint}")
    if not having:
        columns = [column for table in tables.values() if table is not None for column in table.columns]
        known = [*BUILT_IN, *columns]
        hint = "" if columns else " Hint: user_features= and item_features= of evaluate bring columns."
        raise ParameterError(f"No slices by {name!r}. Known: {', '.join(known)}.{closest_hint(str(name), known)}{hint}")
    table = tables[having[0]]
    if having[0] == "items" and table is not None:
        table = table.for_ids(basis.relevance.items, "item_features")
    return having[0], _column_labels(table.table[name] if table is not None else pd.Series(), how.bins)


def _column_labels(column: pd.Series, bins: int) -> Labels:
    """A slice a value in sorted order; numbers of more than `bins` values are cut at quantiles; missing values come last."""
    missing = column.isna().to_numpy()
    there = column[~missing]
    numeric = pd.api.types.is_numeric_dtype(there.infer_objects()) and not pd.api.types.is_bool_dtype(there.infer_objects())
    codes = np.full(len(column), -1, np.int64)
    if numeric and there.nunique() > bins:
        found = _quantile_labels(there.to_numpy(np.float64), bins)
    else:
        values = sorted(there.unique(), key=lambda value: (str(type(value)), value))
        places = {value: place for place, value in enumerate(values)}
        names = [_number(value) if numeric else str(value) for value in values]
        found = Labels(there.map(places).to_numpy(np.int64), names)
    codes[~missing] = found.codes
    codes[missing] = len(found.names)
    return Labels(codes, found.names + ["missing"] * bool(missing.any()))


def _quantile_labels(values: np.ndarray, bins: int) -> Labels:
    """Parts of about equal size, named by their smallest and largest value; equal values are never parted."""
    if not len(values):
        return Labels(np.empty(0, np.int64), [])
    ends = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    _, codes = np.unique(np.searchsorted(ends, values, side="left"), return_inverse=True)
    names = []
    for code in range(int(codes.max()) + 1):
        part = values[codes == code]
        low, high = _number(part.min()), _number(part.max())
        names.append(low if low == high else f"{low} to {high}")
    return Labels(codes, names)


def _number(value: Any) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{float(value):.4g}"


def _user_counts(basis: Basis) -> np.ndarray:
    """(n_users,) how many items each evaluated user has in the history."""
    if basis.catalogue.history is None:
        raise ParameterError("These slices need the training history, and this model keeps none.")
    return np.asarray(basis.catalogue.history.user_counts[basis.relevance.user_positions])


def _item_counts(basis: Basis) -> np.ndarray:
    """How many users have each item in the history, 0 for those that the model does not know."""
    if basis.catalogue.history is None:
        raise ParameterError("These slices need the training history, and this model keeps none.")
    counts = np.zeros(len(basis.relevance.items), np.int64)
    counts[: basis.catalogue.n_items] = basis.catalogue.history.item_counts
    return counts


def _user_activity(basis: Basis, how: Slicing) -> Labels:
    return _quantile_labels(_user_counts(basis).astype(np.float64), how.bins)


def _item_popularity(basis: Basis, how: Slicing) -> Labels:
    counts = _item_counts(basis)
    levels, level, n_items = np.unique(counts, return_inverse=True, return_counts=True)
    # The share of all interactions that more popular items hold; equally popular items are never parted.
    held = levels * n_items
    above = (held.sum() - np.cumsum(held)) / max(1, held.sum())
    part = np.where(above < _HEAD_SHARE, 0, np.where(above < 1 - _TAIL_SHARE, 1, 2))
    part[levels == 0] = 3
    return Labels(part[level], ["head", "mid", "tail", "no interactions"])


def _cold(counts: np.ndarray, fewer_than: int) -> Labels:
    cold = "no interactions" if fewer_than == 1 else f"fewer than {fewer_than:,}"
    return Labels((counts >= fewer_than).astype(np.int64), [cold, f"{fewer_than:,} or more"])


BUILT_IN: dict[str, tuple[str, Callable[[Basis, Slicing], Labels]]] = {
    "user_activity": ("users", _user_activity),
    "cold_users": ("users", lambda basis, how: _cold(_user_counts(basis), how.fewer_than)),
    "item_popularity": ("items", _item_popularity),
    "cold_items": ("items", lambda basis, how: _cold(_item_counts(basis), how.fewer_than)),
}
