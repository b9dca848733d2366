"""Running trials: each trains one setting, judges it epoch by epoch and tells the study; several at once share the data.

May import errors, interactions, parallel, progress, trainers, evaluation and this folder's `study`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from recsys.errors import DataError
from recsys.evaluation import EarlyStopping
from recsys.interactions import Interactions
from recsys.parallel import available_cpus
from recsys.trainers import AnyTrainer
from recsys.trainers.base import Epoch, EpochCallback, setting_names

if TYPE_CHECKING:
    import optuna

    from recsys.tuning.study import Study

__all__ = ["Judging", "TrialRunner"]

# Settings differ in how fast they rise: none is pruned in this first share of its epochs.
_WARM_UP = 0.25


class _PrunedError(Exception):
    """The trial is worse than others were at its epoch."""


class _StoppedError(Exception):
    """Another thread has ended the search."""


@dataclass(frozen=True)
class Judging:
    """By what trials are judged; see `recsys.tune`."""

    valid: Interactions
    metric: str
    patience: int
    every: int
    prune: bool
    fold_in: Interactions | None
    overlap: str

    def watch(self, num_threads: int | None = None) -> EarlyStopping:
        """A callback for one training; checks the arguments."""
        return EarlyStopping(
            self.valid,
            self.metric,
            self.patience,
            self.every,
            fold_in=self.fold_in,
            overlap=self.overlap,
            num_threads=num_threads,
        )


class TrialRunner:
    """Runs the trials of one call."""

    def __init__(self, study: Study, trainer: AnyTrainer, train: Interactions, judging: Judging) -> None:
        self._study, self._trainer, self._train, self._judging = study, trainer, train, judging
        self._lock, self._stop, self._running = threading.Lock(), threading.Event(), 0

    def search(self, n_trials: int, timeout: float | None, n_jobs: int, advance: Callable[[], None]) -> None:
        """Proposes and runs trials until `n_trials` are over, or until `timeout` seconds have passed."""
        deadline = None if timeout is None else time.monotonic() + timeout

        def work() -> None:
            while (trial := self._next(n_trials, deadline)) is not None:
                self._run(trial, trial.params, n_jobs, self._judging.prune)
                advance()

        if n_jobs == 1:
            work()
        else:
            self._in_threads(work, n_jobs)

    def grow(self, settings: Mapping[str, Any]) -> None:
        """Runs a given setting to its end."""
        with self._lock:
            trial = self._study.grow(settings)
            self._running += 1
        self._run(trial, settings, 1, prune=False)

    def _in_threads(self, work: Callable[[], None], n_jobs: int) -> None:
        # Each training holds BLAS to one thread and puts back what it found. Held here too, several at once find the same.
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_jobs, "trial") as pool:
            try:
                futures = [pool.submit(work) for _ in range(n_jobs)]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
            # The cause, not what it brought about in other threads.
            errors = [error for future in futures if (error := future.exception()) is not None]
            for error in sorted(errors, key=lambda error: isinstance(error, _StoppedError)):
                raise error

    def _next(self, n_trials: int, deadline: float | None) -> optuna.Trial | None:
        with self._lock:
            n_over = self._study.n_over()
            late = deadline is not None and time.monotonic() >= deadline and n_over > 0
            if self._stop.is_set() or late or n_over + self._running >= n_trials:
                return None
            trial = self._study.propose()
            self._running += 1
            return trial

    def _run(self, trial: optuna.Trial, settings: Mapping[str, Any], n_jobs: int, prune: bool) -> None:
        trainer, threads = self._prepared(settings, n_jobs)
        watch = self._judging.watch(threads)
        began = time.perf_counter()
        told: dict[str, Any] = {"state": "interrupted"}
        try:
            trainer.fit(self._train, callback=self._callback(trial, watch, prune))
            told = _found(watch)
        except _PrunedError:
            told = {"state": "pruned"}
        except DataError as error:
            # With nothing that went well it is the data that can not be used, not the setting.
            if not self._study.best(1):
                raise
            told = {"state": "pruned", "error": str(error)}
        finally:
            with self._lock:
                self._running -= 1
                self._study.tell(trial, **told, best_epoch=watch.best_epoch, seconds=round(time.perf_counter() - began, 3))

    def _prepared(self, settings: Mapping[str, Any], n_jobs: int) -> tuple[AnyTrainer, int]:
        """The trainer of a trial, and the threads for it: its share of those that the given trainer may use."""
        threads = max(1, (getattr(self._trainer, "num_threads", None) or available_cpus()) // n_jobs)
        own = {"num_threads": threads} if "num_threads" in setting_names(type(self._trainer)) else {}
        return replace(self._trainer, **settings, **own), threads

    def _callback(self, trial: optuna.Trial, watch: EarlyStopping, prune: bool) -> EpochCallback:
        def callback(epoch: Epoch) -> Any:
            if self._stop.is_set():
                raise _StoppedError
            best = watch(epoch)
            number, value = watch.history[-1] if watch.history else (0, 0.0)
            if number == epoch.number:
                trial.report(value, number)
                if prune and best is None and number > _WARM_UP * epoch.total and trial.should_prune():
                    raise _PrunedError
            return best

        return callback


def _found(watch: EarlyStopping) -> dict[str, Any]:
    """What is told of a training that came to its end."""
    if watch.best is None:
        raise DataError("The training ended without an epoch that could be judged.")
    low, high = watch.objective.interval_of(watch.best)
    value, n_users = watch.objective.value_of(watch.best), len(watch.best.users)
    interval = {"low": low, "high": high, "confidence": watch.best.confidence}
    return {"state": "complete", "value": value, "n_users": n_users, **interval}
