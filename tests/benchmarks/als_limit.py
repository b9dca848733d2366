"""How far `recsys.ALS` goes on a public split, and what limits it: `python tests/benchmarks/als_limit.py gowalla`.

    python tests/benchmarks/als_limit.py DATA [--stages search lines factors test] [--quick] [--output DIR]

Everything is chosen by NDCG on validation pairs: of Last.fm its own part, of gowalla a tenth of each user's training pairs.

  search   `recsys.tune` with few factors over regularization, unobserved weight and its exponent, once for each of a few
           weightings of the pairs by degree
  lines    from the best found, with more factors: each setting alone is moved by steps until no move is better
  factors  the best settings with fewer and more factors, the regularization moved along
  test     the best of all is trained on all training pairs and judged on the test set, once

What was tried stands in DIR/DATA.csv as soon as it is known, and is not trained again when the program is run again; the
picture is drawn from it. `--lines-from` names settings by which to leave out the search. Needs optuna (the extra `tune`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from als_trials import METRICS, Log, Settings, Tried, described, held_out, sample
from benchmark_data import real

import recsys

# Strong regularization needs a few sweeps before vectors grow, with a dip on the way: hence the patience.
PATIENCE = 3
STAGES = ("search", "lines", "factors", "test")
WEIGHTINGS = ((0.0, 0.0), (0.0, -0.25), (-0.25, -0.25))
SPACE = {
    "regularization": (0.0005, 0.05, "log"),
    "unobserved_weight": (0.003, 0.1, "log"),
    "regularization_exponent": [0.5, 0.75, 1.0],
}
# Steps of the line search: factors by which, or distances by which a setting is moved.
FACTOR_STEPS = {"regularization": 1.5, "unobserved_weight": 1.6}
DISTANCE_STEPS = {"regularization_exponent": 0.25, "user_exponent": 0.1, "item_exponent": 0.1}
# A move must gain this much: less is what another seed would give.
WORTH = 0.0003


@dataclass(frozen=True)
class Bench:
    """Data and budget. fit, valid : what is trained on while choosing, and judged by."""

    name: str
    fit: recsys.Interactions
    valid: recsys.Interactions
    log: Log
    sweeps: int
    stride: float

    @property
    def metric(self) -> str:
        """What is chosen by."""
        return METRICS[self.name][1]

    def judge(self, settings: Settings, stage: str) -> Tried:
        """Trains and judges sweep by sweep, unless that has been done."""
        for tried in self.log.tried:
            if tried.settings == settings and tried.users == self.valid.n_users:
                return tried
        watch = recsys.EarlyStopping(self.valid, self.metric, patience=PATIENCE)
        settings.trainer(self.sweeps).fit(settings.weighted(self.fit), callback=watch)
        values = tuple(value for _, value in watch.history)
        self.log.add(Tried(stage, settings, watch.best_epoch, max(values), self.valid.n_users, values))
        return self.log.tried[-1]


def main() -> None:
    """Runs the stages asked for and draws the picture."""
    options = read_options()
    options.output.mkdir(parents=True, exist_ok=True)
    bench = load(options)
    print(f"{bench.name}: fit on {bench.fit}\n  judged by {bench.metric} of {bench.valid.n_users:,} users")
    if "search" in options.stages:
        search(bench, options)
    if "lines" in options.stages:
        lines(bench, start(bench, options), options.rounds)
    if "factors" in options.stages:
        grow(bench, options.grow_to)
    if "test" in options.stages:
        final(bench)
    if bench.log.tried:
        draw(bench, options.line_factors, options.output / f"{bench.name}.png")


def read_options() -> argparse.Namespace:
    """The command line; --quick shrinks all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=METRICS)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--factors", type=int, default=128, help="of the search")
    parser.add_argument("--line-factors", type=int, default=256, help="of the lines")
    parser.add_argument("--grow-to", type=int, nargs="+", default=[64, 128, 256, 512, 768, 1024])
    parser.add_argument("--trials", type=int, default=16, help="trainings a weighting in the search")
    parser.add_argument("--sweeps", type=int, default=8, help="the most a training may have; it counts with its best")
    parser.add_argument("--stride", type=float, default=1.0, help="of the lines: 0.5 for half as long steps")
    parser.add_argument("--rounds", type=int, default=2, help="how often the lines go through all settings")
    parser.add_argument("--users", type=int, default=7000, help="users of the validation pairs; the same ones for all")
    parser.add_argument(
        "--lines-from", type=float, nargs=5, metavar=("λ", "α₀", "ν", "USER", "ITEM"), help="settings to start the lines from"
    )
    parser.add_argument("--output", type=Path, default=Path("build/als-limit"))
    parser.add_argument("--quick", action="store_true", help="a short run that shows the way, not the limit")
    options = parser.parse_args()
    if options.quick:
        # A look at the test set is for what was chosen with care.
        options.stages = [stage for stage in options.stages if stage != "test"]
        options.trials, options.rounds, options.users = 3, 1, 2000
        options.factors = options.line_factors = 32
        options.grow_to = [16, 64]
    return options


def load(options: argparse.Namespace) -> Bench:
    """The data as the protocol cuts them; validation by a sample of its users, drawn once with a fixed seed."""
    fit, valid = held_out(options.data)
    log = Log(options.output / f"{options.data}.csv")
    return Bench(options.data, fit, sample(valid, options.users), log, options.sweeps, options.stride)


# ---- stages -----------------------------------------------------------------------------------------------------


def search(bench: Bench, options: argparse.Namespace) -> None:
    """`recsys.tune`, once a weighting."""
    for user, item in WEIGHTINGS:
        if bench.log.best(("search",), user_exponent=user, item_exponent=item) is not None:
            continue
        base = Settings(options.factors, user_exponent=user, item_exponent=item)
        result = recsys.tune(
            base.trainer(bench.sweeps),
            SPACE,
            train=base.weighted(bench.fit),
            valid=bench.valid,
            metric=bench.metric,
            n_trials=options.trials,
            patience=PATIENCE,
        )
        for record in result.records:
            curve = tuple(value for _, value in record.curve)
            if curve:
                settings = replace(base, **record.settings)
                bench.log.add(Tried("search", settings, int(np.argmax(curve)) + 1, max(curve), bench.valid.n_users, curve))


def start(bench: Bench, options: argparse.Namespace) -> Settings:
    """Where the lines begin: what they came to before, else what was asked for, else the best of the search."""
    known = bench.log.best(("lines",), factors=options.line_factors)
    if known is not None:
        return known.settings
    if options.lines_from:
        return Settings(options.line_factors, *options.lines_from)
    found = bench.log.best(("search",))
    if found is None:
        raise SystemExit("the lines need the search, or --lines-from")
    return replace(
        found.settings,
        factors=options.line_factors,
        regularization=rounded(found.settings.regularization),
        unobserved_weight=rounded(found.settings.unobserved_weight),
    )


def lines(bench: Bench, settings: Settings, rounds: int) -> None:
    """Moves each setting alone, in the direction that is better, as long as it is; then looks around where that ends."""
    best = bench.judge(settings, "lines")
    for _ in range(rounds):
        before = best
        for name in (*FACTOR_STEPS, *DISTANCE_STEPS):
            best = line(bench, best, name, "lines")
        if best is before:
            break
    for name in (*FACTOR_STEPS, *DISTANCE_STEPS):
        for settings in around(bench, best.settings, name):
            bench.judge(settings, "lines")


def line(bench: Bench, best: Tried, name: str, stage: str) -> Tried:
    """The best along one setting."""
    for direction in (1, -1):
        moved = False
        while (settings := step(bench, best.settings, name, direction)) is not None:
            tried = bench.judge(settings, stage)
            if tried.value < best.value + WORTH:
                break
            best, moved = tried, True
        if moved:
            break
    return best


def step(bench: Bench, settings: Settings, name: str, direction: int) -> Settings | None:
    """The neighbour in one setting; None where there is none. λ follows ν, so that the mean penalty of a user stays."""
    value = getattr(settings, name)
    if name in FACTOR_STEPS:
        return replace(settings, **{name: rounded(value * FACTOR_STEPS[name] ** (direction * bench.stride))})
    moved = round(value + direction * bench.stride * DISTANCE_STEPS[name], 3)
    if name != "regularization_exponent":
        return replace(settings, **{name: moved})
    if not 0 <= moved <= 1:
        return None
    sizes = bench.fit.user_counts + settings.unobserved_weight * bench.fit.n_items
    regularization = settings.regularization * float((sizes**value).mean() / (sizes**moved).mean())
    return replace(settings, regularization=rounded(regularization), regularization_exponent=moved)


def rounded(value: float) -> float:
    """To three digits, so that a setting can be typed."""
    return float(f"{value:.3g}")


def around(bench: Bench, settings: Settings, name: str) -> list[Settings]:
    """What lies up to two steps below and above in one setting, and the settings themselves, in rising order."""
    found = [settings]
    for direction in (-1, 1):
        moved: Settings | None = settings
        for _ in range(2):
            moved = moved and step(bench, moved, name, direction)
            found += [moved] if moved else []
    return sorted(found, key=lambda other: getattr(other, name))


def grow(bench: Bench, factors: list[int]) -> None:
    """The settings decided on with each number of factors; the regularization moved by line search."""
    found = bench.log.best(("lines",)) or bench.log.best(("search",))
    if found is None:
        raise SystemExit("the factors need the search or the lines")
    settings = found.settings
    for n in sorted(factors):
        best = line(bench, bench.judge(replace(settings, factors=n), "factors"), "regularization", "factors")
        settings = best.settings


def final(bench: Bench) -> None:
    """The best on validation, trained on all training pairs for as many sweeps, judged on the test set."""
    best = bench.log.best()
    train, test = real(bench.name, "train"), real(bench.name, "test")
    if best is None or train is None or test is None:
        raise SystemExit("there is nothing to test: no stage before has run, or there is no test set")
    model = best.settings.trainer(best.sweep).fit(best.settings.weighted(train))
    result = recsys.evaluate(model, test, METRICS[bench.name])
    print(f"\n  chosen: {described(best.settings)}  {best.sweep} sweeps, {best.value:.4f} on validation\n{result}")


# ---- showing ----------------------------------------------------------------------------------------------------


def curve_of(bench: Bench, best: Settings, name: str) -> list[tuple[float, float]]:
    """(value, metric): of factors the best with each number, of another setting what lies around `best`."""
    known = [tried for tried in bench.log.tried if tried.users == bench.valid.n_users]
    if name == "factors":
        numbers = sorted({tried.settings.factors for tried in known})
        return [(n, max(tried.value for tried in known if tried.settings.factors == n)) for n in numbers]
    values = {tried.settings: tried.value for tried in known}
    return [(getattr(other, name), values[other]) for other in around(bench, best, name) if other in values]


def draw(bench: Bench, line_factors: int, path: Path) -> None:
    """One panel a setting, all with one scale of the metric: what matters and what does not."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, NullLocator

    best = bench.log.best(("search", "lines"), factors=line_factors)
    if best is None:
        return
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).flat
    for panel, field in zip(panels, fields(Settings), strict=True):
        points = curve_of(bench, best.settings, field.name)
        panel.plot(*zip(*points, strict=True), "o-")
        if field.name in ("factors", *FACTOR_STEPS):
            panel.set_xscale("log")
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xticks([value for value, _ in points], [f"{value:g}" for value, _ in points])
        about = "" if field.name == "factors" else f", {line_factors} factors"
        panel.set(xlabel=field.name.replace("_", " ") + about)
        panel.grid(alpha=0.3)
    figure.suptitle(f"{bench.name}, validation: the best with each number of factors; then each other setting moved alone")
    figure.supylabel(bench.metric)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
