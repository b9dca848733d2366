"""Speed of `recsys.GloVe`: pairs a second on one thread, beside the design that was published with the method, and NumPy.

    python tests/benchmarks/bench_glove.py [--quick] [--factors 64] [--epochs 3]

The published program is rebuilt here in its design, in C: vectors and sums of squares in double precision, one pair after the
other from one shuffled list of records of 16 bytes (in memory here, from a file there), items anywhere in the tables. It is
compiled with the options that its own makefile names, and with the faster one that it warns of; without a C compiler its line
says so. All take AdaGrad steps on the same
pairs from the same start, one thread each. Beside the pairs a second, in processor time, stands the mean loss that is reached:
the steps are the same, their order is not. NumPy goes pair by pair over a part of them.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import movielens_shape, real

import recsys

_C_SOURCE = r"""
#include <math.h>
typedef struct { int row, column; double sum; } record;

double pass(const record *pairs, long n, int dim, double *left, double *right, double *left_squares, double *right_squares,
            double rate, double x_max, double exponent)
{
    double total = 0;
    for (long p = 0; p < n; p++) {
        const long i = (long) pairs[p].row * (dim + 1), j = (long) pairs[p].column * (dim + 1);
        double error = left[i + dim] + right[j + dim] - log(pairs[p].sum);
        for (int k = 0; k < dim; k++) error += left[i + k] * right[j + k];
        const double slope = error * (pairs[p].sum > x_max ? 1 : pow(pairs[p].sum / x_max, exponent));
        total += slope * error;
        for (int k = 0; k < dim; k++) {
            const double one = slope * right[j + k], other = slope * left[i + k];
            left[i + k] -= rate * one / sqrt(left_squares[i + k]);
            right[j + k] -= rate * other / sqrt(right_squares[j + k]);
            left_squares[i + k] += one * one;
            right_squares[j + k] += other * other;
        }
        left[i + dim] -= rate * slope / sqrt(left_squares[i + dim]);
        right[j + dim] -= rate * slope / sqrt(right_squares[j + dim]);
        left_squares[i + dim] += slope * slope;
        right_squares[j + dim] += slope * slope;
    }
    return total;
}
"""
_RECORD = np.dtype([("row", np.int32), ("column", np.int32), ("sum", np.float64)])


@contextmanager
def compiled(optimisation: str) -> Iterator[Any]:
    """The C function, or None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "design.c", Path(folder) / "design.so"
        source.write_text(_C_SOURCE, encoding="ascii")
        options = [optimisation, "-march=native", "-funroll-loops", "-fPIC", "-shared"]
        subprocess.run([compiler, *options, str(source), "-o", str(library), "-lm"], check=True)
        function = ctypes.CDLL(str(library))["pass"]
        function.restype = ctypes.c_double
        yield function


def ordered_pairs(run: Any) -> np.ndarray:
    """The pairs of a run in both directions, shuffled, as records."""
    pairs = run._pairs
    both = np.empty(2 * len(pairs.logs), _RECORD)
    both["row"] = np.concatenate([pairs.rows, pairs.columns])
    both["column"] = np.concatenate([pairs.columns, pairs.rows])
    both["sum"] = np.tile(np.exp(pairs.logs.astype(np.float64)), 2)
    return both[np.random.default_rng(0).permutation(len(both))]


def start_tables(run: Any) -> list[np.ndarray]:
    """Where the run begins, in double precision."""
    return [table.astype(np.float64) for table in (run._left, run._right, run._left_squares, run._right_squares)]


def c_pass(function: Any, records: np.ndarray, tables: list[np.ndarray], trainer: recsys.GloVe) -> float:
    """One pass over the records by the C design; the mean loss on the way."""
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in tables]
    settings = [ctypes.c_double(number) for number in (trainer.learning_rate, trainer.x_max, trainer.exponent)]
    size = (ctypes.c_long(len(records)), ctypes.c_int(trainer.factors))
    total = function(ctypes.c_void_p(records.ctypes.data), *size, *pointers, *settings)
    return float(total) / (2 * len(records))


def numpy_pass(records: np.ndarray, tables: list[np.ndarray], trainer: recsys.GloVe) -> float:
    """The same, a pair at a time with NumPy's vectors."""
    left, right, left_squares, right_squares = tables
    total = 0.0
    for row, column, x in records.tolist():
        w, v = left[row], right[column]
        error = w[:-1] @ v[:-1] + w[-1] + v[-1] - np.log(x)
        slope = min(1.0, (x / trainer.x_max) ** trainer.exponent) * error
        total += slope * error
        one, other = slope * np.append(v[:-1], 1), slope * np.append(w[:-1], 1)
        w -= trainer.learning_rate * one / np.sqrt(left_squares[row])
        v -= trainer.learning_rate * other / np.sqrt(right_squares[column])
        left_squares[row] += one**2
        right_squares[column] += other**2
    return total / (2 * len(records))


def measured(name: str, n_pairs: int, epochs: int, train_epoch: Callable[[], float]) -> float:
    """Runs the epochs and prints pairs a second of processor time (of the second epoch on) and the loss; the rate."""
    losses, seconds = [], []
    for _ in range(epochs):
        began = time.process_time()
        losses.append(train_epoch())
        seconds.append(time.process_time() - began)
    rate = n_pairs * len(seconds[1:] or seconds) / sum(seconds[1:] or seconds)
    print(f"  {name:34} {rate / 1e6:7.2f} M pairs/s   loss " + " ".join(f"{loss:.5f}" for loss in losses), flush=True)
    return rate


def against_c(
    optimisation: str, records: np.ndarray, starts: list[np.ndarray], trainer: recsys.GloVe, epochs: int, ours: float
) -> None:
    """The C design compiled with one optimisation, and how many times its rate `ours` is."""
    name = f"the published design in C, {optimisation}"
    with compiled(optimisation) as function:
        if function is None:
            print(f"  {name:34} skipped: there is no C compiler")
            return
        tables = [table.copy() for table in starts]
        theirs = measured(name, len(records), epochs, lambda: c_pass(function, records, tables, trainer))
    print(f"  {'ratio':34} {ours / theirs:7.2f}")


def bench(name: str, data: recsys.Interactions, factors: int, epochs: int) -> None:
    """All contenders on one data set."""
    trainer = recsys.GloVe(factors=factors, num_threads=1)
    began = time.process_time()
    run: Any = trainer.start(data)
    records = ordered_pairs(run)
    seconds = time.process_time() - began
    print(
        f"{name}: {data.n_items:,} items, {len(records):,} ordered pairs (counted and dealt in {seconds:.1f} s), "
        f"{factors} factors"
    )
    starts = start_tables(run)
    ours = measured("recsys.GloVe", len(records), epochs, lambda: run.train_epoch()["loss"])
    for optimisation in ("-O3", "-Ofast"):
        against_c(optimisation, records, starts, trainer, epochs, ours)
    few = records[:20_000]
    numpy_rate = measured("NumPy, pair by pair (a part)", len(few), 1, lambda: numpy_pass(few, starts, trainer))
    print(f"  {'ratio':34} {ours / numpy_rate:7.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Last.fm or a small synthetic log only")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    lastfm, gowalla = real("lastfm-hetrec", "train"), None if options.quick else real("gowalla", "train")
    sets = {"lastfm-hetrec": lastfm, "gowalla": gowalla}
    found = {name: data for name, data in sets.items() if data is not None} or {"synthetic": movielens_shape(0.02)}
    for name, data in found.items():
        bench(name, data, options.factors, options.epochs)


if __name__ == "__main__":
    main()
