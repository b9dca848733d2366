"""Checks of the course of a training: progress, callbacks, interruptions, going on. May import everything below jobs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recsys.errors import ParameterError
from recsys.model import RankingModel
from recsys.testing.logs import taste_groups
from recsys.testing.promises import Case, keep, promise
from recsys.trainers.base import Epoch

__all__: list[str] = []


class _Stop(KeyboardInterrupt):
    """Ctrl-C as a check sends it, so that somebody's real one is not taken for it."""


@promise
def progress_is_shown_on_standard_error_only(case: Case) -> None:
    """progress=True writes to standard error, progress=False nothing at all, and nothing ever goes to standard output."""
    with _captured() as said:
        case.trainer.fit(case.data, progress=True)
    keep(said["stdout"] == "", f"on standard output came {said['stdout'][:80]!r}")
    keep(case.trainer.name in said["stderr"], "the progress does not say which trainer is at work")
    with _captured() as said:
        case.trainer.fit(case.data)
    keep(said["stdout"] + said["stderr"] == "", f"without progress it said {(said['stdout'] + said['stderr'])[:80]!r}")


@contextlib.contextmanager
def _captured() -> Iterator[dict[str, str]]:
    """What Python code writes to both streams, and what compiled code writes to their descriptors."""
    said = {"stdout": "", "stderr": ""}
    texts = {name: io.StringIO() for name in said}
    sys.stdout.flush(), sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        files = {number: stack.enter_context(tempfile.TemporaryFile()) for number in (1, 2)}
        kept = {number: os.dup(number) for number in files}
        for number, file in files.items():
            os.dup2(file.fileno(), number)
        try:
            with contextlib.redirect_stdout(texts["stdout"]), contextlib.redirect_stderr(texts["stderr"]):
                yield said
        finally:
            for number, original in kept.items():
                os.dup2(original, number)
                os.close(original)
            for name, number in (("stdout", 1), ("stderr", 2)):
                files[number].seek(0)
                said[name] = texts[name].getvalue() + files[number].read().decode(errors="replace")


@promise
def a_callback_sees_every_epoch(case: Case) -> None:
    """The callback is called after each epoch, numbered from 1, with what was measured and a model so far."""
    seen: list[Epoch] = []
    models: list[RankingModel] = []

    def watch(epoch: Epoch) -> None:
        seen.append(epoch)
        models.append(epoch.snapshot())

    model = case.trainer.fit(case.data, callback=watch)
    total = seen[0].total if seen else 0
    keep([epoch.number for epoch in seen] == list(range(1, total + 1)), f"it saw epochs {[epoch.number for epoch in seen]}")
    keep(all(isinstance(value, float) for epoch in seen for value in epoch.measured.values()), "a measured value is no float")
    keep(seen[-1].trainer == case.trainer, "the epoch names another trainer")
    keep(model.fingerprint == case.model.fingerprint, "asking for models on the way changed the result")
    keep(models[-1].recommend(k=3).equals(model.recommend(k=3)), "the model of the last epoch is not the result")
    keep([one.provenance["training"]["epochs"] for one in models] == list(range(1, total + 1)), "provenance miscounts epochs")


@promise
def a_callback_ends_the_training(case: Case) -> None:
    """The training ends after the epoch whose callback returns True, or with the model that it returns."""
    ended = case.trainer.fit(case.data, callback=lambda epoch: True)
    keep(ended.provenance["training"]["epochs"] == 1, "it went on after a callback that returned True")
    given = case.trainer.fit(case.data, callback=lambda epoch: case.model)
    keep(given is case.model, "the model that a callback returned is not the result")


@promise
def an_interrupted_training_leaves_nothing_but_its_checkpoint(case: Case) -> None:
    """Ctrl-C comes through, leaves no file but the checkpoint that was asked for, and the trainer trains on."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkpoint"
        _interrupt(case, checkpoint=place)
        left = {path.name for path in Path(folder).iterdir()}
        keep(left <= {place.name}, f"after the interruption there are {sorted(left)}")
        again = case.trainer.fit(case.data, checkpoint=place)
        keep(not any(Path(folder).iterdir()), "a training that is complete leaves its checkpoint behind")
    keep(again.fingerprint == case.model.fingerprint, "after an interruption the same training gives another model")


@promise
def an_interrupted_training_goes_on_to_the_same_bytes(case: Case) -> None:
    """Resumed from its checkpoint, it goes on with the next epoch and ends with the model of a training in one go.

    A training of a single epoch may begin anew.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkpoint"
        total = _interrupt(case, checkpoint=place)
        seen: list[int] = []
        resumed = case.trainer.fit(case.data, checkpoint=place, resume=True, callback=lambda epoch: seen.append(epoch.number))
    expected = [1] if total == 1 and seen else list(range(2, total + 1))
    keep(seen == expected, f"interrupted after epoch 1 of {total}, it went on with {seen}")
    keep(resumed.fingerprint == case.model.fingerprint, "the resumed training ended with another model")


@promise
def a_checkpoint_of_other_data_is_refused(case: Case) -> None:
    """Resuming on other data than the checkpoint's raises ParameterError."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkpoint"
        _interrupt(case, checkpoint=place)
        if not place.exists():
            return  # of a single epoch nothing is kept
        try:
            case.trainer.fit(taste_groups(seed=1), checkpoint=place, resume=True)
        except ParameterError:
            return
    keep(False, "it went on with other data")


def _interrupt(case: Case, **options: Path) -> int:
    """Interrupts a training after its first epoch; returns how many there would have been."""
    totals = []

    def stop(epoch: Epoch) -> None:
        totals.append(epoch.total)
        raise _Stop

    try:
        case.trainer.fit(case.data, callback=stop, **options)  # type: ignore[arg-type]
    except _Stop:
        return totals[0]
    keep(False, "KeyboardInterrupt did not come through")
    return 0
