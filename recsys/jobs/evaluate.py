"""`recsys evaluate`: a model is judged on a test dataset."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.evaluation import evaluate as evaluate_model
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words, write_json
from recsys.jobs.terminal import print_table, say
from recsys.model import Model
from recsys.storage import write_file

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """A model on a test dataset. `report` is also what the file `output` holds.

    metrics : for each its name, mean over users, both ends of the interval, and the number of users.
    """

    model: str
    test: str
    output: str | None
    metrics: list[dict[str, Any]]
    report: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """The table of metrics and what was counted, on standard output."""
        columns = ("metric", "mean", "low", "high", "n_users")
        rows = [tuple(row[column] for column in columns) for row in self.metrics]
        print_table(columns, rows, title=f"{self.model} on {self.test}")
        counts = {name: value for name, value in self.report["counts"].items() if value}
        say(f"Counted: {', '.join(f'{name} {value:,}' for name, value in counts.items())}.")
        if left_out := self.report["fold_in_pairs_with_unknown_items"]:
            say(f"Left out of the fold-in, since the model does not know their items: {counted(left_out, 'pair')}.")
        say(f"{f'Wrote {self.output}. ' if self.output else ''}Evaluated in {seconds_in_words(self.seconds)}.")


def evaluate(
    model: str,
    *,
    test: str,
    fold_in: str | None = None,
    metrics: str | Sequence[str] | None = None,
    overlap: str | None = None,
    output: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Judges the model directory `model` on the dataset directory `test`.

    fold_in : a dataset of events by which the model first gets to know users it was not trained on.
    metrics, overlap : as `recsys.evaluate` takes them, and its defaults.
    output : a JSON file for the report.
    """
    clock = Clock()
    refuse_collisions([output], [model, test, fold_in])
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work.
        temporary = stack.enter_context(write_file(output, overwrite=overwrite)) if output else None
        loaded = Model.load(model)
        unknown_pairs = 0
        if fold_in is not None:
            loaded = loaded.fold_in(Interactions.load(fold_in), unknown="skip", num_threads=num_threads)
            unknown_pairs = loaded.provenance["folded_in"]["left_out"]
        chosen: dict[str, Any] = {"metrics": metrics, "overlap": overlap}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        result = evaluate_model(loaded, Interactions.load(test), num_threads=num_threads, progress=progress, **chosen)
        _warn_of_strangers(result.counts)
        paths = {"model": model, "test": test, "fold_in": fold_in}
        report = json_ready({"paths": paths, "fold_in_pairs_with_unknown_items": unknown_pairs, **result.to_dict()})
        if temporary is not None:
            write_json(temporary, report)
    rows = json_ready(result.summary().to_dict(orient="records"))
    return Evaluation(model, test, output, rows, report, clock.seconds)


def _warn_of_strangers(counts: Mapping[str, int]) -> None:
    if 2 * counts["users_unknown"] > counts["users_in_test"]:
        warnings.warn(
            f"{counts['users_unknown']:,} of {counts['users_in_test']:,} test users are unknown to the model and left out: "
            "the means speak of the others only.",
            stacklevel=3,
        )
