"""Every user's exact top-k with what they have seen left out, beside the bare matrix product and implicit: `make bench`.

    python tests/benchmarks/bench_retrieval.py [--data gowalla movielens-shape random] [--scale 1] [--factors 128] [--k 20 100]
                                               [--repeats 3] [--rivals implicit] [--json FILE]

The bare product is numpy's float32 matrix product of the same shape, in blocks of 1,000 users over the same number of
threads, its result thrown away: no list, no filter. Ratios are ours over theirs, so smaller is better for us. "random" are
items of equal norm without structure, where nothing can be skipped. Ours and theirs take turns, medians are shown. Nothing is
asserted; how far implicit's lists agree with ours stands beside its time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse
from benchmark_data import movielens_shape, real

import recsys
from recsys.parallel import Workers, available_cpus
from recsys.retrieval import RankedLists, top_k

_PRODUCT_ROWS = 1000


@dataclass(frozen=True)
class Vectors:
    """Users and items, (n, dim) float32 each, and what the users have seen."""

    users: np.ndarray
    items: np.ndarray
    seen: scipy.sparse.csr_matrix

    @property
    def seen_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """As `top_k` takes it."""
        return self.seen.indptr.astype(np.int64), self.seen.indices


@dataclass(frozen=True)
class Row:
    """Median seconds of one shape and k. agreement : the share of implicit's places that hold the same item as ours."""

    data: str
    n_users: int
    n_items: int
    factors: int
    k: int
    product_seconds: float
    our_seconds: float
    implicit_seconds: float | None = None
    agreement: float | None = None


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    options = parse()
    print(f"{available_cpus()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    print(f"{'data':18}{'users × items':>20}{'dim':>5}{'k':>5}{'product':>9}{'ours':>8}{'ratio':>7}{'implicit':>10}", end="")
    print(f"{'ratio':>7}{'same places':>13}")
    rows = []
    for name in options.data:
        for factors in options.factors:
            vectors = load(name, options.scale, factors)
            if vectors is None:
                print(f"{name:18} skipped: it is not there")
                continue
            for k in options.k:
                rows.append(measure(name, vectors, k, options.repeats, "implicit" in options.rivals))
                show(rows[-1])
                if options.json:
                    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["gowalla", "movielens-shape", "random"])
    parser.add_argument("--factors", nargs="+", type=int, default=[128])
    parser.add_argument("--k", nargs="+", type=int, default=[20, 100])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rivals", nargs="*", choices=["implicit"], default=["implicit"])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the synthetic sets' users and items")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args()


def load(name: str, scale: float, factors: int) -> Vectors | None:
    """Vectors that `recsys.ALS` trained on the data, or random ones."""
    data = real("gowalla", "train") if name == "gowalla" else movielens_shape(scale)
    if data is None:
        return None
    seen = scipy.sparse.csr_matrix(data.to_csr())
    if name == "random":
        generator = np.random.default_rng(0)
        users, items = (generator.standard_normal((n, factors), dtype=np.float32) for n in data.shape)
        return Vectors(users, items / np.linalg.norm(items, axis=1, keepdims=True), seen)
    model = recsys.ALS(factors=factors).fit(data)
    return Vectors(model.user_embeddings.vectors, model.item_embeddings.vectors, seen)


def measure(name: str, vectors: Vectors, k: int, repeats: int, with_implicit: bool) -> Row:
    """Medians over turns of the product, ours and implicit's."""
    few = Vectors(vectors.users[:100], vectors.items, vectors.seen[:100])
    ours(few, k)  # compiled before the clock starts
    seconds: dict[str, list[float]] = {"product": [], "ours": [], "implicit": []}
    agreement = None
    for _ in range(repeats):
        seconds["product"].append(timed(lambda: bare_product(vectors))[0])
        spent, lists = timed(lambda: ours(vectors, k))
        seconds["ours"].append(spent)
        if with_implicit:
            spent, theirs = timed(lambda: implicit_lists(vectors, k))
            seconds["implicit"].append(spent)
            agreement = float((theirs == lists.positions).mean())
    medians = {side: statistics.median(values) for side, values in seconds.items() if values}
    shape = (len(vectors.users), len(vectors.items), vectors.items.shape[1])
    return Row(name, *shape, k, medians["product"], medians["ours"], medians.get("implicit"), agreement)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds and result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def ours(vectors: Vectors, k: int) -> RankedLists:
    """All users' lists, from the bare arrays: arranging the items is inside the clock."""
    return top_k(vectors.users, vectors.items, k, seen=vectors.seen_rows)


def bare_product(vectors: Vectors) -> None:
    """users @ items.T, block by block into one buffer a thread."""
    columns = vectors.items.T
    starts = range(0, len(vectors.users), _PRODUCT_ROWS)
    with Workers() as workers:
        share = [starts[first :: workers.num_threads] for first in range(workers.num_threads)]

        def multiply(mine: range) -> None:
            buffer = np.empty((_PRODUCT_ROWS, len(vectors.items)), np.float32)
            for start in mine:
                rows = vectors.users[start : start + _PRODUCT_ROWS]
                np.matmul(rows, columns, out=buffer[: len(rows)])

        workers.map(multiply, share)


def implicit_lists(vectors: Vectors, k: int) -> np.ndarray:
    """implicit's `recommend` for all users, as its own documentation does it."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=vectors.items.shape[1], num_threads=available_cpus())
    model.user_factors, model.item_factors = vectors.users, vectors.items
    return model.recommend(np.arange(len(vectors.users)), vectors.seen, N=k, filter_already_liked_items=True)[0]


def show(row: Row) -> None:
    """One line of the table."""
    print(f"{row.data:18}{f'{row.n_users:,} × {row.n_items:,}':>20}{row.factors:5}{row.k:5}", end="")
    print(f"{row.product_seconds:8.2f}s{row.our_seconds:7.2f}s{row.our_seconds / row.product_seconds:7.2f}", end="")
    if row.implicit_seconds is not None:
        ratio = row.our_seconds / row.implicit_seconds
        print(f"{row.implicit_seconds:9.2f}s{ratio:7.2f}{100 * (row.agreement or 0):12.2f}%", end="")
    print(flush=True)


if __name__ == "__main__":
    main()
