"""`TuningResult`: what a search found. May import errors and trainers."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from recsys.errors import DataError
from recsys.trainers import AnyTrainer, SearchSpace, write_configuration
from recsys.trainers.base import setting_names

__all__ = ["TrialRecord", "TuningResult"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial that is over.

    stage : "searched", or "grown" for a good setting tried again with more factors.
    state : "complete"; "pruned", so ended early for being worse than others; "failed", so it could not be trained.
    value : the metric at the best epoch, NaN where none was judged.
    low, high, confidence : both ends of its interval, and the share of such intervals that hold the true value; of complete
        trials.
    best_epoch, curve : that epoch, and (epoch, value) of every one that was judged.
    n_users : how many users the metric is about.
    settings : the values tried of the settings that were searched.
    """

    number: int
    stage: str
    state: str
    value: float
    low: float
    high: float
    confidence: float
    best_epoch: int | None
    n_users: int | None
    seconds: float
    settings: Mapping[str, Any]
    curve: tuple[tuple[int, float], ...]
    error: str | None


@dataclass(frozen=True, eq=False, repr=False)
class TuningResult:
    """What `recsys.tune` found. Immutable.

    trainer : as it was given;  space : what was searched;  metric : by what trials were judged.
    records : every trial that is over, in order.
    provenance : the data's fingerprints, the seed, versions, and the time.
    """

    trainer: AnyTrainer
    space: SearchSpace
    metric: str
    higher_is_better: bool
    records: tuple[TrialRecord, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(record.state == "complete" for record in self.records):
            return
        errors = [record.error for record in self.records if record.error]
        raise DataError(f"No trial ran to its end.{f' The last one said: {errors[-1]}' if errors else ''}")

    @cached_property
    def best(self) -> TrialRecord:
        """The complete trial with the best value; the first of equals."""
        complete = [record for record in self.records if record.state == "complete"]
        best = max if self.higher_is_better else min
        return best(complete, key=lambda record: record.value)

    @property
    def best_value(self) -> float:
        """The metric of the best trial, on the data it was chosen by: expect somewhat less on others."""
        return self.best.value

    @property
    def best_trainer(self) -> AnyTrainer:
        """The trainer with the best settings, and as many iterations as the best trial had come to at its best epoch."""
        return self._trainer_of(self.best)

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: what `TrialRecord` has, with a column for each setting, and without the curve."""
        names = list(dict.fromkeys(name for record in self.records for name in record.settings))
        rows = [
            {column: getattr(record, column) for column in _COLUMNS}
            | {name: record.settings.get(name, getattr(self.trainer, name)) for name in names}
            | {"error": record.error}
            for record in self.records
        ]
        return pd.DataFrame(rows, columns=[*_COLUMNS, *names, "error"]).astype(_TYPES)

    @property
    def curves(self) -> pd.DataFrame:
        """One row a judged epoch: stage, number of the trial, epoch, value."""
        rows = [(record.stage, record.number, *point) for record in self.records for point in record.curve]
        return pd.DataFrame(rows, columns=["stage", "number", "epoch", "value"])

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes `best_trainer` as a TOML file that `recsys train --config` takes, with what is known of it as comments."""
        write_configuration(path, self.best_trainer, self._notes(), overwrite=overwrite)

    def in_words(self) -> str:
        """`0.2312 (95 % interval 0.2251 to 0.2370, 1,876 users)`: the best value and how sure it is."""
        best = self.best
        interval = f"{100 * best.confidence:g} % interval {best.low:.4f} to {best.high:.4f}, "
        return f"{best.value:.4f} ({'' if math.isnan(best.low) else interval}{best.n_users:,} users)"

    def counted(self) -> str:
        """`15 trials (9 complete, 6 pruned)`."""
        states = Counter(record.state for record in self.records)
        n_trials = len(self.records)
        parts = ", ".join(f"{states[state]} {state}" for state in ("complete", "pruned", "failed") if states[state])
        return f"{n_trials:,} trial{'' if n_trials == 1 else 's'} ({parts})"

    def _trainer_of(self, record: TrialRecord) -> AnyTrainer:
        settings = dict(record.settings)
        if "iterations" in setting_names(type(self.trainer)) and record.best_epoch:
            settings["iterations"] = record.best_epoch
        return replace(self.trainer, **settings)

    def _notes(self) -> list[str]:
        about = self.provenance
        searched = "; ".join(f"{name} {dimension}" for name, dimension in self.space.items())
        return [
            f"Written by recsys {about['versions']['recsys']} at {about['time']}: the best of {self.counted()}.",
            f"{self.metric} on the validation data: {self.in_words()}, at epoch {self.best.best_epoch}.",
            "The settings were chosen by these very data, so expect somewhat less on others.",
            f"Searched: {searched}; random_state {about['random_state']}.",
            f"Training data: {about['train']}",
            f"Validation data: {about['valid']}",
        ]

    def _heading(self) -> str:
        return f"TuningResult: {self.trainer.name}, {self.metric} {self.in_words()}, the best of {self.counted()}"

    def _table(self) -> pd.DataFrame:
        """The best five."""
        table: pd.DataFrame = self.trials
        complete = table.loc[table["state"] == "complete"].drop(columns=["state", "n_users", "error"])
        return complete.sort_values(by="value", ascending=not self.higher_is_better, kind="stable").head(5)

    def __repr__(self) -> str:
        return f"{self._heading()}\n{self._table().to_string(index=False, float_format='{:.4g}'.format)}\n{self.best_trainer!r}"

    def _repr_html_(self) -> str:
        table = self._table().to_html(index=False, float_format="{:.4g}".format, border=0)
        return f"<p>{escape(self._heading())}</p>{table}<p><code>{escape(repr(self.best_trainer))}</code></p>"


_TYPES = {
    "number": "int64",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "best_epoch": "Int64",
    "n_users": "Int64",
    "seconds": "float64",
}
_COLUMNS = ("number", "stage", "state", *list(_TYPES)[1:])
