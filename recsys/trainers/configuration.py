"""A trainer as a TOML file that people read, keep and change: written by tuning, read by training.

    [train]
    trainer = "als"

    [train.set]
    factors = 64
    regularization = 0.003

It has the shape of the section [train] of a pipeline file. May import errors, storage and trainers.base.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsys.errors import DataError, FormatError, ParameterError, closest_hint
from recsys.storage import write_file
from recsys.trainers.base import AnyTrainer

__all__ = ["read_configuration", "read_toml", "write_configuration"]


def write_configuration(
    path: str | os.PathLike[str], trainer: AnyTrainer, notes: Iterable[str] = (), *, overwrite: bool = False
) -> None:
    """Writes the file that `read_configuration` reads: every setting but `num_threads`, which changes no result.

    notes : comment lines for the top of the file.
    """
    settings = {name: value for name, value in asdict(trainer).items() if name != "num_threads" and value is not None}
    lines = [f"# {' '.join(note.split())}" for note in notes]
    lines += ["[train]", f"trainer = {_as_toml(trainer.name)}", "", "[train.set]"]
    lines += [f"{name} = {_as_toml(value)}" for name, value in settings.items()]
    with write_file(path, overwrite=overwrite) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_configuration(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """The name of the trainer and its settings, as `make_trainer` takes them and checks them.

    Raises `FormatError` for what is not TOML, `DataError` for a file that can not be read, `ParameterError` for a key that
    is missing or unknown, or holds something else.
    """
    content = read_toml(path)
    _refuse_unknown(content, ["train"], f"{path} has an unknown section")
    section = content.get("train")
    if not isinstance(section, dict):
        raise ParameterError(f"{path} has no section [train]; a configuration of a trainer is one.")
    _refuse_unknown(section, ["trainer", "set"], f"{path}: [train] has an unknown key")
    trainer, settings = section.get("trainer"), section.get("set", {})
    if not isinstance(trainer, str):
        raise ParameterError(f"{path}: [train] trainer must be the name of a trainer. Got {trainer!r}.")
    if not isinstance(settings, dict):
        raise ParameterError(f"{path}: [train] set must be a table of settings. Got {settings!r}.")
    return trainer, dict(settings)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file; `FormatError` or `DataError` say that it is none, or can not be read."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is not a TOML file: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} can not be read: {error.strerror}.") from error


def _refuse_unknown(table: Mapping[str, Any], known: list[str], sentence: str) -> None:
    for key in table:
        if key not in known:
            raise ParameterError(f"{sentence} {key!r}; known are {', '.join(known)}.{closest_hint(key, known)}")


def _as_toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value.item() if hasattr(value, "item") else value)
