"""`recsys embeddings bridge`: items that have only foreign vectors get a place in a model, with what that is worth."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.bridging import Bridge, bridge
from recsys.embeddings import Embeddings
from recsys.errors import ParameterError, UnknownIdError
from recsys.jobs.embeddings_sources import embeddings_of, open_source
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, json_ready, seconds_in_words, size_of, write_json
from recsys.jobs.terminal import print_table, say
from recsys.model import Model
from recsys.storage import refuse_existing, write_file

__all__ = ["Bridged", "bridge_to"]

_MEANINGS = {
    "bridge": "placed by their foreign vectors alone",
    "popularity": "by the interactions that only came later",
    "trained": "by the vectors that interactions gave them",
}


@dataclass(frozen=True)
class Bridged:
    """A bridge, what held-out items show it to be worth, and the model that was written with the new items, if any was.

    n_shared : items that the bridge was learnt from;  n_new : items of `foreign` that the model does not know.
    explained : of held-out items, the share of their vectors' spread that the foreign vectors explain.
    quality : a row a way of ranking held-out items: way, metric, mean, low, high, n_users.
    better_than_popularity : whether the bridge's interval lies above the mean of the popularity baseline.
    """

    foreign: str
    model: str
    output: str | None
    report: str | None
    n_shared: int
    n_new: int
    foreign_dim: int
    dim: int
    folds: int
    ridge: float
    explained: float | None
    quality: list[dict[str, Any]]
    better_than_popularity: bool | None
    bytes: int
    seconds: float

    def show(self) -> None:
        """Sentences and a table on standard output."""
        shared = counted(self.n_shared, "shared item")
        say(
            f"From {self.foreign_dim:,} foreign dimensions to {self.dim:,} by {shared}, held out in {self.folds} parts in turn."
        )
        if self.explained is not None:
            say(f"Foreign vectors explain {self.explained:.0%} of where held-out items lie.")
        rows = [
            (row["way"], row["mean"], f"{row['low']:.4f} to {row['high']:.4f}", _MEANINGS[row["way"]]) for row in self.quality
        ]
        if rows:
            metric, users = self.quality[0]["metric"], counted(self.quality[0]["n_users"], "user")
            print_table(("held-out items", metric, "95 % interval", f"how they are ranked for {users}"), rows)
            say(_verdict({row["way"]: row["mean"] for row in self.quality}, self.better_than_popularity))
        if self.output is not None:
            say(
                f"Wrote {self.output}: the model and {counted(self.n_new, 'new item')}, {bytes_in_words(self.bytes)}, "
                f"in {seconds_in_words(self.seconds)}."
            )


def bridge_to(
    foreign: str,
    model: str,
    *,
    output: str | None = None,
    report: str | None = None,
    folds: int = 5,
    metric: str = "ndcg@20",
    random_state: int = 0,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Bridged:
    """Learns the bridge from `foreign` to `model`, judges it on held-out items, and writes the model with the new items.

    foreign : embeddings of items: a directory or a file; those that the model does not know are the new ones.
    output : the model directory to write; None only to judge.  report : a JSON file for what is returned.
    The rest as `recsys.bridge` has it.
    """
    clock = Clock()
    refuse_collisions([output, report], [foreign, model])
    if output is not None:
        refuse_existing(output, "model", overwrite=overwrite)
    theirs, ours = _opened(foreign, model)
    n_new = int((ours.items.positions(theirs.ids.to_arrow(), unknown="ignore") < 0).sum())
    if output is not None and not n_new:
        raise UnknownIdError(f"{model} knows all items of {foreign} already; there is none to add.")
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work.
        temporary = stack.enter_context(write_file(report, overwrite=overwrite)) if report else None
        found = bridge(
            theirs, ours, folds=folds, metric=metric, random_state=random_state, num_threads=num_threads, progress=progress
        )
        if output is not None:
            found.extend(ours, theirs).save(output, overwrite=overwrite)
        size = 0 if output is None else size_of(output)
        result = Bridged(
            foreign, model, output, report, found.n_shared, n_new, theirs.dim, ours.item_embeddings.dim, folds, found.ridge,
            None if np.isnan(found.explained) else found.explained, _rows(found), _is_better(found), size, clock.seconds,
        )  # fmt: skip
        if temporary is not None:
            write_json(temporary, json_ready(vars(result)))
    return result


def _opened(foreign: str, model: str) -> tuple[Embeddings, Model]:
    ours = open_source(model)
    if not isinstance(ours, Model):
        raise ParameterError(f"{model} holds embeddings; a model was expected, whose users judge where new items are placed.")
    return embeddings_of(open_source(foreign), None, foreign), ours


def _rows(found: Bridge) -> list[dict[str, Any]]:
    return [dict(json_ready(row)) for row in found.quality.to_dict("records")]


def _is_better(found: Bridge) -> bool | None:
    if found.quality.empty:
        return None
    rows = {row["way"]: row for row in found.quality.to_dict("records")}
    return bool(rows["bridge"]["low"] > rows["popularity"]["mean"])


def _verdict(means: dict[str, float], better: bool | None) -> str:
    """What the table says, in a sentence or two."""
    place, rival, best = means["bridge"], means["popularity"], means["trained"]
    times = f"{place / rival:.1f} × that of the popularity baseline" if rival > 0 else "where the popularity baseline has none"
    words = f"New items reach {place:.4f}, {times}"
    if best > 0:
        words += f" and {place / best:.0%} of what their own interactions would give them"
    return words + (
        "."
        if better
        else ". That is not shown to be better than popularity: these foreign vectors tell little of who will want an item."
    )
