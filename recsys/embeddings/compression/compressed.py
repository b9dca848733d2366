"""`CompressedEmbeddings`: embeddings whose vectors are kept as codes, and searched as codes.

May import errors, ids, parallel, storage and the rest of this room.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn, Self

import numpy as np

from recsys.embeddings.compression.axes import better_axes, in_axes
from recsys.embeddings.compression.coded import STORAGES, CodedVectors
from recsys.embeddings.compression.search import CodeSearch
from recsys.embeddings.compression.settings import Compression
from recsys.embeddings.embeddings import Embeddings
from recsys.embeddings.search import MetricSearch, require_metric
from recsys.errors import DataError, FormatError, InputError, ParameterError, quote_some
from recsys.ids import IdMap
from recsys.parallel import Workers
from recsys.retrieval import RankedLists
from recsys.retrieval.approximate import Indexes
from recsys.storage import Stored, id_table, write_stored

__all__ = ["CompressedEmbeddings", "compress_embeddings", "compress_vectors", "compressed_from_stored"]

# Of how many times k the codes propose where lists are scored again; signs alone are coarser.
_OVERSAMPLE, _OVERSAMPLE_OF_SIGNS = 4.0, 20.0


class CompressedEmbeddings(Embeddings):
    """Embeddings as `compress` makes them. Immutable.

    What asks for some ids decodes these; `nearest` and `neighbours` by cosine and dot product, and a model's lists, search the
    codes. Everything else works on `vectors`, which are all decoded when they are first asked for, and takes their memory.

    coded : the codes, of the leading columns or of all.
    originals : (n, dim) float32 or float16 that lists are scored by in the end, memory-mapped when loaded; None for what the
        codes stand for.
    turned : whether the vectors were turned to principal axes;  axes : (dim before, dim) float32, these, where they are kept:
        see `to_space`. Those of a model are not: its users are turned with its items.
    """

    coded: CodedVectors
    originals: np.ndarray | None
    axes: np.ndarray | None
    turned: bool
    oversample: float

    def __init__(
        self,
        ids: IdMap,
        coded: CodedVectors,
        originals: np.ndarray | None = None,
        axes: np.ndarray | None = None,
        *,
        turned: bool = False,
        oversample: float | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if len(coded) != len(ids) or (originals is not None and len(originals) != len(ids)):
            raise DataError(f"Compressed embeddings need a code for each of {len(ids):,} {ids.name}s. Got {len(coded):,}.")
        default = _OVERSAMPLE_OF_SIGNS if coded.codes.proposes else _OVERSAMPLE
        values = {
            "ids": ids,
            "coded": coded,
            "originals": originals,
            "axes": axes,
            "turned": turned or axes is not None,
            "oversample": default if oversample is None else oversample,
            "provenance": dict(provenance or {}),
            "indexes": Indexes(),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        again = "" if self.originals is None else f", scored again by {self.originals.dtype}"
        size = f"{self.bytes_per_id:,.1f} bytes each, {self.n_bytes / 1e6:,.1f} MB"
        return f"CompressedEmbeddings({len(self):,} {self.ids.name}s × {self.dim}, {self.storage}{again}, {size})"

    @property
    def storage(self) -> str:
        """How the codes are made."""
        return self.coded.storage

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self.coded.dim if self.originals is None else int(self.originals.shape[1])

    @property
    def n_bytes(self) -> int:
        """Of codes, codebooks, scales and axes; not of ids, and not of originals, which are read a few rows at a time."""
        return self.coded.n_bytes + (0 if self.axes is None else self.axes.nbytes)

    @property
    def bytes_per_id(self) -> float:
        """`n_bytes` by id: 4 · dim for plain vectors."""
        return self.n_bytes / max(len(self), 1)

    @property
    def _scores_again(self) -> bool:
        return self.originals is not None or self.coded.codes.proposes

    # ---- vectors ------------------------------------------------------------------------------------------------

    @cached_property
    def vectors(self) -> np.ndarray:
        """(n, dim) float32, all of them."""
        whole = self.coded.all_vectors() if self.originals is None else np.asarray(self.originals, np.float32).view()
        whole.flags.writeable = False
        return whole

    def vectors_at(self, positions: np.ndarray) -> np.ndarray:
        """(m, dim) float32: those of some rows."""
        return self._code_search(unit=False).rows(positions)

    def decompress(self) -> Embeddings:
        """Plain embeddings with these vectors."""
        return Embeddings(self.ids, self.vectors, {**self.provenance, "decompressed": True})

    def to_space(self, vectors: np.ndarray) -> np.ndarray:
        """(m, dim) float32: vectors (m, dim before) of the embeddings that were compressed, in the axes of these.

        What was made beside the vectors, such as a direction or a new item's vector, comes to be comparable by it.
        """
        if self.turned and self.axes is None:
            raise InputError("The axes of a compressed model are not kept. Hint: compress its item embeddings alone.")
        given = np.atleast_2d(np.asarray(vectors, np.float32))
        before = given.shape[1] if self.axes is None else len(self.axes)
        if given.shape[1] != before or before < self.dim:
            raise ParameterError(f"`vectors` must have {max(before, self.dim)} columns. Got shape {np.shape(vectors)}.")
        return given[:, : self.dim] if self.axes is None else given @ self.axes

    def take(self, ids: Any, *, unknown: str = "raise") -> Self:
        """See `Embeddings`: the codes stay as they are."""
        positions = self._positions_to_take(ids, unknown)
        originals = None if self.originals is None else self.originals[positions]
        return type(self)(
            self.ids.subset(positions), self.coded.taken(positions), originals, self.axes, turned=self.turned,
            oversample=self.oversample, provenance=self.provenance,
        )  # fmt: skip

    # ---- searching ----------------------------------------------------------------------------------------------

    def search_codes(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """Ranked lists by inner product: as `recsys.retrieval.top_k` of queries (m, dim) with these vectors.

        Raises `ParameterError` for queries of another shape.
        """
        if np.ndim(queries) != 2 or np.shape(queries)[1] != self.dim:
            raise ParameterError(f"`queries` must be of shape (m, {self.dim}). Got {np.shape(queries)}.")
        return self._code_search(unit=False).top_k(queries, k, seen=seen, candidates=candidates, num_threads=num_threads)

    def _code_search(self, *, unit: bool) -> CodeSearch:
        if unit not in self._code_searches:
            self._code_searches[unit] = CodeSearch(self.coded, self.originals, self.oversample, unit)
        return self._code_searches[unit]

    @cached_property
    def _code_searches(self) -> dict[bool, CodeSearch]:
        return {}

    def _search(self, metric: str) -> MetricSearch:
        require_metric(metric)
        if metric == "euclidean":
            return super()._search(metric)
        return _MetricCodeSearch(self._code_search(unit=metric == "cosine"), metric)

    def build_index(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `InputError`: an index scores by whole vectors."""
        raise InputError(
            "Compressed embeddings are searched by their codes; an index needs whole vectors. "
            "Hint: embeddings.decompress().build_index(…)."
        )

    # ---- files --------------------------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids and codes: equal embeddings have equal fingerprints."""
        digest = hashlib.sha256(b"integer" if self.ids.is_integer else b"string")
        for part in self.ids.content():
            digest.update(part)
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is kept, by name."""
        more = {"originals": self.originals, "axes": self.axes}
        return self.coded.arrays() | {name: array for name, array in more.items() if array is not None}

    def describe(self) -> dict[str, Any]:
        """How the vectors are kept: plain values, which are saved with them."""
        return {
            "storage": self.storage,
            "dimensions": self.coded.codes.dim,
            "scored_again_by": None if self.originals is None else str(self.originals.dtype),
            "oversample": self.oversample if self._scores_again else None,
            "turned": self.turned,
            "bytes_per_id": round(self.bytes_per_id, 3),
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "embeddings" that holds the codes: see `recsys.storage`, and `describe` in its attributes.

        An existing path is refused unless `overwrite`.
        """
        write_stored(
            path,
            "embeddings",
            arrays=self.arrays(),
            tables={"ids": id_table(self.ids)},
            attributes={"n": len(self), "dim": self.dim, "compressed": self.describe()},
            provenance=self.provenance,
            overwrite=overwrite,
        )


class _MetricCodeSearch(MetricSearch):
    """Codes under cosine or dot product."""

    def __init__(self, codes: CodeSearch, metric: str) -> None:
        super().__init__(np.empty((0, codes.coded.dim), np.float32), metric)
        self._codes = codes

    @cached_property
    def _exact(self) -> Any:
        return self._codes


def compress_vectors(
    ids: IdMap,
    vectors: np.ndarray,
    settings: Compression,
    *,
    axes: np.ndarray | None = None,
    keep_axes: bool = True,
    kept: int = 0,
    provenance: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
) -> CompressedEmbeddings:
    """Compresses vectors (n, dim), whose last `kept` columns, of biases, stay as they are.

    axes : (dim, dim) that the others are turned to before, and which are kept if `keep_axes`; None for none.
    """
    dim = vectors.shape[1] - kept
    dimensions = settings.dimensions_of(dim)
    with Workers(num_threads) as workers:
        whole = dim if settings.rescore else dimensions
        turned = in_axes(vectors, axes, whole, kept, workers)
        originals = None if settings.rescore is None else turned.astype(settings.rescore)
        coded = CodedVectors.encode(
            in_axes(turned, None, dimensions, kept, workers), settings.storage, kept, workers,
            subspaces=settings.subspaces, random_state=settings.random_state,
        )  # fmt: skip
    facts = {**(provenance or {}), "compressed": settings.describe()}
    used = None if axes is None or not keep_axes else np.ascontiguousarray(axes[:, :whole])
    return CompressedEmbeddings(
        ids, coded, originals, used, turned=axes is not None, oversample=settings.oversample, provenance=facts
    )


def compress_embeddings(embeddings: Embeddings, settings: Compression, num_threads: int | None) -> CompressedEmbeddings:
    """See `Embeddings.compress`."""
    with Workers(num_threads) as workers:
        axes = better_axes([embeddings.vectors], settings.dimensions_of(embeddings.dim), workers)
    return compress_vectors(
        embeddings.ids, embeddings.vectors, settings, axes=axes, provenance=embeddings.provenance, num_threads=num_threads
    )


def compressed_from_stored(
    stored: Stored, ids: IdMap, facts: Mapping[str, Any], *, prefix: str = "", provenance: Mapping[str, Any] | None = None
) -> CompressedEmbeddings:
    """What `CompressedEmbeddings.arrays` and `describe` were saved as. Raises `FormatError` that names what is wrong."""
    storage = facts.get("storage")
    if storage not in STORAGES:
        raise FormatError(
            f"{stored.path} keeps vectors as {storage!r}; this recsys reads {quote_some(STORAGES, 9)}. "
            "Hint: a newer version of recsys may be able to read it."
        )
    optional = ("turn", "kept", "originals", "axes")
    names = [*CodedVectors.array_names(storage), "originals", "axes"]
    arrays = {name: stored.array(prefix + name) for name in names if name not in optional or stored.has(prefix + name)}
    coded = CodedVectors.from_arrays(storage, arrays)
    if len(coded) != len(ids):
        raise FormatError(f"{stored.path} has codes of {len(coded):,} rows and {len(ids):,} {ids.name}s.")
    return CompressedEmbeddings(
        ids, coded, arrays.get("originals"), arrays.get("axes"), turned=bool(facts.get("turned")),
        oversample=facts.get("oversample"), provenance=provenance,
    )  # fmt: skip
