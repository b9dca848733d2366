"""`recsys info`: what a directory written by recsys holds, and whether it is intact."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys.embeddings import Embeddings, is_store
from recsys.features import Column, Features
from recsys.jobs.embeddings_store import StoreContents, store_contents
from recsys.jobs.index import show_index
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words
from recsys.jobs.terminal import print_table, say
from recsys.model import BlendModel, Model
from recsys.model.blend import FORM as BLEND
from recsys.storage import Stored, kind_in_words, open_stored

__all__ = ["Contents", "info"]

_PART_COLUMNS = ("trainer", "share", "weight")


@dataclass(frozen=True)
class Contents:
    """What a directory holds. `intact` is always true: a damaged directory raises `FormatError` instead.

    indexes : of a model or embeddings, by name: what `ItemIndex.describe` says, and whether it is stale: others changed since.
    features : of users and items, by folder: a row for each column: its name, kind, how many features, and some of them.
    parts : of a blend, by name: the trainer, share and weight of each, its bytes and files.
    """

    path: str
    kind: str
    created: str
    bytes: int
    attributes: dict[str, Any]
    files: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    intact: bool
    seconds: float
    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    features: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def show(self) -> None:
        """Three tables and a sentence on standard output."""
        say(f"{self.path} holds {kind_in_words(self.kind)} of {bytes_in_words(self.bytes)}, written {self.created}.")
        if self.kind == "index":
            show_index(Path(self.path).name, self.attributes)
        else:
            about = [(name, _in_words(value)) for name, value in self.attributes.items() if name != "parts"]
            print_table(("attribute", "value"), about)
        if self.parts:
            rows = [
                (name, *(part[key] for key in _PART_COLUMNS), bytes_in_words(part["bytes"]))
                for name, part in self.parts.items()
            ]
            print_table(("part", *_PART_COLUMNS, "size"), rows)
        if self.files:
            print_table(("file", "size", "holds"), [_file_row(name, entry) for name, entry in self.files.items()])
        if self.provenance:
            print_table(("provenance", "value"), [(name, _in_words(value)) for name, value in self.provenance.items()])
        for name, found in self.indexes.items():
            show_index(name, found)
            if found["stale"]:
                say(f"The index {name} is stale: the vectors changed since it was built. recsys index builds it again.")
        for name, columns in self.features.items():
            rows = [tuple(column.values()) for column in columns]
            print_table(("column", "kind", "features", "such as"), rows, title=name.removeprefix("history_").replace("_", " "))
        beside = {"indexes": self.indexes, "features": self.features, "parts": self.parts}
        more = "".join(f" and those of its {name}" for name, there in beside.items() if there)
        say(f"Intact: all {len(self.files)} files{more} match their SHA-256 (checked in {seconds_in_words(self.seconds)}).")


def info(path: str) -> Contents | StoreContents:
    """Opens and verifies a directory, or the latest version of a store. Raises `FormatError` that names what is wrong."""
    if is_store(path):
        return store_contents(path)
    clock = Clock()
    stored = _opened(Path(path))
    parts = _parts(stored)
    return Contents(
        str(path),
        stored.kind,
        stored.created,
        stored.total_bytes + sum(part["bytes"] for part in parts.values()),
        stored.attributes,
        stored.files,
        stored.provenance,
        intact=True,
        indexes=_indexes(stored),
        features=_features(stored),
        parts=parts,
        seconds=clock.seconds,
    )


def _opened(path: Path) -> Stored:
    """Opened and verified. Beyond the sums, shapes and types in the files must be those of the manifest."""
    stored = open_stored(path)
    for name in stored.files:
        if name.endswith(".npy"):
            stored.array(name.removesuffix(".npy"))
        else:
            stored.table(name.removesuffix(".parquet"))
    return stored


def _parts(stored: Stored) -> dict[str, dict[str, Any]]:
    if stored.attributes.get("form") != BLEND:
        return {}
    found = {}
    for name, facts in stored.attribute("parts").items():
        part = _opened(stored.path / "parts" / name)
        found[name] = {**facts, "bytes": part.total_bytes, "attributes": part.attributes, "files": part.files}
    BlendModel.from_stored(stored)  # they are those that it was written with
    return found


def _indexes(stored: Stored) -> dict[str, dict[str, Any]]:
    if stored.kind == "embeddings":
        embeddings = Embeddings.from_stored(stored)
        indexes = embeddings.indexes
    elif stored.kind == "model" and stored.attributes.get("form", "vectors") == "vectors":
        model = Model.from_stored(stored)
        embeddings, indexes = model.item_embeddings, model.indexes
    else:
        return {}
    fingerprint = embeddings.fingerprint
    return {name: found.describe() | {"stale": found.fingerprint != fingerprint} for name, found in indexes.items()}


def _features(stored: Stored) -> dict[str, list[dict[str, Any]]]:
    folders = [name for name in stored.attributes if name.endswith(("user_features", "item_features"))]
    opened = {name: Features.load(stored.path / name) for name in folders}
    if stored.kind == "features":
        opened["features"] = Features.from_stored(stored)
    return {name: [_column_row(column) for column in features.columns] for name, features in opened.items()}


def _column_row(column: Column) -> dict[str, Any]:
    some = ", ".join(column.labels[:4]) + (", …" if column.n_features > 4 else "")
    return {"column": column.name, "kind": column.kind, "features": column.n_features, "such_as": some}


def _file_row(name: str, entry: dict[str, Any]) -> tuple[str, str, str]:
    if "shape" in entry:
        holds = f"{entry['dtype'].lstrip('<>|=')} {' × '.join(f'{length:,}' for length in entry['shape'])}"
    else:
        holds = f"{entry.get('rows', 0):,} rows of {', '.join(entry.get('columns', []))}"
    return name, bytes_in_words(entry["bytes"]), holds


def _in_words(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
