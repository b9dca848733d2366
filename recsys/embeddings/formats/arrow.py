"""Arrow tables of a column of ids and one of vectors: what Parquet and Lance have in common. May import errors, ids and this
package's content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.embeddings.formats.content import Content, ids_of
from recsys.errors import DataError, quote_some
from recsys.kernels.dense import row_blocks

__all__ = ["Batches", "content_of", "is_published", "record_batches", "schema_of"]

Batches = Callable[[list[str]], Iterable[pa.RecordBatch]]

_BATCH = 65_536
_METADATA = b"recsys"


def schema_of(content: Content) -> pa.Schema:
    """The ids in a column named as they are, the vectors in `vector`, a list of fixed size; the provenance in the metadata."""
    metadata = {_METADATA: json.dumps({"provenance": dict(content.provenance)}, ensure_ascii=False).encode()}
    vector = pa.list_(pa.float32(), content.vectors.shape[1])
    fields = [pa.field(content.ids.name, content.ids.to_arrow().type, False), pa.field("vector", vector, False)]
    return pa.schema(fields, metadata)


def record_batches(content: Content) -> Iterator[pa.RecordBatch]:
    """The rows, a block at a time."""
    schema, ids = schema_of(content), content.ids.to_arrow()
    for rows in row_blocks(len(ids), _BATCH):
        numbers = pa.array(np.ascontiguousarray(content.vectors[rows]).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(numbers, content.vectors.shape[1])
        yield pa.record_batch([ids[rows.start : rows.stop], vectors], schema=schema)


def content_of(path: Path, schema: pa.Schema, read: Batches, name: str | None) -> Content:
    """Ids of the column `name`, or the first of integers or texts; vectors of the only column of lists of numbers.

    read : the batches of some columns.  Raises `DataError` that names the id of a vector that is missing or of another length.
    """
    id_column = _id_column(path, schema, name)
    lists = [field.name for field in schema if _is_vector(field.type)]
    if len(lists) != 1 and "vector" not in lists:
        raise DataError(
            f"{path} must have one column of lists of numbers, or one named 'vector'. "
            f"Got {quote_some(lists) or 'none'} among {quote_some(schema.names)}."
        )
    column = "vector" if "vector" in lists else lists[0]
    ids, blocks = [], []
    for batch in read([id_column, column]):
        ids.append(batch.column(id_column))
        blocks.append(_vectors(path, batch, id_column, column))
    dims = {block.shape[1] for block in blocks if len(block)}
    if len(dims) > 1:
        raise DataError(f"{path}: all vectors must have the same length. Got {quote_some(sorted(dims))}.")
    kind = schema.field(id_column).type
    values = pa.chunked_array(ids, type=kind)
    fixed = schema.field(column).type.list_size if pa.types.is_fixed_size_list(schema.field(column).type) else 0
    vectors = np.concatenate([block for block in blocks if len(block)]) if dims else np.empty((0, fixed), np.float32)
    return Content(ids_of(path, values, id_column), vectors, _provenance(schema.metadata or {}))


def _id_column(path: Path, schema: pa.Schema, name: str | None) -> str:
    def is_id(kind: pa.DataType) -> bool:
        return any(
            test(kind) for test in (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
        )

    candidates = [field.name for field in schema if is_id(field.type)]
    if name is not None and name not in schema.names:
        raise DataError(f"{path} has no column {name!r}; it has {quote_some(schema.names)}.")
    if name is None and not candidates:
        raise DataError(f"{path} has no column of integers or texts for ids; it has {quote_some(schema.names)}.")
    return candidates[0] if name is None else name


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _vectors(path: Path, batch: pa.RecordBatch, id_column: str, column: str) -> np.ndarray:
    lists = batch.column(column)
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
    if not len(lengths):
        return np.empty((0, 0), np.float32)
    counts = np.bincount(np.maximum(lengths, 0))
    counts[0] = 0
    usual = len(counts) - 1 - int(counts[::-1].argmax())  # of equally frequent lengths the longest
    wrong = np.flatnonzero(lengths != usual)
    if len(wrong):
        found = f"{lengths[wrong[0]]} numbers" if lengths[wrong[0]] >= 0 else "nothing"
        bad = quote_some(batch.column(id_column).take(pa.array(wrong)).to_pylist())
        raise DataError(
            f"{path}: all vectors must have the same length, most have {usual}. Not so: {bad}, the first with {found}."
        )
    numbers = lists.flatten()
    if numbers.null_count:
        raise DataError(f"{path}: numbers are missing in the column {column!r}.")
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float32).reshape(len(lists), usual)


def is_published(schema: pa.Schema) -> bool:
    """Whether a store published it (see `recsys.embeddings.store.versions`)."""
    return "format_version" in _written(schema.metadata or {})


def _provenance(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    found = _written(metadata).get("provenance")
    return found if isinstance(found, dict) else {}


def _written(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    try:
        written = json.loads(metadata.get(_METADATA, b"{}"))
    except ValueError:
        return {}
    return written if isinstance(written, dict) else {}
