"""`recsys index`: an approximate index of a model's items or of embeddings, its parameters chosen by measurement.

It is saved beside what it was built from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.embeddings import Embeddings
from recsys.errors import ParameterError
from recsys.jobs.embeddings_sources import open_source
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words
from recsys.jobs.terminal import print_table, say
from recsys.retrieval.approximate.stored import require_name
from recsys.storage import refuse_existing

__all__ = ["IndexWritten", "index", "show_index"]


@dataclass(frozen=True)
class IndexWritten:
    """An index that was written, with what was measured.

    index : as `ItemIndex.describe` gives it.
    """

    output: str
    name: str
    index: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """A sentence, what was measured, and which search to use, on standard output."""
        what = "vector" if "metric" in self.index else "item"
        say(f"Wrote {self.output}: {counted(self.index['n_items'], what)}, in {seconds_in_words(self.seconds)}.")
        show_index(self.name, self.index)


def index(
    source: str,
    *,
    kind: str = "auto",
    name: str | None = None,
    metric: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> IndexWritten:
    """Builds an index of the model or embeddings in the directory `source` and writes it to its folder `indexes/NAME`.

    name : by default the kind as it was asked for.
    metric : of embeddings: what makes near. A model's items are searched by inner product, as it scores them.
    options : as `Model.build_index` and `Embeddings.build_index` have them.
    """
    clock = Clock()
    if Path(source).is_file():
        raise ParameterError(
            f"{source} is a file; an index lies in a directory beside what it was built from. "
            "Hint: recsys embeddings import makes a directory of it."
        )
    opened = open_source(source)
    name = kind if name is None else require_name(name)
    place = Path(source) / "indexes" / name
    refuse_existing(place, "index", overwrite=overwrite)
    if metric is not None:
        if not isinstance(opened, Embeddings):
            raise ParameterError(f"`metric` is for embeddings, and {source} holds a model, which scores by inner product.")
        options["metric"] = metric
    built = opened.build_index(kind, name=name, **options).indexes[name]
    built.save(place, overwrite=overwrite)
    return IndexWritten(str(place), name, built.describe(), clock.seconds)


def show_index(name: str, found: dict[str, Any]) -> None:
    """What an index is and how it did, beside exact search, on standard output."""
    recall = f"{found['recall']:.4f} ({found['recall_low']:.3f} to {found['recall_high']:.3f})"
    rows = [
        (f"recall@{found['k']}", recall, "1"),
        ("single queries a second", f"{found['single_per_second']:,.0f}", f"{found['exact_single_per_second']:,.0f}"),
        ("queries a second in batches", f"{found['batch_per_second']:,.0f}", f"{found['exact_batch_per_second']:,.0f}"),
        ("size", bytes_in_words(found["bytes"]), "–"),
        ("time to build", seconds_in_words(found["build_seconds"]), "–"),
    ]
    metric = f", by {found['metric']}" if "metric" in found else ""
    print_table(("", f"index {name}: {found['kind']}, {found['reduction']}{metric}", "exact"), rows)
    queries = counted(found["n_queries"], "id" if metric else "user")
    say(f"Recall: mean over {queries} that parameters were not chosen by, with its 95 % interval.")
    say(found["advice"])
