"""`EmbeddingMap`: ids with a place each in the plane. May import errors, ids and, when used, the page and the picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.embeddings.mapping.joined import joined_columns
from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap

__all__ = ["EmbeddingMap"]


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingMap:
    """Immutable coordinates of ids in the plane, made by `Embeddings.map`.

    ids : what stands on the map.
    coordinates : (n, 2) float32, finite, read-only. Their unit means nothing by itself.
    method : "umap" or "pca".
    provenance : how it was made; "neighbours_kept" is the share of the nearest ids of an id in the embedding that are also
        its nearest on the map, out of "neighbours_counted".
    neighbours : (n, up to 8) int32 positions of the nearest in the embedding, best first; None where they are not known.
    """

    ids: IdMap
    coordinates: np.ndarray
    method: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    neighbours: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.coordinates)
        if given.shape != (len(self.ids), 2) or given.dtype.kind not in "fiu":
            raise DataError(
                f"EmbeddingMap.coordinates must be numbers of shape ({len(self.ids)}, 2), one row an id. "
                f"Got {given.dtype} of shape {given.shape}."
            )
        coordinates = np.ascontiguousarray(given, dtype=np.float32).view()
        if not np.isfinite(coordinates).all():
            bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
            raise DataError(f"Every place on a map must be finite. Not so: {quote_some(self.ids.ids_at(bad).to_pylist())}.")
        coordinates.flags.writeable = False
        object.__setattr__(self, "coordinates", coordinates)
        if self.neighbours is not None:
            self._check_neighbours(np.asarray(self.neighbours))

    def _check_neighbours(self, given: np.ndarray) -> None:
        fits = given.ndim == 2 and len(given) == len(self.ids) and given.dtype.kind in "iu"
        if not fits or (given.size and not 0 <= given.min() <= given.max() < len(self.ids)):
            raise DataError(f"EmbeddingMap.neighbours must be positions below {len(self.ids)}, one row an id.")
        neighbours = np.ascontiguousarray(given, dtype=np.int32).view()
        neighbours.flags.writeable = False
        object.__setattr__(self, "neighbours", neighbours)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        kept = self.provenance.get("neighbours_kept")
        truth = "" if kept is None else f", {kept:.0%} of neighbours kept"
        return f"EmbeddingMap({len(self):,} {self.ids.name}s by {self.method}{truth})"

    def to_frame(self, table: pd.DataFrame | None = None) -> pd.DataFrame:
        """Columns {ids.name}, x, y (float32), in order of position, and those of `table` joined by id.

        table : a column named as the ids are, one row an id, and any others but x and y. An id that is not in it gets missing
            values; ids that are not on the map are passed over. Raises `ParameterError`, `DataError`.
        """
        x, y = self.coordinates.T
        frame = pd.DataFrame({self.ids.name: self.ids.series(np.arange(len(self))), "x": x, "y": y})
        if table is None:
            return frame
        columns = joined_columns(self.ids, table)
        clash = [name for name in columns if name in frame]
        if clash:
            raise ParameterError(f"`table` must not have columns called {quote_some(clash)}: those are the map's own.")
        return pd.concat([frame, columns], axis=1)

    def save_html(
        self,
        path: str | os.PathLike[str],
        *,
        table: pd.DataFrame | None = None,
        title: str | None = None,
        label: str | None = None,
        colour: str | None = None,
        search: bool = True,
        beside: EmbeddingMap | None = None,
        names: tuple[str, str] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Writes an interactive page that is complete in itself: it loads nothing and sends nothing. Returns its path.

        It pans and zooms by mouse, touch and keyboard; a point tells its label, its columns and its nearest in the embedding;
        colours go by any column; labels are searched. From 100,000 points in view on it shows density instead.

        table : as in `to_frame`; what the page tells about the ids.
        label : the column of names; by default "title" or "name" if there is one, else ids are shown.
        colour : the column to colour by at first; by default the first of categories, else the first of numbers. Strings of
            few different values, categoricals and booleans are categories; convert numbers that are only codes to strings.
        beside : another map, whose points, hovering and search are linked with this one's by id. Make it with
            `other.map(like=this)`, so that both lie alike.
        names : what the two are called, for instance ("Monday", "Tuesday").

        Raises `ParameterError` for an unknown column or an existing path without `overwrite`, `DataError` for ids named twice
        in `table`, or none of which is on the map.
        """
        from recsys.embeddings.mapping.page import map_page
        from recsys.storage import write_file

        with write_file(path, overwrite=overwrite) as temporary:
            text = map_page(
                _side_by_side(self, beside, names), table=table, title=title, label=label, colour=colour, search=search
            )
            temporary.write_text(text, encoding="utf-8")
        return Path(path)

    def save_image(
        self,
        path: str | os.PathLike[str],
        *,
        table: pd.DataFrame | None = None,
        title: str | None = None,
        label: str | None = None,
        colour: str | None = None,
        n_labels: int = 30,
        beside: EmbeddingMap | None = None,
        names: tuple[str, str] | None = None,
        width: float = 7.0,
        dpi: int = 300,
        overwrite: bool = False,
    ) -> Path:
        """Writes a picture for print, PNG, SVG or PDF by the suffix of `path`, and returns its path. Extra `map`.

        table, title, colour, beside, names : as in `save_html`, but without `colour` all points have one colour.
        label : the column of names to write beside points; without it none are written.
        n_labels : at most so many, spread over the map: none covers another, and those of the first rows of `table` go first.
        width : in inches, of the whole picture.  dpi : pixels an inch; points of an SVG beyond 5,000 are such pixels too.

        The same map and table give the same bytes. Raises as `save_html`, and `MissingExtraError`.
        """
        from recsys.embeddings.mapping.picture import draw_map
        from recsys.storage import write_file

        with write_file(path, overwrite=overwrite) as temporary:
            maps = _side_by_side(self, beside, names)
            draw_map(
                maps, temporary, table=table, title=title, label=label, colour=colour, n_labels=n_labels, width=width, dpi=dpi
            )
        return Path(path)


def _side_by_side(
    one: EmbeddingMap, other: EmbeddingMap | None, names: tuple[str, str] | None
) -> list[tuple[str, EmbeddingMap]]:
    """The maps to show, each with its name; a single one needs none."""
    if other is None:
        if names is not None:
            raise ParameterError("`names` are for two maps and need beside=.")
        return [("", one)]
    if not isinstance(other, EmbeddingMap):
        raise ParameterError(f"`beside` must be an EmbeddingMap. Got {type(other).__name__}.")
    if one.ids.is_integer != other.ids.is_integer:
        kinds = ["integers" if map_.ids.is_integer else "strings" for map_ in (one, other)]
        raise DataError(f"The ids of the two maps have no common type: here {kinds[0]}, beside {kinds[1]}.")
    names = ("First", "Second") if names is None else names
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
        raise ParameterError(f"`names` must be two names, one for each map. Got {names!r}.")
    return [(names[0], one), (names[1], other)]
