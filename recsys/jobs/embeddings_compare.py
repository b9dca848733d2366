"""`recsys embeddings compare`: what changed from one version to the next; a gate for nightly jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from recsys.embeddings import Embeddings, VersionComparison
from recsys.embeddings import compare as compare_versions
from recsys.embeddings.versions import require_limits
from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.ids import IdMap
from recsys.jobs.embeddings_align import alignment_in_words
from recsys.jobs.embeddings_sources import embeddings_of, open_source
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, json_ready, seconds_in_words, write_json
from recsys.jobs.table_files import read_features
from recsys.jobs.terminal import print_table, say
from recsys.model import Model
from recsys.storage import write_file

__all__ = ["ComparedVersions", "compare"]


# Ids of those that are gone, or new, that are printed; the report has more.
_SHOWN = 10


@dataclass(frozen=True)
class ComparedVersions:
    """Two versions held against each other. `report` is also what the file `output` holds.

    passed : what the gate said; None where no limit was set.  failures : a sentence for each limit that was not kept.
    """

    before: str
    after: str
    output: str | None
    passed: bool | None
    failures: list[str]
    report: dict[str, Any]
    seconds: float

    def show(self) -> None:
        """Tables on standard output: measures, groups, what moved most."""
        rows = []
        for measure in self.report["summary"]:
            ends = "" if measure["low"] is None else f"{measure['low']:.4f} to {measure['high']:.4f}"
            rows.append((measure["measure"], measure["value"], ends, measure["meaning"]))
        print_table(("measure", "value", "95 % interval", "meaning"), rows, title=f"{self.before} → {self.after}")
        if groups := self.report.get("groups"):
            print_table(list(groups[0]), [tuple(row.values()) for row in groups], title="By group")
        moved = [
            (str(row["id"]), row["displacement"], _in_words(row["near_before"]), _in_words(row["near_after"]))
            for row in self.report["moved"]
        ]
        print_table(("id", "moved by", "was near", "is near"), moved, title="What moved most")
        for what, number in (("gone", "n_before"), ("new", "n_after")):
            if some := self.report[what]:
                measures = self.report["measures"]
                more = int(measures[number] - measures["n_shared"]) - len(some[:_SHOWN])
                say(f"{what.capitalize()}: {_in_words(some[:_SHOWN])}{f' and {more:,} more' if more else ''}.")
        say(alignment_in_words(self.report["alignment"], self.before))
        say(f"{f'Wrote {self.output}. ' if self.output else ''}Compared in {seconds_in_words(self.seconds)}.")


def compare(
    before: str,
    after: str,
    *,
    side: str | None = None,
    k: int = 10,
    sample: int | None = None,
    everything: bool = False,
    random_state: int = 0,
    groups: str | None = None,
    group_by: str | None = None,
    output: str | None = None,
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **limits: float,
) -> ComparedVersions:
    """Compares two models, or two embeddings: see `recsys.embeddings.compare`.

    side : of models, only the embeddings of "items" or "users"; by default items, and users' lists as well.
    sample : how many ids and users to look at;  everything : all of them.
    groups : a file with the ids and a column, `group_by` if there are several, to tell changes by.
    limits : see `VersionComparison.gate`.
    """
    clock = Clock()
    if everything and sample is not None:
        raise ParameterError("`sample` and `everything` do not go together.")
    if group_by is not None and groups is None:
        raise ParameterError("`group_by` names a column of `groups`, a file.")
    refuse_collisions([output], [before, after, groups])
    require_limits(limits)
    with contextlib.ExitStack() as stack:
        # Entered first, so that a place that can not be written to is refused before the work.
        temporary = stack.enter_context(write_file(output, overwrite=overwrite)) if output else None
        old, new = _versions(before, after, side)
        sampled = {} if sample is None and not everything else {"sample": sample}
        by_id = None if groups is None else _groups(groups, group_by, _ids(old))
        found = compare_versions(
            old, new, k=k, groups=by_id, random_state=random_state, num_threads=num_threads, progress=progress, **sampled
        )
        failures = found.gate(**limits)
        passed = not failures if limits else None
        report = _report(found, (before, after), {"passed": passed, "limits": limits, "failures": failures})
        if temporary is not None:
            write_json(temporary, report)
    return ComparedVersions(before, after, output, passed, failures, report, clock.seconds)


def _report(found: VersionComparison, paths: tuple[str, str], gate: Mapping[str, Any]) -> dict[str, Any]:
    content = found.to_dict()
    for row in content["moved"]:
        row["id"] = row.pop(found.before.ids.name)
    places = {"before": paths[0], "after": paths[1]}
    summary = [row | {"value": found.measures[row["measure"]]} for row in found.summary().to_dict("records")]
    return dict(json_ready({"paths": places, "gate": gate, "summary": summary, **content}))


def _versions(before: str, after: str, side: str | None) -> list[Model | Embeddings]:
    """Two models, or two embeddings: those of one side when it is named, or when the other version is embeddings."""
    opened = [open_source(path) for path in (before, after)]
    mixed = isinstance(opened[0], Embeddings) != isinstance(opened[1], Embeddings)
    if side is None and not mixed:
        return opened
    return [
        version if mixed and isinstance(version, Embeddings) else embeddings_of(version, side, path)
        for version, path in zip(opened, (before, after), strict=True)
    ]


def _ids(version: Model | Embeddings) -> IdMap:
    return version.items if isinstance(version, Model) else version.ids


def _groups(path: str, column: str | None, ids: IdMap) -> pd.Series:
    table = read_features(path, ids)
    others = [name for name in table.column_names if name != ids.name]
    if column is None and len(others) != 1:
        raise DataError(f"{path} has the columns {quote_some(others) or 'none'} beside {ids.name}. Hint: `group_by` names one.")
    chosen = others[0] if column is None else column
    if chosen not in others:
        raise DataError(f"{path} has no column {chosen!r}; it has {quote_some(others)}.{closest_hint(chosen, others)}")
    return pd.Series(table.column(chosen).to_pylist(), index=table.column(ids.name).to_pylist(), dtype=object)


def _in_words(ids: list[Any]) -> str:
    return ", ".join(str(id_) for id_ in ids) or "–"
