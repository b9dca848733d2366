"""The exception tree and the wording of messages. Imports nothing of the project.

Everything raised on purpose is a `RecsysError`. An `InputError` says that the input or the call is wrong (the command
line ends with exit code 2); any other `RecsysError` says that the machine or the disk failed (exit code 1).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType

__all__ = [
    "DataError",
    "FormatError",
    "InputError",
    "MissingExtraError",
    "ParameterError",
    "RecsysError",
    "StorageError",
    "UnknownIdError",
    "closest_hint",
    "quote_some",
    "require_extra",
]


class RecsysError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(RecsysError, ValueError):
    """The input or the call is wrong."""


class ParameterError(InputError):
    """An argument has a value it cannot have."""


class DataError(InputError):
    """A log, a table or an array of events cannot be used as it is."""


class UnknownIdError(InputError, LookupError):
    """Ids that this data or model does not hold."""


class FormatError(InputError):
    """A path is not what it is taken for: another kind, a newer format, cut short, or changed after it was written."""


class MissingExtraError(InputError, ImportError):
    """An optional package is needed and not installed; the message names the extra that brings it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional package. Install it with: pip install 'recsys[{extra}]'")


class StorageError(RecsysError):
    """Reading or writing failed although the call was right: disk full, no permission, a broken device."""


def quote_some(values: Iterable[object], limit: int = 5) -> str:
    """Up to `limit` values as they would be typed, then how many more there are: `'a', 'b' and 3 more`."""
    # numpy scalars would print as np.int64(3): item() turns them into the Python value a user knows.
    shown = [repr(value.item() if hasattr(value, "item") else value) for value in values]
    shown = [text if len(text) <= 80 else text[:60] + "…" + text[-1] for text in shown]
    if len(shown) <= limit:
        return ", ".join(shown)
    return f"{', '.join(shown[:limit])} and {len(shown) - limit:,} more"


def closest_hint(name: str, options: Sequence[str]) -> str:
    """` Did you mean 'x'?` when one of `options` is close to `name`, else an empty string."""
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if not close:
        lowered = {option.lower(): option for option in options}
        close = [lowered[match] for match in difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.5)]
    return f" Did you mean {close[0]!r}?" if close else ""


def require_extra(module: str, extra: str, feature: str) -> ModuleType:
    """The optional `module`, imported where it is used. Raises `MissingExtraError` that names the extra which brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there but lacks one of its own is broken, which no extra of ours mends.
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(feature, extra) from None
