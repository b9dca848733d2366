"""Our numbers beside published ones and beside implicit's in the same run, on real data: `make quality`.

    python tests/benchmarks/quality.py [--only gowalla] [--repeats 3] [--ease] [--json FILE]

First published rows are made again, to show that split, masking and metrics are the published ones: that of the most popular
items, and those of item-item baselines with the settings that their publisher states. Then each contender is trained in a
process of its own, in turn, and one evaluator judges the vectors of all of them; `recsys.compare` says how sure the
differences from implicit are. Settings called chosen are fixed in `TASKS`: those that did best on validation in the searches
that `als_limit.py` and `als_cuts.py` (ours) and `implicit_limit.py` (implicit) make again. None was chosen by the test set.
Times depend on the machine and on what else it does; only ratios within one run carry over.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import REAL_DATA, real
from one_fit import Measurement, Request, measure

import recsys
from recsys.evaluation import EvaluationResult
from recsys.model import BlendModel

FACTORS = 128
OURS_CHOSEN, IMPLICIT_CHOSEN = "recsys.ALS, chosen", "implicit, chosen"
COMPARED = ("recsys.ALS, defaults", OURS_CHOSEN, IMPLICIT_CHOSEN)

# How far a value may be from the published one. Most popular leaves nothing to choose but ties; the neighbours of item-kNN are
# cut in the middle of ties, and EASE is inverted in single precision here.
SAME_TO_THE_DIGITS, SAME = 0.00005 + 1e-9, 0.001


@dataclass(frozen=True)
class Baseline:
    """An item-item row of `Task.published`, by its name there, that is made again. slow : only with --ease."""

    name: str
    trainer: recsys.ItemKNN | recsys.EASE
    slow: bool = False


@dataclass(frozen=True)
class Chosen:
    """What did best on validation. degree : exponents by which pairs are weighted first, of their user's and item's entries."""

    factors: int
    iterations: int
    settings: dict[str, float]
    degree: tuple[float, float] = (0.0, 0.0)

    def weighted(self, data: recsys.Interactions) -> recsys.Interactions:
        """The data to train on."""
        if self.degree == (0.0, 0.0):
            return data
        return data.weighted("degree", user_exponent=self.degree[0], item_exponent=self.degree[1])

    def in_words(self) -> str:
        """The settings in one line."""
        symbols = {"alpha": "α", "regularization": "λ", "unobserved_weight": "α₀"}
        symbols |= {"regularization_exponent": "ν", "relaxation": "ω"}
        parts = [f"{self.factors} factors", *(f"{symbols[name]} {value:g}" for name, value in self.settings.items())]
        if any(self.degree):
            parts.append(f"degree ({self.degree[0]:g}, {self.degree[1]:g})")
        return ", ".join([*parts, f"{self.iterations} sweeps"])


@dataclass(frozen=True)
class Blended:
    """What is blended with the chosen ALS, on the same pairs, and its share: chosen on validation. slow : only with --ease."""

    trainer: recsys.RP3beta | recsys.EASE
    share: float
    slow: bool = False

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"recsys.Blend of it and {type(self.trainer).__name__}"

    def model(self, als: recsys.Model) -> BlendModel:
        """The blend with `als`."""
        parts = {"als": als, "other": self.trainer.fit(als.history)}
        return BlendModel.of(parts, {"als": 1 - self.share, "other": self.share})

    def in_words(self) -> str:
        """In one line."""
        return f"{1 - self.share:g} of it and {self.share:g} of {self.trainer!r}"


@dataclass(frozen=True)
class Task:
    """A public split. popular : its published most-popular row. masked : parts whose pairs that row does not recommend.

    published : other published rows, on the same test set with the pairs of train masked. baselines : those made again here.
    ours, implicit : what did best on validation data (README.md says what was tried), never on the test set.
    blended : none where `recsys.Blend` refuses on validation data.
    """

    name: str
    metrics: tuple[str, str]
    popular: tuple[float, float]
    masked: tuple[str, ...]
    published: dict[str, tuple[float, float]]
    ours: Chosen
    implicit: Chosen
    baselines: tuple[Baseline, ...] = ()
    blended: tuple[Blended, ...] = ()


TASKS = (
    Task(
        name="gowalla",
        metrics=("recall@20", "ndcg@20"),
        popular=(0.0416, 0.0317),
        masked=("train",),
        published={
            "MF-BPR": (0.1627, 0.1378),
            "SLIM": (0.1699, 0.1382),
            "Item-CF": (0.1570, 0.1214),
            "EASE": (0.1765, 0.1467),
            "LightGCN": (0.1820, 0.1547),
            "GF-CF": (0.1849, 0.1518),
            "UltraGCN": (0.1862, 0.1580),
            "SimpleX": (0.1872, 0.1557),
        },
        # As BARS states: cosine, 100 neighbours; λ = 80.
        baselines=(
            Baseline("Item-CF", recsys.ItemKNN(neighbours=100, shrink=0, normalized=True, centred=True)),
            Baseline("EASE", recsys.EASE(regularization=80.0), slow=True),
        ),
        ours=Chosen(
            1536,
            4,
            {"regularization": 0.015, "unobserved_weight": 0.03, "regularization_exponent": 0.75, "relaxation": 1.0},
            degree=(-0.25, -0.35),
        ),
        implicit=Chosen(1024, 5, {"alpha": 20.0, "regularization": 0.01}),
        blended=(
            Blended(recsys.RP3beta(source_exponent=0.5, user_exponent=0.8, target_exponent=0.3, neighbours=500), 0.35),
            Blended(recsys.EASE(regularization=80.0), 0.4, slow=True),
        ),
    ),
    Task(
        name="lastfm-hetrec",
        metrics=("recall@10", "ndcg@10"),
        popular=(0.0755, 0.0835),
        masked=("train", "valid"),
        published={
            "BPRMF": (0.1361, 0.1532),
            "NGCF": (0.1562, 0.1769),
            "LightGCN": (0.1741, 0.1996),
            "SimGCL": (0.1795, 0.2049),
            "LightGCN++": (0.1889, 0.2171),
        },
        ours=Chosen(512, 6, {"regularization": 0.0112, "unobserved_weight": 0.0572, "relaxation": 1.0}, degree=(-0.2, -0.1)),
        implicit=Chosen(256, 5, {"alpha": 20.0, "regularization": 80.0}),
    ),
)


def main() -> None:
    """Runs every task whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[task.name for task in TASKS], help="one data set instead of all")
    parser.add_argument("--repeats", type=int, default=3, help="trainings a contender; the median time is shown")
    parser.add_argument("--ease", action="store_true", help="EASE too, again and as a part of a blend: 7 GB, half an hour")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    results = {}
    for task in TASKS:
        if options.only not in (None, task.name):
            continue
        if real(task.name, "test") is None:
            print(f"{task.name}: skipped, there is no {task.name}/test.parquet in {REAL_DATA.parent.name}/{REAL_DATA.name}")
            continue
        results[task.name] = run(task, options.repeats, slow=options.ease)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def run(task: Task, repeats: int, *, slow: bool) -> dict[str, Any]:
    """Everything about one data set, printed and returned ready for JSON."""
    train, test = real(task.name, "train"), real(task.name, "test")
    print(f"\n{task.name}: {train}\n")
    again = {"most popular": check_popular(task, train, test)}
    for baseline in task.baselines:
        if slow or not baseline.slow:
            result = recsys.evaluate(baseline.trainer.fit(train, progress=baseline.slow), test, task.metrics)
            again[baseline.name] = check(baseline.name, result, task.published[baseline.name], SAME)
    blended = [blend for blend in task.blended if slow or not blend.slow]
    results = judge_all(task, blended, train, test, repeats)
    for name, row in again.items():
        print(f"  {name + ' (made again)':34}" + "".join(f"{cell:26}" for cell in row["cells"]).rstrip())
    for name, values in task.published.items():
        print(f"  {name + ' (published)':34}" + "".join(f"{value:<26.4f}" for value in values).rstrip())
    compared = {name: results[name][0] for name in [*COMPARED, *(blend.name for blend in blended)]}
    comparison = recsys.compare(compared, baseline=IMPLICIT_CHOSEN)
    print(f"\n{comparison}")
    rows = {name: {**result.to_dict()["metrics"], **asdict(fit)} for name, (result, fit) in results.items()}
    return {"made_again": again, "contenders": rows, "published": task.published, "comparison": comparison.to_dict()}


def judge_all(
    task: Task, blended: list[Blended], train: recsys.Interactions, test: recsys.Interactions, repeats: int
) -> dict[str, tuple[EvaluationResult, Measurement]]:
    """Trains, judges and prints every contender."""
    print(f"\n  {OURS_CHOSEN}: {task.ours.in_words()}\n  {IMPLICIT_CHOSEN}: {task.implicit.in_words()}")
    for blend in blended:
        print(f"  {blend.name}: {blend.in_words()}")
    print(
        f"  defaults: {FACTORS} factors; means over {test.n_users:,} test users with 95 % intervals; medians of {repeats} fits"
    )
    print(f"  {'':34}{task.metrics[0]:26}{task.metrics[1]:26}{'fit s':>6}{'peak MB':>9}{'above data MB':>15}")
    results = {}
    for name, (users, items, fit) in train_all(train, contenders(task), repeats).items():
        result = recsys.evaluate(recsys.Model.from_vectors(train, users, items), test, task.metrics)
        results[name] = result, fit
        cells = "".join(f"{_interval(row):26}" for row in result.summary().itertuples())
        print(f"  {name:34}{cells}{fit.seconds:6.2f}{fit.peak_bytes / 1e6:9.0f}{fit.above_bytes / 1e6:15.0f}", flush=True)
        if name == OURS_CHOSEN:
            als = recsys.Model.from_vectors(task.ours.weighted(train), users, items)
            results |= {blend.name: judge_blend(task, blend, als, test, fit) for blend in blended}
    return results


def judge_blend(
    task: Task, blended: Blended, als: recsys.Model, test: recsys.Interactions, fit: Measurement
) -> tuple[EvaluationResult, Measurement]:
    """Judges and prints the blend with the chosen ALS, whose `fit` comes before; the other part is trained in this process."""
    began = time.perf_counter()
    model = blended.model(als)
    seconds = time.perf_counter() - began
    result = recsys.evaluate(model, test, task.metrics)
    cells = "".join(f"{_interval(row):26}" for row in result.summary().itertuples())
    print(f"  {blended.name:34}{cells}{seconds:+6.1f}", flush=True)
    return result, replace(fit, seconds=fit.seconds + seconds)


def check_popular(task: Task, train: recsys.Interactions, test: recsys.Interactions) -> dict[str, Any]:
    """Makes the published most-popular row again: the same to the digits that were published, or not."""
    counted = recsys.Popularity().fit(train)
    history = train
    for part in task.masked[1:]:
        history = history.merge(real(task.name, part))
    items = np.zeros((history.n_items, 1), np.float32)
    items[: train.n_items] = counted.item_embeddings.vectors
    model = recsys.Model.from_vectors(history, np.ones((history.n_users, 1), np.float32), items)
    result = recsys.evaluate(model, test, task.metrics)
    return check(f"most popular, {' and '.join(task.masked)} masked", result, task.popular, SAME_TO_THE_DIGITS)


def check(name: str, result: EvaluationResult, published: tuple[float, float], tolerance: float) -> dict[str, Any]:
    """Prints whether the means are the published ones, and returns both."""
    means = result.summary()["mean"].tolist()
    same = all(abs(ours - theirs) <= tolerance for ours, theirs in zip(means, published, strict=True))
    ours, theirs = (" / ".join(f"{value:.4f}" for value in values) for values in (means, published))
    print(f"  {name}: {ours}, published {theirs}: {'OK' if same else 'DIFFERS'}", flush=True)
    cells = [_interval(row) for row in result.summary().itertuples()]
    return {"ours": means, "published": published, "same": same, "tolerance": tolerance, "cells": cells}


def contenders(task: Task) -> dict[str, tuple[Chosen, str]]:
    """Settings and library of what is trained."""
    ours, theirs = task.ours, task.implicit
    same = asdict(recsys.ALS.like_implicit(**theirs.settings))
    names = ("weighting", "alpha", "regularization", "unobserved_weight", "regularization_exponent")
    return {
        "recsys.ALS, defaults": (Chosen(FACTORS, recsys.ALS().iterations, {}), "recsys"),
        OURS_CHOSEN: (ours, "recsys"),
        "implicit, defaults": (Chosen(FACTORS, 15, {}), "implicit"),
        IMPLICIT_CHOSEN: (theirs, "implicit"),
        "recsys.ALS, objective of the last": (replace(theirs, settings={name: same[name] for name in names}), "recsys"),
    }


def train_all(
    train: recsys.Interactions, settings: dict[str, tuple[Chosen, str]], repeats: int
) -> dict[str, tuple[np.ndarray, np.ndarray, Measurement]]:
    """User and item vectors of each contender, and medians of what its fits took; the contenders take turns."""
    vectors, fits = {}, {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        for name, (chosen, _) in settings.items():
            chosen.weighted(train).save(Path(folder) / name)
        for _ in range(repeats):
            for name, (chosen, library) in settings.items():
                data = str(Path(folder) / name)
                fits[name].append(measure(Request(data, library, chosen.factors, chosen.iterations, chosen.settings, folder)))
                vectors[name] = [np.load(Path(folder) / f"{side}.npy") for side in ("users", "items")]
    return {name: (*vectors[name], _median(fits[name])) for name in settings}


def _median(fits: list[Measurement]) -> Measurement:
    columns = zip(*(asdict(fit).values() for fit in fits), strict=True)
    return Measurement(*(statistics.median(column) for column in columns))


def _interval(row: Any) -> str:
    return f"{row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]"


if __name__ == "__main__":
    main()
