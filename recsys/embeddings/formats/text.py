"""Vectors as text, one a line: word2vec (with a header), GloVe (without), and the pair of the TensorBoard projector.

Numbers are written with the fewest digits that give the same float32 again. May import errors and this package's content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from recsys.embeddings.formats.content import Content, ids_of, integers, is_compressed, opened, require_fitting
from recsys.errors import DataError, FormatError, quote_some
from recsys.kernels.dense import row_blocks

__all__ = [
    "has_header",
    "parse_header",
    "read_glove",
    "read_projector",
    "read_word2vec",
    "refuse_ids_with",
    "write_glove",
    "write_projector",
    "write_word2vec",
]

_HEADER = re.compile(rb"\s*(\d{1,15})[ \t]+(\d{1,9})\s*")
_WRITE_ROWS = 4096


@dataclass(frozen=True)
class _Layout:
    """Lines before the vectors, what stands between fields, whether the first is the id; dim numbers a line."""

    skip: int
    delimiter: str
    with_id: bool
    dim: int


# ---- writing ------------------------------------------------------------------------------------------------------


def write_word2vec(places: list[Path], content: Content, *, compressed: bool) -> None:
    """A line "n dim", then "id x1 x2 …" on each."""
    _write_with_ids(places[0], content, f"{len(content.ids)} {content.vectors.shape[1]}\n", compressed)


def write_glove(places: list[Path], content: Content, *, compressed: bool) -> None:
    """The same without the first line."""
    _write_with_ids(places[0], content, "", compressed)


def write_projector(places: list[Path], content: Content, *, compressed: bool) -> None:
    """Two files, as https://projector.tensorflow.org loads them: vectors by tabs, and the ids, one a line."""
    refuse_ids_with(content, r"[\t\r\n]", "tabs and ends of line")
    with opened(places[0], "wb", compressed=compressed) as handle:
        for rows in row_blocks(len(content.ids), _WRITE_ROWS):
            _write_lines(handle, _joined(content.vectors[rows], "\t"))
    with opened(places[1], "wb", compressed=compressed) as handle:
        for rows in row_blocks(len(content.ids), _WRITE_ROWS):
            _write_lines(handle, _texts(content, rows))


def refuse_ids_with(content: Content, pattern: str, what: str) -> None:
    """Raises `DataError` for ids that a format could not tell from what separates them."""
    if content.ids.is_integer:
        return
    ids = content.ids.to_arrow()
    bad = ids.filter(pc.match_substring_regex(ids, pattern))
    if len(bad):
        raise DataError(
            f"This format can not hold ids with {what}. Got {quote_some(bad.to_pylist())}. "
            "Hint: Parquet and safetensors hold every id."
        )


def _write_with_ids(path: Path, content: Content, header: str, compressed: bool) -> None:
    refuse_ids_with(content, r"\s", "blanks")
    with opened(path, "wb", compressed=compressed) as handle:
        handle.write(header.encode())
        for rows in row_blocks(len(content.ids), _WRITE_ROWS):
            numbers = _joined(content.vectors[rows], " ")
            _write_lines(handle, pc.binary_join_element_wise(_texts(content, rows), numbers, " "))


def _texts(content: Content, rows: slice) -> pa.Array:
    return content.ids.to_arrow()[rows.start : rows.stop].cast(pa.string())


def _joined(vectors: np.ndarray, delimiter: str) -> pa.Array:
    n, dim = vectors.shape
    numbers = pa.array(np.ascontiguousarray(vectors).reshape(-1)).cast(pa.string())
    return pc.binary_join(pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * dim, numbers), delimiter)


def _write_lines(handle: IO[bytes], lines: pa.Array) -> None:
    whole = pa.ListArray.from_arrays(np.array([0, len(lines)], np.int32), lines)
    handle.write(pc.binary_join(whole, "\n")[0].as_buffer())
    handle.write(b"\n")


# ---- reading ------------------------------------------------------------------------------------------------------


def has_header(path: Path) -> bool:
    """Whether the first line is two whole numbers: word2vec; GloVe has an id and at least one number, seldom both whole."""
    return _HEADER.fullmatch(_first_line(path)) is not None


def read_word2vec(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """Raises `FormatError` for a wrong header, `DataError` that names the line for one that does not fit it."""
    n, dim = parse_header(path, _first_line(path))
    require_fitting(path, n, dim, n * 2 * (dim + 1))
    ids, vectors = _read(path, _Layout(1, " ", True, dim))
    if len(vectors) != n:
        raise FormatError(
            f"{path}, line 1, says {n:,} vectors. {len(vectors):,} follow: the file is cut short, or its header is wrong."
        )
    return _with_ids(path, ids, vectors, name, integer_ids)


def read_glove(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """As word2vec without a header: the first line says how long vectors are."""
    dim = len(_first_line(path).split()) - 1
    if dim < 1:
        raise FormatError(f"{path}, line 1: expected an id and its numbers. Got {_shown(_first_line(path))}.")
    ids, vectors = _read(path, _Layout(0, " ", True, dim))
    return _with_ids(path, ids, vectors, name, integer_ids)


def read_projector(path: Path, metadata: Path, *, name: str | None, integer_ids: bool) -> Content:
    """Vectors and, from the file beside them, ids: the first column; it has a header if there are several."""
    _, vectors = _read(path, _Layout(0, "\t", False, len(_first_line(path).split(b"\t"))))
    with opened(metadata, "rb", compressed=is_compressed(metadata)) as handle:
        lines = [_decoded(line, metadata, number) for number, line in enumerate(handle, start=1)]
    if lines and "\t" in lines[0]:
        header, *lines = lines
        name = name or header.split("\t")[0]
    ids = [line.split("\t")[0] for line in lines]
    if len(ids) != len(vectors):
        raise DataError(f"{path} has {len(vectors):,} vectors, {metadata} {len(ids):,} ids.")
    return _with_ids(metadata, ids, vectors, name, integer_ids)


def parse_header(path: Path, line: bytes) -> tuple[int, int]:
    """The number of vectors and their length. Raises `FormatError`."""
    found = _HEADER.fullmatch(line)
    if found is None or int(found[2]) == 0:
        raise FormatError(
            f"{path}, line 1: a word2vec file begins with two numbers, how many vectors and how long they are. "
            f"Got {_shown(line)}. Hint: without that line it is the GloVe format."
        )
    return int(found[1]), int(found[2])


def _first_line(path: Path) -> bytes:
    with opened(path, "rb", compressed=is_compressed(path)) as handle:
        line = handle.readline(2**24)
    if not line.strip():
        raise FormatError(f"{path} is empty, or its first line is.")
    return line.rstrip(b"\r\n")


def _with_ids(path: Path, ids: list[str], vectors: np.ndarray, name: str | None, integer_ids: bool) -> Content:
    return Content(ids_of(path, integers(path, ids) if integer_ids else ids, name), vectors)


def _read(path: Path, layout: _Layout) -> tuple[list[str], np.ndarray]:
    """The ids, none where there are none in this file, and the vectors (n, dim) float32."""
    try:
        parts = list(_fast(path, layout))
    except pa.ArrowInvalid:
        # Ids with blanks are read by the slow reader, which also names the line where something else is wrong.
        parts = list(_line_by_line(path, layout))
    ids = [id_ for part, _ in parts for id_ in part]
    blocks = [vectors for _, vectors in parts]
    return ids, np.concatenate(blocks) if blocks else np.empty((0, layout.dim), np.float32)


def _fast(path: Path, layout: _Layout) -> Iterator[tuple[list[str], np.ndarray]]:
    columns = [f"x{number}" for number in range(layout.dim)]
    ends = ["end"] if _ends_with_delimiter(path, layout) else []
    names = [*(["id"] if layout.with_id else []), *columns, *ends]
    types: dict[str, Any] = {column: pa.float32() for column in columns} | {"id": pa.string(), "end": pa.string()}
    with opened(path, "rb", compressed=is_compressed(path)) as handle:
        reader = pyarrow.csv.open_csv(
            handle,
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=layout.skip, block_size=2**24),
            parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
        )
        for batch in reader:
            vectors = np.empty((batch.num_rows, layout.dim), np.float32)
            for number, column in enumerate(columns):
                vectors[:, number] = batch.column(column).to_numpy()
            yield batch.column("id").to_pylist() if layout.with_id else [], vectors


def _ends_with_delimiter(path: Path, layout: _Layout) -> bool:
    """The first word2vec wrote a blank after each number, the last one too."""
    with opened(path, "rb", compressed=is_compressed(path)) as handle:
        lines = [handle.readline(2**24) for _ in range(layout.skip + 1)]
    return lines[-1].rstrip(b"\r\n").endswith(layout.delimiter.encode())


def _line_by_line(path: Path, layout: _Layout) -> Iterator[tuple[list[str], np.ndarray]]:
    with opened(path, "rb", compressed=is_compressed(path)) as handle:
        for number, line in enumerate(handle, start=1):
            if number <= layout.skip or not line.strip():
                continue
            text = _decoded(line, path, number).rstrip(" \t" if layout.with_id else " ")
            fields = text.rsplit(layout.delimiter, layout.dim) if layout.with_id else ["", *text.split(layout.delimiter)]
            yield [fields[0]] if layout.with_id else [], _numbers(fields[1:], layout.dim, path, number)


def _numbers(fields: list[str], dim: int, path: Path, line: int) -> np.ndarray:
    if len(fields) != dim:
        raise DataError(f"{path}, line {line}: expected {dim} numbers. Got {len(fields)}.")
    try:
        return np.array([[float(field) for field in fields]], np.float32)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: expected {dim} numbers. {str(error).capitalize()}.") from None


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.rstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}, is not UTF-8: {error.reason} at byte {error.start}.") from None


def _shown(line: bytes) -> str:
    return quote_some([line.decode("utf-8", errors="replace")])
