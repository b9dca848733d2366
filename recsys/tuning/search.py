"""`tune`: the search for good settings of a trainer.

May import errors, interactions, progress, trainers, evaluation and the rest of this folder; optuna when it is used.
"""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from recsys.errors import DataError, ParameterError, require_extra
from recsys.evaluation.protocol import require_whole
from recsys.interactions import Interactions, require_interactions
from recsys.progress import show_progress
from recsys.trainers import AnyTrainer, Range, SearchSpace, Trainer
from recsys.trainers.base import library_versions
from recsys.tuning.result import TuningResult
from recsys.tuning.space import checked_space
from recsys.tuning.trials import Judging, TrialRunner

if TYPE_CHECKING:
    from recsys.tuning.study import Study

__all__ = ["TuningInterrupted", "tune"]


class TuningInterrupted(KeyboardInterrupt):
    """Ctrl-C during `tune`. `result` holds what was found until then, or None; the message says what is kept."""

    def __init__(self, message: str, result: TuningResult | None) -> None:
        super().__init__(message)
        self.result = result


def tune(
    trainer: AnyTrainer,
    space: Mapping[str, Any] | None = None,
    *,
    train: Interactions,
    valid: Interactions,
    metric: str = "ndcg@20",
    n_trials: int = 30,
    timeout: float | None = None,
    storage: str | os.PathLike[str] | None = None,
    resume: bool = False,
    n_jobs: int = 1,
    random_state: int = 0,
    grow_to: int | None = None,
    grow_best: int = 3,
    prune: bool = True,
    patience: int = 3,
    every: int = 1,
    fold_in: Interactions | None = None,
    overlap: str = "raise",
    progress: bool = False,
) -> TuningResult:
    """Searches the settings with which `trainer`, trained on `train`, does best by `metric` on `valid`.

        result = recsys.tune(recsys.ALS(factors=64), train=train, valid=valid, n_trials=20, grow_to=512)
        model = result.best_trainer.fit(train)

    trainer : the settings that are not searched, and the first to be tried; its `iterations` are the most epochs of a trial,
        its `num_threads` the threads of all trials together.
    space : setting → (low, high), (low, high, "log") or a list to choose from, such as
        {"regularization": (1e-4, 1e-1, "log"), "factors": [32, 64, 128]}; None for the trainer's own `search_space`.
    metric : of ranked lists, where more is better, or "rmse" or "mae" of trainers that predict ratings.
    n_trials : how many trials the study is to have, those of earlier calls on the same `storage` included.
    timeout : seconds after which no further trial of the search begins.
    storage, resume : a file that keeps the study while it goes on, through a kill as well; with `resume` it goes on where it
        stopped, if it is there. Several processes may work on one file. Data, trainer, space and metric must be the same.
    n_jobs : trials at a time. They share the data, and each uses its share of the threads.
    random_state : with n_jobs=1 the same seed tries the same settings, also when interrupted and resumed, and finds the
        same values. With several at a time, which ones are known when the next is proposed depends on their speed.
    grow_to, grow_best : so many of the best settings are trained once more with `grow_to` factors. A search with few
        factors is cheap, and regularization and unobserved weight that suit few factors are near those that suit many
        (Rendle et al. 2022 tune this way); near, so the last bit may be had by a second search with many factors in a
        narrow space around them.
    prune : end trials whose best value so far is below the median of others at the same epoch.
    patience, every, fold_in, overlap : of the judging after each epoch; see `recsys.EarlyStopping`.

    A trial counts with its best epoch. Proposals: the trainer's own settings, 7 spread evenly over the space, then
    optuna's tree-structured Parzen estimator.

    Ctrl-C raises `TuningInterrupted`, a KeyboardInterrupt that carries the result so far. Raises `MissingExtraError` without
    optuna, `ParameterError` for a bad argument and for a study of another search, `DataError` for data that can not be
    trained on or judged by.
    """
    plan = _Plan(trainer, checked_space(_require_trainer(trainer), space), train, random_state)
    judging = Judging(valid, metric, patience, every, prune, fold_in, overlap)
    _check(plan, judging, {"n_trials": n_trials, "n_jobs": n_jobs, "grow_best": grow_best}, timeout, resume and storage is None)
    _check_growth(plan, grow_to)
    with _study(plan, judging, storage, resume) as study, _without_warnings_of_bad_settings():
        runner = TrialRunner(study, trainer, train, judging)
        try:
            _search(runner, study, judging, n_trials, timeout, n_jobs, progress)
            if grow_to is not None:
                _grow(runner, study, judging, grow_to, grow_best, progress)
        except KeyboardInterrupt as error:
            raise _interrupted(study, plan, judging, storage) from error
        return _result(study, plan, judging)


@dataclass(frozen=True)
class _Plan:
    """What is searched, on which data."""

    trainer: AnyTrainer
    space: SearchSpace
    train: Interactions
    random_state: int

    @property
    def settings(self) -> dict[str, Any]:
        """The trainer's own settings that a result depends on, as JSON has them."""
        settings = {name: value for name, value in asdict(self.trainer).items() if name != "num_threads"}
        return {name: value.item() if hasattr(value, "item") else value for name, value in settings.items()}

    def identity(self, judging: Judging) -> dict[str, Any]:
        """What must be the same for two calls to work on one study, by names that are read in messages."""
        return {
            "trainer": self.trainer.name,
            "metric": judging.watch().objective.metric,
            "training data": self.train.fingerprint,
            "validation data": judging.valid.fingerprint,
            "fold-in data": None if judging.fold_in is None else judging.fold_in.fingerprint,
            "searched settings": sorted(self.space),
            **{f"space of {name}": str(dimension) for name, dimension in self.space.items()},
            **self.settings,
            **{f"tuning {name}": getattr(judging, name) for name in ("patience", "every", "prune", "overlap")},
            "tuning random_state": self.random_state,
        }


def _require_trainer(trainer: Any) -> AnyTrainer:
    if not isinstance(trainer, Trainer):
        given = f"the class {trainer.__name__}" if isinstance(trainer, type) else repr(trainer)
        raise ParameterError(f"tune takes a trainer such as recsys.ALS(factors=64). Got {given}.")
    return trainer


def _check(
    plan: _Plan, judging: Judging, at_least_one: Mapping[str, int], timeout: float | None, resumes_nothing: bool
) -> None:
    require_interactions(plan.train, "tune")
    judging.watch().refuse_unsuited(plan.trainer)
    for name, value in at_least_one.items():
        require_whole(value, name, 1)
    require_whole(plan.random_state, "random_state", 0)
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (number and timeout > 0):
        raise ParameterError(f"`timeout` must be a number of seconds > 0, or None. Got {timeout!r}.")
    if resumes_nothing:
        raise ParameterError("`resume` needs `storage`, the file that keeps the study.")


def _check_growth(plan: _Plan, grow_to: int | None) -> None:
    if grow_to is None:
        return
    if "factors" not in plan.settings:
        raise ParameterError(f"`grow_to` is a number of factors, and {plan.trainer.name} has none.")
    searched = plan.space.get("factors")
    most = plan.settings["factors"]
    if searched is not None:
        most = searched.high if isinstance(searched, Range) else max(searched.values)
    if require_whole(grow_to, "grow_to", 1) <= most:
        raise ParameterError(f"`grow_to` must be more factors than the {most} that are searched with. Got {grow_to!r}.")
    grown: dict[str, Any] = {"factors": grow_to}
    replace(plan.trainer, **grown)


@contextmanager
def _study(plan: _Plan, judging: Judging, storage: str | os.PathLike[str] | None, resume: bool) -> Iterator[Study]:
    require_extra("optuna", "tune", "Tuning")
    from recsys.tuning.study import open_study

    with open_study(
        storage,
        resume,
        identity=plan.identity(judging),
        space=plan.space,
        own=plan.settings,
        seed=plan.random_state,
        higher_is_better=judging.watch().objective.higher_is_better,
    ) as study:
        yield study


@contextmanager
def _without_warnings_of_bad_settings() -> Iterator[None]:
    """A search tries bad settings too: their values say so, and a warning an epoch would hide what matters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All vectors vanished", UserWarning)
        yield


def _search(
    runner: TrialRunner, study: Study, judging: Judging, n_trials: int, timeout: float | None, n_jobs: int, progress: bool
) -> None:
    with show_progress("Tuning", n_trials, enabled=progress) as advance:
        advance(study.n_over(), _best_in_words(study, judging))
        runner.search(n_trials, timeout, n_jobs, lambda: advance(1, _best_in_words(study, judging)))


def _best_in_words(study: Study, judging: Judging) -> str:
    best = study.best(1)
    return f"best {judging.metric} {best[0].value:.4f}" if best else ""


def _grow(runner: TrialRunner, study: Study, judging: Judging, factors: int, n_best: int, progress: bool) -> None:
    """Trains the best settings of the search with more factors, but for those that earlier calls have trained so."""
    done = study.grown_settings()
    wanted = [{**trial.params, "factors": factors} for trial in study.best(n_best)]
    wanted = [settings for settings in wanted if settings not in done]
    with show_progress(f"Growing to {factors:,} factors", len(wanted), enabled=progress) as advance:
        for settings in wanted:
            runner.grow(settings)
            advance(1)


def _result(study: Study, plan: _Plan, judging: Judging) -> TuningResult:
    objective = judging.watch().objective
    provenance = {
        "train": plan.train.fingerprint,
        "valid": judging.valid.fingerprint,
        "random_state": plan.random_state,
        "versions": library_versions(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return TuningResult(
        plan.trainer, plan.space, objective.metric, objective.higher_is_better, tuple(study.records()), provenance
    )


def _interrupted(study: Study, plan: _Plan, judging: Judging, storage: Any) -> TuningInterrupted:
    n_over = study.n_over()
    words = f"{n_over:,} trial{'' if n_over == 1 else 's'}"
    if storage is not None:
        message = f"Interrupted; {os.fspath(storage)} keeps {words}, and resume=True goes on from there."
    else:
        message = f"Interrupted after {words}; nothing was kept, for want of a storage."
    try:
        return TuningInterrupted(message, _result(study, plan, judging))
    except DataError:
        return TuningInterrupted(message, None)
