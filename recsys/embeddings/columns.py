"""Columns that users bring along: a value for each id. May import errors, ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, InputError, ParameterError, quote_some
from recsys.ids import IdMap

__all__ = ["labels_by_id", "numbers_by_id"]


def numbers_by_id(ids: IdMap, values: Any, argument: str) -> np.ndarray:
    """(n,) float64: the number of each id by its position, NaN where there is none. Raises `DataError`, `ParameterError`.

    values : a Series or mapping from id to number; ids that are not in `ids` are passed over.
    """
    series = _by_position(ids, values, argument)
    try:
        numbers = series.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"`{argument}` must map each {ids.name} to a number: {error}.") from error
    if np.isinf(numbers).any():
        raise DataError(f"`{argument}` must be finite. Not so: {_some(ids, np.isinf(numbers))}.")
    return np.asarray(numbers)


def labels_by_id(ids: IdMap, values: Any, argument: str) -> tuple[np.ndarray, pd.Index]:
    """(n,) int64 the number of each id's label, -1 for none, and the labels in rising order."""
    series = _by_position(ids, values, argument)
    try:
        codes, labels = pd.factorize(series, sort=True)
    except TypeError:  # labels of several types have no order
        codes, labels = pd.factorize(series)
    return np.asarray(codes, np.int64), pd.Index(labels)


def _by_position(ids: IdMap, values: Any, argument: str) -> pd.Series:
    if isinstance(values, Mapping):
        values = pd.Series(list(values.values()), index=list(values), dtype=None if values else object)
    if not isinstance(values, pd.Series):
        raise ParameterError(
            f"`{argument}` must be a pandas Series or a mapping by {ids.name}. Got {type(values).__name__}. "
            f"Hint: frame.set_index({ids.name!r})['column'] makes one."
        )
    try:
        places = IdMap(values.index, name=ids.name).positions(ids.to_arrow(), unknown="ignore")
    except InputError as error:
        raise DataError(f"`{argument}` must be indexed by {ids.name}: {error}") from error
    if len(ids) and not (places >= 0).any():
        raise DataError(
            f"`{argument}` names none of the {ids.name}s here. It is indexed by {quote_some(values.index[:3])}, "
            f"here are {quote_some(ids.to_arrow().slice(0, 3).to_pylist())}."
        )
    known = values.reset_index(drop=True)
    return known.reindex(pd.Index(np.where(places >= 0, places, len(known)))).reset_index(drop=True)


def _some(ids: IdMap, mask: np.ndarray) -> str:
    return quote_some(ids.ids_at(np.flatnonzero(mask)).to_pylist())
