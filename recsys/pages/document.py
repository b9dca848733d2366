"""A whole HTML document, whose head forbids every request and every script but its own. Imports this folder's markup alone.

A content security policy names the scripts by their hash: what ids and titles hold can neither run nor send anything.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence

from recsys.pages.markup import Safe, element, script_hash

__all__ = ["document", "own_text"]


def document(title: str, *, style: str, scripts: Sequence[str], content: Sequence[Safe], inline_styles: bool = False) -> str:
    """The text of a page: `content`, then `scripts` (JavaScript, run in this order), in the colours of the palette.

    style : CSS, beside that of the palette.
    inline_styles : scripts may write style attributes, as chart libraries do. Styles can not load anything.
    """
    style = own_text("recsys.pages", "palette.css") + style
    styles = "'unsafe-inline'" if inline_styles else script_hash(style)
    policy = (
        f"default-src 'none'; script-src {' '.join(map(script_hash, scripts))}; style-src {styles}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        Safe('<meta charset="utf-8">'),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("meta", name_="generator", content="recsys"),
        element("title", title),
        element("style", Safe(style)),
    )
    body = element("body", *content, *(element("script", Safe(script)) for script in scripts))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


@functools.cache
def own_text(package: str, name: str) -> str:
    """A file of the installed package, such as a style sheet that goes into a page as it is."""
    return (importlib.resources.files(package) / name).read_text(encoding="utf-8")
