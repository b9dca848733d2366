"""What a version of a store says of itself, and how that stands in the table's metadata. May import errors.

The metadata of the table's schema hold one key, `recsys`, with JSON: format and format_version; all of `StoreVersion` but its
number, which Lance gives when it is committed; and row_order. Rows are sorted by id (integers as numbers, strings as UTF-8),
row_order says the first id of each stretch of so many rows, so that a reader finds an id in one stretch of the column of ids.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from recsys.errors import FormatError

__all__ = ["FORMAT_VERSION", "KEY", "RowOrder", "StoreVersion", "from_metadata", "is_store_metadata", "to_metadata"]

KEY = b"recsys"
FORMAT_VERSION = 1
_FORMAT = "recsys embedding store"


@dataclass(frozen=True)
class RowOrder:
    """The first id of each stretch of `rows` rows, rising."""

    rows: int
    first_ids: list[Any]

    def stretch_of(self, id_: Any) -> int:
        """The number of the only stretch in which an id can be; -1 when it is before all."""
        return bisect_right(self.first_ids, id_) - 1


@dataclass(frozen=True)
class StoreVersion:
    """An immutable version and where it comes from.

    version : its number, which rises; versions that Lance made in other ways take numbers too.  id : its own for ever.
    created : when it was published, UTC, ISO 8601.
    n, dim : how many vectors, and how long.  ids : what their ids name;  integer_ids : or else strings.
    metric : what the vectors are meant to be compared by.  biases : so many last columns are biases.
    fingerprint : SHA-256 over ids and vectors, that of the Embeddings which `EmbeddingStore.get` returns.
    model : fingerprint of the model they come from: the version of the other side that names the same one belongs to it.
    parent : number of the version it was held against, and gone_share, new_share the shares of ids that went and came.
    alignment : how it lies to its parent. residual: what is left of ‖A - B‖ / ‖B‖ over shared ids after the best rotation;
        residual_as_published: without one; aligned: whether publishing turned it; with "by", whatever turned it before.
    drift : the measures of `recsys.embeddings.compare` against the parent.
    note : what the publisher had to say.  provenance : that of the embeddings.
    """

    id: str
    created: str
    n: int
    dim: int
    ids: str
    integer_ids: bool
    metric: str
    biases: int
    fingerprint: str
    model: str | None = None
    parent: int | None = None
    gone_share: float | None = None
    new_share: float | None = None
    alignment: Mapping[str, Any] | None = None
    drift: Mapping[str, Any] | None = None
    note: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0

    @property
    def trainer(self) -> str | None:
        """The name of what trained the vectors, where the provenance says so."""
        found = self.provenance.get("trainer")
        return None if found is None else str(found)

    @property
    def data_fingerprint(self) -> str | None:
        """The fingerprint of the events they were trained on, where the provenance says so."""
        data = self.provenance.get("data")
        found = data.get("fingerprint") if isinstance(data, Mapping) else None
        return None if found is None else str(found)


def to_metadata(version: StoreVersion, order: RowOrder) -> dict[bytes, bytes]:
    """What stands in the metadata of the table's schema."""
    facts = asdict(version)
    del facts["version"]
    content = {"format": _FORMAT, "format_version": FORMAT_VERSION, **facts, "row_order": asdict(order)}
    return {KEY: json.dumps(content, ensure_ascii=False).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None, number: int, uri: str) -> tuple[StoreVersion, RowOrder] | None:
    """What `to_metadata` wrote; None for a table that no store published.

    Raises `FormatError` for one of a newer format, or whose metadata lack something.
    """
    content = _content(metadata)
    if content is None:
        return None
    format_version = content.get("format_version")
    if isinstance(format_version, int) and format_version > FORMAT_VERSION:
        raise FormatError(
            f"Version {number} of the store {uri} has format version {format_version}; this recsys reads up to "
            f"{FORMAT_VERSION}. Hint: a newer version of recsys may be able to read it."
        )
    try:
        facts = {member.name: content[member.name] for member in fields(StoreVersion) if member.name != "version"}
        return StoreVersion(**facts, version=number), RowOrder(**content["row_order"])
    except (KeyError, TypeError) as error:
        raise FormatError(f"Version {number} of the store {uri} lacks {error} in its metadata.") from error


def is_store_metadata(metadata: Mapping[bytes, bytes] | None) -> bool:
    """Whether a store of any format version published it."""
    return _content(metadata) is not None


def _content(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any] | None:
    try:
        content = json.loads((metadata or {}).get(KEY, b"null"))
    except ValueError:
        return None
    return content if isinstance(content, dict) and content.get("format") == _FORMAT else None
