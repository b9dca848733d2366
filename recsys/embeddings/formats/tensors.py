"""safetensors (a JSON header and raw arrays), and a pair of NumPy files. May import errors and this package's content.

safetensors, as https://github.com/huggingface/safetensors describes it: 8 bytes with the length of the header (little endian),
the header, and the arrays one after the other. Ours hold "vectors" F32 (n, dim) and the ids: "ids" I64 (n), or for texts
"id_bytes" U8, all in UTF-8 one after the other, and "id_offsets" I64 (n + 1), where each begins and the last ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.embeddings.formats.content import Content, ids_of
from recsys.errors import DataError, FormatError, quote_some

__all__ = ["read_numpy", "read_safetensors", "write_numpy", "write_safetensors"]

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U8": "|u1", "BF16": "<u2"}
_FLOATS = ("F32", "F16", "BF16", "F64")
_LONGEST_HEADER = 100_000_000


def write_safetensors(places: list[Path], content: Content, *, compressed: bool) -> None:
    """The provenance goes into the header's metadata."""
    tensors = {"vectors": content.vectors.astype("<f4", copy=False), **_id_tensors(content)}
    metadata = {"name": content.ids.name, "provenance": json.dumps(dict(content.provenance), ensure_ascii=False)}
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in _TYPES.items() if dtype == tensor.dtype.str)
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that arrays begin where a memory map can read them
    with open(places[0], "wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            handle.write(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)


def read_safetensors(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """The vectors, memory-mapped where they are float32: the array "vectors", or else the only one of two dimensions."""
    header, begin = _header(path)
    metadata = header.pop("__metadata__", {})
    matrices = [key for key, entry in header.items() if entry["dtype"] in _FLOATS and len(entry["shape"]) == 2]
    if "vectors" not in matrices and len(matrices) != 1:
        raise DataError(
            f"{path} must hold one array of two dimensions, or one named 'vectors'. Got {quote_some(matrices) or 'none'}."
        )
    vectors = _tensor(path, header, "vectors" if "vectors" in matrices else matrices[0], begin)
    if "ids" in header:
        ids: Any = _tensor(path, header, "ids", begin)
    elif {"id_bytes", "id_offsets"} <= header.keys():
        ids = _texts(path, _tensor(path, header, "id_offsets", begin), _tensor(path, header, "id_bytes", begin))
    else:
        raise DataError(
            f"{path} holds no ids; its arrays are {quote_some(header)}. "
            "Hint: read the array itself and pass it with ids to Embeddings.from_arrays."
        )
    _require_as_many(path, vectors, ids)
    return Content(ids_of(path, ids, name or metadata.get("name")), vectors, _provenance(metadata))


def _id_tensors(content: Content) -> dict[str, np.ndarray]:
    if content.ids.is_integer:
        return {"ids": content.ids.to_numpy().astype("<i8", copy=False)}
    lengths, text = content.ids.content()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
    return {"id_offsets": offsets, "id_bytes": np.frombuffer(text, np.uint8)}


def _texts(path: Path, offsets: np.ndarray, text: np.ndarray) -> pa.Array:
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(text) or (np.diff(offsets) < 0).any():
        raise FormatError(f"{path}: 'id_offsets' do not fit 'id_bytes'.")
    ids = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))
    try:
        ids.validate(full=True)
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: its ids are not UTF-8.") from error
    return ids


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header and where the arrays begin."""
    size = path.stat().st_size
    with open(path, "rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise FormatError(f"{path} is not a safetensors file: it must begin with the length of its header.")
        text = handle.read(length)
    try:
        header = json.loads(text)
        for key, entry in header.items():
            if key != "__metadata__":
                _require_entry(path, key, entry, size - 8 - length)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise FormatError(f"{path}: its safetensors header can not be read ({error}).") from error
    return header, 8 + length


def _require_entry(path: Path, name: str, entry: Mapping[str, Any], there: int) -> None:
    begin, end = entry["data_offsets"]
    width = np.dtype(_TYPES[entry["dtype"]]).itemsize if entry["dtype"] in _TYPES else None
    fits = width is None or end - begin == math.prod(entry["shape"]) * width
    if not (0 <= begin <= end <= there and fits):
        raise FormatError(f"{path}: the array {name!r} does not lie where the header says; the file may be cut short.")


def _tensor(path: Path, header: Mapping[str, Any], name: str, begin: int) -> np.ndarray:
    entry = header[name]
    if entry["dtype"] not in _TYPES:
        raise DataError(f"{path}: the array {name!r} is of type {entry['dtype']}. Expected one of {quote_some(_TYPES)}.")
    shape = tuple(entry["shape"])
    if not math.prod(shape):
        return np.empty(shape, _TYPES[entry["dtype"]])
    raw = np.memmap(path, _TYPES[entry["dtype"]], "r", begin + entry["data_offsets"][0], shape)
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (np.asarray(raw).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(raw)


def _provenance(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        written = json.loads(metadata.get("provenance", "{}"))
    except ValueError:
        return {}
    return written if isinstance(written, dict) else {}


def _require_as_many(path: Path, vectors: np.ndarray, ids: Any) -> None:
    if len(vectors) != len(ids):
        raise DataError(f"{path} holds {len(vectors):,} vectors and {len(ids):,} ids.")


def write_numpy(places: list[Path], content: Content, *, compressed: bool) -> None:
    """Two .npy files: the vectors, and the ids as int64 or as texts of fixed width."""
    ids = content.ids.to_numpy()
    texts = ids if content.ids.is_integer else ids.astype(np.str_)
    if not content.ids.is_integer and (texts != ids).any():
        raise DataError("NumPy's texts can not end in a null character, and an id does. Hint: Parquet holds every id.")
    for place, array in zip(places, (content.vectors, texts), strict=True):
        with open(place, "wb") as handle:
            np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)


def read_numpy(path: Path, ids_path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """The vectors are memory-mapped."""
    vectors, ids = _array(path), _array(ids_path)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise DataError(f"{path} must hold numbers of shape (n, dim). Got {vectors.dtype} of shape {vectors.shape}.")
    _require_as_many(path, vectors, ids)
    return Content(ids_of(ids_path, ids.tolist() if ids.dtype.kind == "U" else ids, name), vectors)


def _array(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as error:
        raise FormatError(f"{path} is not a .npy file of numbers or of texts: {error}") from error
