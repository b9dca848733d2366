"""`recsys tune`: good settings of a trainer are searched, and written as a configuration file for `recsys train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ParameterError
from recsys.evaluation.objective import RATING_METRICS
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words
from recsys.jobs.terminal import Interrupted, print_table, say
from recsys.jobs.train import configured_trainer
from recsys.storage import write_file
from recsys.trainers.configuration import read_toml
from recsys.tuning import TuningInterrupted, TuningResult
from recsys.tuning import tune as search
from recsys.tuning.space import read_dimension

__all__ = ["Tuned", "tune"]

_TRIALS_SHOWN = 5
_COLUMNS_NOT_SHOWN = ("state", "n_users", "error")


@dataclass(frozen=True)
class Tuned:
    """A configuration file that was written, and the search that led to it.

    trials : one mapping a trial, with `state`, `value`, both ends of its interval, and the settings that were tried.
    """

    output: str
    storage: str | None
    trainer: str
    hyperparameters: dict[str, Any]
    metric: str
    value: float
    low: float | None
    high: float | None
    n_users: int
    trials: list[dict[str, Any]]
    summary: str
    seconds: float

    def show(self) -> None:
        """The best trials and what was written, on standard output."""
        tried = [name for name in self.trials[0] if name not in _COLUMNS_NOT_SHOWN]
        complete = [trial for trial in self.trials if trial["state"] == "complete"]
        sign = 1 if self.metric in RATING_METRICS else -1
        best = sorted(complete, key=lambda trial: sign * trial["value"])[:_TRIALS_SHOWN]
        print_table(tried, [tuple(_shown(trial[name]) for name in tried) for trial in best], title=f"Best by {self.metric}")
        say(f"{self.summary}.")
        kept = f" {self.storage} keeps the study." if self.storage else ""
        say(f"Wrote {self.output}, for recsys train --config, in {seconds_in_words(self.seconds)}.{kept}")


def _shown(value: Any) -> Any:
    # Settings are often far below 1: four places after the point would show none of their digits.
    return f"{value:.4g}" if isinstance(value, float) else value


def tune(
    dataset: str,
    *,
    valid: str,
    output: str,
    trainer: str | None = None,
    settings: Mapping[str, object] | None = None,
    config: str | None = None,
    space: str | None = None,
    search_for: Mapping[str, str] | None = None,
    fold_in: str | None = None,
    storage: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Tuned:
    """Searches settings on the dataset directory `dataset`, judged on `valid`, and writes the configuration file `output`.

    settings, config : what is not searched, and tried first; as `recsys train` takes them.
    space : a TOML file of what to search, `NAME = "LOW..HIGH:log"` or `NAME = [32, 64]` a line.
    search_for : the same as texts by name; they go before those of the file.
    options : as `recsys.tune` takes them, and its defaults.
    """
    clock = Clock()
    refuse_collisions([output, storage], [dataset, valid, fold_in, config, space])
    chosen = configured_trainer(trainer, settings, config, num_threads)
    searched = _space(chosen.name, space, search_for)
    with write_file(output, overwrite=overwrite) as temporary:
        data, held_out = Interactions.load(dataset), Interactions.load(valid)
        known = None if fold_in is None else Interactions.load(fold_in)
        try:
            result = search(chosen, searched, train=data, valid=held_out, fold_in=known, storage=storage, **options)
        except TuningInterrupted as error:
            raise Interrupted(_kept(error.result, storage)) from error
        result.save(temporary, overwrite=True)
    return _told(result, output, storage, clock.seconds)


def _space(trainer: str, file: str | None, texts: Mapping[str, str] | None) -> dict[str, Any] | None:
    if file is None and not texts:
        return None
    space: dict[str, Any] = {}
    for name, value in ({} if file is None else read_toml(file)).items():
        if not isinstance(value, (str, list)):
            raise ParameterError(f'{file}: {name} must be "LOW..HIGH", "LOW..HIGH:log" or a list. Got {value!r}.')
        space[name] = read_dimension(trainer, name, value) if isinstance(value, str) else value
    return space | {name: read_dimension(trainer, name, text) for name, text in (texts or {}).items()}


def _kept(result: TuningResult | None, storage: str | None) -> str:
    """How the work goes on, and what was found so far."""
    best, n_trials = "", 0
    if result is not None:
        settings = ", ".join(f"{name}={value}" for name, value in result.best.settings.items())
        best, n_trials = f" The best so far: {result.metric} {result.in_words()} with {settings}.", len(result.records)
    if storage is None:
        return f"Without --storage nothing of the {counted(n_trials, 'trial')} is kept.{best}"
    return f"{Path(storage)} keeps {counted(n_trials, 'trial')}; --resume goes on from there.{best}"


def _told(result: TuningResult, output: str, storage: str | None, seconds: float) -> Tuned:
    best, trials = result.best, result.trials
    rows = trials.astype(object).where(trials.notna(), None).to_dict(orient="records")
    return Tuned(
        output=output,
        storage=storage,
        trainer=result.trainer.name,
        hyperparameters=asdict(result.best_trainer),
        metric=result.metric,
        value=best.value,
        low=json_ready(best.low),
        high=json_ready(best.high),
        n_users=best.n_users or 0,
        trials=json_ready(rows),
        summary=f"{result.metric} {result.in_words()}, the best of {result.counted()}",
        seconds=seconds,
    )
