"""Aligning and comparing embeddings, beside the products they need and named rivals; what retraining does to them.

    python tests/benchmarks/bench_embeddings.py [--rows 1000000] [--compared 100000] [--dim 128] [--repeats 3]
                                                [--data gowalla lastfm-hetrec] [--factors 64] [--quick] [--json FILE]

align: seconds over those of numpy's one product AᵀB of the same shape over the same threads, which any Procrustes needs, and
over both products that it needs: AᵀB, and turning the vectors into new memory. Beside it scipy.linalg.orthogonal_procrustes
with the turning.
overlap: the mean share of 10 neighbours by cosine that two sets of vectors have in common, all ids; over the bare products, and
over faiss' exact IndexFlatIP on both sides. Vectors are those of a long-tailed spectrum with noise on the second set.
retraining: real data, trained again with another seed, with another seed and aligned, and with 2 sweeps from the earlier
model (warm start). How near the later is to the earlier, and NDCG@20 on the test part beside it. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import real
from scipy.linalg import orthogonal_procrustes
from threadpoolctl import threadpool_limits

import recsys
from recsys.embeddings import compare
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers, available_cpus

_K = 10


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    options = parse()
    print(f"{available_cpus()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    found = {
        "align": measure_alignment(options.rows, options.dim, options.repeats),
        "overlap": measure_overlap(options.compared, options.dim),
        "retraining": [row for name in options.data for row in measure_retraining(name, options.factors)],
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The options; --quick makes all small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--compared", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=["gowalla", "lastfm-hetrec"])
    parser.add_argument("--factors", type=int, default=64)
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
    """Median seconds, taking turns."""
    old, new = two_versions(n, dim)
    rotation = new.alignment_to(old).rotation
    ways: dict[str, Callable[[], Any]] = {
        "product": lambda: blocked_product(new.vectors, old.vectors),
        "products": lambda: (blocked_product(new.vectors, old.vectors), new.vectors @ rotation),
        "ours": lambda: new.align_to(old),
        "scipy": lambda: new.vectors @ orthogonal_procrustes(new.vectors, old.vectors)[0],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            seconds[name].append(timed(way)[0])
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    apart = np.abs(new.align_to(old).vectors - ways["scipy"]()).max()
    print(f"align {n:,} × {dim}: product {medians['product']:.3f} s; ours {medians['ours']:.3f} s,", end=" ")
    print(f"{medians['ours'] / medians['product']:.2f} × the product,", end=" ")
    print(f"{medians['ours'] / medians['products']:.2f} × both products; scipy {medians['scipy']:.3f} s,", end=" ")
    print(f"ours over it {medians['ours'] / medians['scipy']:.2f}; largest difference {apart:.1e}")
    return medians


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


def measure_retraining(name: str, factors: int) -> list[dict[str, Any]]:
    """How near a second training comes to the first, by each way of going on."""
    train, test = real(name, "train"), real(name, "test")
    if train is None or test is None:
        print(f"{name}: skipped, it is not there")
        return []
    before = recsys.ALS(factors=factors).fit(train)
    other = recsys.ALS(factors=factors, random_state=1)
    again = other.fit(train)
    keep = np.random.default_rng(0).random(len(train)) < 0.95
    yesterday = recsys.ALS(factors=factors).fit(train.select(keep))
    pairs = {
        "other seed, as it comes": (before, again),
        "other seed, aligned": (before, again.align_to(before)),
        "same data, 2 sweeps from the earlier": (
            before,
            recsys.ALS(factors=factors, iterations=2).fit(train, warm_start=before),
        ),
        "5 % more data, anew, aligned": (yesterday, again.align_to(yesterday)),
        "5 % more data, 2 sweeps from the earlier": (
            yesterday,
            recsys.ALS(factors=factors, iterations=2).fit(train, warm_start=yesterday),
        ),
    }
    print(f"{name}, {factors} factors; the first model's NDCG@20 {ndcg(before, test):.4f}")
    print(f"  {'':42}{'moved':>8}{'aligned':>9}{'CKA':>7}{'near@10':>9}{'lists@20':>10}{'NDCG@20':>9}")
    return [retrained_row(name, way, *pair, test) for way, pair in pairs.items()]


def retrained_row(name: str, way: str, old: recsys.Model, new: recsys.Model, test: recsys.Interactions) -> dict[str, Any]:
    """moved: the mean distance of an item from where it was, as vectors stand, in typical lengths; aligned: after that."""
    found, lists = compare(old, new, k=_K), compare(old, new, k=20)
    ids = old.items.to_arrow()
    here, there = old.item_embeddings.vectors, new.item_embeddings.take(ids).vectors
    moved = np.linalg.norm(here - there, axis=1).mean() / np.sqrt((here.astype(np.float64) ** 2).sum(axis=1).mean())
    row = {"data": name, "way": way, "moved": float(moved), "ndcg": ndcg(new, test)}
    row |= {key: found.measures[key] for key in ("displacement", "cka", "overlap")}
    row["lists"] = lists.measures["list_overlap"]
    print(f"  {way:42}{moved:8.3f}{row['displacement']:9.3f}{row['cka']:7.3f}{row['overlap']:9.3f}", end="")
    print(f"{row['lists']:10.3f}{row['ndcg']:9.4f}")
    return row


def ndcg(model: recsys.Model, test: recsys.Interactions) -> float:
    """NDCG@20."""
    return float(recsys.evaluate(model, test, metrics=["ndcg@20"]).summary().set_index("metric")["mean"]["ndcg@20"])


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what was returned."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
