"""A study: its trials, and where they are kept. Imports optuna, as `proposals` does and no other file.

A study is kept in SQLite rather than in optuna's journal file. SQLite's locks go with the process that holds them and its
writes are whole or absent; after a kill, a journal's lock file stays behind, and a line cut short makes the file unreadable.

May import errors, trainers and this folder's `proposals` and `result`.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, exc

from recsys.errors import FormatError, ParameterError, StorageError
from recsys.trainers import SearchSpace
from recsys.tuning.proposals import Proposals, distribution_of
from recsys.tuning.result import TrialRecord

__all__ = ["Identity", "Study", "open_study"]

Identity: TypeAlias = dict[str, Any]

# How many trials run to their end before any is pruned.
_N_UNPRUNED = 5
_OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_SEARCHED, _GROWN = "searched", "grown"
_IDENTITY, _PROCESS, _SETTINGS, _FOUND = "identity", "process", "settings", "found"
_SECONDS_TO_WAIT_FOR_A_LOCK = 120
_HEADER = b"SQLite format 3\x00"
# A number of a process may come again, in containers at once: a token tells this process from an earlier one.
_OURS = [socket.gethostname(), os.getpid(), uuid.uuid4().hex]


class Study:
    """Trials of one search, and those of its best settings with more factors, in memory or in a file."""

    def __init__(self, storage: optuna.storages.BaseStorage, space: SearchSpace, own: Mapping[str, Any], seed: int) -> None:
        self._distributions = {name: distribution_of(dimension) for name, dimension in space.items()}
        # A trial ends whose best value so far is below the median of the complete ones at the same epoch.
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_N_UNPRUNED)
        sampler = Proposals(space, own, seed)
        self._searched = optuna.load_study(study_name=_SEARCHED, storage=storage, sampler=sampler, pruner=pruner)
        self._grown = optuna.load_study(study_name=_GROWN, storage=storage, sampler=optuna.samplers.RandomSampler(seed))
        self._storage = storage

    def propose(self) -> optuna.Trial:
        """A trial that begins now, with the settings to try in `params`."""
        trial = self._searched.ask(self._distributions)
        trial.set_user_attr(_PROCESS, _OURS)
        return trial

    def grow(self, settings: Mapping[str, Any]) -> optuna.Trial:
        """A trial of given settings that begins now."""
        trial = self._grown.ask()
        trial.set_user_attr(_PROCESS, _OURS)
        trial.set_user_attr(_SETTINGS, dict(settings))
        return trial

    def tell(self, trial: optuna.Trial, state: str, value: float | None = None, **found: Any) -> None:
        """The trial is over: "complete" with its value, "pruned", or "interrupted"; what was `found` is kept with it.

        A trial that could not be trained is told as pruned, with an `error` found: later ones keep away from its settings.
        """
        trial.set_user_attr(_FOUND, found)
        told = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "interrupted": TrialState.FAIL}[state]
        trial.study.tell(trial, value if state == "complete" else None, state=told, skip_if_finished=True)

    def n_over(self) -> int:
        """How many trials of the search are over and were not interrupted."""
        return len(self._searched.get_trials(deepcopy=False, states=_OVER))

    def best(self, n: int) -> list[FrozenTrial]:
        """Up to `n` complete trials of the search with different settings, the best first."""
        complete = self._searched.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = -1 if self._searched.direction is StudyDirection.MAXIMIZE else 1
        different: list[FrozenTrial] = []
        for trial in sorted(complete, key=lambda trial: sign * (trial.value or 0.0)):
            if all(trial.params != other.params for other in different):
                different.append(trial)
        return different[:n]

    def grown_settings(self) -> list[dict[str, Any]]:
        """The settings of the trials that were grown and are over."""
        return [trial.user_attrs[_SETTINGS] for trial in self._grown.get_trials(deepcopy=False, states=_OVER)]

    def records(self) -> list[TrialRecord]:
        """All trials that are over and were not interrupted."""
        better = max if self._searched.direction is StudyDirection.MAXIMIZE else min
        stages = ((_SEARCHED, self._searched), (_GROWN, self._grown))
        return [
            _record(trial, stage, better) for stage, study in stages for trial in study.get_trials(deepcopy=False, states=_OVER)
        ]

    def drop_abandoned(self) -> None:
        """Trials left by processes of this machine that are gone count as interrupted."""
        for study in (self._searched, self._grown):
            running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            # Read after the trials: whoever has begun one of them stands here.
            others = any(_may_live(*value) for name, value in study.user_attrs.items() if name.startswith(_PROCESS))
            for trial in running:
                process = trial.user_attrs.get(_PROCESS)
                # Without a process it was begun by somebody who is about to say so, or ended in that very moment.
                if (not others or _is_old(trial)) if process is None else not _may_live(*process):
                    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def register(self) -> None:
        """Says that this process may begin trials."""
        for study in (self._searched, self._grown):
            study.set_user_attr(f"{_PROCESS} {_OURS[2]}", _OURS)

    def close(self) -> None:
        """Lets go of the file."""
        if isinstance(self._storage, optuna.storages.RDBStorage):
            self._storage.engine.dispose()


def _record(trial: FrozenTrial, stage: str, better: Callable[[Iterable[float]], float]) -> TrialRecord:
    found, values = trial.user_attrs.get(_FOUND, {}), trial.intermediate_values
    error = found.get("error")
    state = "complete" if trial.state is TrialState.COMPLETE else "failed" if error else "pruned"
    return TrialRecord(
        number=trial.number,
        stage=stage,
        state=state,
        # The best epoch's, also where the study was told the last one's.
        value=better(values.values()) if values else math.nan,
        low=found.get("low", math.nan),
        high=found.get("high", math.nan),
        confidence=found.get("confidence", math.nan),
        best_epoch=found.get("best_epoch") or None,
        n_users=found.get("n_users"),
        seconds=found.get("seconds", math.nan),
        settings=trial.user_attrs.get(_SETTINGS, trial.params),
        curve=tuple(sorted(values.items())),
        error=error,
    )


@contextlib.contextmanager
def open_study(
    path: str | os.PathLike[str] | None,
    resume: bool,
    *,
    identity: Identity,
    space: SearchSpace,
    own: Mapping[str, Any],
    seed: int,
    higher_is_better: bool,
) -> Iterator[Study]:
    """Opens the study in the file `path`, or begins it; in memory where that is None. optuna is silent inside.

    identity : what must be the same for trials to belong to one study, by names that a reader knows.
    own : the trainer's own settings, which are tried first where they lie in the space.

    Raises `ParameterError` for a file that is there without `resume`, and for one of another identity, naming the
    difference; `FormatError` for a file that is no study.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with _failures_named(path):
            direction = StudyDirection.MAXIMIZE if higher_is_better else StudyDirection.MINIMIZE
            storage = _storage(path, resume, identity, direction)
            study = Study(storage, space, own, seed)
            if resume:
                study.drop_abandoned()
            study.register()
            try:
                yield study
            finally:
                study.close()
    finally:
        optuna.logging.set_verbosity(verbosity)


def _storage(
    path: str | os.PathLike[str] | None, resume: bool, identity: Identity, direction: StudyDirection
) -> optuna.storages.BaseStorage:
    if path is None:
        storage = optuna.storages.InMemoryStorage()
        _begin(storage, identity, direction)
        return storage
    file = Path(path)
    if not file.exists():
        _create(file, identity, direction)
    elif not resume:
        raise ParameterError(f"{file} already exists. Hint: ask to resume it, or choose another path.")
    _require_database(file)
    opened = _open(file)
    _refuse_other(file, opened, identity)
    return opened


def _create(file: Path, identity: Identity, direction: StudyDirection) -> None:
    """Makes the file with its empty studies; it is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.", ignore_cleanup_errors=True) as room:
        begun = Path(room) / "study"
        storage = _open(begun)
        _begin(storage, identity, direction)
        storage.engine.dispose()
        # Unlike a rename, a link does not replace what another process has made meanwhile: that one is used then.
        with contextlib.suppress(FileExistsError):
            os.link(begun, file)


def _begin(storage: optuna.storages.BaseStorage, identity: Identity, direction: StudyDirection) -> None:
    for name in (_SEARCHED, _GROWN):
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
        study.set_user_attr(_IDENTITY, json.dumps(identity))


def _open(file: Path) -> optuna.storages.RDBStorage:
    url = URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _SECONDS_TO_WAIT_FOR_A_LOCK}})


def _require_database(file: Path) -> None:
    if file.is_dir():
        raise FormatError(f"{file} is a directory, not a study written by recsys.")
    with open(file, "rb") as handle:
        if handle.read(len(_HEADER)) != _HEADER:
            raise FormatError(f"{file} is not a study written by recsys.")


def _refuse_other(file: Path, storage: optuna.storages.RDBStorage, identity: Identity) -> None:
    studies = {study.study_name: study.user_attrs for study in optuna.get_all_study_summaries(storage)}
    if not all(_IDENTITY in studies.get(name, {}) for name in (_SEARCHED, _GROWN)):
        raise FormatError(f"{file} is not a study written by recsys.")
    kept = json.loads(studies[_SEARCHED][_IDENTITY])
    ours = json.loads(json.dumps(identity))
    for name in [*ours, *(name for name in kept if name not in ours)]:
        if kept.get(name) != ours.get(name):
            raise ParameterError(
                f"{file} can not be resumed: it was begun with {name} = {kept.get(name)!r}, now it is {ours.get(name)!r}. "
                "Hint: tune with the same, or with another file."
            )


@contextlib.contextmanager
def _failures_named(path: str | os.PathLike[str] | None) -> Iterator[None]:
    try:
        yield
    except exc.DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise FormatError(f"{path} is damaged: {error.orig}.") from error
        raise StorageError(f"{path} could not be read or written: {error.orig}.") from error
    except exc.SQLAlchemyError as error:
        raise StorageError(f"{path} could not be read or written: {error}.") from error


def _may_live(host: str, process: int, token: str) -> bool:
    """Whether a process is still there; of one of another machine that can not be told."""
    if host != _OURS[0] or token == _OURS[2]:
        return True
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _is_old(trial: FrozenTrial) -> bool:
    began = trial.datetime_start
    return began is None or (datetime.datetime.now() - began).total_seconds() > _SECONDS_TO_WAIT_FOR_A_LOCK
