"""Time to equal loss, time a sweep and memory of `recsys.ALS` beside its rivals: `make bench`.

    python tests/benchmarks/bench_als.py [--data gowalla movielens-shape] [--scale 1] [--factors 64 128]
                                         [--rivals implicit irspack cmfrec] [--repeats 3] [--json FILE]

The figure: the time in which `recsys.ALS` reaches the loss that the rival has after 15 iterations, over the rival's time. Every
fit runs in a process of its own with as many threads as there are processors; ours and the rival's take turns, medians are
shown. Nothing is asserted: how to read the table stands in README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import REAL_DATA, movielens_shape, real
from gather_floor import sweep_floor
from one_fit import Measurement, Request, measure
from rivals import RIVALS, Rival

import recsys
from recsys.trainers.base import Epoch

# Where our loss is still above the rival's after so many sweeps, it counts as never reached.
MOST_SWEEPS = 40

_WIDTHS = (15, 15, 15, 15, 9, 11, 10, 10)
HEADINGS = "\n".join(
    "  " + words[0].ljust(_WIDTHS[0]) + "".join(word.rjust(width) for word, width in zip(words[1:], _WIDTHS[1:], strict=True))
    for words in (
        ("", "seconds", "a sweep", "MB above data", "sweeps", "time to", "a sweep,", "a sweep,"),
        ("rival", "its / ours", "its / ours", "its / ours", "of ours", "its loss", "ratio", "× floor"),
    )
)


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    data: list[str]
    factors: list[int]
    rivals: list[str]
    iterations: int
    repeats: int
    scale: float
    json: Path | None


def main() -> None:
    """Measures all that was asked for, printing each line when it is known."""
    options = parse()
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    found: dict[str, Any] = {"first_call": first_call(), "data": {}}
    for name in options.data:
        data = load(name, options.scale)
        if data is None:
            print(f"\n{name}: skipped, it is not in {REAL_DATA.parent.name}/{REAL_DATA.name}")
            continue
        print(f"\n{name}: {data}")
        rows = found["data"][name] = []
        for factors in options.factors:
            rows += compare(data, factors, options)
            # After each table, so that an hour of measuring is not lost with the last one.
            if options.json:
                options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def parse() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(rival.library for rival in RIVALS))
    parser.add_argument("--data", nargs="+", default=["gowalla", "movielens-shape"], help="these, or folders of saved datasets")
    parser.add_argument("--factors", nargs="+", type=int, default=[64, 128], help="256 and 512 take long on the large set")
    parser.add_argument("--rivals", nargs="+", choices=names, default=names)
    parser.add_argument("--iterations", type=int, default=15, help="of the rival")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the synthetic set's users, items and pairs")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return Options(**vars(parser.parse_args()))


def load(name: str, scale: float) -> recsys.Interactions | None:
    """The data by name, or from a folder that `Interactions.save` wrote."""
    if name == "movielens-shape":
        return movielens_shape(scale)
    if name == "gowalla":
        return real("gowalla", "train")
    return recsys.Interactions.load(name)


def compare(data: recsys.Interactions, factors: int, options: Options) -> list[dict[str, Any]]:
    """One row a rival at one number of factors."""
    floor, bandwidth = sweep_floor(data, factors)
    print(
        f"\n  {factors} factors; fetching every vector once a half sweep: {floor:.3f} s a sweep at {bandwidth / 1e9:.1f} GB/s"
    )
    print(HEADINGS)
    rows = []
    for rival in RIVALS:
        if rival.library not in options.rivals:
            continue
        if not rival.is_there:
            print(f"  {rival.name:15} skipped: {rival.library} is not installed; see README.md")
            continue
        row = {"factors": factors, "floor_seconds": floor, "gather_bytes_a_second": bandwidth}
        row |= race(data, factors, rival, options)
        show(row)
        rows.append(row)
    return rows


def race(data: recsys.Interactions, factors: int, rival: Rival, options: Options) -> dict[str, Any]:
    """The rival trains, its loss is computed, and ours trains to that loss; then both again, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        data.save(f"{folder}/data")
        theirs = Request(f"{folder}/data", rival.library, factors, options.iterations, rival.settings, folder)
        fits: dict[str, list[Measurement]] = {"theirs": [measure(theirs)], "ours": []}
        users, items = (np.load(f"{folder}/{side}.npy") for side in ("users", "items"))
        target = rival.objective.loss(data, users, items)
        sweeps, reached = sweeps_to(target, data, rival, factors)
        ours = Request(f"{folder}/data", "recsys", factors, sweeps, rival.objective.settings)
        for turn in range(options.repeats):
            if turn:
                fits["theirs"].append(measure(replace(theirs, output=None)))
            fits["ours"].append(measure(ours))
    medians = {side: median(runs) for side, runs in fits.items()}
    result = {"rival": rival.name, "their_loss": target, "our_loss": reached, "our_sweeps": sweeps}
    return result | {side: asdict(fit) for side, fit in medians.items()}


def sweeps_to(target: float, data: recsys.Interactions, rival: Rival, factors: int) -> tuple[int, float]:
    """After how many sweeps the finished model's loss is at most `target`, and that loss; MOST_SWEEPS if it never is."""
    reached: list[float] = []

    def enough(epoch: Epoch) -> bool:
        model = epoch.snapshot()
        reached.append(rival.objective.loss(data, model.user_embeddings.vectors, model.item_embeddings.vectors))
        return reached[-1] <= target

    recsys.ALS(factors=factors, iterations=MOST_SWEEPS, **rival.objective.settings).fit(data, callback=enough)
    return len(reached), reached[-1]


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    theirs, ours = (Measurement(**row[side]) for side in ("theirs", "ours"))
    pairs = (
        f"{theirs.seconds:.2f} / {ours.seconds:.2f}",
        f"{theirs.sweep_seconds:.3f} / {ours.sweep_seconds:.3f}",
        f"{theirs.above_bytes / 1e6:.0f} / {ours.above_bytes / 1e6:.0f}",
    )
    came_there = row["our_loss"] <= row["their_loss"]
    ratio = f"{ours.seconds / theirs.seconds:.2f}" if came_there else "never"
    sweep, floor = ours.sweep_seconds / theirs.sweep_seconds, ours.sweep_seconds / row["floor_seconds"]
    cells = (*pairs, str(row["our_sweeps"]), ratio, f"{sweep:.2f}", f"{floor:.1f}")
    print("  " + row["rival"].ljust(_WIDTHS[0]), end="")
    print("".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS[1:], strict=True)), flush=True)


def median(fits: list[Measurement]) -> Measurement:
    """The median of each number."""
    columns = zip(*(asdict(fit).values() for fit in fits), strict=True)
    return Measurement(*(statistics.median(column) for column in columns))


_FIRST_FIT = """
import time
began = time.perf_counter()
import recsys
from recsys.trainers.base import Epoch
from recsys.datasets import make_events
trainer, events = recsys.ALS(factors=8, iterations=1), make_events(50, 50, 500, timestamps=False)
imported = time.perf_counter()
trainer.fit(recsys.read_interactions(events))
print(imported - began, time.perf_counter() - imported)
"""


def first_call() -> dict[str, float]:
    """Seconds from a table of 500 events to a model in a new process: with nothing compiled before, and with everything."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        runs = []
        for _ in range(2):
            command = [sys.executable, "-c", _FIRST_FIT]
            child = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            runs.append([float(value) for value in child.stdout.split()])
    (importing, cold), (_, warm) = runs
    print(f"first fit in a new process: {cold:.1f} s when kernels must be compiled, {warm:.2f} s from the cache", end="")
    print(f" (and {importing:.1f} s to import)")
    return {"import_seconds": importing, "cold_seconds": cold, "warm_seconds": warm}


if __name__ == "__main__":
    main()
