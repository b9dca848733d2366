"""Reading a pipeline file: its sections, their keys, and what each key takes.

A section is a job; its keys are the options of the command of that name, with hyphens or underscores; paths are relative to
the folder of the file. What the sections mean together is the work of `pipeline_plan`.

[train] and [retrain] take align_to and warm_start, each the path of an earlier model that this pipeline does not write: such
as a copy of last night's, or one that was published. [retrain] trains as [train] does but for the keys that it has itself,
setting by setting. With warm_start in [train], a model that is evaluated starts from one that may know the test events;
in [retrain] alone it does not.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import DataError, FormatError, ParameterError, closest_hint, quote_some
from recsys.ingest.sources import FORMATS
from recsys.ingest.values import TICKS_PER_SECOND
from recsys.interactions import DUPLICATE_RULES
from recsys.jobs.database import is_database
from recsys.jobs.split import SPLITS
from recsys.times import as_microseconds

__all__ = ["PipelineFile", "Section", "read_pipeline_file"]

# A kind takes the value in the file and its folder, and returns what the job takes; ValueError says what was expected.
Kind = Callable[[Any, Path], Any]


@dataclass(frozen=True)
class Section:
    """One section: `written` as it stands in the file, by which runs are compared, and `values` as jobs take them."""

    written: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True)
class PipelineFile:
    """What a pipeline file says: the folder for what its steps write, and its sections by name, in the order of the work."""

    path: Path
    work: Path
    sections: dict[str, list[Section]]


def _typed(wanted: type | tuple[type, ...], words: str) -> Kind:
    def convert(value: Any, folder: Path) -> Any:
        # True is an int to Python; to a reader of the file it is not.
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise ValueError(words)
        return value

    return convert


def _whole(at_least: int) -> Kind:
    def convert(value: Any, folder: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise ValueError(f"an integer >= {at_least}")
        return value

    return convert


def _share(value: Any, folder: Path) -> float:
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError("a number between 0 and 1")
    return value


def _moment(value: Any, folder: Path) -> Any:
    try:
        as_microseconds(value, "")
    except ParameterError:
        raise ValueError("a date, a date as text, or Unix seconds") from None
    return value


def _one_of(*options: str) -> Kind:
    def convert(value: Any, folder: Path) -> str:
        if value not in options:
            raise ValueError(f"one of {quote_some(options)}")
        return str(value)

    return convert


def _path(value: Any, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a path")
    return os.path.normpath(folder / Path(value).expanduser())


def _path_or_url(value: Any, folder: Path) -> str:
    return value if isinstance(value, str) and is_database(value) else _path(value, folder)


def _paths(value: Any, folder: Path) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise ValueError("a path or a list of paths")
    return [_path(member, folder) for member in values]


def _names(value: Any, folder: Path) -> list[str]:
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(member, str) for member in values):
        raise ValueError("a list of names")
    return [member.strip() for member in values]


TEXT, TABLE, FLAG = _typed(str, "a text"), _typed(dict, "a table"), _typed(bool, "true or false")
COUNT, POSITIVE = _whole(0), _whole(1)
NUMBER = _typed((int, float), "a number")
EARLIER = {"align_to": _path, "warm_start": _path}
CORE = {"min_user_interactions": COUNT, "min_item_interactions": COUNT}

SECTIONS: dict[str, dict[str, Kind]] = {
    "ingest": {
        "source": _paths,
        "output": _path,
        "user": TEXT,
        "item": TEXT,
        "weight": TEXT,
        "timestamp": TEXT,
        "timestamp_unit": _one_of(*TICKS_PER_SECOND),
        "format": _one_of(*FORMATS),
        "delimiter": TEXT,
        "duplicates": _one_of(*DUPLICATE_RULES),
        "bad_rows": _one_of("raise", "skip"),
        "rejects": _path,
        "min_weight": NUMBER,
        **CORE,
        "item_features": _path,
        "user_features": _path,
        "item_features_id": TEXT,
        "user_features_id": TEXT,
        "feature_columns": _names,
        "multi_valued": TABLE,
        "bins": TABLE,
        "categories": _names,
        "missing_features": _one_of("raise", "zero"),
    },
    "filter": {"output": _path, "min_weight": NUMBER, "max_weight": NUMBER, "since": _moment, "until": _moment, **CORE},
    "split": {
        "by": _one_of(*SPLITS),
        "train": _path,
        "test": _path,
        "fold_in": _path,
        "test_fraction": _share,
        "fold_in_fraction": _share,
        "n": POSITIVE,
        "cutoff": _moment,
        "unseen": _one_of("keep", "drop"),
        "random_state": COUNT,
    },
    "train": {"output": _path, "trainer": TEXT, "set": TABLE, "config": _path, **EARLIER},
    "evaluate": {
        "output": _path,
        "test": _path,
        "fold_in": _path,
        "metrics": _names,
        "overlap": _one_of("raise", "drop", "keep"),
    },
    "retrain": {"output": _path, "set": TABLE, **EARLIER},
    "recommend": {
        "output": _path_or_url,
        "table": TEXT,
        "partition_rows": POSITIVE,
        "record": _path,
        "k": POSITIVE,
        "users": _path,
        "only_items": _path,
        "exclude_items": _path,
        "allow": _path,
        "deny": _path,
        "item_rules": _path,
        "at": _moment,
        "include_seen": FLAG,
        "min_score": NUMBER,
        "diversity": NUMBER,
        "calibration": NUMBER,
        "pool": POSITIVE,
        "with_reasons": FLAG,
        "unknown": _one_of("raise", "skip", "popular"),
        "index": _one_of("exact"),
    },
}


def read_pipeline_file(path: str | os.PathLike[str]) -> PipelineFile:
    """Reads a pipeline file. Raises `FormatError` when it is not TOML, `DataError` when it can not be read, `ParameterError`
    that names the section and key that is wrong."""
    file = Path(path)
    content = _read_toml(file)
    known = ["work", *SECTIONS]
    for name in content:
        if name not in known:
            raise ParameterError(
                f"{file} has an unknown section {name!r}; known are {', '.join(known)}.{closest_hint(name, known)}"
            )
    for name in ("ingest", "train"):
        if name not in content:
            raise ParameterError(f"{file} has no section [{name}].")
    work = _converted(_path, content.get("work", f"{file.stem}-output"), "work", file)
    return PipelineFile(file, Path(work), {name: _sections(name, content[name], file) for name in SECTIONS if name in content})


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{file} is not a TOML file: {error}.") from error
    except OSError as error:
        raise DataError(f"{file} can not be read: {error.strerror}.") from error


def _sections(name: str, value: Any, file: Path) -> list[Section]:
    # Only [[recommend]] may stand there several times.
    tables = value if name == "recommend" and isinstance(value, list) else [value]
    if not all(isinstance(table, dict) for table in tables):
        raise ParameterError(f"{file}: {name} must be a section, [{name}]. Got {value!r}.")
    return [Section(table, _section(name, table, file)) for table in tables]


def _section(name: str, table: Mapping[str, Any], file: Path) -> dict[str, Any]:
    kinds = SECTIONS[name]
    section = {}
    for typed, value in table.items():
        key = typed.replace("-", "_")
        if key not in kinds:
            raise ParameterError(
                f"{file}: [{name}] has an unknown key {typed!r}; known are {', '.join(kinds)}.{closest_hint(key, list(kinds))}"
            )
        section[key] = _converted(kinds[key], value, f"[{name}] {typed}", file)
    return section


def _converted(kind: Kind, value: Any, where: str, file: Path) -> Any:
    try:
        return kind(value, file.parent)
    except ValueError as expected:
        raise ParameterError(f"{file}: {where} must be {expected}. Got {value!r}.") from None
