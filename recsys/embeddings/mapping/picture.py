"""A map as a picture for print, drawn by matplotlib. May import errors, ids and the other files of this room."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.embeddings.mapping.embedding_map import EmbeddingMap
from recsys.embeddings.mapping.frames import NamedMaps, Square, squares_around
from recsys.embeddings.mapping.joined import Categories, Column, Numbers, as_column, joined_columns, labels_of, require_column
from recsys.errors import DataError, ParameterError, quote_some, require_extra

__all__ = ["METADATA", "PALETTE", "PICTURES", "draw_map"]

PICTURES = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, told apart also by the colour-blind, as the page has them; what is left is grey.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b8479b", "#e69f00", "#3aa8e0", "#6a3d9a", "#7a5230")
_REST = "#b4bcc6"
_INK = "#16202c"
_MOST_VECTORS = 5_000
_LEGEND_INCHES = 1.5
_STYLE = {"svg.hashsalt": "recsys", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 8, "text.color": _INK}


def draw_map(
    maps: NamedMaps,
    path: Path,
    *,
    table: pd.DataFrame | None,
    title: str | None,
    label: str | None,
    colour: str | None,
    n_labels: int,
    width: float,
    dpi: int,
) -> None:
    """Writes the picture to `path`, whose suffix says of which kind; see `EmbeddingMap.save_image`."""
    _check(path, width, dpi, n_labels)
    if not all(len(map_) for _, map_ in maps):
        raise DataError("There is nothing on the map.")
    matplotlib = require_extra("matplotlib", "map", "A picture of a map")
    figures = require_extra("matplotlib.figure", "map", "A picture of a map")
    canvases = require_extra("matplotlib.backends.backend_agg", "map", "A picture of a map")
    columns = _colour_columns(maps, table, colour)
    legend = 0.0 if columns is None else _LEGEND_INCHES
    height = (width - legend) / len(maps) + (0.3 if title else 0.0)
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=(width, height), layout="constrained")
        canvas = canvases.FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        scale, marks = _scale(columns), None
        for place, ((name, map_), square) in enumerate(zip(maps, squares_around(maps), strict=True)):
            marks = _draw_points(axes[place], map_, None if columns is None else columns[place], scale)
            _frame(axes[place], square)
            if name:
                axes[place].set_title(name, fontsize=9)
        if columns is not None:
            _draw_legend(figure, axes, columns[0], marks)
        if title:
            figure.suptitle(title, fontsize=10, fontweight="bold")
        if label is not None:
            figure.draw_without_rendering()
            for place, (_, map_) in enumerate(maps):
                _draw_labels(canvas.get_renderer(), axes[place], map_, table, label, n_labels)
        figure.savefig(path, dpi=dpi, format=path.suffix[1:], metadata=METADATA[path.suffix])


# Without the time of writing, the same map gives the same bytes.
METADATA: dict[str, dict[str, Any]] = {".png": {"Software": "recsys"}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def _check(path: Path, width: float, dpi: int, n_labels: int) -> None:
    if path.suffix not in PICTURES:
        raise ParameterError(f"A picture's name must end in one of {quote_some(PICTURES)}. Got {path.suffix!r}.")
    if not isinstance(width, (int, float)) or not 2 <= width <= 40:
        raise ParameterError(f"`width` must be a number of inches from 2 to 40. Got {width!r}.")
    if not isinstance(dpi, int) or not 36 <= dpi <= 1200:
        raise ParameterError(f"`dpi` must be an int from 36 to 1200. Got {dpi!r}.")
    if not isinstance(n_labels, int) or n_labels < 0:
        raise ParameterError(f"`n_labels` must be an int >= 0. Got {n_labels!r}.")


def _colour_columns(maps: NamedMaps, table: pd.DataFrame | None, colour: str | None) -> list[Column] | None:
    """The column to colour by, for each map: the values of both in the order and on the scale that they have together."""
    if colour is None:
        return None
    frames = [joined_columns(map_.ids, table) for _, map_ in maps]
    require_column(frames[0], colour, "colour")
    whole = as_column(colour, pd.concat([frame[colour] for frame in frames], ignore_index=True), to_colour_by=True)
    ends = np.cumsum([0, *(len(frame) for frame in frames)])
    return [_part(whole, slice(begin, end)) for begin, end in itertools.pairwise(ends)]


def _part(column: Column, rows: slice) -> Column:
    if isinstance(column, Categories):
        return Categories(column.name, column.codes[rows], column.values, column.counts)
    assert isinstance(column, Numbers)
    return Numbers(column.name, column.values[rows], column.is_time, column.is_skewed)


def _draw_points(axis: Any, map_: EmbeddingMap, column: Column | None, scale: Any) -> Any:
    """The points of one map; what has no colour of its own goes below. Returns what a colour bar needs."""
    size = float(np.clip(9_000 / len(map_), 0.4, 12))
    settings = {"s": size, "linewidths": 0, "alpha": 0.85, "rasterized": len(map_) > _MOST_VECTORS}
    x, y = map_.coordinates.T
    if column is None:
        return axis.scatter(x, y, color=PALETTE[0], **settings)
    if isinstance(column, Categories):
        own = (column.codes >= 0) & (column.codes < len(PALETTE))
        axis.scatter(x[~own], y[~own], color=_REST, **settings)
        return axis.scatter(x[own], y[own], color=np.array(PALETTE)[column.codes[own]], **settings)
    assert isinstance(column, Numbers)
    missing = np.isnan(column.values)
    axis.scatter(x[missing], y[missing], color=_REST, **settings)
    order = np.argsort(column.values, kind="stable")[: int((~missing).sum())]
    return axis.scatter(x[order], y[order], c=column.values[order], cmap="viridis_r", norm=scale, **settings)


def _frame(axis: Any, square: Square) -> None:
    half = 0.53 * square.side
    x, y = square.middle
    axis.set(xlim=(x - half, x + half), ylim=(y - half, y + half), xticks=[], yticks=[], aspect="equal")
    for side in axis.spines.values():
        side.set(color="#dfe4ea", linewidth=0.6)


def _scale(columns: list[Column] | None) -> Any:
    """From number to colour, for all maps together; None where there are no numbers."""
    numbers = [column for column in columns or [] if isinstance(column, Numbers)]
    values = np.concatenate([column.values for column in numbers]) if numbers else np.empty(0)
    if np.isnan(values).all():
        return None
    colours = require_extra("matplotlib.colors", "map", "A picture of a map")
    kind = colours.LogNorm if numbers[0].is_skewed else colours.Normalize
    return kind(float(np.nanmin(values)), float(np.nanmax(values)))


def _draw_legend(figure: Any, axes: Any, column: Column, marks: Any) -> None:
    if isinstance(column, Numbers):
        bar = figure.colorbar(marks, ax=list(axes), label=column.name, shrink=0.6, aspect=25)
        bar.outline.set_visible(False)
        return
    assert isinstance(column, Categories)
    lines = require_extra("matplotlib.lines", "map", "A picture of a map")
    shown = [(value[:28], colour) for value, colour in zip(column.values, PALETTE, strict=False)]
    beyond = len(column.values) - len(shown)
    if beyond > 0:
        shown.append((f"{beyond} more, or none", _REST))
    elif (column.codes < 0).any():
        shown.append(("none", _REST))
    dots = [
        lines.Line2D([], [], linestyle="", marker="o", markersize=5, markeredgewidth=0, color=colour) for _, colour in shown
    ]
    figure.legend(
        dots, [value for value, _ in shown], loc="outside right upper", title=column.name, frameon=False, alignment="left"
    )


def _draw_labels(renderer: Any, axis: Any, map_: EmbeddingMap, table: pd.DataFrame | None, label: str, n_labels: int) -> None:
    """Names beside points, those of the first rows of `table` first, none over another or over the edge."""
    _, names = labels_of(map_.ids, joined_columns(map_.ids, table), label)
    frame = axis.get_window_extent()
    taken: list[Any] = []
    # Not an outline around the letters: an SVG would have curves in the place of text.
    ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6}
    for row in _rows_in_order(map_, table)[: 40 * n_labels]:
        if len(taken) >= n_labels:
            break
        text = axis.annotate(
            names[row][:40], map_.coordinates[row], xytext=(3, 0), textcoords="offset points", va="center", fontsize=6
        )
        text.set_in_layout(False)
        box = text.get_window_extent(renderer)
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        if not inside or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            text.set_bbox(ground)
            taken.append(box)


def _rows_in_order(map_: EmbeddingMap, table: pd.DataFrame | None) -> np.ndarray:
    if table is None:
        return np.arange(len(map_))
    rows = map_.ids.positions(table[map_.ids.name], unknown="ignore")
    return np.asarray(rows[rows >= 0])
