"""The interactive page of one map or two. May import errors, ids, pages and the other files of this room."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pandas as pd

from recsys.embeddings.mapping.embedding_map import EmbeddingMap
from recsys.embeddings.mapping.frames import NamedMaps, lie_alike, squares_around
from recsys.embeddings.mapping.joined import Column, as_column, first_colour, joined_columns, labels_of
from recsys.embeddings.mapping.packing import Sections, pack, packed_column, packed_view, shortened_all
from recsys.errors import DataError
from recsys.ids import IdMap
from recsys.pages.document import document, own_text
from recsys.pages.markup import Safe, element

__all__ = ["map_page"]

_PROGRAM = ("scene.js", "paint.js", "views.js", "panel.js")


def map_page(
    maps: NamedMaps,
    *,
    table: pd.DataFrame | None,
    title: str | None,
    label: str | None,
    colour: str | None,
    search: bool,
) -> str:
    """The text of the page; see `EmbeddingMap.save_html`."""
    if not any(len(map_) for _, map_ in maps):
        raise DataError("There is nothing on the map.")
    ids = reduce(lambda known, named: known.extended(named[1].ids), maps[1:], maps[0][1].ids)
    heading = title or f"Map of {_plural(ids.name)}"
    content = [*_body(heading, maps, ids, search=search), _data(maps, ids, table, label, colour)]
    # One function around the program: its names stay its own.
    program = "\n".join(own_text(__package__, name) for name in _PROGRAM)
    script = f'"use strict";\n(() => {{\n{program}\n}})();'
    return document(heading, style=own_text(__package__, "map.css"), scripts=[script], content=content)


def _plural(name: str) -> str:
    return f"{name.removesuffix('_id') or name}s"


def _data(maps: NamedMaps, ids: IdMap, table: pd.DataFrame | None, label: str | None, colour: str | None) -> Safe:
    """The data block, which no browser runs."""
    frame = joined_columns(ids, table)
    label_column, labels = labels_of(ids, frame, label)
    columns = [as_column(str(name), frame[name], to_colour_by=name == colour) for name in frame if name != label_column]
    columns += _presence(maps, ids)
    sections = Sections()
    header = {
        "kind": ids.name,
        "ids": [str(id_) for id_ in ids.to_arrow().to_pylist()],
        "labels": None if label_column is None else shortened_all(labels),
        "columns": [packed_column(column, sections) for column in columns],
        "colour": first_colour(columns, colour, [column.name for column in columns]),
        "aligned": lie_alike(maps),
        "views": [
            packed_view(name, map_, ids, square, sections)
            for (name, map_), square in zip(maps, squares_around(maps), strict=True)
        ],
    }
    return element("script", Safe(pack(header, sections)), type="application/octet-stream", id="data")


def _presence(maps: NamedMaps, ids: IdMap) -> list[Column]:
    """Which of two maps an id is on, where not all are on both."""
    if all(len(map_) == len(ids) for _, map_ in maps):
        return []
    (first, one), (second, other) = maps
    has = [map_.ids.positions(ids.to_arrow(), unknown="ignore") >= 0 for map_ in (one, other)]
    words = np.where(has[0] & has[1], "both", np.where(has[0], f"only {first}", f"only {second}"))
    return [as_column("on the maps", pd.Series(words), to_colour_by=True)]


def _note(map_: EmbeddingMap) -> str:
    """What the map shows and how far it is to be believed, in words."""
    facts = map_.provenance
    metric = {"cosine": "direction (cosine)", "euclidean": "Euclidean distance"}.get(str(facts.get("metric")))
    dim = f" of {facts['dim']}-dimensional vectors" if "dim" in facts else ""
    sentences = [f"{ {'umap': 'UMAP', 'pca': 'PCA'}.get(map_.method, map_.method) }{dim}{f' by {metric}' if metric else ''}."]
    if "variance_shares" in facts:
        sentences.append(f"These two axes hold {sum(facts['variance_shares']):.0%} of the variance.")
    if map_.method == "umap":
        sentences.append("What is near is alike; distances between groups, and how wide or dense they are, mean little.")
    if "neighbours_kept" in facts:
        nearest, kept = facts["neighbours_counted"], facts["neighbours_kept"]
        sentences.append(f"Of the {nearest} nearest of a point, {kept:.0%} are among its {nearest} nearest here.")
    return " ".join(sentences)


def _body(heading: str, maps: NamedMaps, ids: IdMap, *, search: bool) -> list[Safe]:
    two = len(maps) > 1
    things = _plural(ids.name)
    summary = f"{len(ids):,} {things}" + (f" on two maps, {maps[0][0]} and {maps[1][0]}" if two else "")
    tools = element(
        "div",
        _search_box(things) if search else None,
        element("label", element("span", "Colour"), element("select", id="colour"), class_="pick"),
        element(
            "label", element("input", type="checkbox", id="together", checked=lie_alike(maps)), " Move together", class_="tick"
        )
        if two
        else None,
        class_="tools",
    )
    header = element(
        "header", element("div", element("h1", heading), element("p", summary, id="summary"), class_="title"), tools
    )
    views = [_view(number, name, map_, things) for number, (name, map_) in enumerate(maps)]
    aside = element(
        "aside",
        element("section", id="point", aria_live="polite", hidden=True),
        element("section", id="legend", aria_label="Legend"),
        aria_label="About the points",
    )
    main = element("main", element("div", *views, class_="maps"), aside)
    hover = element("div", id="hover", role="status", aria_hidden="true", hidden=True)
    missing = element("noscript", element("p", "This map is drawn by a script, which this browser does not run."))
    return [header, main, hover, missing]


def _search_box(things: str) -> Safe:
    box = element(
        "input", type="search", id="search", placeholder=f"Search {things}", aria_label=f"Search {things}",
        autocomplete="off", spellcheck="false", role="combobox", aria_expanded="false", aria_controls="found",
        aria_autocomplete="list",
    )  # fmt: skip
    return element("div", box, element("ul", id="found", role="listbox", aria_label="Found", hidden=True), class_="search")


def _view(number: int, name: str, map_: EmbeddingMap, things: str) -> Safe:
    picture = f"Map of {len(map_):,} {things}{f', {name}' if name else ''}. Arrow keys move, plus and minus zoom, 0 shows all."
    signs = (("in", "+", "Zoom in"), ("out", "−", "Zoom out"), ("all", "⤢", "Show all"))
    buttons = [
        element("button", sign, type="button", data_zoom=what, aria_label=f"{words}{f', {name}' if name else ''}", title=words)
        for what, sign, words in signs
    ]
    return element(
        "figure",
        element("div",
            element("canvas", tabindex="0", role="img", aria_label=picture, data_view=str(number)),
            element("div", *buttons, class_="zoom"),
            element("p", class_="mode", hidden=True),
            class_="frame",
        ),
        element("figcaption", element("strong", name) if name else None, " " if name else None, _note(map_)),
    )  # fmt: skip
