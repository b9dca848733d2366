"""Where jobs write and read: no output may be, lie in, or hold an input or another output. Imports `errors` only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recsys.errors import ParameterError, quote_some

__all__ = ["refuse_collisions"]

Place = str | os.PathLike[str] | None


def refuse_collisions(outputs: Sequence[Place], inputs: Sequence[Place] = ()) -> None:
    """Raises `ParameterError` when two outputs share a place, or one has the place of an input, links followed.

    None stands for a path that was not given. To be called before anything is written, whether or not it may be overwritten.
    """
    written = [os.fspath(path) for path in outputs if path is not None]
    for number, output in enumerate(written):
        for other in written[:number]:
            if _share_a_place(output, other):
                raise ParameterError(f"Each output needs a place of its own. Got {quote_some([other, output])}.")
        for path in inputs:
            if path is not None and _share_a_place(output, path):
                raise ParameterError(f"{output} can not be written: {os.fspath(path)} is what is read.")


def _share_a_place(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    first, second = Path(one).resolve(), Path(other).resolve()
    return first == second or first in second.parents or second in first.parents
