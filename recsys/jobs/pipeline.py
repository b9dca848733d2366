"""`recsys run`: the steps of a pipeline file, one after the other; those that are done and still hold are skipped."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ParameterError
from recsys.jobs.pipeline_file import read_pipeline_file
from recsys.jobs.pipeline_plan import Step, plan_steps
from recsys.jobs.report import Clock, seconds_in_words
from recsys.jobs.run_record import RunRecord, only_run_in
from recsys.jobs.terminal import Interrupted, say

__all__ = ["PipelineRun", "run"]


@dataclass(frozen=True)
class PipelineRun:
    """A pipeline that ran to its end: for each step its name, whether it was skipped, seconds, and what its job returned."""

    pipeline: str
    record: str
    steps: list[dict[str, Any]]
    seconds: float

    def show(self) -> None:
        """One sentence on standard output."""
        skipped = sum(step["skipped"] for step in self.steps)
        done = f"{len(self.steps) - skipped} of {len(self.steps)} steps done"
        say(f"{done}, {skipped} skipped, in {seconds_in_words(self.seconds)}. Record: {self.record}")


def run(
    pipeline: str,
    *,
    force: bool = False,
    num_threads: int | None = None,
    progress: bool = False,
    quiet: bool = False,
) -> PipelineRun:
    """Runs a pipeline file.

    A step is skipped when the record of the last run shows the same settings, inputs and version of recsys, and what it wrote
    is intact. So what has changed is done again, with every step that it makes a difference to. Training that was
    interrupted goes on.

    force : do every step again, and replace what is in the way.
    quiet : what the jobs say is left out and the names of the steps go to standard error, as beside a JSON result.
    """
    clock = Clock()
    file = read_pipeline_file(pipeline)
    steps = plan_steps(file)
    runtime = {"num_threads": num_threads, "progress": progress, "overwrite": True}
    with only_run_in(file.work):
        record = RunRecord(file.work, file.path)
        if not force:
            _refuse_what_is_in_the_way(steps, record)
        outcomes = [_do(step, record, runtime, force=force, quiet=quiet) for step in steps]
    return PipelineRun(pipeline, str(record.path), outcomes, clock.seconds)


def _do(step: Step, record: RunRecord, runtime: dict[str, Any], *, force: bool, quiet: bool) -> dict[str, Any]:
    if not force and record.is_done(step):
        say(f"[{step.name}] skipped: nothing has changed since it was done.", on_stderr=quiet)
        return {"name": step.name, "skipped": True, "seconds": 0.0, "result": None}
    say(f"[{step.name}]", on_stderr=quiet)
    clock = Clock()
    going_on = {"resume": record.is_interrupted(step) and not force}
    record.begin(step)
    try:
        result = step.job(**step.arguments, **_taken(step.job, runtime | going_on))
    except (KeyboardInterrupt, Interrupted) as error:
        raise Interrupted("The next run goes on from there.") from error
    record.complete(step, asdict(result), clock.seconds)
    if not quiet:
        result.show()
    return {"name": step.name, "skipped": False, "seconds": clock.seconds, "result": asdict(result)}


def _taken(job: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(job).parameters
    return {name: value for name, value in options.items() if name in parameters}


def _refuse_what_is_in_the_way(steps: list[Step], record: RunRecord) -> None:
    for step in steps:
        for output in step.outputs:
            if Path(output).exists() and not record.wrote(output):
                raise ParameterError(
                    f"[{step.name}] would write {output}, which exists and was not written by this pipeline. "
                    "Hint: --force replaces it; or name another place."
                )
