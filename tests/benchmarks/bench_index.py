"""Recall and queries per second of approximate indexes, ours and others', beside exact search: `make bench`.

    python tests/benchmarks/bench_index.py [--items 1000000] [--quick] [--vectors trained-like trained] [--methods NAME ...]
                                           [--threads N] [--output DIR]

One query at a time on one thread, and all queries together on all. "× exact" is over the bare product of the same run: one
vector or a block of them times all items, then a partial sort; nothing filtered. `recsys.retrieval.top_k` stands beside it.
With --output the curves are written there as curves.csv and a picture. Nothing is asserted: see README.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from index_rivals import METHODS, Built, Missing
from threadpoolctl import threadpool_limits

import recsys

K = 20
DIM = 128
QUERIES = 1000
SINGLE_QUERIES = 200
TARGETS = (0.95, 0.99)
QUICK_ITEMS = 50_000


@dataclass(frozen=True)
class Point:
    """One setting of one method on one set of vectors. `bytes` is what the index holds besides the item vectors."""

    vectors: str
    items: int
    method: str
    setting: str
    recall: float
    single_per_second: float
    batch_per_second: float
    single_ratio: float
    batch_ratio: float
    build_seconds: float
    bytes: int


@dataclass(frozen=True)
class Exact:
    """The bare product's speed, and the answer."""

    truth: np.ndarray
    single_per_second: float
    batch_per_second: float


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    options = parse()
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    points: list[Point] = []
    for name in options.vectors:
        items, queries = VECTORS[name](options.items)
        exact = bare_product(items, queries, options.threads)
        print(f"\n{name}: {len(items):,} × {items.shape[1]}; bare product, queries a second: ", end="")
        print(f"{exact.single_per_second:,.0f} one by one, {exact.batch_per_second:,.0f} in batches\n")
        for method in options.methods:
            points += measured((name, method), items, queries, exact, options.threads)
            if options.output:
                write_csv(options.output, points)
        summary([point for point in points if point.vectors == name])
    if options.output:
        draw(options.output, points)
        print(f"\nWrote {options.output}/curves.csv and curves.png")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS:,} items")
    parser.add_argument("--vectors", nargs="+", choices=list(VECTORS), default=list(VECTORS))
    parser.add_argument(
        "--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME", help=", ".join(METHODS)
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for batches and for building")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.items = QUICK_ITEMS
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
    return options


def trained_like(n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Items and queries with a decaying spectrum (column j by j^-½), clusters, and log-normal lengths (σ = ½) of the items."""
    generator = np.random.default_rng(0)
    spectrum = np.arange(1, DIM + 1) ** -0.5
    centres = generator.standard_normal((max(n_items // 500, 10), DIM))

    def around(count: int, spread: float) -> np.ndarray:
        return (
            centres[generator.integers(0, len(centres), count)] + spread * generator.standard_normal((count, DIM))
        ) * spectrum

    items = around(n_items, 0.7)
    items *= (generator.lognormal(0, 0.5, n_items) / np.linalg.norm(items, axis=1))[:, None]
    return items.astype(np.float32), around(QUERIES, 1.0).astype(np.float32)


def trained(n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that ALS learns from a synthetic log of 25 events an item; the queries are users of that model."""
    events = recsys.datasets.make_events(n_items // 4, n_items, 25 * n_items, groups=200, timestamps=False)
    data = recsys.read_interactions(events, weight=False, duplicates="max")
    model = recsys.ALS(factors=DIM, iterations=6, random_state=0).fit(data)
    chosen = np.random.default_rng(0).permutation(len(model.users))[:QUERIES]
    return np.array(model.item_embeddings.vectors), np.ascontiguousarray(model.user_embeddings.vectors[chosen])


VECTORS = {"trained-like": trained_like, "trained": trained}


def bare_product(items: np.ndarray, queries: np.ndarray, threads: int) -> Exact:
    """The exact lists by matrix product and partial sort, and how many of them a second."""

    def best(scores: np.ndarray) -> np.ndarray:
        return np.argpartition(scores, scores.shape[-1] - K, axis=-1)[..., -K:]

    with threadpool_limits(1):
        single = [timed(lambda row=row: best(items @ queries[row])) for row in range(30)]
    block, start = max(1, 2**27 // len(items)), time.perf_counter()
    with threadpool_limits(threads):
        found = [best(queries[first : first + block] @ items.T) for first in range(0, len(queries), block)]
    seconds = time.perf_counter() - start
    return Exact(np.vstack(found), 1 / statistics.median(single), len(queries) / seconds)


def timed(call: object) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start


def measured(about: tuple[str, str], items: np.ndarray, queries: np.ndarray, exact: Exact, threads: int) -> Iterator[Point]:
    """The curve of one method; nothing, with a word why, when its library is not installed."""
    method = about[1]
    try:
        start = time.perf_counter()
        built = METHODS[method](items, threads)
        seconds = time.perf_counter() - start
    except Missing as error:
        print(f"  {method:22s} skipped: {error}")
        return
    for setting in built.settings:
        speeds = measure(built, setting, queries, exact, threads)
        point = Point(about[0], len(items), method, str(setting), *speeds, seconds, built.bytes)
        show(point)
        yield point
        if point.recall > 0.9985:
            break


def show(point: Point) -> None:
    """A line of the table."""
    print(
        f"  {point.method:22s} {point.setting:>14} recall@{K} {point.recall:.4f}   "
        f"single {point.single_per_second:9,.0f}/s ({point.single_ratio:6.1f} ×)   "
        f"batch {point.batch_per_second:9,.0f}/s ({point.batch_ratio:5.2f} ×)   "
        f"built in {point.build_seconds:6.1f} s, {point.bytes / 1e6:7.1f} MB",
        flush=True,
    )


def measure(
    built: Built, setting: object, queries: np.ndarray, exact: Exact, threads: int
) -> tuple[float, float, float, float, float]:
    """Recall, speed of single queries and of batches, and both over the bare product's, of one setting."""
    found = built.search(queries, K, setting, threads)
    recall = np.mean([len(np.intersect1d(ours, true)) / K for ours, true in zip(found, exact.truth, strict=True)])
    with threadpool_limits(1):
        single = [timed(lambda row=row: built.search(queries[row : row + 1], K, setting, 1)) for row in range(SINGLE_QUERIES)]
    with threadpool_limits(threads):
        many = np.tile(queries, (built.repeats, 1))
        batch = min(timed(lambda: built.search(many, K, setting, threads)) for _ in range(2))
    speeds = 1 / statistics.median(single), len(many) / batch
    return float(recall), *speeds, speeds[0] / exact.single_per_second, speeds[1] / exact.batch_per_second


def summary(points: list[Point]) -> None:
    """Each method's fastest setting at the recalls that matter."""
    for target in TARGETS:
        print(f"\n  recall@{K} of {target} or more: the fastest setting for single queries")
        reached = [point for point in points if point.recall >= target]
        best = {
            name: max((p for p in reached if p.method == name), key=lambda p: p.single_ratio)
            for name in {p.method for p in reached}
        }
        for point in sorted(best.values(), key=lambda p: -p.single_ratio):
            speeds = f"single {point.single_ratio:6.1f} × exact   batch {point.batch_ratio:5.2f} ×"
            print(f"    {point.method:22s} {speeds}   {point.setting}")


def write_csv(folder: Path, points: list[Point]) -> None:
    """All points so far: an hour of measuring is not lost with the last one."""
    with open(folder / "curves.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


def frontier(points: list[Point], speed: str) -> list[Point]:
    """Of a method's points those that no other of its points beats in both recall and speed, by rising recall."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.recall, -getattr(p, speed))):
        if point.recall > 0.7 and (not best or getattr(point, speed) > getattr(best[-1], speed)):
            best.append(point)
    return best[::-1]


def draw(folder: Path, points: list[Point]) -> None:
    """One row of panels for each set of vectors: single queries, batches."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(point.vectors for point in points))
    figure = Figure(figsize=(13, 5 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 2, squeeze=False)
    methods = list(dict.fromkeys(point.method for point in points))
    for row, name in enumerate(names):
        for panel, measure_of, title in zip(
            panels[row], ("single_ratio", "batch_ratio"), ("single queries", "batches"), strict=True
        ):
            for number, method in enumerate(methods):
                curve = frontier([point for point in points if (point.vectors, point.method) == (name, method)], measure_of)
                style = {"marker": "o" if method.startswith("recsys") else "x", "linestyle": "-" if number < 10 else "--"}
                panel.plot(
                    [p.recall for p in curve], [getattr(p, measure_of) for p in curve], label=method, markersize=4, **style
                )
            panel.axhline(1, color="black", linewidth=0.8)
            panel.set(yscale="log", xlabel=f"recall@{K}", ylabel="speed ÷ bare product", title=f"{name} vectors, {title}")
            panel.grid(alpha=0.3, which="both")
        panels[row][1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(folder / "curves.png", dpi=110)


if __name__ == "__main__":
    main()
