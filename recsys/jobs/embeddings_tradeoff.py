"""`recsys embeddings tradeoff`: what a model loses in smaller sizes, and the smallest that loses little enough."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ParameterError
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, json_ready, seconds_in_words
from recsys.jobs.terminal import print_table, say
from recsys.model import Model
from recsys.sizing import Tradeoff
from recsys.sizing import tradeoff as measure
from recsys.sizing.picture import require_plot
from recsys.storage import write_file

__all__ = ["Sizes", "measured_sizes", "tradeoff"]

# Sizes that lose more than so many times what is allowed are not shown: the table is long enough without.
_SHOWN = 20
_FILES = (".csv", ".json")


@dataclass(frozen=True)
class Sizes:
    """A model in many sizes. `report` is also what the file `output` holds, where that is JSON."""

    model: str
    test: str
    output: str | None
    plot: str | None
    report: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """Two tables and sentences on standard output."""
        report = self.report
        least = max(_SHOWN * report["max_loss"], 0.1)
        rows = [row for row in report["rows"] if row["loss"] <= least or row["picked"]]
        title = f"{self.model} on {counted(report['n_users'], 'user')} of {self.test}"
        columns = ("storage", "dimensions", "bytes an id", "of float32", "same lists", report["metric"], "loss", "interval", "")
        print_table(columns, [_row(row) for row in rows], title=title)
        if hidden := len(report["rows"]) - len(rows):
            say(f"{counted(hidden, 'size')} that lose more than {least:.0%} are not shown; --output writes all.")
        print_table(("users and items as", "size"), [(name, bytes_in_words(size)) for name, size in report["sizes"].items()])
        say(report["sentence"])
        written = " and ".join(path for path in (self.output, self.plot) if path)
        say(f"{f'Wrote {written}. ' if written else ''}Measured in {seconds_in_words(self.seconds)}.")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    ends = f"{100 * row['loss_low']:.2f} to {100 * row['loss_high']:.2f} %"
    mark = "picked" if row["picked"] else "within" if row["within"] else ""
    return (
        row["storage"], row["dimensions"], f"{row['bytes_per_id']:,.1f}", f"1/{1 / row['share']:.1f}", f"{row['recall']:.1%}",
        row["value"], f"{100 * row['loss']:.2f} %", ends, mark,
    )  # fmt: skip


def tradeoff(
    model: str,
    *,
    test: str,
    output: str | None = None,
    plot: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> Sizes:
    """Measures the model directory `model` in many sizes on the dataset directory `test`.

    output : a .csv file for the table, or a .json file for everything.  plot : a .png, .svg or .pdf file.
    options : as `recsys.tradeoff` takes them.
    """
    clock = Clock()
    refuse_collisions([output, plot], [model, test])
    if output is not None and Path(output).suffix not in _FILES:
        raise ParameterError(f"`output` must end in .csv or .json. Got {output!r}.")
    if plot is not None:
        require_plot(plot)
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work.
        table, picture = (
            stack.enter_context(write_file(path, overwrite=overwrite)) if path else None for path in (output, plot)
        )
        found = measured_sizes(Model.load(model), test, progress=progress, **options)
        if table is not None:
            found.save(table, overwrite=True)
        if picture is not None:
            found.plot(picture, overwrite=True)
    report = json_ready({"sentence": found.sentence(), **found.to_dict()})
    return Sizes(model, test, output, plot, report, clock.seconds)


def measured_sizes(model: Model, test: str, *, progress: bool, **options: Any) -> Tradeoff:
    """What `recsys.tradeoff` finds on the dataset directory `test`; lists of numbers and names may come as text."""
    texts = {name: value for name, value in options.items() if isinstance(value, str) and name in ("dimensions", "storages")}
    parsed = {name: _parts(text, name) for name, text in texts.items()}
    return measure(model, Interactions.load(test), progress=progress, **options | parsed)


def _parts(text: str, name: str) -> Sequence[int | str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if name == "storages":
        return parts
    wrong = [part for part in parts if not part.isdigit()]
    if wrong:
        raise ParameterError(f"`dimensions` must be whole numbers with commas between, such as 32,64. Got {text!r}.")
    return [int(part) for part in parts]
