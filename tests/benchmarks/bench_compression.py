"""Compressed vectors beside faiss' quantisers, searched flat: encoding, bytes, recall, queries a second; what size costs.

    python tests/benchmarks/bench_compression.py [--items 1000000] [--quick] [--threads N] [--goals gowalla movielens]

One query at a time on one thread, and 1,000 together on all. Recall@20 is against exact search of the float32 vectors, without
scoring again. "× faiss" is over the quantiser of faiss that keeps as many bytes. --goals trains models, picks a size on
validation data (of gowalla a cut of the training pairs) and says what it loses on data that had no part in it. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from als_trials import held_out
from bench_index import trained_like
from benchmark_data import movielens_shape, real
from threadpoolctl import threadpool_limits

import recsys
from recsys.evaluation.intervals import ratio_intervals

K = 20
SINGLE_QUERIES = 50
QUICK_ITEMS = 50_000


@dataclass(frozen=True)
class Line:
    """One way of keeping the vectors."""

    name: str
    encode_seconds: float
    bytes_each: float
    recall: float
    single_per_second: float
    batch_per_second: float


def main() -> None:
    """Prints a line when it is known."""
    options = parse()
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    compare_search(options.items, options.threads)
    if "gowalla" in options.goals:
        gowalla(options.quick)
    if "movielens" in options.goals:
        movielens(0.02 if options.quick else 1.0)


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS:,} items, small logs")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--goals", nargs="*", choices=["gowalla", "movielens"], default=[])
    options = parser.parse_args()
    if options.quick:
        options.items = QUICK_ITEMS
    return options


# ---- search beside faiss ----------------------------------------------------------------------------------------------


def compare_search(n_items: int, threads: int) -> None:
    """Ours and theirs, pair by pair."""
    items, queries = trained_like(n_items)
    truth = recsys.retrieval.top_k(queries, items, K).positions
    plain = measured("float32, recsys exact", lambda: (items, 4.0 * items.shape[1]), search_plain, queries, truth, threads)
    print(f"\n{n_items:,} × {items.shape[1]}, {len(queries):,} queries, {threads} threads")
    show(plain, None)
    for storage, rival in (("int8", "SQ8"), ("int4", "SQ4"), ("pq", "PQ32"), ("binary", None)):
        ours = measured(
            f"{storage}, recsys", lambda s=storage: encode(items, s, threads), search_codes, queries, truth, threads
        )
        theirs = None if rival is None else faiss_line(rival, items, queries, truth, threads)
        show(ours, theirs)
        if theirs is not None:
            show(theirs, None)


def encode(items: np.ndarray, storage: str, threads: int) -> tuple[Any, float]:
    """Ours, and bytes a vector."""
    found = recsys.Embeddings.from_arrays(np.arange(len(items)), items).compress(storage=storage, num_threads=threads)
    return found, found.bytes_per_id


def search_codes(built: Any, queries: np.ndarray, threads: int) -> np.ndarray:
    """(n, K) positions."""
    return built.search_codes(queries, K, num_threads=threads).positions


def search_plain(items: np.ndarray, queries: np.ndarray, threads: int) -> np.ndarray:
    """(n, K) positions."""
    return recsys.retrieval.top_k(queries, items, K, num_threads=threads).positions


def faiss_line(name: str, items: np.ndarray, queries: np.ndarray, truth: np.ndarray, threads: int) -> Line | None:
    """The rival that keeps as many bytes; None, with a word why, where faiss is not installed."""
    try:
        import faiss
    except ModuleNotFoundError:
        print(f"  faiss {name} skipped: faiss is not installed")
        return None
    dim, product = items.shape[1], faiss.METRIC_INNER_PRODUCT

    def build() -> tuple[Any, float]:
        faiss.omp_set_num_threads(threads)
        if name == "PQ32":
            index = faiss.IndexPQ(dim, 32, 8, product)
        else:
            kind = faiss.ScalarQuantizer.QT_8bit if name == "SQ8" else faiss.ScalarQuantizer.QT_4bit
            index = faiss.IndexScalarQuantizer(dim, kind, product)
        index.train(items[: 2**16])
        index.add(items)
        return index, float(index.sa_code_size())

    def search(index: Any, some: np.ndarray, threads: int) -> np.ndarray:
        faiss.omp_set_num_threads(threads)
        return index.search(some, K)[1]

    return measured(f"{name}, faiss", build, search, queries, truth, threads)


def measured(
    name: str,
    build: Callable[[], tuple[Any, float]],
    search: Callable[[Any, np.ndarray, int], np.ndarray],
    queries: np.ndarray,
    truth: np.ndarray,
    threads: int,
) -> Line:
    """Builds, searches once to compile and arrange, then times."""
    start = time.perf_counter()
    built, bytes_each = build()
    seconds = time.perf_counter() - start
    found = search(built, queries, threads)
    search(built, queries[:1], 1)
    recall = float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, truth, strict=True)]))
    with threadpool_limits(1):
        single = [timed(lambda row=row: search(built, queries[row : row + 1], 1)) for row in range(SINGLE_QUERIES)]
    batch = min(timed(lambda: search(built, queries, threads)) for _ in range(3))
    return Line(name, seconds, bytes_each, recall, 1 / statistics.median(single), len(queries) / batch)


def timed(call: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def show(line: Line, rival: Line | None) -> None:
    """A line of the table."""
    ratios = ""
    if rival is not None:
        ratios = (
            f"   × faiss: encode {rival.encode_seconds / line.encode_seconds:5.1f}, "
            f"single {line.single_per_second / rival.single_per_second:5.2f}, "
            f"batch {line.batch_per_second / rival.batch_per_second:5.1f}"
        )
    print(
        f"  {line.name:22s} {line.bytes_each:6.1f} B   recall@{K} {line.recall:.4f}  encoded in {line.encode_seconds:6.2f} s   "
        f"single {line.single_per_second:8,.0f}/s   batch {line.batch_per_second:9,.0f}/s{ratios}",
        flush=True,
    )


# ---- what size costs --------------------------------------------------------------------------------------------------


def gowalla(quick: bool) -> None:
    """1/8 of the float32 bytes at a loss of NDCG@20 below 1 %."""
    factors = 64 if quick else 256
    train, valid = held_out("gowalla")
    trainer = recsys.ALS(factors=factors, regularization=0.003, unobserved_weight=0.015, random_state=0)
    found = recsys.tradeoff(trainer.fit(train), valid, storages=["int8", "int4"], dimensions=near(factors), overlap="drop")
    print(f"\ngowalla, ALS of {factors} factors, sizes judged on a cut of the training pairs")
    rows = found.table()
    print(rows[["dimensions", "storage", "bytes_per_id", "recall", "loss", "loss_high", "within"]].to_string(index=False))
    eighth = smallest_loss(found, 1 / 8)
    final, test = trainer.fit(real("gowalla", "train")), real("gowalla", "test")
    report("on the test pairs", final, test, eighth)


def movielens(scale: float) -> None:
    """1/50 of the event log as CSV at a loss of NDCG@20 below 1 %."""
    cut = recsys.split.random(movielens_shape(scale), test_fraction=0.05, random_state=0)
    train, held = cut.train, cut.test
    chosen = np.random.default_rng(0).random(held.n_users) < 0.5
    valid, test = (held.select(side[held.row_positions()]) for side in (chosen, ~chosen))
    # What did best on the validation users among a few settings: with the defaults of 5 sweeps fewer dimensions would do better
    # than all, and a loss would mean nothing.
    trainer = recsys.ALS(factors=128, regularization=0.006, unobserved_weight=0.1, random_state=0)
    model = trainer.fit(train)
    log = log_bytes(train)
    found = recsys.tradeoff(model, valid, storages=["int4", "pq"], dimensions=[64, 96, 104, 112, 120, 128])
    n_ids = len(model.users) + len(model.items)
    print(f"\nMovieLens-20M's shape × {scale}: {len(train):,} events, {log / 1e6:,.0f} MB of CSV (user, item, rating, time)")
    rows = found.table()
    rows["of the log"] = [f"1/{log / (size * n_ids):.0f}" for size in rows["bytes_per_id"]]
    print(rows[["dimensions", "storage", "bytes_per_id", "of the log", "recall", "loss", "loss_high"]].to_string(index=False))
    print(found.sentence())
    report("on users that had no part in it", model, test, found.settings, log)


def near(factors: int) -> list[int]:
    """All dimensions, and a few fewer."""
    return [factors * share // 64 for share in (56, 60, 61, 62, 63, 64)]


def smallest_loss(found: Any, share: float) -> Any:
    """The settings of the size of at most that share of the bytes that loses least on validation data."""
    row = min((row for row in found.rows if row.share <= share), key=lambda row: row.loss)
    print(f"picked {row.storage} of {row.dimensions} dimensions: 1/{1 / row.share:.2f} of float32, loss {row.loss:.2%} there")
    return found.settings_of(row)


def log_bytes(data: recsys.Interactions) -> int:
    """Of a CSV with a rating and a time for each event, as MovieLens-20M has it, by a sample of the lines."""
    with tempfile.TemporaryDirectory() as folder:
        path, generator = Path(folder) / "log.csv", np.random.default_rng(0)
        rows = np.sort(generator.choice(len(data), min(len(data), 200_000), replace=False))
        users, items = data.row_positions()[rows] + 1, data.indices[rows] + 1
        ratings, times = generator.integers(1, 11, len(rows)) / 2, generator.integers(789_652_009, 1_427_784_002, len(rows))
        lines = (f"{u},{i},{r},{t}" for u, i, r, t in zip(users, items, ratings, times, strict=True))
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return round(path.stat().st_size * len(data) / len(rows))


def report(where: str, model: recsys.Model, test: recsys.Interactions, settings: Any, log: int | None = None) -> None:
    """What a size loses on data by which it was not picked."""
    from dataclasses import asdict

    small = model.compress(**asdict(settings))
    whole, less = (recsys.evaluate(which, test, "ndcg@20").values[:, 0] for which in (model, small))
    (low,), (high,) = ratio_intervals((whole - less)[:, None], whole, 0.95, np.random.default_rng(0))
    sides = (small.user_embeddings, small.item_embeddings)
    size = sum(side.n_bytes for side in sides)
    plain = 4 * model.item_embeddings.dim * sum(len(side) for side in sides)
    beside = "" if log is None else f", 1/{log / size:.1f} of the log"
    print(
        f"{where}: {settings.storage} of {settings.dimensions} dimensions, {size / 1e6:.1f} MB, 1/{plain / size:.2f} of "
        f"float32{beside}; ndcg@20 {whole.mean():.4f} → {less.mean():.4f}, loss {1 - less.mean() / whole.mean():.2%} "
        f"[{low:.2%}, {high:.2%}]"
    )


if __name__ == "__main__":
    main()
