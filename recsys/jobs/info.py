"""`recsys info`: what a directory written by recsys holds, and whether it is intact."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys.jobs.index import show_index
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words
from recsys.jobs.terminal import print_table, say
from recsys.model import Model
from recsys.storage import Stored, open_stored

__all__ = ["Contents", "info"]


@dataclass(frozen=True)
class Contents:
    """What a directory holds. `intact` is always true: a damaged directory raises `FormatError` instead.

    indexes : of a model, by name: what `ItemIndex.describe` says, and whether it is stale: the model changed since.
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

    def show(self) -> None:
        """Three tables and a sentence on standard output."""
        say(f"{self.path} holds a {self.kind} of {bytes_in_words(self.bytes)}, written {self.created}.")
        if self.kind == "index":
            show_index(Path(self.path).name, self.attributes)
        else:
            print_table(("attribute", "value"), [(name, _in_words(value)) for name, value in self.attributes.items()])
        print_table(("file", "size", "holds"), [_file_row(name, entry) for name, entry in self.files.items()])
        if self.provenance:
            print_table(("provenance", "value"), [(name, _in_words(value)) for name, value in self.provenance.items()])
        for name, found in self.indexes.items():
            show_index(name, found)
            if found["stale"]:
                say(f"The index {name} is stale: the model's items changed since it was built. recsys index builds it again.")
        more = " and those of its indexes" if self.indexes else ""
        say(f"Intact: all {len(self.files)} files{more} match their SHA-256 (checked in {seconds_in_words(self.seconds)}).")


def info(path: str) -> Contents:
    """Opens and verifies a directory. Raises `FormatError` that names what is wrong."""
    clock = Clock()
    stored = open_stored(path)
    for name in stored.files:
        # Beyond the sums: shapes and types in the files must be those of the manifest.
        if name.endswith(".npy"):
            stored.array(name.removesuffix(".npy"))
        else:
            stored.table(name.removesuffix(".parquet"))
    return Contents(
        str(path),
        stored.kind,
        stored.created,
        stored.total_bytes,
        stored.attributes,
        stored.files,
        stored.provenance,
        intact=True,
        indexes=_indexes(stored) if stored.kind == "model" else {},
        seconds=clock.seconds,
    )


def _indexes(stored: Stored) -> dict[str, dict[str, Any]]:
    model = Model.from_stored(stored)
    fingerprint = model.item_embeddings.fingerprint
    return {name: found.describe() | {"stale": found.fingerprint != fingerprint} for name, found in model.indexes.items()}


def _file_row(name: str, entry: dict[str, Any]) -> tuple[str, str, str]:
    if "shape" in entry:
        holds = f"{entry['dtype'].lstrip('<>|=')} {' × '.join(f'{length:,}' for length in entry['shape'])}"
    else:
        holds = f"{entry.get('rows', 0):,} rows of {', '.join(entry.get('columns', []))}"
    return name, bytes_in_words(entry["bytes"]), holds


def _in_words(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
