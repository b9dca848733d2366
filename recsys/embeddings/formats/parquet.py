"""Parquet: a column of ids and one of vectors. May import errors and this package's content and arrow."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.embeddings.formats.arrow import content_of, record_batches, schema_of
from recsys.embeddings.formats.content import Content
from recsys.errors import FormatError

__all__ = ["read_parquet", "write_parquet"]


def write_parquet(places: list[Path], content: Content, *, compressed: bool) -> None:
    """The ids in a column named as they are, the vectors in `vector`, a list of fixed size; the provenance in the metadata."""
    schema = schema_of(content)
    with open(places[0], "wb") as handle, pq.ParquetWriter(handle, schema, compression="zstd", use_dictionary=False) as writer:
        for batch in record_batches(content):
            writer.write_batch(batch)


def read_parquet(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """Ids of the column `name`, or the first of integers or texts; vectors of the only column of lists of numbers.

    Raises `DataError` that names the id of a vector that is missing or of another length.
    """
    try:
        with pq.ParquetFile(path) as file:
            return content_of(path, file.schema_arrow, lambda columns: file.iter_batches(columns=columns), name)
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path} can not be read as Parquet: {error}") from error
