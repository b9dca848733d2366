"""`VersionComparison`: what changed from one version of embeddings to the next, as numbers, tables, sentences and a gate.

May import errors and the other files of this room.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recsys.embeddings.alignment import Alignment
from recsys.embeddings.drift import Spectrum
from recsys.embeddings.embeddings import Embeddings
from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.ids import IdMap

__all__ = ["LIMITS", "VersionComparison", "require_limits"]

# What a gate can ask of: the measure, and whether it must not be above (or else below) the limit.
LIMITS: dict[str, tuple[str, bool]] = {
    "min_overlap": ("overlap", False),
    "min_list_overlap": ("list_overlap", False),
    "min_cka": ("cka", False),
    "max_displacement": ("displacement", True),
    "max_gone": ("gone_share", True),
    "max_new": ("new_share", True),
}

_MEANINGS = {
    "n_before": "ids before",
    "n_after": "ids after",
    "n_shared": "ids in both",
    "gone_share": "share of the ids before that are gone",
    "new_share": "share of the ids after that are new",
    "displacement": "mean distance moved after alignment, in typical lengths of a vector",
    "cosine": "mean cosine of an id's two vectors after alignment",
    "overlap": "mean share of an id's {k} nearest neighbours that stayed",
    "cka": "linear CKA: 1 when ids are told apart alike but for rotation and size",
    "norm_ratio": "median of an id's length after over before",
    "effective_rank_before": "dimensions that count before",
    "effective_rank_after": "dimensions that count after",
    "list_overlap": "mean share of a user's list of {k} that stayed",
    "list_average_overlap": "the same, mean over the first 1, 2, … {k}: falls also when the order changes",
    "list_same_first": "share of users whose first item stayed",
}


@dataclass(frozen=True, eq=False, repr=False)
class VersionComparison:
    """The result of `recsys.embeddings.compare`.

    before, after : the shared ids' vectors, in the same order and dimensions, `after` aligned.
    gone, new : ids of one side alone;  alignment : how `after` was turned.
    per_id : a row a shared id: its id, displacement, cosine, norm_before, norm_after, overlap (NaN where not drawn or without
        neighbours), and group if there are groups.
    users : of models: user_id, overlap, average_overlap, same_first for each that was drawn of the `n_shared_users`.
    spectra : of the two versions as they were given.
    """

    k: int
    before: Embeddings
    after: Embeddings
    gone: IdMap
    new: IdMap
    alignment: Alignment
    cka: float
    spectra: tuple[Spectrum, Spectrum]
    per_id: pd.DataFrame
    users: pd.DataFrame | None = None
    n_shared_users: int = 0

    def __repr__(self) -> str:
        found, name = self.measures, self.before.ids.name
        text = (
            f"VersionComparison({found['n_shared']:,} {name}s in both, {len(self.gone):,} gone, {len(self.new):,} new; "
            f"displacement {found['displacement']:.3f}, overlap@{self.k} {found['overlap']:.3f}, CKA {found['cka']:.3f}"
        )
        return text + (f", lists {found['list_overlap']:.3f})" if self.users is not None else ")")

    @cached_property
    def measures(self) -> dict[str, float]:
        """One number for each measure of `summary`."""
        shared, table = len(self.before), self.per_id
        found = {
            "n_before": shared + len(self.gone),
            "n_after": shared + len(self.new),
            "n_shared": shared,
            "gone_share": len(self.gone) / (shared + len(self.gone)),
            "new_share": len(self.new) / (shared + len(self.new)),
            **{name: float(table[name].mean()) for name in ("displacement", "cosine", "overlap")},
            "cka": self.cka,
            "norm_ratio": _median_ratio(table),
            "effective_rank_before": self.spectra[0].effective_rank,
            "effective_rank_after": self.spectra[1].effective_rank,
        }
        if self.users is not None:
            shares = ("overlap", "average_overlap", "same_first")
            found |= {f"list_{name}": float(self.users[name].mean()) for name in shares}
        return found

    def summary(self) -> pd.DataFrame:
        """Columns measure, value, low, high, meaning. low and high: 95 % interval of a mean over what was drawn, else NaN."""
        ends = self._intervals
        rows = [
            (name, value, *ends.get(name, (math.nan, math.nan)), _MEANINGS[name].format(k=self.k))
            for name, value in self.measures.items()
        ]
        return pd.DataFrame(rows, columns=["measure", "value", "low", "high", "meaning"])

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float]]:
        sampled: dict[str, tuple[Any, int]] = {"overlap": (self.per_id["overlap"], len(self.before))}
        if self.users is not None:
            for name in ("overlap", "average_overlap", "same_first"):
                sampled[f"list_{name}"] = (self.users[name], self.n_shared_users)
        return {name: _interval(values.dropna().to_numpy(), n) for name, (values, n) in sampled.items()}

    def spectrum(self) -> pd.DataFrame:
        """Columns axis (from 1), share_before, share_after: of the summed squared lengths along each principal axis."""
        one, other = (found.shares for found in self.spectra)
        dim = max(len(one), len(other))
        columns = {"share_before": _longer(one, dim), "share_after": _longer(other, dim)}
        return pd.DataFrame({"axis": np.arange(1, dim + 1), **columns})

    def by_group(self) -> pd.DataFrame:
        """Columns group, n, displacement, cosine, overlap, norm_ratio; a row a group, ids without one at the end as None."""
        if "group" not in self.per_id:
            raise ParameterError("There are no groups. Hint: compare(…, groups=…) takes a Series from id to group.")
        rows = []
        for label, part in self.per_id.groupby("group", dropna=False, sort=True):
            means = [float(part[name].mean()) for name in ("displacement", "cosine", "overlap")]
            rows.append((None if pd.isna(label) else label, len(part), *means, _median_ratio(part)))
        return pd.DataFrame(rows, columns=["group", "n", "displacement", "cosine", "overlap", "norm_ratio"])

    def moved(self, n: int = 10, *, by: str = "displacement", k: int = 3) -> pd.DataFrame:
        """The n ids that moved most, with the k ids that each was near before and is near now.

        by : "displacement", "cosine" (of a vector with itself, lowest first) or "overlap" (of neighbours, lowest first).
        Columns {ids.name}, displacement, cosine, overlap, near_before, near_after; the last two are lists of ids.
        """
        if by not in ("displacement", "cosine", "overlap"):
            raise ParameterError(f"`by` must be 'displacement', 'cosine' or 'overlap'. Got {by!r}.")
        known = self.per_id.dropna(subset=[by])
        chosen = known.sort_values(by, ascending=by != "displacement", kind="stable").head(n)
        rows = chosen.index.to_numpy()
        table = chosen[[self.before.ids.name, "displacement", "cosine", "overlap"]].reset_index(drop=True)
        for column, version in (("near_before", self.before), ("near_after", self.after)):
            table[column] = pd.Series(_near(version, rows, k), dtype=object)
        return table

    def gate(self, **limits: float) -> list[str]:
        """A sentence for each limit that is not kept; none when the new version may take the place of the old.

        limits : min_overlap, min_list_overlap (models), min_cka, max_displacement, max_gone, max_new: the measures of
        `summary`, shares as numbers from 0 to 1. A measure that is not known (NaN) keeps no limit.
        """
        return list(self._broken(limits))

    def _broken(self, limits: Mapping[str, float]) -> Iterator[str]:
        require_limits(limits)
        for name, limit in limits.items():
            measure, is_most = LIMITS[name]
            if measure not in self.measures:
                raise ParameterError(f"`{name}` is about users' lists, so two models must be compared.")
            value = self.measures[measure]
            if not (value <= limit if is_most else value >= limit):
                way = "above" if is_most else "below"
                yield f"{measure} is {value:.4f}, {way} {limit:g} ({_MEANINGS[measure].format(k=self.k)})"

    def to_dict(self, *, n_moved: int = 10, n_ids: int = 100) -> dict[str, Any]:
        """What a report needs, as JSON has it: measures with intervals, alignment, spectrum, groups, what moved most, and up to
        `n_ids` of the ids that are gone, and of the new ones.
        """
        report = {
            "ids": self.before.ids.name,
            "k": self.k,
            "measures": {name: _finite(value) for name, value in self.measures.items()},
            "intervals": {name: [_finite(end) for end in ends] for name, ends in self._intervals.items()},
            "n_drawn": {
                "ids": int(self.per_id["overlap"].notna().sum()),
                "users": None if self.users is None else len(self.users),
            },
            "alignment": self.alignment.describe(),
            "spectrum": _records(self.spectrum()),
            "moved": _records(self.moved(n_moved)),
            "gone": self.gone.to_arrow().slice(0, n_ids).to_pylist(),
            "new": self.new.to_arrow().slice(0, n_ids).to_pylist(),
        }
        return report | ({"groups": _records(self.by_group())} if "group" in self.per_id else {})


def require_limits(limits: Mapping[str, float]) -> None:
    """Raises `ParameterError` unless each is one that `VersionComparison.gate` knows."""
    for name, limit in limits.items():
        if name not in LIMITS:
            raise ParameterError(
                f"A limit must be one of {quote_some(LIMITS, 10)}. Got {name!r}.{closest_hint(name, list(LIMITS))}"
            )
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:
            raise ParameterError(f"`{name}` must be a number >= 0. Got {limit!r}.")


def _median_ratio(table: pd.DataFrame) -> float:
    lasting = table[table["norm_before"] > 0]
    return float((lasting["norm_after"] / lasting["norm_before"]).median())


def _interval(values: np.ndarray, population: int) -> tuple[float, float]:
    """The mean ± 1.96 standard errors, less what a sample without replacement from a finite population saves."""
    if len(values) < 2 or len(values) >= population:
        return math.nan, math.nan
    error = 1.96 * float(values.std(ddof=1)) * math.sqrt((1 - len(values) / population) / len(values))
    return float(values.mean()) - error, float(values.mean()) + error


def _longer(shares: np.ndarray, dim: int) -> np.ndarray:
    return np.pad(shares, (0, dim - len(shares)))


def _near(embeddings: Embeddings, rows: np.ndarray, k: int) -> list[list[Any]]:
    lists = embeddings.neighbour_lists(rows, k)
    return [
        embeddings.ids.ids_at(found[:count]).to_pylist() for found, count in zip(lists.positions, lists.counts, strict=True)
    ]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _finite(value) for name, value in row.items()} for row in table.to_dict("records")]


def _finite(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
