"""How a new version lies to its parent: turned towards it, and what drifted.

May import this room's class and comparison, kernels' blocks. Parents come here without their columns of biases, new versions
with `biases` of them at their end.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys.embeddings.alignment import Alignment, shared_positions
from recsys.embeddings.comparison import compare
from recsys.embeddings.embeddings import Embeddings
from recsys.kernels.dense import row_blocks

__all__ = ["alignment_facts", "drift_from", "turned", "warn_if_turned", "without_last"]

# Beyond this share of the parent's length another rotation is what makes the difference, not the data.
_MUCH = 0.1


def without_last(embeddings: Embeddings, biases: int) -> Embeddings:
    """The embeddings less their last columns, of biases, which no rotation touches."""
    if not biases:
        return embeddings
    return Embeddings(embeddings.ids, embeddings.vectors[:, :-biases].copy(), embeddings.provenance)


def turned(embeddings: Embeddings, best: Alignment, biases: int, num_threads: int | None) -> Embeddings:
    """The embeddings after a rotation of all but their columns of biases."""
    vectors = best.apply(embeddings.vectors, kept=biases, num_threads=num_threads)
    return Embeddings(embeddings.ids, vectors, {**embeddings.provenance, "aligned_to": best.describe()})


def drift_from(
    parent: Embeddings, embeddings: Embeddings, biases: int, sample: int, num_threads: int | None, progress: bool
) -> dict[str, Any] | None:
    """The measures of `recsys.embeddings.compare`, neighbours of `sample` ids; None when that is 0."""
    if not sample:
        return None
    new = without_last(embeddings, biases)
    found = compare(parent, new, sample=sample, num_threads=num_threads, progress=progress)
    return dict(found.to_dict(n_moved=0)["measures"])


def alignment_facts(
    parent: Embeddings, embeddings: Embeddings, biases: int, best: Alignment, is_turned: bool
) -> dict[str, Any]:
    """What `StoreVersion.alignment` says."""
    earlier = embeddings.provenance.get("aligned_to")
    facts = best.describe() | {
        "residual_as_published": round(_residual(parent, embeddings, biases), 6),
        "aligned": is_turned,
    }
    return facts | ({"by": dict(earlier)} if isinstance(earlier, Mapping) and not is_turned else {})


def warn_if_turned(facts: Mapping[str, Any], parent: int) -> None:
    """Says so when a rotation would bring the version much nearer to its parent than it was published."""
    left, best = facts["residual_as_published"], facts["residual"]
    if left > best + _MUCH:
        warnings.warn(
            f"The new vectors lie in another rotation than those of version {parent}: they differ by {left:.0%} of its length, "
            f"and by {best:.0%} once turned. What keeps vectors of version {parent} can not use both. "
            "Hint: align=True turns them.",
            stacklevel=3,
        )


def _residual(parent: Embeddings, embeddings: Embeddings, biases: int) -> float:
    """‖A - B‖ / ‖B‖ over the shared ids, the vectors as they are; the shorter ones end in zeros."""
    here, there = shared_positions(embeddings.ids, parent.ids)
    ours = embeddings.dim - biases
    both = min(ours, parent.dim)
    left = length = 0.0
    for rows in row_blocks(len(here)):
        new, old = embeddings.vectors[here[rows], :ours], parent.vectors[there[rows]]
        length += _squares(old)
        left += _squares(new[:, :both] - old[:, :both]) + _squares(new[:, both:]) + _squares(old[:, both:])
    return math.sqrt(left / length) if length else float(left > 0)


def _squares(block: np.ndarray) -> float:
    flat = block.reshape(-1)
    return float(np.dot(flat, flat))
