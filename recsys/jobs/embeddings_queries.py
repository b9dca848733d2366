"""`recsys embeddings nearest` and `analogy`: what lies near ids, or near a sum of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from recsys.jobs.embeddings_sources import embeddings_of, open_source, parse_ids
from recsys.jobs.terminal import print_table, say

__all__ = ["Nearest", "analogy", "nearest"]


@dataclass(frozen=True)
class Nearest:
    """What was asked for in words, and the ids nearest to it: a list of id, score and rank, best first."""

    query: str
    metric: str
    nearest: list[dict[str, Any]]

    def show(self) -> None:
        """A line and a table on standard output."""
        rows = [(entry["rank"], str(entry["id"]), entry["score"]) for entry in self.nearest]
        say(f"Nearest to {self.query}")
        print_table(("rank", "id", self.metric), rows)


def nearest(
    source: str,
    *,
    ids: Sequence[str],
    k: int = 10,
    metric: str | None = None,
    index: str = "exact",
    side: str | None = None,
) -> Nearest:
    """The `k` ids nearest to one of `source`, or to the mean of several; ids as typed, `index` one that lies beside it."""
    embeddings = embeddings_of(open_source(source), side, source)
    wanted = parse_ids(tuple(ids), embeddings, source)
    words = str(wanted[0]) if len(wanted) == 1 else f"the mean of {', '.join(map(str, wanted))}"
    found = embeddings.nearest(wanted, k, metric=metric, index=index)
    return Nearest(words, metric or embeddings.metric_of(index), _records(found))


def analogy(
    source: str, *, positive: Sequence[str], negative: Sequence[str] = (), k: int = 10, side: str | None = None
) -> Nearest:
    """The `k` ids nearest, by cosine, to the sum of `positive` less that of `negative`."""
    embeddings = embeddings_of(open_source(source), side, source)
    plus, minus = (parse_ids(tuple(texts), embeddings, source) for texts in (positive, negative))
    words = " + ".join(map(str, plus)) + "".join(f" - {id_}" for id_ in minus)
    return Nearest(words, "cosine", _records(embeddings.analogy(positive=plus, negative=minus, k=k)))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    ids, scores, ranks = (table.iloc[:, column].tolist() for column in range(3))
    return [{"id": id_, "score": score, "rank": rank} for id_, score, rank in zip(ids, scores, ranks, strict=True)]
