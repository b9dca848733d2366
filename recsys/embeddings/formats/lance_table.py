"""Lance: a table of a column of ids and one of vectors, a folder. May import errors, ids and this package's arrow and content.

The columns and the metadata are those of Parquet; ids stay in their order. A store (`recsys.embeddings.store`) is read at its
newest version, and never overwritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.embeddings.formats.arrow import content_of, is_published, record_batches, schema_of
from recsys.embeddings.formats.content import Content
from recsys.errors import DataError, FormatError, ParameterError, StorageError, require_extra

__all__ = ["read_lance", "refuse_other_lance", "write_lance"]

_PURPOSE = "The Lance format"


def write_lance(places: list[Path], content: Content, *, compressed: bool) -> None:
    """Writes a table of one version."""
    lance = require_extra("lance", "store", _PURPOSE)
    batches = pa.RecordBatchReader.from_batches(schema_of(content), record_batches(content))
    # The folder was made for us; a table is made where there is none.
    places[0].rmdir()
    try:
        lance.write_dataset(batches, str(places[0]), mode="create")
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"The Lance table could not be written: {_first_line(error)}") from error


def read_lance(path: Path, *, name: str | None, integer_ids: bool) -> Content:
    """The newest version; columns are chosen, and refused, as those of Parquet are."""
    lance = require_extra("lance", "store", _PURPOSE)
    try:
        dataset = lance.dataset(str(path))
        schema = dataset.schema

        def batches(columns: list[str]) -> Any:
            return dataset.scanner(columns=columns, scan_in_order=True, disable_scoring_autoprojection=True).to_batches()

        return content_of(path, schema, batches, name)
    except (DataError, FormatError):
        raise
    except (OSError, ValueError, RuntimeError, pa.ArrowInvalid) as error:
        raise FormatError(f"{path} can not be read as a Lance table: {_first_line(error)}") from error


def refuse_other_lance(path: Path, *, overwrite: bool) -> None:
    """Raises `ParameterError` unless a Lance table may be written at `path`: only one that is no store is ever replaced."""
    lance = require_extra("lance", "store", _PURPOSE)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise ParameterError(f"{path} already exists. Hint: ask to overwrite it, or choose another path.")
    if not (path / "_versions").is_dir():
        raise ParameterError(f"{path} is not a Lance table, so it is not overwritten by one.")
    dataset = lance.dataset(str(path))
    if len(dataset.versions()) > 1 or dataset.tags.list() or is_published(dataset.schema):
        raise ParameterError(
            f"{path} is a store, or a Lance table with earlier versions, which would be lost, so it is not overwritten. "
            "Hint: recsys embeddings publish adds a version to a store."
        )


def _first_line(error: BaseException) -> str:
    """Lance's sentence without the place in its sources."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(", /")[0].rstrip(". ") + "."
