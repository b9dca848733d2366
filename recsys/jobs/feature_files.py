"""Files of what is known about items and users, read into a dataset. May import errors, features, interactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recsys.errors import ParameterError, closest_hint
from recsys.features import Features
from recsys.features.reading import id_types
from recsys.features.tables import read_table
from recsys.ids import IdMap
from recsys.interactions import Interactions

__all__ = ["FeatureFiles"]


@dataclass(frozen=True)
class FeatureFiles:
    """Which files, and how their columns are read; see `recsys.Features.from_table`.

    The options of columns go for both files: each takes those that it has.
    """

    item_features: str | None = None
    user_features: str | None = None
    item_features_id: str | None = None
    user_features_id: str | None = None
    feature_columns: Sequence[str] = ()
    multi_valued: Mapping[str, str] = field(default_factory=dict)
    bins: Mapping[str, Any] = field(default_factory=dict)
    categories: Sequence[str] = ()
    missing_features: str = "raise"

    @property
    def paths(self) -> list[str]:
        """The files that were named."""
        return [path for path in (self.item_features, self.user_features) if path is not None]

    def __post_init__(self) -> None:
        options = (self.feature_columns, self.multi_valued, self.bins, self.categories)
        if not self.paths and (any(options) or self.item_features_id or self.user_features_id):
            raise ParameterError(
                "The options of feature columns need `item_features` or `user_features`, a file to read them from."
            )

    def read_into(self, data: Interactions) -> Interactions:
        """`data` with the features of its items and users. Raises `DataError`, `ParameterError` or `UnknownIdError`."""
        if not self.paths:
            return data
        columns: set[str] = set()
        found = {
            "items": self._read(self.item_features, self.item_features_id, data.items, columns),
            "users": self._read(self.user_features, self.user_features_id, data.users, columns),
        }
        for name in (*self.feature_columns, *self.multi_valued, *self.bins, *self.categories):
            if name not in columns:
                raise ParameterError(f"{' and '.join(self.paths)} has no column {name!r}.{closest_hint(name, sorted(columns))}")
        return data.with_features(items=found["items"], users=found["users"], missing=self.missing_features)

    def _read(self, path: str | None, id: str | None, ids: IdMap, columns: set[str]) -> Features | None:
        if path is None:
            return None
        table, _ = read_table(path, id_types(id, ids))
        there = [name for name in table.column_names if name != (id or ids.name)]
        columns.update(there)
        wanted = [name for name in there if name in self.feature_columns] if self.feature_columns else there
        options: dict[str, Any] = {
            "columns": wanted,
            "multi_valued": {name: separator for name, separator in self.multi_valued.items() if name in wanted},
            "bins": {name: _bins(given, name) for name, given in self.bins.items() if name in wanted},
            "categories": [name for name in self.categories if name in wanted],
        }
        return Features.from_table(path, id=id, ids=ids, missing=self.missing_features, **options)


def _bins(given: Any, name: str) -> Any:
    """As text, `10` is a number of bins and `1990,2000` are edges."""
    if not isinstance(given, str):
        return given
    try:
        return [float(edge) for edge in given.split(",")] if "," in given else int(given)
    except ValueError as error:
        wanted = "a number of bins, or edges such as 1990,2000"
        raise ParameterError(f"`bins` of {name!r} must be {wanted}. Got {given!r}.") from error
