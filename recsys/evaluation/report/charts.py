"""The shapes of chart that the report draws, as Vega-Lite specifications made by altair. Imports errors alone.

Colours are CSS variables of the page, so that charts follow light, dark and print without being drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recsys.errors import require_extra

__all__ = ["densities", "interval_dots", "lines", "require_altair", "shares"]

Records = Sequence[Mapping[str, Any]]

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_SERIES = [f"var(--series-{number})" for number in range(1, 7)]
_OUTCOMES = {"better": _SERIES[0], "worse": _SERIES[1], "differs": "var(--ink)", "same": "var(--neutral)"}
_CONFIG = {
    "font": _FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "titleColor": "var(--muted)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelPadding": 6,
        "tickSize": 4,
    },
    "axisQuantitative": {"tickCount": 5, "domain": False, "ticks": False},
    "axisDiscrete": {"grid": False, "domain": False, "ticks": False},
    # The table below the chart is what a screen reader reads; a mark by itself says little.
    "mark": {"aria": False},
    "aria": True,
}
_MARGIN = {"type": "fit-x", "contains": "padding"}


def require_altair() -> Any:
    """The module `altair`. Raises `MissingExtraError`."""
    require_extra("vl_convert", "report", "A report")
    return require_extra("altair", "report", "A report")


def interval_dots(rows: Records, title: str, *, line_at: float | None = None, coloured: bool = False) -> dict[str, Any]:
    """A row for each record: a dot at "mean", a line from "low" to "high", its "label" on the left.

    line_at : where a dashed line stands.
    coloured : by the records' "outcome": "better", "worse", "differs" or "same".

    Where "low" is None there is no interval.
    """
    alt = require_altair()
    records, names = list(rows), [row["label"] for row in rows]
    colour = alt.Color("outcome:N", legend=None).scale(domain=list(_OUTCOMES), range=list(_OUTCOMES.values()))
    if not coloured:
        colour = alt.value(_SERIES[0])
    place = alt.Y("label:N", sort=names, title=None, axis=alt.Axis(labelLimit=170, labelColor="var(--ink)", labelFontSize=13))
    value = alt.X("mean:Q", title=title, axis=alt.Axis(format=".3~f")).scale(zero=False, nice=True, padding=8)
    hints = [alt.Tooltip("label:N", title=" "), alt.Tooltip("mean:Q", format=".4f")]
    ends = [alt.Tooltip("low:Q", format=".4f"), alt.Tooltip("high:Q", format=".4f")]
    whole = alt.Chart(alt.Data(values=records)).encode(y=place, color=colour)
    layers = [
        whole.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, opacity=0.45, strokeCap="round")
        .encode(x=alt.X("low:Q", title=title), x2="high:Q", tooltip=hints + ends),
        whole.mark_point(filled=True, size=90, opacity=1).encode(x=value, tooltip=hints + ends),
    ]  # fmt: skip
    if line_at is not None:
        line = alt.Chart(alt.Data(values=[{"line": line_at}])).mark_rule(color="var(--muted)", strokeDash=[3, 3])
        layers.insert(0, line.encode(x=alt.X("line:Q", title=title)))
    return _finished(alt, layers, height=34 * len(records))


def lines(
    rows: Records, series: Sequence[str], x_title: str, y_title: str, ticks: Sequence[int], *, logarithmic: bool = False
) -> dict[str, Any]:
    """A line a series through ("x", "value"), with a band from "low" to "high". Records carry their "series"."""
    alt = require_altair()
    chart = alt.Chart(alt.Data(values=list(rows))).encode(color=_by_series(alt, series))
    x = alt.X("x:Q", title=x_title, axis=alt.Axis(grid=False, format="d", values=list(ticks))).scale(
        type="log" if logarithmic else "linear", nice=False
    )
    hints = [alt.Tooltip("series:N", title=" "), alt.Tooltip("x:Q", title=x_title)]
    hints += [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("value", "low", "high")]
    layers = [
        chart.transform_filter("isValid(datum.low)").mark_area(opacity=0.15)
        .encode(x=x, y=alt.Y("low:Q", title=y_title), y2="high:Q"),
        chart.mark_line(strokeWidth=2).encode(x=x, y=alt.Y("value:Q", title=y_title)),
        chart.mark_point(filled=True, size=40, opacity=1).encode(x=x, y=alt.Y("value:Q", title=y_title), tooltip=hints),
    ]  # fmt: skip
    return _finished(alt, layers, height=300)


def densities(rows: Records, series: Sequence[str], x_title: str, y_title: str) -> dict[str, Any]:
    """The share "value" of each series in classes of a number whose middles are "x", as filled steps."""
    alt = require_altair()
    chart = alt.Chart(alt.Data(values=list(rows))).encode(color=_by_series(alt, series))
    x = alt.X("x:Q", title=x_title, axis=alt.Axis(grid=False)).scale(zero=False, nice=False)
    y = alt.Y("value:Q", title=y_title, axis=alt.Axis(format="%"), stack=None)
    hints = [alt.Tooltip("series:N", title=" "), alt.Tooltip("x:Q", title=x_title, format=".3~g")]
    area = chart.mark_area(interpolate="step", opacity=0.22, line=False).encode(x=x, y=y)
    line = chart.mark_line(interpolate="step", strokeWidth=2).encode(
        x=x, y=y, tooltip=[*hints, alt.Tooltip("value:Q", format=".1%")]
    )
    return _finished(alt, [area, line], height=260)


def shares(
    rows: Records, series: Sequence[str], x_title: str, y_title: str, labels: Sequence[str], *, bars: bool = False
) -> dict[str, Any]:
    """Shares "value" in classes that have an order: `labels`, which records name as "x". Lines with dots, or bars."""
    alt = require_altair()
    chart = alt.Chart(alt.Data(values=list(rows))).encode(color=_by_series(alt, series))
    axis = alt.Axis(labelAngle=0, labelOverlap="parity", labelSeparation=8)
    x = alt.X("x:O", sort=list(labels), title=x_title, axis=axis).scale(paddingOuter=0.1)
    y = alt.Y("value:Q", title=y_title, axis=alt.Axis(format="%"))
    hints = [alt.Tooltip("series:N", title=" "), alt.Tooltip("x:O", title=x_title), alt.Tooltip("value:Q", format=".1%")]
    if bars:
        marks = [chart.mark_bar(cornerRadiusEnd=2).encode(x=x, y=y, tooltip=hints)]
    else:
        marks = [
            chart.mark_line(strokeWidth=2).encode(x=x, y=y),
            chart.mark_point(filled=True, size=50, opacity=1).encode(x=x, y=y, tooltip=hints),
        ]
    return _finished(alt, marks, height=260)


def _by_series(alt: Any, series: Sequence[str]) -> Any:
    return alt.Color("series:N", legend=None).scale(domain=list(series), range=_SERIES[: len(series)])


def _finished(alt: Any, layers: Sequence[Any], height: Any) -> dict[str, Any]:
    """The specification as plain data, in our colours whatever theme the program has set."""
    spec = alt.layer(*layers).properties(width="container", height=height, autosize=_MARGIN).to_dict()
    return {**spec, "config": _CONFIG}
