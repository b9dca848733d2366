"""New weights of interactions from old ones. May import errors, times, weighting and this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import DataError, ParameterError, quote_some
from recsys.times import as_microseconds, span_microseconds
from recsys.weighting import Entries, weigh

if TYPE_CHECKING:
    from recsys.interactions import Interactions

__all__ = ["decayed", "weighted"]


def weighted(data: Interactions, scheme: str | Callable[[np.ndarray], Any], parameters: Mapping[str, float]) -> Interactions:
    """By a scheme of `recsys.weighting` or by a function of the weights; see `Interactions.weighted`."""
    if callable(scheme):
        if parameters:
            raise ParameterError(f"A function takes no further parameters here. Got {quote_some(parameters)}.")
        new = np.asarray(scheme(data.weights.copy()), dtype=np.float32)
        if new.shape != data.weights.shape:
            raise DataError(f"The function must return {data.weights.shape[0]} weights. It returned shape {new.shape}.")
        return replace(data, weights=new)
    data.refuse_negative_weights(f"weighted({scheme!r})")
    weights = data.weights.astype(np.float64)
    entries = Entries(weights, data.row_positions(), data.indices, data.user_counts, data.item_counts)
    return replace(data, weights=weigh(scheme, entries, **parameters).astype(np.float32))


def decayed(data: Interactions, half_life: Any, now: Any) -> Interactions:
    """Weights halved for every `half_life` before `now`; see `Interactions.decayed`."""
    times = data.required_timestamps("decayed")
    span = span_microseconds(half_life, "half_life")
    reference = (times.max() if len(times) else 0) if now is None else as_microseconds(now, "now")
    age = np.maximum(reference - times, 0)
    return replace(data, weights=(data.weights * np.exp2(-age / span)).astype(np.float32))
