"""Lists by weights between items, and how these are learnt, beside scipy and implicit in the same run: `make bench`.

    python tests/benchmarks/bench_item_item.py [--quick] [--repeats 3] [--threads N] [--json FILE]

Sparse weights are those of item-kNN on gowalla where it lies beside the project, else on made-up data of MovieLens-20M's shape;
dense ones those of EASE on a part of the made-up data. Each contender makes top-20 lists of the same users with what they have
seen removed. scipy's way is the usual one: `rows @ weights`, -inf where seen, argpartition, in blocks of 512 users; implicit's
neighbours are its own (an item speaks for its nearest, where ours is spoken for by its nearest), so its lists are others, and
recall on held-out pairs stands beside. Processor seconds are given too: on a busy machine only those mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from benchmark_data import movielens_shape, real

import recsys
from recsys.kernels import inverse
from recsys.model import ItemItemModel
from recsys.retrieval.item_item import DenseWeights, SparseWeights

K, NEIGHBOURS = 20, 100
_USERS_AT_ONCE = 512
_QUICK = 0.03

Lists = np.ndarray  # (n_users, K) item positions


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of the made-up data, once")
    parser.add_argument("--repeats", type=int, default=3, help="the median is shown")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of ours and of implicit; scipy has one")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    found = {"sparse": sparse(options), "dense": dense(options)}
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def sparse(options: argparse.Namespace) -> dict[str, Any]:
    """Item-kNN: training, and lists."""
    train, test = (None, None) if options.quick else (real("gowalla", "train"), real("gowalla", "test"))
    if train is None or test is None:
        train, test = recsys.split.random(movielens_shape(_QUICK if options.quick else 0.3), random_state=0)
    print(f"\nitem-kNN, {NEIGHBOURS} neighbours by cosine\n{train}")
    trainer = recsys.ItemKNN(neighbours=NEIGHBOURS, num_threads=options.threads)
    trainer.fit(movielens_shape(0.01))  # compiles
    rows = {"recsys.ItemKNN.fit": timed(lambda: trainer.fit(train), options.repeats)}
    model = trainer.fit(train)
    rival = implicit_cosine(train, options.threads)
    if rival is None:
        print("  implicit skipped: it is not installed")
    else:
        rows["implicit CosineRecommender.fit"] = timed(rival[0], options.repeats)
    show(rows)
    makers = {"recsys": ours(model, options.threads), "scipy": scipy_lists(model)}
    if rival is not None:
        makers["implicit"] = rival[1]
    return {"fit": rows, "lists": lists_of(makers, model, test, options.repeats)}


def dense(options: argparse.Namespace) -> dict[str, Any]:
    """EASE: training beside the inverse by LAPACK, and lists."""
    train, test = recsys.split.random(movielens_shape(_QUICK if options.quick else 0.25), random_state=0)
    print(f"\nEASE\n{train}")
    trainer = recsys.EASE(regularization=200.0, num_threads=options.threads)
    trainer.fit(movielens_shape(0.01))
    matrix = train.to_csr()
    matrix.data[:] = 1

    def by_numpy() -> np.ndarray:
        product = (matrix.T @ matrix).toarray()
        product[np.diag_indices_from(product)] += 200.0
        inverted = np.linalg.inv(product)
        return np.asarray(np.eye(len(product), dtype=np.float32) - inverted / np.diag(inverted))

    rows = {"recsys.EASE.fit": timed(lambda: trainer.fit(train), options.repeats)}
    rows["scipy product, numpy.linalg.inv (float32)"] = timed(by_numpy, options.repeats)
    show(rows)
    model = trainer.fit(train)
    farthest = np.abs(model.weights.values - by_numpy()).max()
    print(f"  in {-(-train.n_items // inverse.PIVOT_ROWS)} blocks; farthest from numpy {farthest:.1e}")
    makers = {"recsys": ours(model, options.threads), "scipy": scipy_lists(model)}
    return {"fit": rows, "lists": lists_of(makers, model, test, options.repeats)}


def ours(model: ItemItemModel, threads: int) -> Callable[[], Lists]:
    """The model's own lists."""
    users = np.arange(len(model.users))
    return lambda: model.rank(users, K, num_threads=threads).positions


def scipy_lists(model: ItemItemModel) -> Callable[[], Lists]:
    """The same lists by the usual way."""
    history = model.history.to_csr()
    history.data[:] = 1
    weights: Any
    if isinstance(model.weights, DenseWeights):
        weights = model.weights.values
    elif isinstance(model.weights, SparseWeights):
        parts = (model.weights.values, model.weights.indices, model.weights.indptr)
        weights = scipy.sparse.csr_array(parts, shape=(len(model.items),) * 2)

    def lists() -> Lists:
        blocks = []
        for start in range(0, history.shape[0], _USERS_AT_ONCE):
            rows = history[start : start + _USERS_AT_ONCE]
            scores = rows @ weights
            scores = scores.toarray() if scipy.sparse.issparse(scores) else scores
            scores[rows.nonzero()] = -np.inf
            best = np.argpartition(scores, -K, axis=1)[:, -K:]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
            blocks.append(np.take_along_axis(best, order, axis=1))
        return np.concatenate(blocks)

    return lists


def implicit_cosine(train: recsys.Interactions, threads: int) -> tuple[Callable[[], Any], Callable[[], Lists]] | None:
    """Training and lists of implicit's own; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from implicit.nearest_neighbours import CosineRecommender
    except ImportError:
        return None
    matrix = scipy.sparse.csr_matrix(train.to_csr())
    matrix.data[:] = 1

    def fit() -> Any:
        model = CosineRecommender(K=NEIGHBOURS, num_threads=threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it converts its own intermediate results, and says so
            model.fit(matrix, show_progress=False)
        return model

    trained = fit()
    users = np.arange(train.n_users)
    return fit, lambda: trained.recommend(users, matrix, N=K)[0]


def timed(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median seconds and processor seconds of a call."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return {"seconds": statistics.median(walls), "processor_seconds": statistics.median(processors)}


def show(rows: dict[str, dict[str, float]]) -> None:
    """Seconds and the ratio to the first."""
    first = next(iter(rows.values()))
    for name, row in rows.items():
        print(
            f"  {name:44}{row['seconds']:9.3f} s  × {row['seconds'] / first['seconds']:<7.1f}"
            f"processor {row['processor_seconds']:9.3f} s  × {row['processor_seconds'] / first['processor_seconds']:.1f}"
        )


def lists_of(
    makers: dict[str, Callable[[], Lists]], model: ItemItemModel, test: recsys.Interactions, repeats: int
) -> dict[str, Any]:
    """Times of all contenders, recall on held-out pairs, and how many places are those of ours."""
    held_out, found = _held_out(model, test), {}
    print(f"  top-{K} lists of {len(model.users):,} users")
    rows, lists = {}, {}
    for name, make in makers.items():
        lists[name] = make()
        rows[name] = timed(make, repeats)
    show(rows)
    for name in makers:
        same = float((lists[name] == lists["recsys"]).mean())
        found[name] = {**rows[name], "recall": _recall(lists[name], held_out), "same_places": same}
        print(f"  {name:44}recall@{K} {found[name]['recall']:.4f}, {same:.2%} of all places as ours")
    return found


def _held_out(model: ItemItemModel, test: recsys.Interactions) -> scipy.sparse.csr_array:
    """(n_users, n_items) of the model, 1 for a held-out pair that it knows."""
    users, items = (
        ids.positions(others, unknown="ignore") for ids, others in ((model.users, test.users), (model.items, test.items))
    )
    rows, columns = users[test.row_positions()], items[test.indices]
    known = (rows >= 0) & (columns >= 0)
    shape = len(model.users), len(model.items)
    return scipy.sparse.csr_array((np.ones(known.sum()), (rows[known], columns[known])), shape=shape)


def _recall(lists: Lists, held_out: scipy.sparse.csr_array) -> float:
    counts = np.diff(held_out.indptr)
    rows = np.repeat(np.arange(len(lists)), K)
    hits = np.asarray(held_out[rows, lists.ravel()]).reshape(lists.shape).sum(axis=1)
    return float((hits[counts > 0] / counts[counts > 0]).mean())


if __name__ == "__main__":
    main()
