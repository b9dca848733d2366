"""`recsys compare`: several models are judged on one test dataset and held against each other; a gate for nightly jobs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ParameterError, quote_some
from recsys.evaluation import Comparison, EvaluationResult
from recsys.evaluation import compare as compare_results
from recsys.evaluation import evaluate as evaluate_model
from recsys.evaluation.intervals import check_confidence
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words, write_json
from recsys.jobs.terminal import print_table, say
from recsys.model import RankingModel, load_model
from recsys.storage import write_file

__all__ = ["ComparedModels", "compare", "gate_failures", "model_names"]

_COLUMNS = ("metric", "a", "b", "mean_a", "mean_b", "difference", "low", "high", "p_adjusted")


@dataclass(frozen=True)
class ComparedModels:
    """Models on one test dataset. `report` is also what the file `output` holds.

    models : their paths by name.
    passed : what the gate said; None where nobody asked.  failures : a sentence for each reason why it did not pass.
    """

    models: dict[str, str]
    baseline: str | None
    test: str
    output: str | None
    passed: bool | None
    failures: list[str]
    report: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """The table of differences and what it says in words, on standard output."""
        rows = self.report["differences"]
        title = f"{', '.join(self.models)} on {self.test}: {counted(self.report['n_users'], 'user')}"
        print_table(_COLUMNS, [tuple(row[column] for column in _COLUMNS) for row in rows], title=title)
        for row in rows:
            say(f"- {row['sentence']}")
        left_out = [f"{counted(count, 'user')} of {name}" for name, count in self.report["users_left_out"].items() if count]
        if left_out:
            say(f"Left out, since not all models know them: {', '.join(left_out)}.")
        unknown = [
            f"{counted(counts['users_unknown'], 'test user')} by {name}"
            for name, counts in self.report["counts"].items()
            if counts["users_unknown"]
        ]
        if unknown:
            say(f"Not known: {', '.join(unknown)}.")
        say(f"{f'Wrote {self.output}. ' if self.output else ''}Compared in {seconds_in_words(self.seconds)}.")


def compare(
    models: Sequence[str],
    *,
    test: str,
    baseline: str | None = None,
    fold_in: str | None = None,
    metrics: str | Sequence[str] | None = None,
    overlap: str | None = None,
    on: str | None = None,
    confidence: float | None = None,
    resamples: int | None = None,
    random_state: int | None = None,
    fail_if_worse: bool = False,
    margin: float | None = None,
    output: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> ComparedModels:
    """Judges the model directories `models` on the dataset directory `test` and compares them, by default every two.

    baseline : the model with which each other is compared; one of `models`, or one more.
    fold_in, metrics, overlap : as for `recsys evaluate`;  on, confidence, resamples, random_state : as for `recsys.compare`.
    fail_if_worse : ask the gate, see `gate_failures`; the baseline is then the first model if none is named.
    output : a JSON file for the report.
    """
    clock = Clock()
    if margin is not None and not (fail_if_worse and margin >= 0):
        raise ParameterError(f"`margin` must be a number from 0 on, and needs fail_if_worse=True. Got {margin!r}.")
    if confidence is not None:
        check_confidence(confidence)
    paths, reference = _chosen_models(list(models), baseline, fail_if_worse)
    refuse_collisions([output], [*paths.values(), test, fold_in])
    evaluation = _given(metrics=metrics, overlap=overlap, random_state=random_state)
    settings = _given(on=on, confidence=confidence, resamples=resamples, random_state=random_state, baseline=reference)
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work.
        temporary = stack.enter_context(write_file(output, overwrite=overwrite)) if output else None
        judged = dict(_results(paths, test, fold_in, num_threads, progress, evaluation))
        comparison = compare_results(judged, num_threads=num_threads, **settings)
        failures = list(gate_failures(comparison, margin)) if fail_if_worse else []
        passed = not failures if fail_if_worse else None
        gate = {"passed": passed, "margin": margin, "failures": failures}
        places = {"models": paths, "test": test, "fold_in": fold_in}
        counts = {name: result.counts for name, result in judged.items()}
        report = json_ready({"paths": places, "gate": gate, "counts": counts, **comparison.to_dict()})
        if temporary is not None:
            write_json(temporary, report)
    return ComparedModels(paths, reference, test, output, passed, failures, report, clock.seconds)


def gate_failures(comparison: Comparison, margin: float | None = None) -> Iterator[str]:
    """Why a candidate must not take the baseline's place: a sentence for each difference that speaks against it.

    Without a margin: the candidate is shown to be worse. What the test set is too small to show passes. With a margin,
    the loss that is put up with: the interval of the difference does not lie wholly above -margin. The candidate has
    to prove that it loses less (a test of non-inferiority), and a small loss passes also where it is shown. Since
    every metric has to pass, that needs no correction for their number (Berger 1982, "Multiparameter hypothesis
    testing and acceptance sampling", theorem 1).
    Metrics that describe lists and do not judge them (novelty, popularity, …) have no say.
    """
    for row in comparison.differences:
        if not row.judges or row.verdict == "same":
            continue
        if margin is None and row.verdict == "worse":
            yield comparison.sentence(row)
        elif margin is not None and not row.low > -margin:
            yield f"{row.b} may lose {margin:g} or more to {row.a} on {row.metric}: {row.size_in_words()}"


def model_names(paths: Sequence[str]) -> list[str]:
    """The name of each directory, with as many of its parents' before it as tell it from the others: 'monday/model'."""
    parts = [Path(os.path.abspath(path)).parts for path in paths]
    names = []
    for own in parts:
        others = [other for other in parts if other is not own]
        depths = range(1, len(own) + 1)
        depth = next((d for d in depths if all(other[-d:] != own[-d:] for other in others)), len(own))
        names.append("/".join(own[-depth:]))
    return names


def _chosen_models(models: list[str], baseline: str | None, needs_baseline: bool) -> tuple[dict[str, str], str | None]:
    """The paths of all models by their names, and the name of the baseline; None for comparing every two."""
    names = model_names(models)
    if baseline is None:
        paths = _by_name(models)
        return paths, names[0] if needs_baseline else None
    places = [Path(path).resolve() for path in models]
    if baseline in names:
        return _by_name(models), baseline
    if Path(baseline).resolve() in places:
        return _by_name(models), names[places.index(Path(baseline).resolve())]
    return _by_name([baseline, *models]), model_names([baseline, *models])[0]


def _by_name(models: list[str]) -> dict[str, str]:
    places: dict[Path, str] = {}
    for path in models:
        if (other := places.setdefault(Path(path).resolve(), path)) is not path:
            raise ParameterError(f"{path} and {other} are the same model. Hint: name each once.")
    if len(models) < 2:
        raise ParameterError(f"A comparison needs at least 2 models. Got {len(models)}: {quote_some(models) or 'none'}.")
    return dict(zip(model_names(models), models, strict=True))


def _results(
    paths: dict[str, str],
    test: str,
    fold_in: str | None,
    num_threads: int | None,
    progress: bool,
    settings: dict[str, Any],
) -> Iterator[tuple[str, EvaluationResult]]:
    """Each model's result; one model is in memory at a time."""
    judged_on = Interactions.load(test)
    events = None if fold_in is None else Interactions.load(fold_in)
    for name, path in paths.items():
        model: RankingModel = load_model(path)
        if events is not None:
            model = model.fold_in(events, unknown="skip", num_threads=num_threads)
        yield name, evaluate_model(model, judged_on, num_threads=num_threads, progress=progress, **settings)


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
