"""What every trainer has in common: a frozen configuration, one loop, checkpoints, provenance.

A trainer never changes and holds no data: `fit` starts a `Training`, drives it epoch by epoch and returns the model that its
`Outcome` makes. Most trainings are a `Run`, which yields `Factors`, of which a `Model` is made.
May import everything below it, down to errors; no trainer is imported here.
"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, cast

import numpy as np

from recsys.embeddings import Embeddings
from recsys.errors import DataError, FormatError, ParameterError, quote_some
from recsys.fold_in import FoldIn
from recsys.ids import IdMap
from recsys.interactions import Interactions, require_interactions
from recsys.model import Model, RankingModel
from recsys.progress import show_progress
from recsys.storage import open_stored, write_stored
from recsys.trainers.search_space import SearchSpace

__all__ = ["AnyTrainer", "Epoch", "EpochCallback", "Factors", "Outcome", "Run", "Trainer", "Training"]

Made = TypeVar("Made", bound=RankingModel, covariant=True)


@dataclass(frozen=True)
class Epoch:
    """One epoch that is done: its number (from 1) of `total`, what it measured, a function that makes the model so far, and
    whose training it is."""

    number: int
    total: int
    measured: Mapping[str, float]
    snapshot: Callable[[], RankingModel]
    trainer: AnyTrainer


# Called after each epoch. Returning True ends the training there, returning a model ends it with that model.
EpochCallback: TypeAlias = Callable[[Epoch], "RankingModel | bool | None"]


class Outcome(ABC, Generic[Made]):
    """What a training yields, and the model that becomes of it."""

    @abstractmethod
    def check(self, train: Interactions) -> None:
        """Raises `DataError` naming what came out that no model can be made of."""

    @abstractmethod
    def model(self, train: Interactions, provenance: Mapping[str, Any]) -> Made:
        """The model, with the ids and the history of the data that were trained on."""


@dataclass(frozen=True)
class Factors(Outcome[Model]):
    """Vectors: (n_users, dim) and (n_items, dim) float32, and how new rows are folded in, if they can be."""

    users: np.ndarray
    items: np.ndarray
    fold_in: FoldIn | None = None

    def check(self, train: Interactions) -> None:
        """Every number must be finite."""
        require_finite(self.users, train.users)
        require_finite(self.items, train.items)

    def model(self, train: Interactions, provenance: Mapping[str, Any]) -> Model:
        """A model whose scores are dot products of these vectors."""
        return Model.from_vectors(train, self.users, self.items, fold_in=self.fold_in, provenance=provenance)


class Training(ABC, Generic[Made]):
    """The moving part of a training: its arrays, and one epoch after the other.

    parts : how often `train_epoch` calls `part_done`, where an epoch is so long that progress is shown within it; else 0.
    part_done : advances the progress; set by `fit`.
    """

    epochs: int
    parts: int = 0
    part_done: Callable[[], object] = staticmethod(lambda: None)

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """Trains for one epoch and returns what it measured on the way (empty when nothing was asked for)."""

    @abstractmethod
    def outcome(self) -> Outcome[Made]:
        """The result as it stands; does not change the training."""

    def finish(self) -> Outcome[Made]:
        """The result at the end. The training is not used again, so its arrays may become the result's."""
        return self.outcome()

    def warm_start(self, model: Model) -> None:
        """Starts known ids from the vectors of `model`. Raises `ParameterError` where that can not be."""
        raise ParameterError(f"This trainer can not start from a model ({model!r} was given).")

    def state(self) -> dict[str, np.ndarray]:
        """The arrays from which `restore` goes on as if nothing had happened; none where there is a single epoch."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over the arrays of `state`."""
        if state:
            raise FormatError(f"This trainer has no state to go on from. Got {quote_some(state)}.")


class Run(Training[Model]):
    """A training that yields vectors."""

    @abstractmethod
    def factors(self) -> Factors:
        """The vectors as they stand; does not change the run."""

    def outcome(self) -> Factors:
        """The vectors as they stand."""
        return self.factors()

    def finish(self) -> Factors:
        """The vectors at the end. The run is not used again, so its arrays may become the result's."""
        return self.factors()


@dataclass(frozen=True, kw_only=True)
class Trainer(ABC, Generic[Made]):
    """A configuration: hyperparameters that never change. `fit` twice gives the same model twice.

    `Trainer[Model]` makes models with embeddings, as most do; `AnyTrainer` stands for them all.
    """

    name: ClassVar[str]
    advice: ClassVar[str]
    predicts_ratings: ClassVar[bool] = False
    """Whether scores are predicted weights, so that RMSE and MAE judge them."""
    makes_embeddings: ClassVar[bool] = True
    """Whether its models have user and item embeddings."""
    extra: ClassVar[str | None] = None
    """The extra of this package that brings a library it needs; None where it needs none."""
    search_space: ClassVar[SearchSpace] = {}
    """What `recsys.tune` searches when it is told nothing else; empty where nothing is worth it."""

    @abstractmethod
    def start(self, train: Interactions) -> Training[Made]:
        """A training at its beginning. Raises `DataError` for data this trainer cannot use."""

    def fit(
        self,
        train: Interactions,
        *,
        progress: bool = False,
        callback: EpochCallback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        warm_start: RankingModel | None = None,
    ) -> Made:
        """Trains on `train` and returns the model; this configuration and the data stay as they are.

        progress : show a bar on standard error.
        callback : called with an `Epoch` after each one; if it returns True the training ends there, if it returns a model
            the training ends with that model.
        checkpoint : a directory that holds the state after every epoch; it goes when the training is complete.
        resume : go on from `checkpoint` if it is there; refused (`ParameterError`) when it is of other data or settings.
        warm_start : a model whose vectors are where known ids start from; new ids start as they always do.

        Raises `DataError` if there is nothing to train on or the data do not suit this trainer.
        """
        require_interactions(train, "fit")
        if train.n_interactions == 0:
            raise DataError("There are no interactions to train on.")
        if resume and checkpoint is None:
            raise ParameterError("`resume` needs `checkpoint`, the directory to go on from.")
        began = time.perf_counter()
        run = self.start(train)
        if warm_start is not None:
            if not isinstance(warm_start, Model):
                raise ParameterError(f"A training can start from a model that has vectors only ({warm_start!r} was given).")
            run.warm_start(warm_start)
        origin = {} if warm_start is None else {"warm_start": warm_start.fingerprint}
        keeper = None if checkpoint is None else _Checkpoint(Path(checkpoint), self, train)
        done = keeper.restore(run) if keeper and resume else 0

        def model_of(outcome: Outcome[Made]) -> Made:
            return self._model(train, outcome, {"epochs": done, "seconds": round(time.perf_counter() - began, 3), **origin})

        def snapshot() -> Made:
            return model_of(run.outcome())

        chosen: RankingModel | bool | None = None
        parts = max(run.parts, 1)
        with show_progress(f"Training {self.name}", run.epochs * parts, enabled=progress) as advance:
            advance(done * parts)
            if run.parts:
                run.part_done = advance
            while done < run.epochs and not chosen:
                measured = run.train_epoch()
                done += 1
                if keeper:
                    keeper.write(run, done)
                advance(0 if run.parts else 1, ", ".join(f"{name} {value:.6g}" for name, value in measured.items()))
                chosen = callback(Epoch(done, run.epochs, measured, snapshot, self)) if callback else None
        # What a callback chooses is a snapshot of this training.
        model = cast("Made", chosen) if isinstance(chosen, RankingModel) else model_of(run.finish())
        if keeper:
            keeper.remove()
        return model

    def partial_fit(self, model: RankingModel, events: Interactions, *, progress: bool = False) -> Made:
        """`model` brought up to date with new events: ids grow on both sides, old ids keep their positions.

        The history and `events` together (`Model.history_with`) are trained on from where `model` stands, for the epochs of
        this configuration: a few are enough. `model` stays as it is. Weight the events as its training data were weighted.
        Raises `ParameterError` when this trainer can not start from `model`.
        """
        require_interactions(events, "partial_fit")
        return self.fit(model.history_with(events), warm_start=model, progress=progress)

    def _model(self, train: Interactions, outcome: Outcome[Made], measured: Mapping[str, Any]) -> Made:
        outcome.check(train)
        provenance = {
            "trainer": self.name,
            "hyperparameters": asdict(self),
            "data": facts_of(train),
            "training": dict(measured),
            "versions": library_versions(),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return outcome.model(train, provenance)

    def _check(self, name: str, rule: str, fulfilled: Any) -> None:
        if not fulfilled:
            raise ParameterError(
                f"The `{name}` parameter of {type(self).__name__} must be {rule}. Got {getattr(self, name)!r}."
            )

    def _check_num_threads(self) -> None:
        value = vars(self)["num_threads"]  # a setting of most trainers, not of all
        self._check("num_threads", "an int >= 1 or None", value is None or value >= 1)

    def _check_integer(self, name: str, at_least: int) -> None:
        value = getattr(self, name)
        right = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= at_least
        self._check(name, f"an int >= {at_least}", right)

    def _check_number(self, name: str, above: float | None = None, at_least: float | None = None) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        number = number and bool(np.isfinite(value))
        if above is not None:
            self._check(name, f"a finite number > {above:g}", number and value > above)
        elif at_least is not None:
            self._check(name, f"a finite number >= {at_least:g}", number and value >= at_least)


AnyTrainer: TypeAlias = Trainer[RankingModel]


def refuse_idle_factors(trainer: str, factors: int, train: Interactions) -> None:
    """Raises `ParameterError` for many more factors than the data can carry."""
    if factors > max(1024, *train.shape):
        raise ParameterError(
            f"{trainer} with factors = {factors:,} has more factors than the data have users ({train.n_users:,}) and items "
            f"({train.n_items:,}); what is over the smaller number carries nothing."
        )


def require_finite(vectors: np.ndarray, ids: IdMap) -> None:
    """Raises `DataError` naming the first id whose vector holds NaN or infinity, and what to change."""
    if np.isfinite(vectors).all():
        return
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    raise DataError(
        f"The training diverged: the vector of {ids.name} {ids.ids_at(bad[:1])[0].as_py()!r} is not finite. "
        "Hint: its weights may be too large, see Interactions.weighted('log'); a lower alpha or more regularization helps too."
    )


def facts_of(train: Interactions) -> dict[str, Any]:
    """What a model's provenance says of the data it was trained on."""
    sizes = {"n_users": train.n_users, "n_items": train.n_items, "n_interactions": train.n_interactions}
    return {"fingerprint": train.fingerprint, **sizes, "provenance": dict(train.provenance)}


def known_vectors(ids: IdMap, known: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Which of `ids` an earlier model knows, (n,) bool, and their vectors there."""
    positions = known.ids.positions(ids, unknown="ignore")
    return positions >= 0, known.vectors[positions[positions >= 0]]


def library_versions() -> dict[str, str]:
    """Versions of what a result may depend on."""
    names = ("recsys", "numpy", "scipy", "numba", "pandas", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


class _Checkpoint:
    """The state of a run on disk, tied to the trainer's settings and the data's fingerprint."""

    def __init__(self, path: Path, trainer: AnyTrainer, train: Interactions) -> None:
        self._path = path
        self._settings = {"trainer": trainer.name, **asdict(trainer)}
        # How many threads work does not change the result, so it may differ.
        self._settings.pop("num_threads", None)
        self._fingerprint = train.fingerprint

    def write(self, run: Training[Any], done: int) -> None:
        state = run.state()
        if not state:
            return  # of a single epoch: there is nothing to go on from
        attributes = {"settings": self._settings, "fingerprint": self._fingerprint, "epochs_done": done}
        write_stored(self._path, "checkpoint", arrays=state, tables={}, attributes=attributes, provenance={}, overwrite=True)

    def restore(self, run: Training[Any]) -> int:
        if not self._path.exists():
            return 0
        stored = open_stored(self._path, "checkpoint")
        theirs, ours = stored.attribute("settings"), self._settings
        for name in sorted(theirs.keys() | ours.keys()):
            if theirs.get(name) != ours.get(name):
                raise ParameterError(
                    f"{self._path} can not be resumed: it was written with {name} = {theirs.get(name)!r}, "
                    f"now it is {ours.get(name)!r}. Hint: train without resume, or with the same settings."
                )
        if stored.attribute("fingerprint") != self._fingerprint:
            raise ParameterError(f"{self._path} can not be resumed: it was written for other data. Hint: train without resume.")
        names = [name.removesuffix(".npy") for name in stored.files]
        if set(names) != set(run.state()):
            raise ParameterError(
                f"{self._path} can not be resumed: another version of recsys wrote it. Hint: train without resume."
            )
        run.restore({name: np.array(stored.array(name)) for name in names})
        return int(stored.attribute("epochs_done"))

    def remove(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def setting_names(trainer: type[AnyTrainer]) -> list[str]:
    """Names of a trainer's hyperparameters."""
    return [field.name for field in fields(trainer)]
