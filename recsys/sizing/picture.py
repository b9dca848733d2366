"""The plot of a trade-off, drawn by matplotlib. May import errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.embeddings.mapping.picture import METADATA, PALETTE, PICTURES
from recsys.errors import ParameterError, quote_some, require_extra

if TYPE_CHECKING:
    from recsys.sizing.result import Measured, Tradeoff

__all__ = ["draw_tradeoff", "require_plot"]

_STYLE = {"svg.hashsalt": "recsys", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 8}
_INCHES, _DPI = (9.0, 3.9), 200
# Losses beyond this many times what was allowed are cut off, and at least this share is shown.
_SHOWN, _LEAST_SHOWN = 12, 0.1


def require_plot(path: str | os.PathLike[str]) -> None:
    """Raises `ParameterError` for a suffix that is none of a picture's, `MissingExtraError` without matplotlib."""
    if Path(path).suffix not in PICTURES:
        raise ParameterError(f"`plot` must end in one of {quote_some(PICTURES)}. Got {str(path)!r}.")
    require_extra("matplotlib", "map", "A plot")


def draw_tradeoff(found: Tradeoff, path: Path, title: str | None) -> None:
    """Writes the picture to `path`, whose suffix says of which kind: loss and recall, both by bytes."""
    require_plot(path)
    matplotlib = require_extra("matplotlib", "map", "A plot")
    figures = require_extra("matplotlib.figure", "map", "A plot")
    canvases = require_extra("matplotlib.backends.backend_agg", "map", "A plot")
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=_INCHES, layout="constrained")
        canvases.FigureCanvasAgg(figure)
        losses, recalls = figure.subplots(1, 2)
        storages = list(dict.fromkeys(row.storage for row in found.rows))
        for number, storage in enumerate(storages):
            rows = sorted((row for row in found.rows if row.storage == storage), key=lambda row: row.bytes_per_id)
            _draw_line(losses, recalls, rows, PALETTE[number % len(PALETTE)])
        _finish(found, losses, recalls)
        figure.suptitle(title or found.sentence(), fontsize=8.5, wrap=True)
        figure.savefig(path, dpi=_DPI, format=path.suffix[1:], metadata=METADATA[path.suffix])


def _draw_line(losses: Any, recalls: Any, rows: list[Measured], colour: str) -> None:
    """One storage: a point a number of dimensions, with the loss's interval."""
    sizes = [row.bytes_per_id for row in rows]
    style = {"color": colour, "marker": "o", "markersize": 3.5, "linewidth": 1.1}
    values = [100 * row.loss for row in rows]
    reach = [[100 * (row.loss - row.loss_low) for row in rows], [100 * (row.loss_high - row.loss) for row in rows]]
    losses.errorbar(sizes, values, yerr=reach, elinewidth=0.9, capsize=1.5, label=rows[0].storage, **style)
    recalls.plot(sizes, [row.recall for row in rows], label=rows[0].storage, **style)


def _finish(found: Tradeoff, losses: Any, recalls: Any) -> None:
    ticks = sorted({round(row.bytes_per_id) for row in found.rows if row.storage in ("float32", "binary")})
    for axis in (losses, recalls):
        axis.set_xscale("log", base=2)
        axis.set_xticks(_spread(ticks), [f"{tick:,}" for tick in _spread(ticks)])
        axis.minorticks_off()
        axis.set_xlabel("bytes an id")
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    allowed = 100 * found.max_loss
    top = max(_SHOWN * allowed, 100 * _LEAST_SHOWN)
    losses.set_ylim(min(-0.05 * top, *(100 * row.loss_low for row in found.rows if row.within), -0.5), top)
    losses.axhline(allowed, color="#444444", linewidth=0.8, linestyle="--")
    losses.annotate(f"{allowed:g} % allowed", (1, allowed), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    losses.set_ylabel(f"{found.metric} lost, %")
    recalls.set_ylim(0, 1.02)
    recalls.set_ylabel(f"share of the whole model's lists ({found.metric.partition('@')[2]} items)")
    ring = {"s": 90, "facecolors": "none", "edgecolors": "black", "linewidths": 1.2, "zorder": 5}
    losses.scatter([found.picked.bytes_per_id], [100 * found.picked.loss], label="picked", **ring)
    recalls.scatter([found.picked.bytes_per_id], [found.picked.recall], **ring)
    handles, labels = losses.get_legend_handles_labels()
    recalls.legend(handles, labels, frameon=False, loc="lower right")


def _spread(ticks: list[int]) -> list[int]:
    """Those that lie at least a factor of 1.6 apart: labels must not cover each other."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick >= 1.6 * kept[-1]:
            kept.append(tick)
    return kept
