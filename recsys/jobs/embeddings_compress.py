"""`recsys embeddings compress`: a model or embeddings in fewer bytes, in a size that is given or picked by measurement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recsys.embeddings import Embeddings
from recsys.embeddings.compression import CompressedEmbeddings, Compression
from recsys.errors import ParameterError
from recsys.jobs.embeddings_sources import embeddings_of, open_source
from recsys.jobs.embeddings_tradeoff import measured_sizes
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words, size_of
from recsys.jobs.terminal import say
from recsys.model import Model
from recsys.storage import refuse_existing

__all__ = ["Compressed", "compress"]


@dataclass(frozen=True)
class Compressed:
    """A model or embeddings that were written compressed.

    settings : of `Model.compress` or `Embeddings.compress`.
    bytes_per_id : of codes, codebooks and scales;  float32_bytes_per_id : of the vectors before.
    bytes : of all that was written: also ids, a model's history, whole vectors that lists are scored by.
    picked : what was said of the size that measurement picked; None for a size that was given.
    """

    source: str
    output: str
    kind: str
    settings: dict[str, Any]
    bytes_per_id: float
    float32_bytes_per_id: float
    bytes: int
    picked: str | None
    seconds: float

    def show(self) -> None:
        """One sentence on standard output, or two."""
        if self.picked:
            say(self.picked)
        share = self.float32_bytes_per_id / self.bytes_per_id
        again = f", scored again by {self.settings['rescore']} vectors beside them" if "rescore" in self.settings else ""
        say(
            f"Wrote {self.output}: {self.kind}, vectors as {self.settings['storage']}, {self.bytes_per_id:,.1f} bytes an id, "
            f"1/{share:.1f} of float32{again}; {bytes_in_words(self.bytes)} in all, in {seconds_in_words(self.seconds)}."
        )


def compress(
    source: str,
    *,
    output: str,
    side: str | None = None,
    test: str | None = None,
    max_loss: float | None = None,
    metric: str | None = None,
    overlap: str | None = None,
    sample: int | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **settings: Any,
) -> Compressed:
    """Writes `source`, a model or embeddings, compressed.

    side : of a model, only the embeddings of "items" or "users" are written.
    max_loss, test, metric, overlap, sample : of a model, the size is the smallest that `recsys.tradeoff` finds within the loss.
    settings : else the size, as `Compression` has it; beside a loss, what all sizes share.
    """
    clock = Clock()
    refuse_collisions([output], [source, test])
    opened = open_source(source)
    if side is not None:
        opened = embeddings_of(opened, side, source, biases=True)
    kind = "model" if isinstance(opened, Model) else "embeddings"
    refuse_existing(output, kind, overwrite=overwrite)
    picked = None
    judged = {"max_loss": max_loss, "metric": metric, "overlap": overlap, "sample": sample}
    asked = {name: value for name, value in judged.items() if value is not None}
    if asked or test is not None:
        chosen, picked = _picked(opened, source, test, asked, settings, num_threads, progress)
    else:
        chosen = Compression(**settings)
    small = opened.compress(**asdict(chosen), num_threads=num_threads)
    small.save(output, overwrite=overwrite)
    sizes = _bytes_per_id(small), _bytes_per_id(opened)
    return Compressed(source, output, kind, chosen.describe(), *sizes, size_of(output), picked, clock.seconds)


def _picked(
    opened: Model | Embeddings,
    source: str,
    test: str | None,
    asked: dict[str, Any],
    settings: dict[str, Any],
    num_threads: int | None,
    progress: bool,
) -> tuple[Compression, str]:
    """The settings of the smallest size within the loss, and a sentence about it."""
    if not isinstance(opened, Model):
        raise ParameterError(f"`max_loss` is measured on a model's lists, and {source} holds embeddings.")
    if test is None or "max_loss" not in asked:
        raise ParameterError("`max_loss` and `test` go together: a size is picked by what it loses on that dataset.")
    if given := [name for name in ("storage", "dimensions", "subspaces") if name in settings]:
        raise ParameterError(f"`max_loss` picks the size, so `{given[0]}` does not go with it.")
    found = measured_sizes(opened, test, progress=progress, num_threads=num_threads, **asked, **settings)
    return found.settings, found.sentence()


def _bytes_per_id(what: Model | Embeddings) -> float:
    sides = [what.user_embeddings, what.item_embeddings] if isinstance(what, Model) else [what]
    total = sum(side.n_bytes if isinstance(side, CompressedEmbeddings) else 4 * side.dim * len(side) for side in sides)
    return total / max(sum(len(side) for side in sides), 1)
