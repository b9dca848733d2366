"""Seconds a sweep of `recsys.ALS` against the number of factors and of interactions, as a table, a CSV and a plot.

    python tests/benchmarks/cost_curve.py [--factors 32 64 128 256 512 1024] [--shares 0.1 0.2 0.4 0.7 1.0] [--scale 1]
                                          [--output build/cost-curve]

Factors are varied on gowalla (a synthetic set where it is absent), interactions at 64 factors on random shares of a synthetic
set of MovieLens-20M's shape, users and items staying the same. Each point is the median sweep of one fit in a process of its
own. The dashed lines are what a cost linear in the number would be, through the first point.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmark_data import movielens_shape, real
from one_fit import Request, measure

import recsys

_SWEEPS = 5


@dataclass(frozen=True)
class Curve:
    """Seconds a sweep at each of `values` of what `name` says."""

    name: str
    values: list[float]
    seconds: list[float]


def main() -> None:
    """Measures both curves and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", nargs="+", type=int, default=[32, 64, 128, 256, 512, 1024])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.2, 0.4, 0.7, 1.0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the synthetic set's users, items and pairs")
    parser.add_argument("--output", type=Path, default=Path("build/cost-curve"), help="path without suffix")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    gowalla = real("gowalla", "train")
    by_factors = measured("factors", options.factors, gowalla or movielens_shape(0.05), lambda data, factors: (data, factors))
    large = movielens_shape(options.scale)
    shares = [1.0 * len(large) * share for share in options.shares]
    by_pairs = measured("interactions", shares, large, lambda data, pairs: (part(data, round(pairs)), 64))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(options.output.with_suffix(".csv"), [by_factors, by_pairs])
    plot(options.output.with_suffix(".png"), [by_factors, by_pairs])
    print(f"Wrote {options.output.with_suffix('.csv')} and {options.output.with_suffix('.png')}.")


def measured(
    name: str,
    values: Sequence[float],
    data: recsys.Interactions,
    case: Callable[[recsys.Interactions, int], tuple[recsys.Interactions, int]],
) -> Curve:
    """The median sweep for each value; `case` says which data and how many factors a value stands for."""
    seconds = []
    for value in values:
        events, factors = case(data, int(value))
        with tempfile.TemporaryDirectory() as folder:
            events.save(f"{folder}/data")
            seconds.append(measure(Request(f"{folder}/data", "recsys", factors, _SWEEPS)).sweep_seconds)
        print(
            f"  {name} {value:>12,.0f}   {seconds[-1]:7.3f} s a sweep   {1e9 * seconds[-1] / value:9.1f} ns for each one",
            flush=True,
        )
    return Curve(name, [float(value) for value in values], seconds)


def part(data: recsys.Interactions, pairs: int) -> recsys.Interactions:
    """A random part of the pairs; users and items stay."""
    keep = np.zeros(len(data), bool)
    keep[np.random.default_rng(0).choice(len(data), min(pairs, len(data)), replace=False)] = True
    return data.select(keep)


def write_csv(path: Path, curves: list[Curve]) -> None:
    """One line a point."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["varied", "value", "seconds_a_sweep"])
        for curve in curves:
            lines.writerows(
                [curve.name, value, round(spent, 5)] for value, spent in zip(curve.values, curve.seconds, strict=True)
            )


def plot(path: Path, curves: list[Curve]) -> None:
    """Both curves side by side on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(9, 3.6), constrained_layout=True)
    for panel, curve in zip(panels, curves, strict=True):
        first = curve.seconds[0] / curve.values[0]
        panel.loglog(curve.values, curve.seconds, "o-", label="measured")
        panel.loglog(curve.values, [first * value for value in curve.values], "--", color="0.6", label="linear")
        panel.set(xlabel=curve.name, ylabel="seconds a sweep")
        panel.grid(True, which="both", alpha=0.25)
        panel.legend(frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
