"""How fast are the statistics of `compare`, beside scipy's? Prints CPU and wall seconds, and the p-values beside each other.

    python tests/benchmarks/bench_compare.py [--quick] [--json FILE]

scipy.stats does one metric at a time and would need hours for the large set, so it gets fewer resamples and its time is scaled
to ours: it is linear in them. Everything is made up; only the shape (users, metrics) matters for the time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from recsys.evaluation import EvaluationResult, compare
from recsys.ids import IdMap

SHAPES = [("MovieLens-20M's users", 138_493, 20), ("gowalla's users", 29_858, 4), ("a small test", 600, 2)]
RESAMPLES = 10_000
SCIPY_DRAWS = 20_000_000


def results_of(n_users: int, n_metrics: int) -> dict[str, EvaluationResult]:
    """Two models whose values are mostly 0, and alike for two users in five."""
    generator = np.random.default_rng(0)
    base = np.where(generator.random((n_users, n_metrics)) < 0.5, 0, generator.random((n_users, n_metrics)))
    changed = np.where(generator.random(base.shape) < 0.6, base + generator.normal(0.001, 0.1, base.shape), base)
    names, users = tuple(f"ndcg@{k + 1}" for k in range(n_metrics)), IdMap(np.arange(n_users))
    return {name: EvaluationResult(users, names, values, {}, {}) for name, values in (("a", base), ("b", changed))}


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What `work` returns, and its seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def by_scipy(differences: np.ndarray, resamples: int) -> tuple[float, Any]:
    """The p-value and the BCa interval of one metric."""
    batch = max(1, 20_000_000 // len(differences))
    p_value = stats.permutation_test(
        (differences, np.zeros(len(differences))), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=resamples, batch=batch, rng=np.random.default_rng(1),
    ).pvalue  # fmt: skip
    # The jackknife of scipy's BCa holds n · n numbers, which no memory has for many users: percentiles instead.
    interval = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=resamples, batch=batch, rng=np.random.default_rng(2)
    ).confidence_interval
    return float(p_value), interval


def measure(title: str, n_users: int, n_metrics: int) -> dict[str, Any]:
    """One shape: ours over all metrics, scipy's over one with fewer resamples, scaled."""
    results = results_of(n_users, n_metrics)
    compare(results, resamples=2_000)  # compiles
    row, ours = timed(lambda: compare(results, resamples=RESAMPLES).table().iloc[0])
    _, one_thread = timed(lambda: compare(results, resamples=RESAMPLES, num_threads=1))
    fewer = max(200, min(RESAMPLES, SCIPY_DRAWS // n_users))
    differences = results["b"].values[:, 0] - results["a"].values[:, 0]
    (p_value, interval), theirs = timed(lambda: by_scipy(differences, fewer))
    scaled = {clock: seconds * n_metrics * RESAMPLES / fewer for clock, seconds in theirs.items()}
    print(f"\n{title}: {n_users:,} users, {n_metrics} metrics, {RESAMPLES:,} resamples")
    print(f"  recsys            {ours['wall']:9.2f} s wall {ours['cpu']:9.2f} s CPU; one thread {one_thread['wall']:.2f} s")
    print(f"  scipy (scaled)    {scaled['wall']:9.2f} s wall {scaled['cpu']:9.2f} s CPU")
    print(f"  ratio             {ours['wall'] / scaled['wall']:9.4f}      {ours['cpu'] / scaled['cpu']:9.4f}")
    print(f"  p-value           {row.p_value:.4f}, scipy {p_value:.4f} with {fewer:,} resamples")
    print(f"  interval          [{row.low:.5f}, {row.high:.5f}], scipy [{interval.low:.5f}, {interval.high:.5f}]")
    return {"users": n_users, "metrics": n_metrics, "ours": ours, "one_thread": one_thread, "scipy_scaled": scaled}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the large set")
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    options = parser.parse_args()
    found = [measure(*shape) for shape in SHAPES[options.quick :]]
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
