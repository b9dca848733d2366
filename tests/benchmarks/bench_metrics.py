"""Seconds that 20 metrics take over the top-100 lists of 138,493 users, beside ranx and RecTools: `make bench`.

    python tests/benchmarks/bench_metrics.py [--quick] [--repeats 3] [--rivals ranx rectools] [--rectools-python PYTHON]
                                             [--json FILE]

The lists and what is relevant are made up, with the shape of MovieLens-20M; every library judges the same. For each rival the
metrics that both have are timed on both sides in turn, medians are shown, and the largest difference of a mean stands beside
them. RecTools needs older libraries than ours: --rectools-python names an interpreter that can import it. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import recsys
from recsys.evaluation import parse_metrics
from recsys.evaluation.catalogue import Catalogue
from recsys.evaluation.judging import Judging
from recsys.evaluation.relevance import Relevance
from recsys.retrieval import RankedLists

N_USERS, N_ITEMS, WIDTH, N_RELEVANT = 138_493, 26_744, 100, 20
# RecTools works on tables of one row a place: fewer users, so that it ends in a minute or two and fits into memory.
RECTOOLS_USERS = 20_000

SHARED = [f"{name}@{k}" for k in (10, 100) for name in ("recall", "precision", "ndcg", "map", "mrr", "hit_rate")]
OTHERS = ["recall_capped@10", "recall_capped@100", "ndcg_graded@100", "novelty@100", "average_popularity@100"]
TWENTY = [*SHARED, *OTHERS, "serendipity@100", "coverage@100", "gini@100"]


@dataclass(frozen=True)
class Data:
    """positions : (n_users, WIDTH) int32, the lists;  relevant : (n_users, N_RELEVANT) int32, rising in a row."""

    positions: np.ndarray
    relevant: np.ndarray
    history: recsys.Interactions

    def part(self, n_users: int) -> Data:
        """The first users."""
        return Data(self.positions[:n_users], self.relevant[:n_users], self.history)


def made_up(n_users: int, random_state: int = 0) -> Data:
    """Lists of distinct items; of each user's relevant items about a third stand in the list, more at its beginning."""
    rng = np.random.default_rng(random_state)
    # A prime number of items below N_ITEMS is stepped through, so that no item comes twice.
    steps, starts = rng.integers(1, 26_737, (n_users, 1)), rng.integers(0, 26_737, (n_users, 1))
    positions = ((starts + steps * np.arange(WIDTH)) % 26_737).astype(np.int32)
    places = np.minimum(rng.geometric(0.05, (n_users, 7)) - 1, WIDTH - 1)
    beyond = np.arange(WIDTH, WIDTH + N_RELEVANT)
    relevant = ((starts + steps * beyond) % 26_737).astype(np.int32)
    for column in range(places.shape[1]):
        fresh = (places[:, :column] != places[:, column : column + 1]).all(axis=1)
        relevant[fresh, column] = positions[fresh, places[fresh, column]]
    counts = np.full(n_users, 20)
    rows = np.repeat(np.arange(n_users), counts)
    ids = (recsys.IdMap(np.arange(n), name=name) for n, name in ((n_users, "user_id"), (N_ITEMS, "item_id")))
    items = np.minimum(rng.geometric(0.0008, len(rows)) - 1, N_ITEMS - 1)
    history = recsys.Interactions.from_events(*ids, rows.astype(np.int32), items.astype(np.int32))
    return Data(positions, np.sort(relevant, axis=1), history)


def ours(data: Data, metrics: list[str], num_threads: int | None = None) -> Callable[[], dict[str, float]]:
    """A function that judges the lists: from positions to the mean of every metric."""
    n_users = len(data.positions)
    indptr = np.arange(n_users + 1) * N_RELEVANT
    users = recsys.IdMap(np.arange(n_users), name="user_id")
    gains = np.ones(data.relevant.size, np.float32)
    items = recsys.IdMap(np.arange(N_ITEMS), name="item_id")
    relevance = Relevance(users, np.arange(n_users), items, N_ITEMS, indptr, data.relevant.ravel(), gains, {})
    lists = RankedLists(data.positions, np.zeros(data.positions.shape, np.float32), np.full(n_users, WIDTH, np.int32))

    def judge() -> dict[str, float]:
        judging = Judging(relevance, parse_metrics(metrics), Catalogue(N_ITEMS, data.history))
        judging.enter(slice(0, n_users), lists, num_threads)
        return dict(zip(map(str, judging.per_user), judging.values.mean(axis=0), strict=True)) | judging.overall()

    return judge


def ranx_run(data: Data) -> Callable[[], dict[str, float]]:
    """As `ours`, by ranx, from its own arrays of (item, score), which it takes as sorted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn of each other
        import ranx
    scores = np.broadcast_to(np.arange(WIDTH, 0, -1.0), data.positions.shape)
    run = np.stack([data.positions.astype(np.float64), scores], axis=2)
    truth = np.stack([data.relevant.astype(np.float64), np.ones(data.relevant.shape)], axis=2)

    def judge() -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ranx.evaluate(truth, run, SHARED)
        return {name: float(value) for name, value in found.items()}

    return judge


RECTOOLS_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics
arrays, repeats = np.load(sys.argv[1]), int(sys.argv[2])
def table(values):
    users = np.repeat(np.arange(len(values)), values.shape[1])
    return pd.DataFrame({"user_id": users, "item_id": values.ravel()})
reco, truth = table(arrays["positions"]), table(arrays["relevant"])
reco["rank"] = np.tile(np.arange(1, arrays["positions"].shape[1] + 1), len(arrays["positions"]))
kinds = {"recall": Recall, "precision": Precision, "ndcg": NDCG, "map": MAP, "mrr": MRR, "hit_rate": HitRate}
# Its other NDCG is divided by the discounts of all k places.
options = {"ndcg": {"divide_by_achievable": True}}
metrics = {f"{name}@{k}": kind(k=k, **options.get(name, {})) for k in (10, 100) for name, kind in kinds.items()}
seconds = []
for _ in range(repeats):
    begin = time.perf_counter()
    values = calc_metrics(metrics, reco, truth)
    seconds.append(time.perf_counter() - begin)
print(json.dumps({"seconds": seconds, "values": {name: float(value) for name, value in values.items()}}))
"""


def rectools(data: Data, python: str, repeats: int) -> dict[str, Any] | None:
    """{"seconds": [...], "values": {...}} of RecTools in the interpreter `python`; None where that can not import it."""
    there = subprocess.run([python, "-c", "import rectools.metrics"], capture_output=True, check=False)
    if there.returncode:
        return None
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "lists.npz"
        np.savez(arrays, positions=data.positions, relevant=data.relevant)
        call = [python, "-c", RECTOOLS_PROGRAM, str(arrays), str(repeats)]
        found = subprocess.run(call, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def timed(judge: Callable[[], Mapping[str, float]], repeats: int) -> tuple[float, Mapping[str, float]]:
    """Median seconds of a call, and what it returned; the first call, which compiles, is not counted."""
    values, seconds = judge(), []
    for _ in range(repeats):
        begin = time.perf_counter()
        values = judge()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), values


def largest_difference(our: Mapping[str, float], its: Mapping[str, float]) -> tuple[float, str]:
    """The largest difference of a mean, and of which metric."""
    # Both rivals divide average precision by |R|, we by min(k, |R|).
    factors = {f"map@{k}": N_RELEVANT / min(k, N_RELEVANT) for k in (10, 100)}
    return max((abs(our[name] - its[name] * factors.get(name, 1)), name) for name in SHARED)


def show(rival: str, n_users: int, our_seconds: float, its_seconds: float, difference: tuple[float, str]) -> dict[str, Any]:
    """One line of the table."""
    print(
        f"  {rival:10}{n_users:>9,} users{our_seconds:>11.3f} s{its_seconds:>11.3f} s{its_seconds / our_seconds:>10.1f}"
        f"     {difference[0]:.1e} ({difference[1]})"
    )
    return {"rival": rival, "users": n_users, "seconds": our_seconds, "its_seconds": its_seconds, "difference": difference[0]}


def against_rivals(data: Data, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each rival that is there."""
    print(f"\n{len(SHARED)} metrics that all have")
    print("  rival          lists             ours        its      its / ours   largest difference of a mean")
    rows = []
    if "ranx" in options.rivals:
        try:
            judge = ranx_run(data)
        except ImportError:
            print("  ranx      skipped: it is not installed")
        else:
            its_seconds, its_values = timed(judge, options.repeats)
            seconds, values = timed(ours(data, SHARED), options.repeats)
            rows.append(show("ranx", len(data.positions), seconds, its_seconds, largest_difference(values, its_values)))
    if "rectools" in options.rivals:
        part = data.part(min(RECTOOLS_USERS, len(data.positions)))
        found = rectools(part, options.rectools_python, options.repeats)
        if found is None:
            print(f"  rectools  skipped: {options.rectools_python} can not import it; see --rectools-python")
        else:
            seconds, values = timed(ours(part, SHARED), options.repeats)
            its_seconds = statistics.median(found["seconds"])
            difference = largest_difference(values, found["values"])
            rows.append(show("rectools", len(part.positions), seconds, its_seconds, difference))
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the users, once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rivals", nargs="*", choices=["ranx", "rectools"], default=["ranx", "rectools"])
    parser.add_argument("--rectools-python", default=sys.executable, help="an interpreter that can import rectools")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    if options.quick:
        options.repeats = 1
    data = made_up(N_USERS // 20 if options.quick else N_USERS)
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    print(f"\n{len(TWENTY)} metrics over top-{WIDTH} lists of {len(data.positions):,} users")
    found: dict[str, Any] = {"metrics": len(TWENTY), "users": len(data.positions), "seconds": {}}
    for num_threads in sorted({1, os.cpu_count() or 1}):
        found["seconds"][num_threads], values = timed(ours(data, TWENTY, num_threads), options.repeats)
        print(f"  {num_threads} threads: {found['seconds'][num_threads]:.3f} s")
    print("  " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    found["rivals"] = against_rivals(data, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
