"""`recsys train`: a dataset becomes a model directory."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ParameterError
from recsys.evaluation import EarlyStopping
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words, size_of
from recsys.jobs.terminal import Interrupted, say
from recsys.model import Model
from recsys.storage import refuse_existing
from recsys.trainers import Trainer, make_trainer

__all__ = ["DEFAULT_TRAINER", "ModelWritten", "checkpoint_path", "train"]

DEFAULT_TRAINER = "als"


@dataclass(frozen=True)
class ModelWritten:
    """A model directory that was written, and by what it was trained."""

    output: str
    trainer: str
    hyperparameters: dict[str, Any]
    n_users: int
    n_items: int
    n_interactions: int
    bytes: int
    seconds: float

    def show(self) -> None:
        """One sentence on standard output."""
        say(
            f"Wrote {self.output}: {self.trainer} on {counted(self.n_users, 'user')} × {counted(self.n_items, 'item')}, "
            f"{counted(self.n_interactions, 'interaction')}, {bytes_in_words(self.bytes)}, "
            f"in {seconds_in_words(self.seconds)}."
        )


def train(
    dataset: str,
    *,
    output: str,
    trainer: str = DEFAULT_TRAINER,
    settings: Mapping[str, object] | None = None,
    resume: bool = False,
    validation: str | None = None,
    metric: str | None = None,
    patience: int | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> ModelWritten:
    """Trains on the dataset directory `dataset` and writes the model directory `output`.

    settings : hyperparameters by name, as values or as text.
    resume : go on from the checkpoint that an interrupted run left beside `output`, if there is one.
    validation : a dataset directory; training ends when `metric` on it has not risen for `patience` epochs, and the best
        model is written.
    """
    clock = Clock()
    checkpoint = _places(output, [dataset, validation], overwrite)
    watch = _early_stopping(validation, metric, patience, resume)
    chosen = make_trainer(trainer, settings)
    if num_threads is not None and hasattr(chosen, "num_threads"):
        chosen = make_trainer(trainer, {**(settings or {}), "num_threads": num_threads})
    data = Interactions.load(dataset)
    model = _fit(chosen, data, checkpoint, progress=progress, callback=watch, resume=resume)
    model.save(output, overwrite=overwrite)
    return ModelWritten(
        output,
        trainer,
        dataclasses.asdict(chosen),
        data.n_users,
        data.n_items,
        data.n_interactions,
        size_of(output),
        clock.seconds,
    )


def _places(output: str, inputs: Sequence[str | None], overwrite: bool) -> Path:
    """Refuses places that can not be written to; returns that of the checkpoint."""
    checkpoint = checkpoint_path(output)
    refuse_collisions([output, checkpoint], inputs)
    refuse_existing(output, "model", overwrite=overwrite)
    return refuse_existing(checkpoint, "checkpoint", overwrite=True)


def _fit(trainer: Trainer, data: Interactions, checkpoint: Path, *, resume: bool, **options: Any) -> Model:
    """As the trainer fits; says what a checkpoint that was found, or is left, is good for."""
    if checkpoint.exists() and not resume:
        warnings.warn(
            f"{checkpoint} was left by an interrupted run; recsys train --resume goes on from it, this training starts anew.",
            stacklevel=3,
        )
    try:
        return trainer.fit(data, checkpoint=checkpoint, resume=resume, **options)
    except KeyboardInterrupt as error:
        # With early stopping there is no going on: see `_early_stopping`.
        left = checkpoint.exists() and options["callback"] is None
        raise Interrupted(f"{checkpoint} holds what was learnt so far; --resume goes on from it." if left else "") from error


def _early_stopping(validation: str | None, metric: str | None, patience: int | None, resume: bool) -> EarlyStopping | None:
    options: dict[str, Any] = {"metric": metric, "patience": patience}
    options = {name: value for name, value in options.items() if value is not None}
    if validation is None:
        if options:
            raise ParameterError(f"`{next(iter(options))}` is for early stopping, which needs `validation`, a dataset.")
        return None
    if resume:
        raise ParameterError("`resume` and `validation` do not go together: a checkpoint does not hold the best model so far.")
    return EarlyStopping(Interactions.load(validation), **options)


def checkpoint_path(output: str) -> Path:
    """Where training leaves its state until it is complete: `MODEL.checkpoint`."""
    return Path(output.rstrip("/") + ".checkpoint")
