"""`Figure`: a chart with its words, its legend and the table of its numbers. Imports the markup of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.pages.markup import Content, Safe, Table, element, embedded_json

__all__ = ["Figure", "Section"]


@dataclass(frozen=True)
class Figure:
    """A chart, drawn by the page from `spec` (Vega-Lite); whoever can not see it reads `description` and `table`.

    name : unique on the page.
    note : what it shows and how to read it, below the title.
    legend : names of the series, in the order of the colours.
    wide : whether it takes the whole width of the page.
    """

    name: str
    title: str
    note: Content
    description: str
    spec: Mapping[str, Any]
    table: Table
    legend: Sequence[str] = ()
    wide: bool = False

    def to_html(self) -> Safe:
        """The figure and the data block that it is drawn from."""
        keys = [
            element("li", element("span", class_=f"swatch series-{number}", aria_hidden="true"), label)
            for number, label in enumerate(self.legend, start=1)
        ]
        return element(
            "figure",
            element("figcaption", element("h3", self.title), element("p", self.note)),
            element("ul", *keys, class_="legend") if keys else None,
            element("div", element("noscript", "The chart needs JavaScript; its numbers are below."), class_="chart"),
            element("details", element("summary", "Numbers of this chart"), self.table.to_html(), class_="numbers"),
            embedded_json(f"spec-{self.name}", {**self.spec, "description": self.description}),
            class_="wide" if self.wide else None,
            data_chart=self.name,
        )


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own. `name` is what links point to."""

    name: str
    title: str
    body: Sequence[Content]
    figures: Sequence[Figure] = ()

    def to_html(self) -> Safe:
        """The heading, the body, then the figures beside each other where there is room."""
        figures = element("div", *(figure.to_html() for figure in self.figures), class_="figures") if self.figures else None
        heading = element("h2", self.title, id=f"{self.name}-title")
        return element("section", heading, *self.body, figures, id=self.name, aria_labelledby=f"{self.name}-title")
