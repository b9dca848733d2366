"""`VectorTable`: ids with a vector each, checked, and their files; what `Embeddings` operates on.

May import errors, ids, storage, the indexes of retrieval and this room's formats.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, cast

import numpy as np

from recsys.embeddings import formats
from recsys.errors import DataError, ParameterError, quote_some
from recsys.ids import IdMap
from recsys.retrieval.approximate import Indexes
from recsys.storage import Stored, id_table, open_stored, read_ids, write_stored

__all__ = ["VectorTable"]

_STRETCH = 2**16


@dataclass(frozen=True, eq=False, repr=False)
class VectorTable:
    """Immutable vectors with their ids: see `Embeddings`, the class that users have."""

    ids: IdMap
    vectors: np.ndarray
    provenance: Mapping[str, Any] = field(default_factory=dict)
    indexes: Indexes = field(default_factory=Indexes)

    def __post_init__(self) -> None:
        if not isinstance(self.ids, IdMap):
            raise ParameterError(
                f"Embeddings take an IdMap. Got {type(self.ids).__name__}. Hint: Embeddings.from_arrays(ids, vectors)."
            )
        given = np.asarray(self.vectors)
        if given.ndim != 2 or len(given) != len(self.ids) or given.dtype.kind not in "fiu":
            raise DataError(
                f"Embeddings.vectors must be numbers of shape ({len(self.ids)}, dim), one row an id. "
                f"Got {given.dtype} of shape {given.shape}."
            )
        vectors = np.ascontiguousarray(given, dtype=np.float32).view()
        # A stretch at a time: the answers for all would be a quarter of the vectors in memory.
        if not all(np.isfinite(vectors[start : start + _STRETCH]).all() for start in range(0, len(vectors), _STRETCH)):
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            raise DataError(f"Every vector must be finite. Not so: {quote_some(self.ids.ids_at(bad).to_pylist())}.")
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)

    @classmethod
    def from_arrays(cls, ids: Any, vectors: Any, *, name: str = "id") -> Self:
        """From a sequence of unique ids and as many vectors; `name` is what the ids name. Raises `DataError`."""
        return cls(IdMap(ids, name=name), np.asarray(vectors))

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.ids

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} {self.ids.name}s × {self.dim}, {self.vectors.nbytes / 1e6:,.1f} MB)"

    def __getitem__(self, wanted: Any) -> Any:
        """The vector (dim,) of one id, or the Embeddings of a list of ids. Raises `UnknownIdError`."""
        if isinstance(wanted, (str, int, np.integer)):
            vector = self.vectors_at(np.array([self.ids.position(wanted)]))[0]
            vector.flags.writeable = False
            return vector
        return self.take(wanted)

    def vectors_at(self, positions: np.ndarray) -> np.ndarray:
        """(m, dim) float32: the vectors of rows given by position."""
        return np.asarray(self.vectors[positions])

    def take(self, ids: Any, *, unknown: str = "raise") -> Self:
        """The Embeddings of some ids, in the order given; unknown ones raise `UnknownIdError`, or are passed over ("skip")."""
        positions = self._positions_to_take(ids, unknown)
        return type(self)(self.ids.subset(positions), self.vectors[positions], self.provenance)

    def _positions_to_take(self, ids: Any, unknown: str) -> np.ndarray:
        if unknown not in ("raise", "skip"):
            raise ParameterError(f"`unknown` must be 'raise' or 'skip'. Got {unknown!r}.")
        positions = self.ids.positions(ids, unknown="raise" if unknown == "raise" else "ignore")
        positions = positions[positions >= 0]
        if len(np.unique(positions)) < len(positions):
            raise DataError(f"Each {self.ids.name} can be taken once only.")
        return positions

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids and vectors: equal embeddings have equal fingerprints."""
        digest = hashlib.sha256(b"integer" if self.ids.is_integer else b"string")
        for part in self.ids.content():
            digest.update(part)
        digest.update(str(self.vectors.shape).encode())
        digest.update(self.vectors.data)
        return digest.hexdigest()

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "embeddings" (see `recsys.storage`), indexes in folders of `indexes/`.

        An existing path is refused unless `overwrite`; its indexes go with it.
        """
        write_stored(
            path,
            "embeddings",
            arrays={"vectors": self.vectors},
            tables={"ids": id_table(self.ids)},
            attributes={"n": len(self), "dim": self.dim},
            provenance=self.provenance,
            parts={f"indexes/{name}": index.save for name, index in self.indexes.items()},
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Opens a directory written by `save`; the vectors are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "embeddings", verify=verify), verify=verify)

    @classmethod
    def from_stored(cls, stored: Stored, *, verify: bool = True) -> Self:
        """The embeddings in an opened directory. Indexes are opened, and checked if `verify`, when they are asked for."""
        if "compressed" in stored.attributes:
            from recsys.embeddings.compression.compressed import compressed_from_stored  # it is made of this class

            ids = read_ids(stored, "ids")
            return cast(
                Self, compressed_from_stored(stored, ids, stored.attributes["compressed"], provenance=stored.provenance)
            )
        indexes = Indexes.in_folder(stored.path / "indexes", verify=verify)
        return cls(read_ids(stored, "ids"), stored.array("vectors"), stored.provenance, indexes)

    def to_file(self, path: str | os.PathLike[str], format: str | None = None, *, overwrite: bool = False) -> None:
        """Writes an open format, told by the suffix of `path` unless named: see `recsys.embeddings.formats`.

        An existing file is refused unless `overwrite`. Raises `DataError` for ids that the format can not hold.
        """
        formats.write(path, formats.Content(self.ids, self.vectors, self.provenance), format, overwrite=overwrite)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], format: str | None = None, *, name: str | None = None, integer_ids: bool = False
    ) -> Self:
        """Reads what `to_file` or another program wrote.

        name : what the ids name; as the file says by default, or "id".
        integer_ids : read the ids of a text format as integers; formats that hold types need not be told.
        Raises `DataError` or `FormatError` naming the file, and the line or row, for what can not be read.
        """
        content = formats.read(path, format, name=name, integer_ids=integer_ids)
        return cls(content.ids, content.vectors, content.provenance)
