"""`recsys evaluate`: a model is judged on a test dataset, and a page about it is written."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.errors import ParameterError
from recsys.evaluation import EvaluationResult, parse_metrics
from recsys.evaluation import evaluate as evaluate_model
from recsys.evaluation.judging import deepest_cutoff
from recsys.evaluation.report import LARGEST_DEPTH, report_page, require_altair
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.jobs.compare import model_names
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words, write_json
from recsys.jobs.table_files import read_features, read_titles
from recsys.jobs.terminal import print_table, say
from recsys.model import RankingModel, load_model
from recsys.storage import write_file

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """A model on a test dataset. `report` is also what the file `output` holds; `html` is the page, where one was asked for.

    metrics : for each its name, mean over users, both ends of the interval, and the number of users.
    """

    model: str
    test: str
    output: str | None
    metrics: list[dict[str, Any]]
    report: dict[str, Any]
    seconds: float
    html: str | None = None

    def show(self) -> None:
        """The table of metrics and what was counted, on standard output."""
        columns = ("metric", "mean", "low", "high", "n_users")
        rows = [tuple(row[column] for column in columns) for row in self.metrics]
        print_table(columns, rows, title=f"{self.model} on {self.test}")
        counts = {name: value for name, value in self.report["counts"].items() if value}
        say(f"Counted: {', '.join(f'{name} {value:,}' for name, value in counts.items())}.")
        if left_out := self.report["fold_in_pairs_with_unknown_items"]:
            say(f"Left out of the fold-in, since the model does not know their items: {counted(left_out, 'pair')}.")
        written = " and ".join(path for path in (self.output, self.html) if path)
        say(f"{f'Wrote {written}. ' if written else ''}Evaluated in {seconds_in_words(self.seconds)}.")


def evaluate(
    model: str,
    *,
    test: str,
    fold_in: str | None = None,
    metrics: str | Sequence[str] | None = None,
    overlap: str | None = None,
    user_features: str | None = None,
    item_features: str | None = None,
    output: str | None = None,
    html: str | None = None,
    compare_with: Sequence[str] = (),
    item_titles: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Judges the model directory `model` on the dataset directory `test`.

    fold_in : a dataset of events by which the model first gets to know users it was not trained on.
    metrics, overlap : as `recsys.evaluate` takes them, and its defaults.
    user_features, item_features : CSV or Parquet files with a column user_id (item_id) and others, to make slices by.
    output : a JSON file for the report.
    html : a page for people, see `EvaluationResult.report`; with it
        compare_with : other model directories, judged in the same way and compared with this one;
        item_titles : a CSV or Parquet file with columns item_id and title (or name).
    """
    clock = Clock()
    if (compare_with or item_titles) and not html:
        raise ParameterError("`compare_with` and `item_titles` are for the page and need html=.")
    others = list(compare_with)
    names = _names([model, *others])
    refuse_collisions([output, html], [model, test, fold_in, user_features, item_features, item_titles, *others])
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work, as is a missing extra.
        json_file, page_file = (
            stack.enter_context(write_file(path, overwrite=overwrite)) if path else None for path in (output, html)
        )
        if html:
            require_altair()
        events = None if fold_in is None else Interactions.load(fold_in)
        settings = _given(metrics=metrics, overlap=overlap)
        judge = _Judge(Interactions.load(test), events, num_threads, progress, settings)
        loaded, unknown_pairs = judge.model(model)
        about = _features(loaded, judge.test, user_features, item_features)
        titles = read_titles(item_titles, loaded.items).to_pandas() if item_titles else None
        result = judge.result(loaded, keep_lists=page_file is not None and _lists_are_handy(metrics), **about)
        _warn_of_strangers(result.counts)
        paths = {"model": model, "test": test, "fold_in": fold_in}
        report = json_ready({"paths": paths, "fold_in_pairs_with_unknown_items": unknown_pairs, **result.to_dict()})
        if json_file is not None:
            write_json(json_file, report)
        if page_file is not None:
            compared = {name: judge.result(judge.model(path)[0]) for name, path in zip(names[1:], others, strict=True)}
            page = report_page(result, compare_with=compared, name=names[0], model=loaded, titles=titles)
            page_file.write_text(page, encoding="utf-8")
    rows = json_ready(result.summary().to_dict(orient="records"))
    return Evaluation(model, test, output, rows, report, clock.seconds, html)


@dataclass(frozen=True)
class _Judge:
    """Judges models on the same test in the same way."""

    test: Interactions
    fold_in: Interactions | None
    num_threads: int | None
    progress: bool
    settings: Mapping[str, Any]

    def model(self, path: str) -> tuple[RankingModel, int]:
        """The model of a directory after the fold-in, and how many pairs of that it could not use."""
        loaded: RankingModel = load_model(path)
        if self.fold_in is None:
            return loaded, 0
        loaded = loaded.fold_in(self.fold_in, unknown="skip", num_threads=self.num_threads)
        return loaded, int(loaded.provenance["folded_in"]["left_out"])

    def result(self, model: RankingModel, **more: Any) -> EvaluationResult:
        """What `recsys.evaluate` finds; `more`: what it is asked for this model alone."""
        settings = {**self.settings, **more}
        return evaluate_model(model, self.test, num_threads=self.num_threads, progress=self.progress, **settings)


def _names(models: Sequence[str]) -> list[str]:
    """What the page calls the models. Raises `ParameterError` for one that is named twice."""
    places = [Path(path).resolve() for path in models]
    for number, path in enumerate(models):
        if places[number] in places[:number]:
            raise ParameterError(f"{path} would be compared with itself. Hint: name each model once.")
    return model_names(models)


def _lists_are_handy(metrics: str | Sequence[str] | None) -> bool:
    """Whether the page can take the lists of the evaluation; else it has the model rank again, in lists that fit it."""
    return metrics is None or 0 < deepest_cutoff(parse_metrics(metrics)) <= LARGEST_DEPTH


def _features(model: RankingModel, test: Interactions, user_file: str | None, item_file: str | None) -> dict[str, pd.DataFrame]:
    files: dict[str, tuple[str | None, IdMap]] = {
        "user_features": (user_file, test.users),
        "item_features": (item_file, model.items),
    }
    return {name: read_features(path, ids).to_pandas() for name, (path, ids) in files.items() if path}


def _warn_of_strangers(counts: Mapping[str, int]) -> None:
    if 2 * counts["users_unknown"] > counts["users_in_test"]:
        warnings.warn(
            f"{counts['users_unknown']:,} of {counts['users_in_test']:,} test users are unknown to the model and left out: "
            "the means speak of the others only.",
            stacklevel=3,
        )


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
