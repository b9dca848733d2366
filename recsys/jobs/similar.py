"""`recsys similar`: the items nearest to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recsys.jobs.id_files import parse_id
from recsys.jobs.terminal import print_table
from recsys.model import Model

__all__ = ["SimilarItems", "similar"]


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
    loaded = Model.load(model)
    item_id = parse_id(item, loaded.items, model)
    frame = loaded.similar_items([item_id], k)
    columns = {"item_id": frame["similar_item_id"], "score": frame["score"], "rank": frame["rank"]}
    names, values = list(columns), zip(*(column.tolist() for column in columns.values()), strict=True)
    return SimilarItems(item_id, [dict(zip(names, row, strict=True)) for row in values])
