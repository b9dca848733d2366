"""`recsys embeddings export` and `import`: to and from open formats."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.embeddings import Embeddings
from recsys.embeddings.formats import format_of, places_of
from recsys.jobs.embeddings_sources import embeddings_of, open_source
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words, size_of
from recsys.jobs.terminal import say
from recsys.storage import refuse_existing

__all__ = ["EmbeddingsWritten", "export", "import_", "written"]


@dataclass(frozen=True)
class EmbeddingsWritten:
    """Embeddings that were written: the places, how many, how long, and in what format ("directory" for our own)."""

    outputs: list[str]
    format: str
    n: int
    dim: int
    integer_ids: bool
    bytes: int
    seconds: float

    def show(self) -> None:
        """One sentence on standard output."""
        kind = "integer" if self.integer_ids else "text"
        say(
            f"Wrote {' and '.join(self.outputs)}: {self.n:,} × {self.dim:,} with {kind} ids, {self.format}, "
            f"{bytes_in_words(self.bytes)}, in {seconds_in_words(self.seconds)}."
        )


def export(
    source: str, *, output: str, format: str | None = None, side: str | None = None, overwrite: bool = False
) -> EmbeddingsWritten:
    """Writes the embeddings of `source` to `output`, in the format of its suffix unless named."""
    clock, chosen = Clock(), format_of(output, format, reading=False)
    places = places_of(output, format)
    refuse_collisions(places, [source])
    embeddings = embeddings_of(open_source(source, biases=True), side, source, biases=True)
    embeddings.to_file(output, format, overwrite=overwrite)
    return written(embeddings, output, chosen, clock)


def import_(
    file: str,
    *,
    output: str,
    format: str | None = None,
    id_name: str | None = None,
    integer_ids: bool = False,
    overwrite: bool = False,
) -> EmbeddingsWritten:
    """Writes a directory of embeddings from a file of them."""
    clock = Clock()
    refuse_collisions([output], [file])
    refuse_existing(output, "embeddings", overwrite=overwrite)
    embeddings = Embeddings.from_file(file, format, name=id_name, integer_ids=integer_ids)
    embeddings.save(output, overwrite=overwrite)
    return written(embeddings, output, "directory", clock)


def written(embeddings: Embeddings, output: str, format: str, clock: Clock) -> EmbeddingsWritten:
    """What was written to `output` in a format of `recsys.embeddings.formats`, or as a "directory"."""
    outputs = [output] if format == "directory" else [str(place) for place in places_of(output, format)]
    size = sum(size_of(place) for place in outputs)
    return EmbeddingsWritten(outputs, format, len(embeddings), embeddings.dim, embeddings.ids.is_integer, size, clock.seconds)
