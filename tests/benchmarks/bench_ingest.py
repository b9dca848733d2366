"""Time and peak memory of a CSV log → sparse matrix: `read_interactions` beside pandas + factorize + scipy.

    python tests/benchmarks/bench_ingest.py [--rows 20000000] [--repeats 3] [--ids integer|text|both]

Each run is a child process of its own: the time is that of the work without imports, the memory the peak of the whole
process. Runs alternate; medians are printed. That both give the same matrix is checked on the way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from memory import peak_bytes

N_USERS, N_ITEMS = 138_493, 26_744


def main() -> None:
    """Writes the log, runs the contenders, prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ids", choices=("integer", "text", "both"), default="both")
    parser.add_argument("--child", choices=tuple(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.path)))
        return
    for kind in ("integer", "text") if options.ids == "both" else (options.ids,):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.csv"
            write_log(path, 1000, kind)
            measure_in_child("recsys", path)  # compiles the kernels, if they are not in numba's cache yet
            write_log(path, options.rows, kind)
            print(f"{options.rows:,} rows, {kind} ids, {path.stat().st_size / 1e6:,.0f} MB of CSV")
            report(path, options.repeats)


def write_log(path: Path, n_rows: int, kind: str) -> None:
    """A log in random order with popular and rare items; text ids have 12 characters."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as handle:
        for start in range(0, n_rows, 1_000_000):
            n = min(1_000_000, n_rows - start)
            users = pa.array(rng.integers(0, N_USERS, n))
            items = pa.array((rng.random(n) ** 3 * N_ITEMS).astype(np.int64))
            if kind == "text":
                users, items = _as_text("user", users), _as_text("item", items)
            table = pa.table({"user_id": users, "item_id": items, "weight": rng.integers(1, 6, n)})
            pyarrow.csv.write_csv(table, handle, pyarrow.csv.WriteOptions(include_header=start == 0, quoting_style="none"))


def _as_text(prefix: str, numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(numbers.cast(pa.string()), 8, "0"), "")


def report(path: Path, repeats: int) -> None:
    """Runs each contender `repeats` times in turn and prints medians and ratios."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(repeats):
        for name in CONTENDERS:
            found[name].append(measure_in_child(name, path))
    sums = {run["sha256"] for runs in found.values() for run in runs}
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("seconds", "peak_mb")}
        for name, runs in found.items()
    }
    for name, row in medians.items():
        print(f"  {name:8} {row['seconds']:6.2f} s   {row['peak_mb']:6.0f} MB peak")
    ours, theirs = medians["recsys"], medians["pandas"]
    print(f"  {theirs['seconds'] / ours['seconds']:.2f} × faster, {ours['peak_mb'] / theirs['peak_mb']:.2f} of the peak memory")
    print("  the results are equal" if len(sums) == 1 else "  THE RESULTS DIFFER")


def measure_in_child(name: str, path: Path) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--child", name, "--path", str(path)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(name: str, path: str) -> dict[str, Any]:
    """One run in this process: seconds, peak memory in MB, SHA-256 of the result."""
    work = CONTENDERS[name]()
    begin = time.perf_counter()
    indptr, indices, weights = work(path)
    seconds = time.perf_counter() - begin
    peak_mb = peak_bytes() / 1e6
    digest = hashlib.sha256()
    for array, dtype in ((indptr, np.int64), (indices, np.int32), (weights, np.float32)):
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return {"seconds": seconds, "peak_mb": peak_mb, "sha256": digest.hexdigest()}


def _recsys() -> Any:
    from recsys.ingest import read_interactions

    def work(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        data = read_interactions(path)
        return data.indptr, data.indices, data.weights

    return work


def _pandas() -> Any:
    import pandas as pd
    import scipy.sparse

    def work(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        frame = pd.read_csv(path)
        users, user_ids = pd.factorize(frame["user_id"])
        items, item_ids = pd.factorize(frame["item_id"])
        weights = frame["weight"].to_numpy(np.float32)
        matrix = scipy.sparse.csr_matrix((weights, (users, items)), shape=(len(user_ids), len(item_ids)))
        matrix.sum_duplicates()
        return matrix.indptr, matrix.indices, matrix.data

    return work


CONTENDERS = {"recsys": _recsys, "pandas": _pandas}

if __name__ == "__main__":
    main()
