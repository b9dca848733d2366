"""The page: sections put into one HTML file that needs nothing else and may load nothing.

May import errors, pages and this folder. Charts are drawn by Vega, whose scripts stand in the page once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from recsys.errors import require_extra
from recsys.evaluation.report.figure import Section
from recsys.pages.document import document, own_text
from recsys.pages.markup import Content, element, embedded_json

__all__ = ["page"]


def page(
    title: str,
    eyebrow: str,
    verdict: Sequence[str],
    cautions: Sequence[str],
    sections: Sequence[Section],
    footer: Sequence[Content],
    record: Any,
) -> str:
    """The whole page. `record`: what is kept in it for machines, as JSON."""
    sentences = [element("p", text) for text in verdict] + [element("p", text, class_="caution") for text in cautions]
    links = [element("li", element("a", section.title, href=f"#{section.name}")) for section in sections]
    header = element(
        "header",
        element("p", eyebrow, class_="eyebrow"),
        element("h1", title),
        element("div", *sentences, class_="verdict"),
        element("nav", element("ul", *links), aria_label="Sections"),
    )
    main = element("main", *(section.to_html() for section in sections), id="content")
    content = [
        element("a", "Skip to the report", class_="skip", href="#content"),
        element("div", header, main, element("footer", *(element("p", text) for text in footer)), class_="page"),
        embedded_json("result", record),
    ]
    # Vega sets style attributes on the shapes it draws.
    return document(
        title,
        style=own_text(__package__, "page.css"),
        scripts=[_vega(), own_text(__package__, "page.js")],
        content=content,
        inline_styles=True,
    )


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script that sets `window.vegaEmbed`."""
    bundle = require_extra("vl_convert", "report", "A report").javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Inside a function, so that its hundreds of short names stay its own; within a script "</script" would end it.
    return f"(function () {{{bundle}}})();".replace("</script", "<\\/script").replace("<!--", "<\\!--")
