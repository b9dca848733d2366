"""`recsys embeddings map`: embeddings in two dimensions, as a page, a picture or a table of coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recsys.embeddings import Embeddings
from recsys.embeddings.mapping import EmbeddingMap, map_embeddings
from recsys.embeddings.mapping.joined import joined_columns
from recsys.embeddings.mapping.picture import PICTURES
from recsys.errors import ParameterError, quote_some, require_extra
from recsys.ids import IdMap
from recsys.jobs.compare import model_names
from recsys.jobs.embeddings_sources import embeddings_of, open_source
from recsys.jobs.id_files import read_id_file
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words
from recsys.jobs.table_files import read_features
from recsys.jobs.terminal import say
from recsys.model import Model
from recsys.progress import show_progress
from recsys.storage import write_file

__all__ = ["MapWritten", "map_"]

_TABLES = (".csv", ".parquet")
_PAGES = (".html",)


@dataclass(frozen=True)
class MapWritten:
    """A map that was written.

    neighbours_kept : the share of an id's `neighbours_counted` nearest that are also its nearest on the map.
    n_left_out : ids without a place: their vectors are zero.
    n_described : ids that the file of titles has; None without one.
    """

    output: str
    method: str
    metric: str
    n_ids: int
    n_left_out: int
    n_described: int | None
    neighbours_kept: float | None
    neighbours_counted: int | None
    beside: str | None
    bytes: int
    seconds: float

    def show(self) -> None:
        """One or two sentences on standard output."""
        beside = f" beside {self.beside}" if self.beside else ""
        say(
            f"Wrote {self.output}: {counted(self.n_ids, 'id')} by {self.method}{beside}, {bytes_in_words(self.bytes)}, "
            f"in {seconds_in_words(self.seconds)}."
        )
        if self.n_described is not None and self.n_described < self.n_ids:
            say(f"The file of titles has {self.n_described:,} of them.")
        if self.neighbours_kept is not None:
            say(
                f"Of the {self.neighbours_counted} nearest of an id, {self.neighbours_kept:.0%} are among its "
                f"{self.neighbours_counted} nearest on the map."
            )


def map_(
    source: str,
    *,
    output: str,
    method: str = "umap",
    side: str | None = None,
    titles: str | None = None,
    label: str | None = None,
    colour: str | None = None,
    title: str | None = None,
    ids: str | None = None,
    beside: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> MapWritten:
    """Maps the embeddings of `source` and writes them as the suffix of `output` says.

    titles : CSV or Parquet with the ids and columns about them. To those of a model the number of interactions is added.
    ids : a file of the only ones to map.
    beside : an earlier or later version, mapped to lie alike; for pages and pictures.
    options : `metric`, `n_neighbors`, `min_dist`, `random_state` as `Embeddings.map` has them.
    """
    clock, suffix = Clock(), _suffix_of(output, beside, label=label, colour=colour, title=title)
    refuse_collisions([output], [source, titles, beside, ids])
    with write_file(output, overwrite=overwrite) as temporary:
        opened = open_source(source)
        embeddings = embeddings_of(opened, side, source)
        only = None if ids is None else read_id_file(ids, embeddings.ids)
        given = None if titles is None else read_features(titles, embeddings.ids).to_pandas()
        table = _about(opened, embeddings.ids, given)
        with show_progress(f"Map by {method}", None, enabled=progress) as advance:
            made = map_embeddings(embeddings, method, ids=only, num_threads=num_threads, **options)
            other = None if beside is None else _beside(beside, side, made, method, num_threads, options)
            advance(len(made))
        names = None if beside is None else _names(source, beside)
        if suffix in _TABLES:
            _write_table(temporary, made.to_frame(table))
        else:
            save = made.save_html if suffix in _PAGES else made.save_image
            save(
                temporary, table=table, title=title, label=label, colour=colour, beside=other, names=names, overwrite=True
            )  # fmt: skip
        size = temporary.stat().st_size
    return _written(made, output, beside, given, size, clock)


def _written(
    made: EmbeddingMap, output: str, beside: str | None, titles: pd.DataFrame | None, size: int, clock: Clock
) -> MapWritten:
    facts, name = made.provenance, made.ids.name
    described = None if titles is None else int((made.ids.positions(titles[name], unknown="ignore") >= 0).sum())
    return MapWritten(
        output, made.method, str(facts["metric"]), len(made), int(facts["n_left_out"]), described,
        facts.get("neighbours_kept"), facts.get("neighbours_counted"), beside, size, clock.seconds,
    )  # fmt: skip


def _suffix_of(output: str, beside: str | None, **shown: str | None) -> str:
    """The suffix, when it is one that can be written and shows all that is asked for."""
    suffix = Path(output).suffix.lower()
    known = (*_PAGES, *PICTURES, *_TABLES)
    if suffix not in known:
        raise ParameterError(f"`output` must end in one of {quote_some(known, 6)}. Got {output!r}.")
    unused = [name for name, value in {"beside": beside, **shown}.items() if value is not None]
    if suffix in _TABLES and unused:
        raise ParameterError(f"A table of coordinates can not show {', '.join(f'`{name}`' for name in unused)}.")
    if suffix in PICTURES:
        require_extra("matplotlib", "map", "A picture of a map")
    return suffix


def _about(opened: Model | Embeddings, ids: IdMap, table: pd.DataFrame | None) -> pd.DataFrame | None:
    """What is known of the ids: the columns of `table`, and of a model's the number of interactions."""
    if not isinstance(opened, Model):
        return table
    counts = opened.history.item_counts if ids == opened.items else opened.history.user_counts
    known = pd.concat([ids.series(range(len(ids))), joined_columns(ids, table)], axis=1)
    if "interactions" not in known:
        known["interactions"] = counts
    # In a picture the first rows get their names written first: those of what is known best.
    by_count: pd.DataFrame = known.iloc[(-counts).argsort(kind="stable")]
    return by_count


def _beside(
    path: str, side: str | None, like: EmbeddingMap, method: str, num_threads: int | None, options: dict[str, Any]
) -> EmbeddingMap:
    opened = open_source(path)
    embeddings = embeddings_of(opened, side if isinstance(opened, Model) else None, path)
    return map_embeddings(embeddings, method, like=like, num_threads=num_threads, **options)


def _names(source: str, beside: str) -> tuple[str, str]:
    first, second = model_names([source, beside])
    return first, second


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        pyarrow.csv.write_csv(table, path)
