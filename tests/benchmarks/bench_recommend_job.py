"""`recsys recommend` for many users: rows per second and peak memory by the number of users, beside `implicit`.

    python tests/benchmarks/bench_recommend_job.py [--quick] [--users 100000 1000000]

Synthetic vectors with a decaying spectrum and item norms that grow with popularity; 100,000 items, 64 factors, k = 20, 30
items a user. Each job runs in a process of its own on the same saved model: the peak is that of the process, and the model's
arrays are memory-mapped. `implicit` does what its users do: `recommend` for batches of users (it has no file job), ids looked
up and the same Parquet written by the same library. Both leave out seen items. Quality: the share of equal lists.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import recsys
from recsys.fold_in import WeightedLeastSquares
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.jobs.job_record import peak_memory_bytes

K, FACTORS, OWN = 20, 64, 30
_BATCH = 10_000


def make_model(folder: Path, n_users: int, n_items: int) -> Path:
    """A saved model of vectors that look trained, and a history."""
    path = folder / f"model-{n_users}"
    if path.exists():
        return path
    generator = np.random.default_rng(0)
    scale = (1 / np.sqrt(1 + np.arange(FACTORS))).astype(np.float32)
    popularity = 1 / (10 + np.arange(n_items)) ** 0.8
    norms = (0.5 + popularity / popularity.max()).astype(np.float32)[:, None]
    items = generator.standard_normal((n_items, FACTORS), dtype=np.float32) * scale * norms
    users = generator.standard_normal((n_users, FACTORS), dtype=np.float32) * scale
    own = np.searchsorted(np.cumsum(popularity / popularity.sum()), generator.random((n_users, OWN), np.float32))
    own = np.minimum(own, n_items - 1).astype(np.int32)
    history = Interactions.from_events(
        IdMap(np.arange(n_users), name="user_id"),
        IdMap(np.arange(n_items), name="item_id"),
        np.repeat(np.arange(n_users, dtype=np.int32), OWN),
        own.reshape(-1),
        np.ones(n_users * OWN, np.float32),
    )
    fold_in = WeightedLeastSquares(alpha=1, target=0, unobserved_weight=0.01, regularization=0.01, regularization_exponent=1)
    recsys.Model.from_vectors(history, users, items, fold_in=fold_in).save(path)
    return path


def job_of_recsys(model: str, output: str, *options: str) -> None:
    """The command, in this process, so that its peak can be read."""
    from recsys.jobs.recommend import recommend

    switches = {"reasons": {"with_reasons": True}, "diversity": {"diversity": 0.3}}
    chosen = {name: value for option in options for name, value in switches[option].items()}
    result = recommend(model, output=output, k=K, overwrite=True, num_threads=2, **chosen)
    print(json.dumps({"seconds": result.seconds, "rows": result.n_rows, "peak": peak_memory_bytes()}))


def job_of_implicit(model: str, output: str) -> None:
    """A loop over batches of `implicit`'s recommend, with the same file at its end."""
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    class Factors(MatrixFactorizationBase):
        def fit(self, *_: object, **__: object) -> None:
            raise NotImplementedError

        def save(self, *_: object) -> None:
            raise NotImplementedError

    start = time.perf_counter()
    loaded = recsys.load(model)
    history = loaded.history
    seen = csr_matrix((history.weights, history.indices, history.indptr), shape=(history.n_users, history.n_items))
    ranker = Factors(num_threads=2)
    ranker.user_factors, ranker.item_factors = loaded.user_embeddings.vectors, loaded.item_embeddings.vectors
    user_ids, item_ids = loaded.users.to_numpy(), loaded.items.to_numpy()
    schema = pa.schema([("user_id", pa.int64()), ("item_id", pa.int64()), ("score", pa.float32()), ("rank", pa.int32())])
    rows = 0
    with threadpool_limits(1, "blas"), pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for begin in range(0, len(user_ids), _BATCH):
            batch = np.arange(begin, min(begin + _BATCH, len(user_ids)))
            items, scores = ranker.recommend(batch, seen[batch], N=K, filter_already_liked_items=True)
            ranks = np.tile(np.arange(1, K + 1, dtype=np.int32), len(batch))
            columns = [np.repeat(user_ids[batch], K), item_ids[items.reshape(-1)], scores.reshape(-1), ranks]
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(ranks)
    print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows, "peak": peak_memory_bytes()}))


def measured(*arguments: object) -> dict[str, float]:
    """The report of one job in a process of its own."""
    command = [sys.executable, __file__, "--job", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def share_of_equal_lists(first: Path, second: Path, n_users: int) -> float:
    """Among the first users, how many have the same items in both files."""
    lists = [pq.read_table(path, columns=["item_id"]).column(0).to_numpy()[: n_users * K] for path in (first, second)]
    return float((lists[0].reshape(-1, K) == lists[1].reshape(-1, K)).all(axis=1).mean())


def compare(folder: Path, sizes: list[int], n_items: int) -> None:
    print(f"k = {K}, {n_items:,} items × {FACTORS} factors, 2 threads; peak is that of the process\n")
    print(f"{'job':24} {'users':>10} {'seconds':>9} {'rows/s':>10} {'peak MB':>9} {'of it model':>12}")
    for n_users in sizes:
        model = make_model(folder, n_users, n_items)
        mapped = sum(path.stat().st_size for path in model.rglob("*.npy")) / 1e6
        rates = {}
        jobs = [("recsys", "recsys", []), ("implicit", "implicit", [])]
        if n_users == sizes[0]:
            jobs += [("recsys, reasons", "recsys", ["reasons"]), ("recsys, diversity", "recsys", ["diversity"])]
        for name, job, options in jobs:
            found = measured(job, model, folder / f"{name}.parquet", *options)
            rates[name] = rate = found["rows"] / found["seconds"]
            took = f"{found['seconds']:9.1f} {rate:10,.0f} {found['peak'] / 1e6:9.0f}"
            print(f"{name:24} {n_users:10,} {took} {mapped:12.0f}", flush=True)
        equal = share_of_equal_lists(folder / "recsys.parquet", folder / "implicit.parquet", min(n_users, 10_000))
        print(
            f"  recsys / implicit: {rates['recsys'] / rates['implicit']:.2f} × the rows per second, equal lists {equal:.2%}\n"
        )


def main() -> None:
    jobs = {"recsys": job_of_recsys, "implicit": job_of_implicit}
    if sys.argv[1:2] == ["--job"]:
        jobs[sys.argv[2]](*sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 and 40,000 users of 20,000 items")
    parser.add_argument("--users", type=int, nargs="+", default=[100_000, 1_000_000])
    given = parser.parse_args()
    sizes, n_items = ([10_000, 40_000], 20_000) if given.quick else (given.users, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), sizes, n_items)


if __name__ == "__main__":
    main()
