"""Settings of `recsys.ALS` chosen by several validation cuts at once: `python tests/benchmarks/als_cuts.py lastfm-hetrec`.

One cut of a small set does not tell settings apart that lie close together. Here each setting alone is moved by steps, from
what `als_limit.py` came to, as long as the mean NDCG over five cuts gains: the set's own validation part, and four others, each
an eighth drawn from what can be trained on and that part together. The sweep is chosen with the settings, by the same mean. The
test set has no part in it. Half an hour on Last.fm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from als_trials import METRICS, Settings, described, held_out

import recsys
from recsys.trainers.base import Epoch

CUTS, SHARE, FIRST_SWEEP, SWEEPS = 5, 0.125, 3, 7
# Where the search begins, and the steps by which a setting is moved: factors, or distances.
STARTS = {
    "lastfm-hetrec": Settings(128, 0.0112, 0.0572, 1.0, -0.2, 0.0),
    "gowalla": Settings(128, 0.0067, 0.03, 0.75, -0.25, -0.35),
}
FACTOR_STEPS = {"unobserved_weight": (1.35, 1 / 1.35), "regularization": (1.3, 1 / 1.3), "factors": (2,)}
DISTANCE_STEPS = {
    "user_exponent": (-0.1, 0.1),
    "item_exponent": (-0.1, 0.1),
    "relaxation": (-0.4,),
    "regularization_exponent": (-0.1,),
}
LEAST = {"relaxation": 0.9, "regularization_exponent": 0.6}
# A move must gain this much: less is what another seed would give.
WORTH = 0.0002


@dataclass(frozen=True)
class Point:
    """Settings, and how far rows go on past their minimum."""

    settings: Settings
    relaxation: float = 1.4


def main() -> None:
    """Moves the settings until no move gains, or time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=STARTS)
    parser.add_argument("--most-factors", type=int, default=512)
    parser.add_argument("--minutes", type=float, default=60, help="no further training begins after so many")
    options = parser.parse_args()
    cuts, metric, end = list(cuts_of(options.data)), METRICS[options.data][1], time.monotonic() + 60 * options.minutes
    tried: dict[Point, float] = {}

    def value(point: Point) -> float:
        if point not in tried:
            means = mean_curve(point, cuts, metric)
            tried[point] = float(means.max())
            words = f"{described(point.settings)}  ω {point.relaxation:g}"
            print(f"{words}  sweep {FIRST_SWEEP + means.argmax()}  {means.max():.5f}", flush=True)
        return tried[point]

    best, before = Point(STARTS[options.data]), -np.inf
    while value(best) > before + WORTH and time.monotonic() < end:
        before = value(best)
        for name, step in moves():
            while (point := moved(best, name, step)) is not None and time.monotonic() < end:
                if point.settings.factors > options.most_factors or value(point) <= value(best) + WORTH:
                    break
                best = point
    print(f"\nchosen: {described(best.settings)}  ω {best.relaxation:g}  {value(best):.5f}")


def cuts_of(name: str) -> Iterator[tuple[recsys.Interactions, recsys.Interactions]]:
    """What is trained on and judged by, once a cut."""
    train, valid = held_out(name)
    yield train, valid
    both = train.merge(valid)
    for seed in range(1, CUTS):
        cut = recsys.split.random(both, test_fraction=SHARE, random_state=seed)
        yield cut.train, cut.test


def moves() -> Iterator[tuple[str, float]]:
    """Each setting with each of its steps."""
    for steps in (FACTOR_STEPS, DISTANCE_STEPS):
        for name, sizes in steps.items():
            yield from ((name, size) for size in sizes)


def moved(point: Point, name: str, step: float) -> Point | None:
    """The neighbour in one setting; None where that would leave its range."""
    if name == "relaxation":
        found = round(point.relaxation + step, 3)
        return replace(point, relaxation=found) if found >= LEAST[name] else None
    old = getattr(point.settings, name)
    new = type(old)(round(old * step, 5) if name in FACTOR_STEPS else round(old + step, 3))
    if new < LEAST.get(name, -np.inf):
        return None
    return replace(point, settings=replace(point.settings, **{name: new}))


def mean_curve(point: Point, cuts: list[tuple[recsys.Interactions, recsys.Interactions]], metric: str) -> np.ndarray:
    """The metric after each sweep from `FIRST_SWEEP` on, as a mean over the cuts."""
    curves = []
    for train, valid in cuts:
        curve: list[float] = []

        def judge(epoch: Epoch, valid: recsys.Interactions = valid, curve: list[float] = curve) -> None:
            if epoch.number >= FIRST_SWEEP:
                curve.append(float(recsys.evaluate(epoch.snapshot(), valid, metric).summary()["mean"].iloc[0]))

        trainer = replace(point.settings.trainer(SWEEPS), relaxation=point.relaxation)
        trainer.fit(point.settings.weighted(train), callback=judge)
        curves.append(curve)
    return np.asarray(np.mean(curves, axis=0))


if __name__ == "__main__":
    main()
