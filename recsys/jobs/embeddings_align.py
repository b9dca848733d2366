"""`recsys embeddings align`: a new version turned towards an earlier one; and what training with alignment needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys.embeddings import Embeddings
from recsys.embeddings.alignment import shared_positions
from recsys.errors import ParameterError
from recsys.ids import IdMap
from recsys.jobs.embeddings_sources import open_source
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words, size_of
from recsys.jobs.terminal import say
from recsys.model import Model
from recsys.storage import refuse_existing

__all__ = ["Aligned", "align", "alignment_in_words", "open_reference"]


@dataclass(frozen=True)
class Aligned:
    """A model or embeddings that were written in the space of `reference`. `alignment`: what came of it."""

    output: str
    kind: str
    reference: str
    alignment: dict[str, Any]
    bytes: int
    seconds: float

    def show(self) -> None:
        """Two sentences on standard output."""
        say(
            f"Wrote {self.output}: {self.kind}, {self.alignment['dim']:,} dimensions, {bytes_in_words(self.bytes)}, "
            f"in {seconds_in_words(self.seconds)}."
        )
        say(alignment_in_words(self.alignment, self.reference))


def align(
    source: str,
    *,
    reference: str,
    output: str,
    weights: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
) -> Aligned:
    """Writes `source`, a model or embeddings, turned towards `reference`.

    weights : of a model, "popularity": items count by their interactions.
    """
    clock = Clock()
    refuse_collisions([output], [source, reference])
    opened, target = open_source(source), open_source(reference)
    kind = "model" if isinstance(opened, Model) else "embeddings"
    refuse_existing(output, kind, overwrite=overwrite)
    turned: Model | Embeddings
    if isinstance(opened, Model):
        turned = opened.align_to(target, weights=weights, num_threads=num_threads)
    else:
        turned = _embeddings_aligned(opened, target, weights, (source, reference), num_threads)
    turned.save(output, overwrite=overwrite)
    return Aligned(output, kind, reference, turned.provenance["aligned_to"], size_of(output), clock.seconds)


def _embeddings_aligned(
    opened: Embeddings, target: Model | Embeddings, weights: str | None, paths: tuple[str, str], num_threads: int | None
) -> Embeddings:
    if weights is not None:
        raise ParameterError(f"`weights` goes by a model's interactions, and {paths[0]} holds embeddings.")
    if isinstance(target, Model):
        raise ParameterError(
            f"{paths[0]} holds embeddings and {paths[1]} a model. Hint: recsys embeddings export writes those of one side."
        )
    return opened.align_to(target, num_threads=num_threads)


def alignment_in_words(facts: Mapping[str, Any], reference: str) -> str:
    """One sentence."""
    return (
        f"Aligned with {reference} by {counted(facts['n_shared'], 'shared id')}{', weighted' if facts['weighted'] else ''}: "
        f"what no rotation brings together is {facts['residual']:.0%} of the reference's length."
    )


def open_reference(path: str, items: IdMap) -> Model | Embeddings:
    """What is to be aligned with; refused before a long training when it shares no id with the items that are trained."""
    reference = open_source(path)
    shared_positions(items, reference.items if isinstance(reference, Model) else reference.ids)
    return reference
