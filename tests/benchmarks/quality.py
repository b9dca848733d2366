"""Our numbers beside published ones and beside implicit's in the same run, on real data: `make quality`.

    python tests/benchmarks/quality.py [--only gowalla] [--repeats 3] [--json FILE]

First the published row of the most popular items is made again, to show that split, masking and metrics are the published
ones. Then each contender is trained in a process of its own, in turn, and one evaluator judges the vectors of all of them.
Times depend on the machine and on what else it does; only ratios within one run carry over.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import REAL_DATA, real
from one_fit import Measurement, Request, measure

import recsys

FACTORS = 128


@dataclass(frozen=True)
class Task:
    """A public split. popular : its published most-popular row. masked : parts whose pairs that row does not recommend.

    published : other published rows, on the same test set with the pairs of train masked.
    ours, implicit : hyperparameters that did best on validation data (README.md says which were tried), never on the test set.
    """

    name: str
    metrics: tuple[str, str]
    popular: tuple[float, float]
    masked: tuple[str, ...]
    published: dict[str, tuple[float, float]]
    ours: dict[str, float] = field(default_factory=dict)
    implicit: dict[str, float] = field(default_factory=dict)


TASKS = (
    Task(
        name="gowalla",
        metrics=("recall@20", "ndcg@20"),
        popular=(0.0416, 0.0317),
        masked=("train",),
        published={
            "MF-BPR": (0.1627, 0.1378),
            "SLIM": (0.1699, 0.1382),
            "EASE": (0.1765, 0.1467),
            "LightGCN": (0.1820, 0.1547),
            "GF-CF": (0.1849, 0.1518),
            "UltraGCN": (0.1862, 0.1580),
            "SimpleX": (0.1872, 0.1557),
        },
        ours={"regularization": 0.003, "unobserved_weight": 0.015},
        implicit={"alpha": 40.0, "regularization": 0.01},
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
        ours={"regularization": 0.015, "unobserved_weight": 0.05},
        implicit={"alpha": 20.0, "regularization": 80.0},
    ),
)


def main() -> None:
    """Runs every task whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[task.name for task in TASKS], help="one data set instead of all")
    parser.add_argument("--repeats", type=int, default=3, help="trainings a contender; the median time is shown")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    results = {}
    for task in TASKS:
        if options.only not in (None, task.name):
            continue
        if real(task.name, "test") is None:
            print(f"{task.name}: skipped, there is no {task.name}/test.parquet in {REAL_DATA.parent.name}/{REAL_DATA.name}")
            continue
        results[task.name] = run(task, options.repeats)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def run(task: Task, repeats: int) -> dict[str, Any]:
    """Everything about one data set, printed and returned ready for JSON."""
    train, test = real(task.name, "train"), real(task.name, "test")
    print(f"\n{task.name}: {train}\n")
    popular = check_popular(task, train, test)
    settings = contenders(task)
    fits = train_all(train, settings, repeats)
    print(f"\n  {FACTORS} factors; means over {test.n_users:,} test users with 95 % intervals; medians of {repeats} fits")
    print(f"  {'':34}{task.metrics[0]:26}{task.metrics[1]:26}{'fit s':>6}{'peak MB':>9}{'above data MB':>15}")
    rows = {}
    for name, (users, items, fit) in fits.items():
        result = recsys.evaluate(recsys.Model.from_vectors(train, users, items), test, task.metrics)
        rows[name] = {**result.to_dict()["metrics"], **asdict(fit), "settings": settings[name].settings}
        cells = "".join(f"{_interval(row):26}" for row in result.summary().itertuples())
        print(f"  {name:34}{cells}{fit.seconds:6.2f}{fit.peak_bytes / 1e6:9.0f}{fit.above_bytes / 1e6:15.0f}")
    for name, values in task.published.items():
        print(f"  {name + ' (published)':34}" + "".join(f"{value:<26.4f}" for value in values).rstrip())
    return {"most_popular": popular, "contenders": rows, "published": task.published}


def check_popular(task: Task, train: recsys.Interactions, test: recsys.Interactions) -> dict[str, Any]:
    """Makes the published most-popular row again and says whether it is the same to the digits that were published."""
    counted = recsys.Popularity().fit(train)
    history = train
    for part in task.masked[1:]:
        history = history.merge(real(task.name, part))
    items = np.zeros((history.n_items, 1), np.float32)
    items[: train.n_items] = counted.item_embeddings.vectors
    model = recsys.Model.from_vectors(history, np.ones((history.n_users, 1), np.float32), items)
    result = recsys.evaluate(model, test, task.metrics)
    means = result.summary()["mean"].tolist()
    same = all(abs(ours - theirs) < 0.00005 + 1e-9 for ours, theirs in zip(means, task.popular, strict=True))
    ours, theirs = (" / ".join(f"{value:.4f}" for value in values) for values in (means, task.popular))
    names = " and ".join(task.masked)
    print(f"  most popular, {names} masked: {ours}, published {theirs}: {'OK' if same else 'DIFFERS'}")
    return {"ours": means, "published": task.popular, "same": same}


def contenders(task: Task) -> dict[str, Request]:
    """What is trained; the folder of the data is filled in later."""
    sweeps = recsys.ALS().iterations
    theirs = task.implicit
    # Every weight is 1. implicit's confidence of a pair is then alpha, ours α₀ + alpha: the same objective.
    same = {"weighting": "hu2008", "unobserved_weight": 1.0, "alpha": theirs["alpha"] - 1, "regularization_exponent": 0.0}
    same["regularization"] = theirs["regularization"]
    return {
        "recsys.ALS, defaults": Request("", "recsys", FACTORS, sweeps),
        f"recsys.ALS, {_named(task.ours)}": Request("", "recsys", FACTORS, sweeps, task.ours),
        "implicit, defaults": Request("", "implicit", FACTORS, 15),
        f"implicit, {_named(theirs)}": Request("", "implicit", FACTORS, 15, theirs),
        "recsys.ALS, objective of the last": Request("", "recsys", FACTORS, 15, same),
    }


def train_all(
    train: recsys.Interactions, settings: dict[str, Request], repeats: int
) -> dict[str, tuple[np.ndarray, np.ndarray, Measurement]]:
    """User and item vectors of each contender, and medians of what its fits took; the contenders take turns."""
    vectors, fits = {}, {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data")
        train.save(data)
        for _ in range(repeats):
            for name, request in settings.items():
                fits[name].append(measure(Request(**asdict(request) | {"data": data, "output": folder})))
                vectors[name] = [np.load(Path(folder) / f"{side}.npy") for side in ("users", "items")]
    return {name: (*vectors[name], _median(fits[name])) for name in settings}


def _median(fits: list[Measurement]) -> Measurement:
    columns = zip(*(asdict(fit).values() for fit in fits), strict=True)
    return Measurement(*(statistics.median(column) for column in columns))


def _named(settings: dict[str, float]) -> str:
    symbols = {"alpha": "α", "regularization": "λ", "unobserved_weight": "α₀"}
    return " ".join(f"{symbols[name]} {value:g}" for name, value in settings.items())


def _interval(row: Any) -> str:
    return f"{row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]"


if __name__ == "__main__":
    main()
