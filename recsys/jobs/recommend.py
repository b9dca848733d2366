"""`recsys recommend`: a model's lists for all of its users, or some, as a Parquet, CSV or JSON Lines file.

The lists are made and written a batch of users at a time: the memory needed does not grow with the number of users.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recsys.errors import ParameterError, quote_some
from recsys.ids import IdMap
from recsys.jobs.id_files import read_id_file
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words
from recsys.jobs.terminal import say
from recsys.model import Model
from recsys.storage import write_file

__all__ = ["SUFFIXES", "RecommendationsWritten", "recommend", "require_suffix"]

SUFFIXES = (".parquet", ".csv", ".jsonl")


@dataclass(frozen=True)
class RecommendationsWritten:
    """A file of recommendations that was written: columns user_id, item_id, score, rank.

    n_users : users in the file.
    n_users_without_items : users that are not in it, since no item is left to recommend to them.
    """

    output: str
    n_users: int
    n_users_without_items: int
    n_rows: int
    k: int
    bytes: int
    seconds: float

    def show(self) -> None:
        """What was written, and how many users got nothing, on standard output."""
        say(
            f"Wrote {self.output}: {counted(self.n_rows, 'recommendation')} for {counted(self.n_users, 'user')}, "
            f"{bytes_in_words(self.bytes)}, in {seconds_in_words(self.seconds)}."
        )
        if without := self.n_users_without_items:
            verb = "has" if without == 1 else "have"
            say(f"{without:,} of {counted(self.n_users + without, 'user')} {verb} nothing left to recommend.")


def recommend(
    model: str,
    *,
    output: str,
    k: int = 10,
    users: str | None = None,
    only_items: str | None = None,
    exclude_items: str | None = None,
    include_seen: bool = False,
    unknown: str = "raise",
    index: str = "exact",
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> RecommendationsWritten:
    """Writes up to `k` items a user, best first.

    output : its suffix decides the format.
    users, only_items, exclude_items : files of ids (see `recsys.jobs.id_files`). Items to exclude that the model does not know
        are warned of: no list has them anyway.
    """
    clock = Clock()
    suffix = require_suffix(output)
    refuse_collisions([output], [model, users, only_items, exclude_items])
    with write_file(output, overwrite=overwrite) as temporary:
        loaded = Model.load(model)
        user_ids = None if users is None else read_id_file(users, loaded.users, unknown=unknown)
        batches = loaded.recommend_batches(
            user_ids,
            k,
            exclude_seen=not include_seen,
            only_items=None if only_items is None else read_id_file(only_items, loaded.items),
            exclude_items=None if exclude_items is None else _known_items(exclude_items, loaded.items),
            unknown=unknown,
            index=index,
            num_threads=num_threads,
            progress=progress,
        )
        with _writer(temporary, suffix, _schema(loaded.users, loaded.items)) as write:
            n_users, n_rows = _write_all(batches, write)
        size = temporary.stat().st_size
        without = _n_asked(user_ids, loaded.users, unknown) - n_users
    return RecommendationsWritten(output, n_users, without, n_rows, k, size, clock.seconds)


def require_suffix(output: str) -> str:
    """The suffix of `output`. Raises `ParameterError` unless it is one of `SUFFIXES`."""
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise ParameterError(f"The file of recommendations must end in {quote_some(SUFFIXES)}. Got {output!r}.")
    return suffix


def _known_items(path: str, items: IdMap) -> pa.Array | None:
    """The ids in a file that `items` holds, None when it holds none of them; warns of the others."""
    ids = read_id_file(path, items, unknown="ignore")
    known = items.positions(ids, unknown="ignore") >= 0
    if known.all():
        return ids
    strangers = ids.filter(pa.array(~known)).to_pylist()
    warnings.warn(
        f"{path} names {counted(len(strangers), 'item')} that the model does not know, so no list has them: "
        f"{quote_some(strangers)}.",
        stacklevel=3,
    )
    return ids.filter(pa.array(known)) if known.any() else None


def _n_asked(ids: pa.Array | None, known: IdMap, unknown: str) -> int:
    if ids is None:
        return len(known)
    return int((known.positions(ids, unknown="ignore") >= 0).sum()) if unknown == "skip" else len(ids)


def _schema(users: IdMap, items: IdMap) -> pa.Schema:
    # string, not large_string: every Parquet reader knows it, and a batch is far below its 2 GB.
    user_id, item_id = (pa.int64() if ids.is_integer else pa.string() for ids in (users, items))
    return pa.schema([("user_id", user_id), ("item_id", item_id), ("score", pa.float32()), ("rank", pa.int32())])


def _write_all(batches: Iterator[pd.DataFrame], write: Callable[[pd.DataFrame], None]) -> tuple[int, int]:
    n_users = n_rows = 0
    for frame in batches:
        if len(frame):  # pandas would make an empty line of none, which is no JSON
            write(frame)
        n_users += int((frame["rank"] == 1).sum())
        n_rows += len(frame)
    return n_users, n_rows


@contextmanager
def _writer(path: Path, suffix: str, schema: pa.Schema) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yields a function that appends a frame to the file `path`."""
    if suffix == ".jsonl":
        with open(path, "w", encoding="utf-8") as handle:
            yield lambda frame: frame.to_json(handle, orient="records", lines=True, force_ascii=False)
        return
    # The file is opened here and not by Arrow, which keeps it open when its last write fails.
    with open(path, "wb") as file:
        if suffix == ".parquet":
            opened = pq.ParquetWriter(file, schema, compression="zstd")
        else:
            opened = pyarrow.csv.CSVWriter(file, schema, write_options=pyarrow.csv.WriteOptions(quoting_header="none"))
        with opened as writer:
            yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
