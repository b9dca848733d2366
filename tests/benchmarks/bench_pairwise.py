"""Seconds and lists of `recsys.BPR` and `recsys.LogisticMF` beside the library implicit's trainers of the same names.

    python tests/benchmarks/bench_pairwise.py [--data gowalla] [--quick] [--json FILE]

All have 64 factors; each trains with one thread and with all. Lists are judged by one evaluator on pairs held out of the
training data, never on the test set. implicit's settings did best among a few on those very pairs, which favours it; ours are
defaults. Speed is CPU time, so that other work on the machine counts little. --quick takes Last.fm, which is small.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from als_trials import METRICS, held_out
from threadpoolctl import threadpool_limits

import recsys
from recsys.model import Model
from recsys.parallel import available_cpus

FACTORS = 64
Fit = Callable[[recsys.Interactions, int, int], Model]


@dataclass(frozen=True)
class Row:
    """One training: who, with how many threads and passes, in what time, with what lists."""

    name: str
    threads: int
    epochs: int
    wall_seconds: float
    cpu_seconds: float
    metrics: dict[str, float]

    def show(self, rival: Row | None) -> None:
        """A line, with the ratio of the rival's CPU seconds a pass to these."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        ratio = ""
        if rival is not None:
            ratio = f"  {(rival.cpu_seconds / rival.epochs) / (self.cpu_seconds / self.epochs):.2f} × the rival's speed a pass"
        each = 1000 * self.wall_seconds / self.epochs
        print(
            f"  {self.name:24} {self.threads:2} threads  {self.epochs:3} passes  {each:7.1f} ms each  {shown}{ratio}",
            flush=True,
        )


def ours(kind: type, **settings: Any) -> Fit:
    """A trainer of this library."""
    return lambda train, epochs, threads: kind(factors=FACTORS, iterations=epochs, num_threads=threads, **settings).fit(train)


def theirs(module: str, kind: str, **settings: Any) -> Fit:
    """A trainer of implicit; its vectors become a model, so that one evaluator judges all."""

    def fit(train: recsys.Interactions, epochs: int, threads: int) -> Model:
        trainer = getattr(__import__(f"implicit.cpu.{module}", fromlist=[kind]), kind)
        model = trainer(factors=FACTORS, iterations=epochs, num_threads=threads, random_state=0, **settings)
        rows = scipy.sparse.csr_matrix(
            (train.weights.copy(), train.indices.copy(), train.indptr.astype(np.int32)), shape=train.shape
        )
        with threadpool_limits(1, "blas"):
            model.fit(rows, show_progress=False)
        return Model.from_vectors(train, model.user_factors, model.item_factors)

    return fit


# Settings of both, and the passes of each.
PAIRS = {
    "BPR": (
        theirs("bpr", "BayesianPersonalizedRanking", learning_rate=0.05, regularization=0.003),
        ours(recsys.BPR),
        (100, 100),
    ),
    "LogisticMF": (
        theirs("lmf", "LogisticMatrixFactorization", learning_rate=0.3, regularization=2.0),
        ours(recsys.LogisticMF),
        (100, 50),
    ),
}


def measured(
    name: str, fit: Fit, parts: tuple[recsys.Interactions, recsys.Interactions], epochs: int, threads: int, metrics: Any
) -> Row:
    """Trains after a first pass that compiles, and judges."""
    train, valid = parts
    fit(train, 1, threads)
    wall, cpu = time.perf_counter(), time.process_time()
    model = fit(train, epochs, threads)
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    means = recsys.evaluate(model, valid, metrics=list(metrics)).summary()["mean"]
    return Row(name, threads, epochs, *seconds, dict(zip(metrics, map(float, means), strict=True)))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(METRICS), default="gowalla")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = "lastfm-hetrec" if arguments.quick else arguments.data
    parts, rows = held_out(data), []
    print(f"{data}: {parts[0]!r}")
    for name, (rival, own, epochs) in PAIRS.items():
        for threads in sorted({1, available_cpus()}):
            first = measured(f"implicit {name}", rival, parts, epochs[0], threads, METRICS[data])
            second = measured(f"recsys {name}", own, parts, epochs[1], threads, METRICS[data])
            first.show(None)
            second.show(first)
            rows += [first, second]
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
