"""HTML made safely: text is escaped unless it is `Safe` already. Imports nothing of the project.

Ids, titles and names of models are anybody's text. They reach the page through `element` and `embedded_json` alone, so that
none of them can end a tag or a script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Column", "Content", "Safe", "Table", "element", "embedded_json", "joined", "script_hash"]

_VOID = ("meta", "br", "col", "input")


class Safe(str):
    """Text that is HTML already."""


Content = str | None


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, whether it holds numbers (then to the right), whether it is a third of the width."""

    heading: str
    is_number: bool = False
    is_wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table for readers: the first cell of a row is its heading."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Content]]
    name: str = ""

    def to_html(self) -> Safe:
        """The table in a box that scrolls by itself where the screen is too narrow, reachable by keyboard."""
        heads = [element("th", column.heading, scope="col", class_=_kind(column)) for column in self.columns]
        body = [element("tr", *self._cells(row)) for row in self.rows]
        table = element(
            "table",
            element("caption", self.caption),
            element("thead", element("tr", *heads)),
            element("tbody", *body),
            id=self.name or None,
        )
        return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=self.caption)

    def _cells(self, row: Sequence[Content]) -> Iterable[Safe]:
        for place, (column, cell) in enumerate(zip(self.columns, row, strict=True)):
            if place == 0:
                yield element("th", cell, scope="row", class_=_kind(column))
            else:
                yield element("td", cell, class_=_kind(column))


def _kind(column: Column) -> str | None:
    return "number" if column.is_number else "wide" if column.is_wide else None


def element(name: str, *content: Content, **attributes: str | bool | None) -> Safe:
    """`<name attributes>content</name>`. Text is escaped; None is nothing. `class_` is class, `aria_label` aria-label.

    An attribute that is None or False is left out; True gives the bare name.
    """
    parts = [name]
    for key, value in attributes.items():
        word = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(word)
        elif value is not None and value is not False:
            parts.append(f'{word}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Safe(opening if name in _VOID else f"{opening}{joined(*content)}</{name}>")


def joined(*content: Content) -> Safe:
    """Pieces one after the other; those that are not `Safe` escaped."""
    return Safe("".join(part if isinstance(part, Safe) else escape(part) for part in content if part is not None))


def embedded_json(name: str, content: Any) -> Safe:
    """A data block `<script type="application/json" id=name>`, which no browser runs.

    `<`, `>` and `&` are written as JSON escapes: no text within can close the block, whatever it holds.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Safe(text), type="application/json", id=name)


def script_hash(text: str) -> str:
    """`'sha256-…'` as a content security policy names a script by its text (W3C, CSP Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
