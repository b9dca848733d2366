"""`recsys similar`: the items nearest to one, or to each of the whole catalogue as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.jobs.batch_plan import BatchPlan
from recsys.jobs.id_files import parse_id
from recsys.jobs.list_files import list_writer, require_suffix
from recsys.jobs.locks import held
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words
from recsys.jobs.terminal import print_table, say
from recsys.model import load_model
from recsys.storage import write_file

__all__ = ["SimilarItems", "SimilarItemsWritten", "similar", "similar_to_all"]


@dataclass(frozen=True)
class SimilarItems:
    """The items nearest to `item_id`: a list of item_id, score and rank, best first."""

    item_id: str | int
    similar: list[dict[str, Any]]

    def show(self) -> None:
        """A table on standard output."""
        rows = [(entry["rank"], str(entry["item_id"]), entry["score"]) for entry in self.similar]
        print_table(("rank", "item", "score"), rows, title=f"Similar to {self.item_id}")


def similar(model: str, item: str, *, k: int = 10) -> SimilarItems:
    """The `k` items nearest to `item` (as typed: it is read as the model's type of id)."""
    loaded = load_model(model)
    item_id = parse_id(item, loaded.items, model)
    frame = loaded.similar_items([item_id], k)
    columns = {"item_id": frame["similar_item_id"], "score": frame["score"], "rank": frame["rank"]}
    names, values = list(columns), zip(*(column.tolist() for column in columns.values()), strict=True)
    return SimilarItems(item_id, [dict(zip(names, row, strict=True)) for row in values])


@dataclass(frozen=True)
class SimilarItemsWritten:
    """A file with the nearest items of every item: columns item_id, similar_item_id, score, rank."""

    output: str
    n_items: int
    n_rows: int
    k: int
    bytes: int
    seconds: float

    def show(self) -> None:
        """One sentence on standard output."""
        say(
            f"Wrote {self.output}: {counted(self.n_rows, 'pair')} for {counted(self.n_items, 'item')}, "
            f"{bytes_in_words(self.bytes)}, in {seconds_in_words(self.seconds)}."
        )


def similar_to_all(
    model: str,
    *,
    output: str,
    k: int = 10,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> SimilarItemsWritten:
    """Writes the `k` items nearest to each item of the model to a Parquet, CSV or JSON Lines file, a batch at a time."""
    clock, suffix, place = Clock(), require_suffix(output), Path(output)
    refuse_collisions([output], [model])
    with held(place), write_file(place, overwrite=overwrite) as temporary:
        loaded = load_model(model)
        item_id = pa.int64() if loaded.items.is_integer else pa.string()
        schema = pa.schema([("item_id", item_id), ("similar_item_id", item_id), ("score", pa.float32()), ("rank", pa.int32())])
        rows_an_item = min(k, len(loaded.items))
        batch = BatchPlan(len(loaded.items), rows_an_item, rows_an_item).batch_users
        frames = loaded.similar_items_batches(None, k, batch_items=batch, num_threads=num_threads, progress=progress)
        n_items = n_rows = 0
        with list_writer(temporary, suffix, schema) as append:
            for frame in frames:
                append(frame)
                n_items, n_rows = n_items + int((frame["rank"] == 1).sum()), n_rows + len(frame)
        size = temporary.stat().st_size
    return SimilarItemsWritten(output, n_items, n_rows, k, size, clock.seconds)
