"""`recsys split`: a dataset becomes two, one to learn from and one to be judged on; or three, when users are held out."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import recsys.split
from recsys.errors import ParameterError, closest_hint, quote_some
from recsys.interactions import Interactions
from recsys.jobs.ingest import DatasetWritten, write_dataset
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, counted, json_ready, seconds_in_words
from recsys.jobs.terminal import say
from recsys.storage import refuse_existing

__all__ = ["SPLITS", "SplitWritten", "check_choices", "fold_in_path", "split"]

SPLITS: dict[str, Callable[..., recsys.split.Split]] = {
    "random": recsys.split.random,
    "leave-last": recsys.split.leave_last,
    "temporal": recsys.split.temporal,
    "users": recsys.split.users,
}


@dataclass(frozen=True)
class SplitWritten:
    """The datasets that a cut wrote; `fold_in` only where whole users were held out. `cut` is how they say they were made."""

    by: str
    train: DatasetWritten
    test: DatasetWritten
    fold_in: DatasetWritten | None
    cut: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """One line a part on standard output."""
        for name, part in (("train", self.train), ("test", self.test), ("fold-in", self.fold_in)):
            if part is not None:
                say(f"{part.sentence()} ({name}).")
        if self.cut.get("unseen_entries"):
            say(self._unseen())
        if self.fold_in is not None:
            say(f"The users of the test part are not in train: pass --fold-in {self.fold_in.output} to evaluate.")
        say(f"Split ({self.by}) in {seconds_in_words(self.seconds)}.")

    def _unseen(self) -> str:
        cut = self.cut
        # The users that are held out are never in train: a split by users does not count them.
        users = [counted(cut["unseen_users"], "user")] if "unseen_users" in cut else []
        ids = " and ".join([*users, counted(cut["unseen_items"], "item")])
        what = "left out of" if cut["unseen"] == "drop" else "kept in"
        parts = "the test part" if self.fold_in is None else "the test and fold-in parts"
        return f"{counted(cut['unseen_entries'], 'interaction')} with {ids} that train does not have: {what} {parts}."


def split(
    dataset: str,
    *,
    by: str,
    train: str,
    test: str,
    fold_in: str | None = None,
    overwrite: bool = False,
    **choices: Any,
) -> SplitWritten:
    """Cuts the dataset directory `dataset` and writes the parts.

    by : a name in `SPLITS`; `choices` are the parameters of that split in `recsys.split`, with its defaults.
    fold_in : where the events go by which a model gets to know held-out users; beside `test` if not given.
    """
    clock = Clock()
    check_choices(by, choices)
    outputs = [train, test]
    if by == "users":
        outputs.append(fold_in or fold_in_path(test))
    elif fold_in is not None:
        raise ParameterError(f"Only a split by users has a fold-in part. Got by {by!r}.")
    refuse_collisions(outputs, [dataset])
    for output in outputs:
        refuse_existing(output, "dataset", overwrite=overwrite)
    parts = SPLITS[by](Interactions.load(dataset), **choices)
    found = [part for part in (parts.train, parts.test, parts.fold_in) if part is not None]
    written = _write_all(found, outputs, overwrite)
    cut = json_ready(parts.test.provenance["split"])
    return SplitWritten(by, written[0], written[1], written[2] if len(written) > 2 else None, cut, clock.seconds)


def _write_all(parts: Sequence[Interactions], outputs: Sequence[str], overwrite: bool) -> list[DatasetWritten]:
    """Writes all parts, or none: one of another cut than its neighbours would be worse than one that is missing."""
    written: list[DatasetWritten] = []
    try:
        for part, output in zip(parts, outputs, strict=True):
            written.append(write_dataset(part, output, Clock(), overwrite=overwrite))
    except BaseException:
        for done in written:
            shutil.rmtree(done.output, ignore_errors=True)
        raise
    return written


def fold_in_path(test: str) -> str:
    """Where the fold-in part goes when no place is named: `TEST-fold-in`."""
    return test.rstrip("/") + "-fold-in"


def check_choices(by: str, choices: dict[str, Any]) -> None:
    """Raises `ParameterError` when there is no split `by`, or it does not take one of `choices`."""
    if by not in SPLITS:
        raise ParameterError(f"`by` must be one of {quote_some(SPLITS)}. Got {by!r}.{closest_hint(by, list(SPLITS))}")
    taken = [name for name in inspect.signature(SPLITS[by]).parameters if name != "data"]
    for name in choices:
        if name not in taken:
            raise ParameterError(f"A split by {by} takes {quote_some(taken)}. Got {name!r}.")
