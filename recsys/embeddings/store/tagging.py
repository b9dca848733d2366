"""Where a tag was: its moves, kept as JSON in the metadata that Lance has for each tag. May import errors.

A move to a version adds to them, and so does a rollback; what is behind a tag is a pile from which a rollback takes one off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from recsys.errors import FormatError, ParameterError

__all__ = ["LATEST", "Move", "before", "moves_of", "require_tag_name", "to_tag_metadata"]

LATEST = "latest"
_KEY = "recsys.moves"
# So many are kept: a tag that moves every night has a year behind it.
_MOST = 400
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Move:
    """A tag came to `version` at `time` (UTC, ISO 8601). how: "tag", "rollback", or "elsewhere", not by a store of recsys."""

    version: int
    time: str
    how: str


def require_tag_name(name: object) -> str:
    """`name` when it may name a tag. Raises `ParameterError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.isdigit() or name.startswith(".") or ".." in name:
        raise ParameterError(
            f"A tag's name must be of letters, digits, '.', '-' and '_', and not of digits alone. Got {name!r}."
        )
    if name == LATEST:
        raise ParameterError(f"{LATEST!r} is the name of the newest version, whichever that is, so it can not be a tag.")
    return name


def moves_of(metadata: Mapping[str, str], version: int, time: str) -> list[Move]:
    """The moves in a tag's metadata, the last of them to `version`, where the tag is.

    The tag moves before its metadata are written: when the two differ, the writer was stopped between, or was none of ours.
    """
    try:
        moves = [Move(**move) for move in json.loads(metadata.get(_KEY, "[]"))]
    except (TypeError, ValueError) as error:
        raise FormatError(f"The metadata of a tag can not be read: {error}.") from error
    if moves and moves[-1].version == version:
        return moves
    how = "rollback" if before(moves) == version else "elsewhere"
    return [*moves, Move(version, time, how)]


def to_tag_metadata(moves: Sequence[Move]) -> dict[str, str]:
    """What Lance keeps with the tag."""
    return {_KEY: json.dumps([asdict(move) for move in moves[-_MOST:]])}


def before(moves: Sequence[Move]) -> int | None:
    """The version to which a rollback brings the tag, None where there is none before."""
    pile: list[int] = []
    for move in moves:
        if move.how == "rollback" and len(pile) > 1:
            pile.pop()
        elif not pile or pile[-1] != move.version:
            pile.append(move.version)
    return pile[-2] if len(pile) > 1 else None
