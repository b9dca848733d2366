"""The square that a map is shown in; one for two maps that lie alike. May import this room's maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.embeddings.mapping.embedding_map import EmbeddingMap

__all__ = ["NamedMaps", "Square", "lie_alike", "squares_around"]

# A map is drawn on some thousand pixels: a 65,536th of its width is a small part of one, also at the nearest zoom.
_STEPS = 65_535
NamedMaps = Sequence[tuple[str, EmbeddingMap]]


@dataclass(frozen=True)
class Square:
    """Where the steps of a view begin and how long its side is."""

    middle: np.ndarray
    side: float

    def steps(self, coordinates: np.ndarray) -> np.ndarray:
        """(n, 2) whole numbers from 0 to 65,535; the second counts downwards, as screens do."""
        shares = (coordinates.astype(np.float64) - self.middle) / self.side
        return np.asarray(np.rint((0.5 + shares * [1, -1]) * _STEPS).clip(0, _STEPS))


def _square_around(coordinates: np.ndarray) -> Square:
    """The smallest square that holds all places (n, 2), axes parallel to the map's."""
    if len(coordinates) == 0:
        return Square(np.zeros(2), 1.0)
    low, high = coordinates.min(axis=0).astype(np.float64), coordinates.max(axis=0).astype(np.float64)
    return Square((low + high) / 2, float((high - low).max()) or 1.0)


def lie_alike(maps: NamedMaps) -> bool:
    """Whether one of two maps was made like the other, so that a place means the same on both."""
    made_like = {map_.provenance.get("like") for _, map_ in maps}
    return len(maps) > 1 and any(map_.provenance.get("embeddings") in made_like - {None} for _, map_ in maps)


def squares_around(maps: NamedMaps) -> list[Square]:
    """The square around each map; one around both where they lie alike."""
    if lie_alike(maps):
        return [_square_around(np.concatenate([map_.coordinates for _, map_ in maps]))] * len(maps)
    return [_square_around(map_.coordinates) for _, map_ in maps]
