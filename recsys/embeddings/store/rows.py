"""Rows of one version: all of them, or single ones without reading the others. May import errors, ids, kernels' blocks.

Rows are sorted by id (`versions.RowOrder`): the ids that are asked for are looked up in the stretches that can hold them, and
then their vectors alone are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.embeddings.store.versions import RowOrder, StoreVersion
from recsys.errors import FormatError
from recsys.ids import IdMap
from recsys.kernels.dense import row_blocks

__all__ = ["VECTOR", "SortedRows", "find", "ids_of", "vectors_at", "vectors_of"]

VECTOR = "vector"
_BATCH = 65_536
_LEAST_STRETCH, _MOST_STRETCHES = 4096, 2048


class SortedRows:
    """Ids and vectors (n, dim) in the order of the ids, a block at a time: nothing is copied as a whole.

    fingerprint : that of the `Embeddings` that these rows are, once `batches` were read to their end.
    """

    fingerprint = ""

    def __init__(self, ids: IdMap, vectors: np.ndarray) -> None:
        given = ids.to_arrow()
        order = np.asarray(pc.sort_indices(given))
        as_they_are = bool((order == np.arange(len(ids))).all())
        self.ids = ids if as_they_are else ids.subset(order)
        self._order: np.ndarray | None = None if as_they_are else order
        self._vectors = vectors

    def schema(self, metadata: dict[bytes, bytes]) -> pa.Schema:
        """A column named as the ids are, and `vector`, a list of fixed size."""
        kind = pa.int64() if self.ids.is_integer else pa.string()
        vector = pa.list_(pa.float32(), self._vectors.shape[1])
        return pa.schema([pa.field(self.ids.name, kind, False), pa.field(VECTOR, vector, False)], metadata)

    @property
    def order(self) -> RowOrder:
        """Of the ids: at most so many first ids that the metadata stay small."""
        rows = max(_LEAST_STRETCH, -(-len(self.ids) // _MOST_STRETCHES))
        return RowOrder(rows, self.ids.ids_at(np.arange(0, len(self.ids), rows)).to_pylist())

    def batches(self, advance: Callable[..., None]) -> pa.RecordBatchReader:
        """Arrow batches; `advance` is told of rows as they go, and when all have gone `fingerprint` is there."""
        schema = self.schema({})
        return pa.RecordBatchReader.from_batches(schema, self._generate(schema, advance))

    def _generate(self, schema: pa.Schema, advance: Callable[..., None]) -> Iterator[pa.RecordBatch]:
        # As `Embeddings.fingerprint` of these rows; here because putting rows in order costs as much as writing them.
        digest = hashlib.sha256(b"integer" if self.ids.is_integer else b"string")
        for part in self.ids.content():
            digest.update(part)
        digest.update(str(self._vectors.shape).encode())
        ids = self.ids.to_arrow()
        for rows in row_blocks(len(ids), _BATCH):
            vectors = np.ascontiguousarray(self._vectors[rows if self._order is None else self._order[rows]])
            digest.update(vectors.data)
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
            yield pa.record_batch([ids[rows.start : rows.stop].cast(schema.field(0).type), column], schema=schema)
            advance(len(vectors))
        self.fingerprint = digest.hexdigest()


def ids_of(dataset: Any, version: StoreVersion) -> IdMap:
    """All ids, in order of rows; no vector is read."""
    column = dataset.to_table(columns=[version.ids], disable_scoring_autoprojection=True).column(0)
    if len(column) != version.n:
        raise FormatError(f"Version {version.version} has {len(column):,} rows; it was published with {version.n:,}.")
    return IdMap(column, name=version.ids)


def vectors_of(dataset: Any, version: StoreVersion) -> np.ndarray:
    """(n, dim) float32 of all rows, read into place block by block."""
    vectors = np.empty((version.n, version.dim), np.float32)
    done = 0
    scanner = dataset.scanner(columns=[VECTOR], scan_in_order=True, disable_scoring_autoprojection=True)
    for batch in scanner.to_batches():
        vectors[done : done + len(batch)] = _matrix(batch.column(0), version.dim)
        done += len(batch)
    return vectors


def find(dataset: Any, version: StoreVersion, order: RowOrder, wanted: pa.Array) -> np.ndarray:
    """(m,) int64 rows of the ids `wanted`, -1 for those that this version does not have."""
    rows = np.full(len(wanted), -1, np.int64)
    if bool(pa.types.is_integer(wanted.type)) != version.integer_ids:
        return rows
    stretches = np.array([order.stretch_of(id_) for id_ in wanted.to_pylist()], np.int64)
    needed = np.unique(stretches[stretches >= 0])
    if not len(needed):
        return rows
    places = _places(needed, order.rows, version.n)
    if len(places) > version.n // 2:
        places, there = np.arange(version.n), ids_of(dataset, version).to_arrow()
    else:
        there = _taken(dataset, version.ids, places)
    # The few are hashed, the many are looked up.
    number = pc.index_in(there, value_set=wanted.cast(there.type))
    known = pc.is_valid(number)
    rows[number.filter(known).to_numpy()] = places[np.asarray(known)]
    return rows


def vectors_at(dataset: Any, version: StoreVersion, rows: np.ndarray) -> np.ndarray:
    """(m, dim) float32 of some rows, in the order given."""
    vectors = np.empty((len(rows), version.dim), np.float32)
    # Rising rows are read in fewer pieces.
    order = np.argsort(rows, kind="stable")
    for block in row_blocks(len(rows), _BATCH):
        places = order[block]
        vectors[places] = _matrix(_taken(dataset, VECTOR, rows[places]), version.dim)
    return vectors


def _places(stretches: np.ndarray, rows: int, n: int) -> np.ndarray:
    places = (stretches[:, None] * rows + np.arange(rows)).reshape(-1)
    return np.asarray(places[places < n])


def _taken(dataset: Any, column: str, rows: np.ndarray) -> pa.Array:
    return dataset.take(pa.array(rows), columns=[column]).column(0).combine_chunks()


def _matrix(lists: pa.Array, dim: int) -> np.ndarray:
    return np.asarray(lists.flatten().to_numpy(zero_copy_only=False)).reshape(len(lists), dim)
