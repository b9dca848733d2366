"""Aligning and comparing embeddings, beside the products they need and named rivals; what retraining does to them.

    python tests/benchmarks/bench_embeddings.py [--rows 1000000] [--compared 100000] [--dim 128] [--repeats 5]
                                                [--data gowalla lastfm-hetrec online-retail] [--factors 64] [--growth 0.1]
                                                [--only align overlap retraining] [--quick] [--json FILE]

align: the whole of it (product, rotation, residual, turning all rows, checking them) over one product AᵀB of the same shape,
which any Procrustes needs: by our kernels, and numpy's. Beside it scipy.linalg.orthogonal_procrustes with the turning. In
processor seconds, so that a busy machine does not change the ratios much; the least of the repeats.
overlap: the mean share of 10 neighbours by cosine that two sets of vectors have in common, all ids; over the bare products, and
over faiss' exact IndexFlatIP on both sides. Vectors are those of a long-tailed spectrum with noise on the second set.
retraining: real data that grow by a share at random, or where there are times by the latest of them, and what to do about
the next version: anew, anew and aligned, from the earlier version's vectors with few sweeps (warm start), and that aligned.
How near items stay to where they were, as they stand; how much of neighbours and lists stays; processor seconds; NDCG@20 on
the test part. Above it, how far another seed alone goes. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import REAL_DATA, real
from scipy.linalg import orthogonal_procrustes
from threadpoolctl import threadpool_limits

import recsys
from recsys.embeddings import compare
from recsys.kernels.dense import cross, row_blocks
from recsys.parallel import Workers, available_cpus

_K = 10
_PARTS = ("align", "overlap", "retraining")


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    options = parse()
    print(f"{available_cpus()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    parts: dict[str, Callable[[], Any]] = {
        "align": lambda: measure_alignment(options.rows, options.dim, options.repeats),
        "overlap": lambda: measure_overlap(options.compared, options.dim),
        "retraining": lambda: [
            row for name in options.data for row in measure_retraining(name, options.factors, options.growth)
        ],
    }
    found = {name: parts[name]() for name in options.only}
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The options; --quick makes all small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--compared", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", nargs="*", default=["gowalla", "lastfm-hetrec", "online-retail"])
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--growth", type=float, default=0.1, help="share of the events that is new")
    parser.add_argument(
        "--only", nargs="+", choices=["align", "overlap", "retraining"], default=["align", "overlap", "retraining"]
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.compared, options.data = 200_000, 10_000, ["lastfm-hetrec"]
    return options


def two_versions(n: int, dim: int) -> tuple[recsys.Embeddings, recsys.Embeddings]:
    """The second is the first, turned, with noise."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((n, dim), dtype=np.float32) * np.geomspace(1, 0.1, dim, dtype=np.float32)
    turned = vectors @ np.linalg.qr(generator.standard_normal((dim, dim)))[0].astype(np.float32)
    noise = generator.standard_normal((n, dim), dtype=np.float32) * np.float32(0.05)
    return recsys.Embeddings.from_arrays(np.arange(n), vectors), recsys.Embeddings.from_arrays(np.arange(n), turned + noise)


def measure_alignment(n: int, dim: int, repeats: int) -> dict[str, float]:
    """Least processor seconds, taking turns."""
    old, new = two_versions(n, dim)
    pairs = np.repeat(np.arange(n)[:, None], 2, axis=1)
    ways: dict[str, Callable[[], Any]] = {
        "our product": lambda: our_product(new.vectors, old.vectors, pairs),
        "numpy's product": lambda: blocked_product(new.vectors, old.vectors),
        "ours": lambda: new.align_to(old),
        "scipy": lambda: new.vectors @ orthogonal_procrustes(new.vectors, old.vectors)[0],
    }
    for way in ways.values():
        way()  # compiled, and paged in
    seconds = {name: min(processor_seconds(way)[0] for _ in range(repeats)) for name, way in ways.items()}
    apart = np.abs(new.align_to(old).vectors - ways["scipy"]()).max()
    print(f"align {n:,} × {dim}, processor seconds: {', '.join(f'{name} {value:.3f}' for name, value in seconds.items())}.")
    numpy = seconds["numpy's product"]
    print(f"  the whole of align over our product {seconds['ours'] / seconds['our product']:.2f},", end=" ")
    print(f"over numpy's {seconds['ours'] / numpy:.2f}, over scipy {seconds['ours'] / seconds['scipy']:.2f};", end=" ")
    print(f"largest difference {apart:.1e}")
    return seconds


def our_product(a: np.ndarray, b: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """AᵀB by our kernel, with the squared lengths that it takes along."""
    with Workers() as workers:
        return cross(a, b, pairs, None, workers)[0]


def blocked_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """AᵀB, each row read once, over all threads."""
    with Workers() as workers:
        return sum(workers.map(lambda rows: a[rows].T @ b[rows], row_blocks(len(a))))


def measure_overlap(n: int, dim: int) -> dict[str, float | None]:
    """Seconds for all ids, once each: it takes minutes."""
    old, new = two_versions(n, dim)
    seconds, found = timed(lambda: compare(old, new, k=_K, sample=None))
    products = timed(lambda: bare_products([old.units, new.units]))[0]
    rival, theirs = by_faiss(old, new)
    line = f"overlap {n:,} × {dim}: all of compare {seconds:.2f} s, mean {found.measures['overlap']:.4f};"
    print(f"{line} bare products {products:.2f} s, ours over them {seconds / products:.2f};", end=" ")
    print(
        "faiss is not installed"
        if rival is None
        else f"faiss {rival:.2f} s, mean {theirs:.4f}, ours over it {seconds / rival:.2f}"
    )
    return {
        "ours": seconds,
        "products": products,
        "faiss": rival,
        "overlap": found.measures["overlap"],
        "faiss_overlap": theirs,
    }


def bare_products(sides: list[np.ndarray]) -> None:
    """All scores of both sides, thrown away."""
    with threadpool_limits(available_cpus(), "blas"):
        for side in sides:
            for rows in row_blocks(len(side), 1000):
                side[rows] @ side.T


def by_faiss(old: recsys.Embeddings, new: recsys.Embeddings) -> tuple[float | None, float | None]:
    """Seconds and the mean overlap, by exact search on both sides."""
    try:
        import faiss
    except ModuleNotFoundError:
        return None, None

    def search() -> float:
        lists = []
        for side in (old.units, new.units):
            index = faiss.IndexFlatIP(side.shape[1])
            index.add(side)
            found = index.search(side, _K + 1)[1]
            own = found == np.arange(len(side))[:, None]
            own[~own.any(axis=1), -1] = True
            lists.append(found[~own].reshape(len(side), _K))
        return float((lists[0][:, :, None] == lists[1][:, None, :]).sum() / lists[0].size)

    faiss.omp_set_num_threads(available_cpus())
    return timed(search)


def measure_retraining(name: str, factors: int, growth: float) -> list[dict[str, Any]]:
    """How near the next version comes to the earlier one, by each way of going on."""
    parts = grown(name, growth)
    if parts is None:
        print(f"{name}: skipped, it is not there")
        return []
    earlier, train, test, how = parts
    anew, few = recsys.ALS(factors=factors, random_state=1), recsys.ALS(factors=factors, iterations=2)
    old_seconds, old = processor_seconds(lambda: recsys.ALS(factors=factors).fit(earlier))
    print(f"{name}, {factors} factors, {len(earlier):,} → {len(train):,} pairs ({how});", end=" ")
    print(f"the earlier: {old_seconds:.1f} s, NDCG@20 {ndcg(old, test):.4f}")
    print(f"  {'':40}{'cosine':>8}{'moved':>8}{'near@10':>9}{'lists@20':>10}{'seconds':>9}{'NDCG@20':>9}")
    ways: dict[str, Callable[[], recsys.Model]] = {
        "the earlier data, another seed": lambda: anew.fit(earlier),
        "the same, aligned": lambda: anew.fit(earlier).align_to(old),
        "anew": lambda: anew.fit(train),
        "anew, aligned": lambda: anew.fit(train).align_to(old),
        "warm start, 2 sweeps": lambda: few.fit(train, warm_start=old),
        "warm start, 2 sweeps, aligned": lambda: few.fit(train, warm_start=old).align_to(old),
    }
    return [retrained_row(name, way, old, *processor_seconds(fit), test) for way, fit in ways.items()]


def grown(name: str, growth: float) -> tuple[recsys.Interactions, recsys.Interactions, recsys.Interactions, str] | None:
    """The log before, the log after, what both are judged on, and how it grew."""
    purchases = REAL_DATA / name / "purchases.parquet"
    if purchases.is_file():
        log = recsys.read_interactions(purchases, weight=False, duplicates="last")
        train, test = recsys.split.temporal(log, cutoff="2011-10-01", unseen="drop")
        times = train.required_timestamps("bench")
        begin = np.quantile(times, 1 - growth)
        days = (times.max() - begin) / 86_400e6
        return train.select(times < begin), train, test, f"the latest {days:.0f} days are new"
    train, test = real(name, "train"), real(name, "test")
    if train is None or test is None:
        return None
    keep = np.random.default_rng(0).random(len(train)) >= growth
    return train.select(keep), train, test, f"{growth:.0%} at random are new"


def retrained_row(
    name: str, way: str, old: recsys.Model, seconds: float, new: recsys.Model, test: recsys.Interactions
) -> dict[str, Any]:
    """cosine, moved: of an item with where it was, as vectors stand; moved in typical lengths of a vector."""
    found, lists = compare(old, new, k=_K), compare(old, new, k=20)
    ids = [id_ for id_ in old.items.to_numpy() if id_ in new.items]
    here, there = old.item_embeddings.take(ids), new.item_embeddings.take(ids)
    typical = np.sqrt((here.vectors.astype(np.float64) ** 2).sum(axis=1).mean())
    row = {
        "data": name,
        "way": way,
        "cosine": float(np.einsum("ij,ij->i", here.units, there.units).mean()),
        "moved": float(np.linalg.norm(here.vectors - there.vectors, axis=1).mean() / typical),
        "overlap": found.measures["overlap"],
        "lists": lists.measures["list_overlap"],
        "seconds": seconds,
        "ndcg": ndcg(new, test),
    }
    print(f"  {way:40}{row['cosine']:8.3f}{row['moved']:8.3f}{row['overlap']:9.3f}{row['lists']:10.3f}", end="")
    print(f"{seconds:9.1f}{row['ndcg']:9.4f}")
    return row


def ndcg(model: recsys.Model, test: recsys.Interactions) -> float:
    """NDCG@20."""
    return float(recsys.evaluate(model, test, metrics=["ndcg@20"]).summary().set_index("metric")["mean"]["ndcg@20"])


def processor_seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that the processors spent on it, of all threads, and what was returned."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what was returned."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
