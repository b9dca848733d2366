"""From the sections of a pipeline file to steps, each fed by what those before it write. Nothing is run here.

Everything that can be known to be wrong before the first step runs is refused here: a nightly job should not fail after an
hour because of a misspelt metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys.errors import DataError, ParameterError
from recsys.evaluation.metrics import parse_metrics
from recsys.ingest.sources import find_files
from recsys.jobs.database import is_database
from recsys.jobs.evaluate import evaluate
from recsys.jobs.filter import filter_dataset
from recsys.jobs.ingest import ingest
from recsys.jobs.pipeline_file import PipelineFile, Section
from recsys.jobs.recommend import TABLE_FILES, check_output, recommend
from recsys.jobs.split import check_choices, fold_in_path, split
from recsys.jobs.train import configured_trainer, train
from recsys.recommending import Request

__all__ = ["Step", "plan_steps"]


@dataclass(frozen=True)
class Step:
    """One job with its arguments.

    written : the section as it stands in the file.
    inputs, outputs : paths that are read and written.
    """

    name: str
    job: Callable[..., Any]
    arguments: dict[str, Any]
    written: dict[str, Any]
    inputs: list[str]
    outputs: list[str]


@dataclass
class _Flow:
    """What the steps planned so far have to offer to the next ones."""

    work: Path
    dataset: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    train: str = ""
    test: str | None = None
    fold_in: str | None = None
    model: str = ""

    def place(self, name: str) -> str:
        """Where something goes that the file names no place for."""
        return str(self.work / name)


def plan_steps(file: PipelineFile) -> list[Step]:
    """The steps of a pipeline in the order of the work. Raises `ParameterError` or `DataError` for what is wrong already."""
    flow = _Flow(file.work)
    steps = []
    for name, sections in file.sections.items():
        for number, section in enumerate(sections, start=1):
            job, arguments, inputs, outputs = _PLANNERS[name](dict(section.values), flow)
            title = name if number == 1 else f"{name}-{number}"
            steps.append(Step(title, job, arguments, _compared(name, section, file), inputs, outputs))
    _refuse_collisions(steps)
    return steps


# What a planner returns: the job, its arguments, the paths it reads, the paths it writes.
_Planned = tuple[Callable[..., Any], dict[str, Any], list[str], list[str]]


def _ingest(section: dict[str, Any], flow: _Flow) -> _Planned:
    if "source" not in section:
        raise ParameterError("[ingest] needs the key source, the path of a log or a list of them.")
    flow.dataset = flow.train = section.setdefault("output", flow.place("dataset"))
    read = [file.name for file in find_files(section["source"], section.get("format"))]
    read += [section[name] for name in ("item_features", "user_features") if name in section]
    return ingest, section, read, [flow.dataset, *([section["rejects"]] if "rejects" in section else [])]


def _filter(section: dict[str, Any], flow: _Flow) -> _Planned:
    unfiltered, flow.dataset = flow.dataset, section.setdefault("output", flow.place("filtered"))
    flow.train = flow.dataset
    return filter_dataset, {"dataset": unfiltered, **section}, [unfiltered], [flow.dataset]


def _split(section: dict[str, Any], flow: _Flow) -> _Planned:
    if "by" not in section:
        raise ParameterError("[split] needs the key by: random, leave-last, temporal or users.")
    by = section["by"]
    check_choices(by, {name: value for name, value in section.items() if name not in ("by", "train", "test", "fold_in")})
    flow.train = section.setdefault("train", flow.place("train"))
    flow.test = section.setdefault("test", flow.place("test"))
    outputs = [flow.train, flow.test]
    if by == "users":
        flow.fold_in = section.setdefault("fold_in", fold_in_path(flow.test))
        outputs.append(flow.fold_in)
    return split, {"dataset": flow.dataset, **section}, [flow.dataset], outputs


def _train(section: dict[str, Any], flow: _Flow) -> _Planned:
    section["settings"] = section.pop("set", {})
    flow.training = {key: value for key, value in section.items() if key != "output"}
    read = [flow.train, *_training_files("train", flow.training)]
    flow.model = section.get("output", flow.place("model"))
    return train, {"dataset": flow.train, **flow.training, "output": flow.model}, read, [flow.model]


def _training_files(name: str, training: dict[str, Any]) -> list[str]:
    """What is read beside the data. Raises what is wrong with the trainer's settings, or with the earlier models' paths."""
    configured_trainer(training.get("trainer"), training["settings"], training.get("config"))
    for key in ("align_to", "warm_start"):
        if key in training and not Path(training[key]).exists():
            raise DataError(f"[{name}] names an earlier model that does not exist: {key} = {training[key]}.")
    return [training[key] for key in ("config", "align_to", "warm_start") if key in training]


def _evaluate(section: dict[str, Any], flow: _Flow) -> _Planned:
    section.setdefault("test", flow.test)
    if section["test"] is None:
        raise ParameterError("[evaluate] needs a section [split] or the key test, the dataset to judge on.")
    if "metrics" in section:
        parse_metrics(section["metrics"])
    section.setdefault("fold_in", flow.fold_in)
    section.setdefault("output", flow.place("report.json"))
    read = [flow.model, section["test"], *([section["fold_in"]] if section["fold_in"] else [])]
    return evaluate, {"model": flow.model, **section}, read, [section["output"]]


def _retrain(section: dict[str, Any], flow: _Flow) -> _Planned:
    flow.model = section.pop("output", flow.place("model-all"))
    settings = flow.training["settings"] | section.pop("set", {})
    training = flow.training | section | {"settings": settings}
    read = [flow.dataset, *_training_files("retrain", training)]
    return train, {"dataset": flow.dataset, **training, "output": flow.model}, read, [flow.model]


def _recommend(section: dict[str, Any], flow: _Flow) -> _Planned:
    output = section.setdefault("output", flow.place("recommendations.parquet"))
    check_output(output, section.get("table"), section.get("partition_rows"))
    lists = [section[name] for name in ("users", "only_items", "exclude_items", *TABLE_FILES) if name in section]
    for path in lists:
        if not Path(path).is_file():
            raise DataError(f"[recommend] names a file of ids that does not exist: {path}.")
    # Made only to be checked: item rules are a path here, and a table there.
    Request(**{name: value for name, value in section.items() if name in Request.__dataclass_fields__ and name != "users"})
    # A table of a database is no file whose sum could be taken: it is taken to be as it was left.
    written = [*([] if is_database(output) else [output]), *([section["record"]] if "record" in section else [])]
    return recommend, {"model": flow.model, **section}, [flow.model, *lists], written


_PLANNERS: dict[str, Callable[[dict[str, Any], _Flow], _Planned]] = {
    "ingest": _ingest,
    "filter": _filter,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
    "retrain": _retrain,
    "recommend": _recommend,
}


def _compared(name: str, section: Section, file: PipelineFile) -> dict[str, Any]:
    """What makes a step another one from one run to the next, besides its inputs."""
    if name == "retrain":
        trained = {key: value for key, value in file.sections["train"][0].written.items() if key != "output"}
        return {"train": trained, **section.written}
    return section.written


def _refuse_collisions(steps: list[Step]) -> None:
    """No two steps write to one place, and none over what was there before the pipeline."""
    writers: dict[Path, str] = {}
    given: set[Path] = set()
    for step in steps:
        given |= {Path(path).resolve() for path in step.inputs} - writers.keys()
        for output in step.outputs:
            place = Path(output).resolve()
            if place in writers:
                raise ParameterError(f"[{writers[place]}] and [{step.name}] would both write {output}.")
            writers[place] = step.name
    for place, name in writers.items():
        for path in given:
            if place in (path, *path.parents):
                raise ParameterError(f"[{name}] would write {place}, and {path} is an input of the pipeline.")
