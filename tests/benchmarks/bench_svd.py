"""Time, memory and captured energy of `recsys.SVD` beside scikit-learn's TruncatedSVD and scipy's svds.

    python tests/benchmarks/bench_svd.py [--data movielens-shape gowalla] [--scale 1] [--factors 128] [--repeats 3]
                                         [--rivals sklearn scipy] [--quick] [--json FILE]

All decompose the same matrix R, unweighted, in float32. What each found is judged by the energy that its right vectors V
capture, ‖R V‖² / ‖R‖², with V orthonormalised. scikit-learn runs its randomised solver with its own defaults, scipy ARPACK,
which is as good as exact. Ours is timed with its defaults, and with the fewest iterations that capture no less than each rival,
beside scipy no less but for a thousandth. Every fit runs in a process of its own with as many threads as there are processors;
medians are shown. Nothing is asserted: how to read such a table stands in README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_als import load
from benchmark_data import REAL_DATA
from memory import peak_bytes, resident_bytes

import recsys
from recsys.trainers.base import Epoch

# The share of a rival's energy that counts as equal. Past a thousandth nothing in a list changes.
RIVALS = {"sklearn": 1.0, "scipy": 0.999}
MOST_ITERATIONS = 30
_HEADINGS = ("", "seconds", "processor s", "MB above data", "captured", "ours, ratio to it")
_WIDTHS = (34, 10, 13, 15, 11, 20)


@dataclass(frozen=True)
class Request:
    """data : a saved dataset. library : a name in `LIBRARIES`. iterations : of ours; None for its default."""

    data: str
    library: str
    factors: int
    iterations: int | None = None


@dataclass(frozen=True)
class Found:
    """seconds, processor_seconds : of the fit. above_bytes : its peak less what the process held before. energy : captured."""

    seconds: float
    processor_seconds: float
    above_bytes: int
    energy: float


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        print(json.dumps(asdict(in_child(Request(**json.loads(sys.argv[1]))))))
        return
    options = parse()
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    found: dict[str, Any] = {}
    for name in options.data:
        data = load(name, options.scale)
        if data is None:
            print(f"\n{name}: skipped, it is not in {REAL_DATA.parent.name}/{REAL_DATA.name}")
            continue
        print(f"\n{name}: {data}")
        for factors in options.factors:
            found[f"{name}, {factors}"] = compare(data, factors, options)
            if options.json:
                options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["movielens-shape", "gowalla"], help="these, or folders of datasets")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the synthetic set's users, items and pairs")
    parser.add_argument("--factors", nargs="+", type=int, default=[128])
    parser.add_argument("--rivals", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the synthetic set, 32 factors, once: under a minute")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    if options.quick:
        options.data, options.scale, options.factors, options.repeats = ["movielens-shape"], 0.1, [32], 1
    return options


def compare(data: recsys.Interactions, factors: int, options: argparse.Namespace) -> dict[str, Any]:
    """The table at one number of factors."""
    print(f"\n  {factors} factors\n  " + "".join(text.ljust(w) for text, w in zip(_HEADINGS, _WIDTHS, strict=True)).rstrip())
    with tempfile.TemporaryDirectory() as folder:
        data.save(f"{folder}/data")
        ours = Request(f"{folder}/data", "recsys", factors)
        rows = {"recsys.SVD, defaults": measured(ours, options.repeats)}
        show("recsys.SVD, defaults", rows["recsys.SVD, defaults"], None)
        energies = energies_by_iteration(data, factors)
        for library in options.rivals:
            if importlib.util.find_spec(library) is None:
                print(f"  {library}: skipped, it is not installed")
                continue
            theirs = measured(replace(ours, library=library), options.repeats)
            wanted = RIVALS[library] * theirs.energy
            enough = next((n for n, energy in enumerate(energies, 1) if energy >= wanted), MOST_ITERATIONS)
            equal = measured(replace(ours, iterations=enough), options.repeats)
            rows |= {library: theirs, f"recsys.SVD to {library}": equal}
            show(library, theirs, None)
            show(f"recsys.SVD, {enough} iterations", equal, theirs)
    return {name: asdict(row) for name, row in rows.items()}


def energies_by_iteration(data: recsys.Interactions, factors: int) -> list[float]:
    """The captured share after each iteration."""
    energies: list[float] = []

    def note(epoch: Epoch) -> None:
        energies.append(epoch.measured["energy"])

    recsys.SVD(factors=factors, iterations=MOST_ITERATIONS, weighting="none").fit(data, callback=note)
    return energies


def measured(request: Request, repeats: int) -> Found:
    """The median of fits in child processes. A failure there is raised here with what it said."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, json.dumps(asdict(request))]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        if child.returncode:
            raise RuntimeError(f"{request.library} ended with exit code {child.returncode}:\n{child.stderr}")
        runs.append(Found(**json.loads(child.stdout.splitlines()[-1])))
    return Found(*(statistics.median(values) for values in zip(*(asdict(run).values() for run in runs), strict=True)))


def show(name: str, row: Found, rival: Found | None) -> None:
    """One line of the table."""
    cells = [name, f"{row.seconds:.2f}", f"{row.processor_seconds:.2f}", f"{row.above_bytes / 1e6:.0f}", f"{row.energy:.5f}"]
    if rival is not None:
        cells.append(f"{row.seconds / rival.seconds:.3f}")
    print("  " + "".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)).rstrip(), flush=True)


# ---- in the child -----------------------------------------------------------------------------------------------


def in_child(request: Request) -> Found:
    """Decomposes as asked, after once on next to nothing: imports, thread pools and compiled code are then there."""
    stored = recsys.Interactions.load(request.data, verify=False)
    # In memory, not mapped: what is read from a file anew during the fit would count as the fit's memory.
    data = replace(stored, **{name: np.array(array) for name, array in stored.arrays().items()})
    LIBRARIES[request.library](data.select(data.row_positions() < 50), replace(request, factors=4))()
    fit = LIBRARIES[request.library](data, request)
    before, began, processor = resident_bytes(), time.perf_counter(), time.process_time()
    right = fit()
    seconds, processor_seconds, above = time.perf_counter() - began, time.process_time() - processor, peak_bytes() - before
    basis = np.linalg.qr(np.asarray(right, np.float64))[0]
    energy = sum(float(((rows @ basis) ** 2).sum()) for rows in stretches(data.to_csr()))
    return Found(seconds, processor_seconds, above, energy / float((data.weights.astype(np.float64) ** 2).sum()))


def stretches(matrix: Any, size: int = 10_000) -> Any:
    """Rows of a sparse matrix, some at a time."""
    for start in range(0, matrix.shape[0], size):
        yield matrix[start : start + size]


def fit_recsys(data: recsys.Interactions, request: Request) -> Callable[[], np.ndarray]:
    """`recsys.SVD`: the clock holds the whole `fit`, users' vectors and provenance included."""
    settings = {} if request.iterations is None else {"iterations": request.iterations}
    trainer = recsys.SVD(factors=request.factors, weighting="none", **settings)
    return lambda: trainer.fit(data).item_embeddings.vectors


def fit_sklearn(data: recsys.Interactions, request: Request) -> Callable[[], np.ndarray]:
    """`TruncatedSVD` with its defaults: five power iterations, ten more directions than asked for; fit_transform, as ours."""
    from sklearn.decomposition import TruncatedSVD

    matrix, solver = data.to_csr(), TruncatedSVD(request.factors, random_state=0)

    def fit() -> np.ndarray:
        solver.fit_transform(matrix)
        return solver.components_.T

    return fit


def fit_scipy(data: recsys.Interactions, request: Request) -> Callable[[], np.ndarray]:
    """`svds` with its default solver, ARPACK."""
    from scipy.sparse.linalg import svds

    matrix = data.to_csr()
    return lambda: svds(matrix, k=request.factors, random_state=0)[2].T


LIBRARIES = {"recsys": fit_recsys, "sklearn": fit_sklearn, "scipy": fit_scipy}


if __name__ == "__main__":
    main()
