"""What likeness of users or items goes by, and the nearest of many. May import embeddings, progress."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from recsys.embeddings import Embeddings
from recsys.embeddings.biases import without_biases
from recsys.progress import show_progress

__all__ = ["neighbours_in_batches", "without_biases"]


def neighbours_in_batches(
    embeddings: Embeddings, wanted: pa.Array, k: int, size: int, num_threads: int | None, *, progress: bool
) -> Iterator[pd.DataFrame]:
    """The neighbours of the ids `wanted`, `size` of them at a time; at least one frame, maybe empty."""
    with show_progress(f"Neighbours, {embeddings.ids.name}s", len(wanted), enabled=progress) as advance:
        for start in range(0, max(len(wanted), 1), size):
            some = wanted.slice(start, size)
            yield embeddings.neighbours(some, k, num_threads=num_threads)
            advance(len(some))
