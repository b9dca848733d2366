"""`recsys train`: a dataset becomes a model directory."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.embeddings.alignment import shared_positions
from recsys.errors import ParameterError
from recsys.evaluation import EarlyStopping
from recsys.interactions import Interactions
from recsys.jobs.embeddings_align import alignment_in_words, open_reference
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words, size_of
from recsys.jobs.terminal import Interrupted, say
from recsys.model import Model, RankingModel
from recsys.storage import refuse_existing
from recsys.trainers import AnyTrainer, make_trainer, read_configuration

__all__ = ["DEFAULT_TRAINER", "ModelWritten", "checkpoint_path", "configured_trainer", "train"]

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
    warm_start: str | None = None
    aligned_to: str | None = None
    alignment: dict[str, Any] | None = None

    def show(self) -> None:
        """One sentence on standard output."""
        say(
            f"Wrote {self.output}: {self.trainer} on {counted(self.n_users, 'user')} × {counted(self.n_items, 'item')}, "
            f"{counted(self.n_interactions, 'interaction')}, {bytes_in_words(self.bytes)}, "
            f"in {seconds_in_words(self.seconds)}{'' if self.warm_start is None else f', started from {self.warm_start}'}."
        )
        if self.aligned_to is not None and self.alignment is not None:
            say(alignment_in_words(self.alignment, self.aligned_to))


def train(
    dataset: str,
    *,
    output: str,
    trainer: str | None = None,
    settings: Mapping[str, object] | None = None,
    config: str | None = None,
    resume: bool = False,
    validation: str | None = None,
    metric: str | None = None,
    patience: int | None = None,
    overlap: str | None = None,
    align_to: str | None = None,
    warm_start: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> ModelWritten:
    """Trains on the dataset directory `dataset` and writes the model directory `output`.

    settings : hyperparameters by name, as values or as text.
    config : a file that names the trainer and its hyperparameters, as `recsys tune` writes it; `settings` go before those.
    resume : go on from the checkpoint that an interrupted run left beside `output`, if there is one.
    validation : a dataset directory; training ends when `metric` on it has not got better for `patience` epochs, and the
        best model is written.
    overlap : what becomes of pairs of `validation` that are trained on, as in `recsys.evaluate`.
    align_to : an earlier model, or its items' embeddings, that the new vectors are turned to (see `Model.align_to`).
    warm_start : an earlier model of the same trainer and size, whose vectors known ids start from; a few epochs then do.
    """
    clock = Clock()
    checkpoint = _places(output, [dataset, validation, config, align_to, warm_start], overwrite)
    chosen = configured_trainer(trainer, settings, config, num_threads)
    options = {"metric": metric, "patience": patience, "overlap": overlap, "num_threads": num_threads}
    watch = _early_stopping(validation, resume, options)
    if watch:
        watch.refuse_unsuited(chosen)
    if align_to is not None and not chosen.makes_embeddings:
        raise ParameterError(f"`align_to` turns vectors, and models of the trainer {chosen.name!r} have none.")
    data = Interactions.load(dataset)
    reference = None if align_to is None else open_reference(align_to, data.items)
    start = None if warm_start is None else _earlier_model(warm_start, data)
    model = _fit(chosen, data, checkpoint, progress=progress, callback=watch, resume=resume, warm_start=start)
    if reference is not None and isinstance(model, Model):
        model = model.align_to(reference, num_threads=num_threads)
    model.save(output, overwrite=overwrite)
    return ModelWritten(
        output,
        chosen.name,
        dataclasses.asdict(chosen),
        data.n_users,
        data.n_items,
        data.n_interactions,
        size_of(output),
        clock.seconds,
        warm_start,
        align_to,
        model.provenance["aligned_to"] if align_to else None,
    )


def _earlier_model(path: str, data: Interactions) -> Model:
    """The model to start from; refused when it has vectors for nothing that is trained on."""
    model = Model.load(path)
    for known, ids in ((model.users, data.users), (model.items, data.items)):
        shared_positions(ids, known)
    return model


def _places(output: str, inputs: Sequence[str | None], overwrite: bool) -> Path:
    """Refuses places that can not be written to; returns that of the checkpoint."""
    checkpoint = checkpoint_path(output)
    refuse_collisions([output, checkpoint], inputs)
    refuse_existing(output, "model", overwrite=overwrite)
    return refuse_existing(checkpoint, "checkpoint", overwrite=True)


def _fit(trainer: AnyTrainer, data: Interactions, checkpoint: Path, *, resume: bool, **options: Any) -> RankingModel:
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


def configured_trainer(
    name: str | None, settings: Mapping[str, object] | None, config: str | None = None, num_threads: int | None = None
) -> AnyTrainer:
    """The trainer of a call: by name, or as the file `config` has it; `settings` go before those of the file.

    Raises `ParameterError` when both are given and differ.
    """
    written: dict[str, Any] = {}
    if config is not None:
        named, written = read_configuration(config)
        if name not in (None, named):
            raise ParameterError(f"{config} configures the trainer {named!r}, and {name!r} was asked for.")
        name = named
    chosen = make_trainer(name or DEFAULT_TRAINER, {**written, **(settings or {})})
    if num_threads is None or not hasattr(chosen, "num_threads"):
        return chosen
    return make_trainer(chosen.name, {**dataclasses.asdict(chosen), "num_threads": num_threads})


def _early_stopping(validation: str | None, resume: bool, options: Mapping[str, Any]) -> EarlyStopping | None:
    given = {name: value for name, value in options.items() if value is not None}
    if validation is None:
        if pointless := [name for name in given if name != "num_threads"]:
            raise ParameterError(f"`{pointless[0]}` is for early stopping, which needs `validation`, a dataset.")
        return None
    if resume:
        raise ParameterError("`resume` and `validation` do not go together: a checkpoint does not hold the best model so far.")
    return EarlyStopping(Interactions.load(validation), **given)


def checkpoint_path(output: str) -> Path:
    """Where training leaves its state until it is complete: `MODEL.checkpoint`."""
    return Path(output.rstrip("/") + ".checkpoint")
