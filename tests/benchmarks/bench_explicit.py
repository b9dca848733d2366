"""RMSE and seconds of `recsys.ExplicitALS` on ratings, beside cmfrec and beside biases alone: `make quality`.

    python tests/benchmarks/bench_explicit.py [--seeds 5] [--choose] [--quick] [--json FILE]

Ratings of MovieLens latest-small, cut at random for each seed: of each user a tenth is the test. Every contender's vectors are
judged by one evaluator, predictions moved to the ends of the scale, over the pairs whose user and item were trained on. The
settings called chosen did best on other cuts (seeds from 100 on) of the same grid of λ for both libraries; --choose searches
them again. cmfrec has no wheels: where it is not installed its lines say so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import REAL_DATA
from scipy import stats

import recsys
from recsys.parallel import available_cpus

RATINGS = REAL_DATA / "ml-latest-small" / "ratings.csv"
SCALE = (0.5, 5.0)
FIRST_SEED_TO_CHOOSE_BY = 100
LAMBDAS = {
    "ν = 1": (0.05, 0.07, 0.1, 0.14, 0.2),
    "ν = 0.5": (0.5, 0.7, 1.0, 1.4, 2.0),
    "ν = 0": (5.0, 7.0, 10.0, 14.0, 20.0),
}
EXPONENTS = {"ν = 1": 1.0, "ν = 0.5": 0.5, "ν = 0": 0.0}

Fit = Callable[[recsys.Interactions], recsys.Model]


@dataclass(frozen=True)
class Contender:
    """A name, and what makes a model of ratings whose scores are the predictions."""

    name: str
    fit: Fit


def ours(**settings: Any) -> Fit:
    """`recsys.ExplicitALS`."""
    return recsys.ExplicitALS(**settings).fit


def damped_biases(train: recsys.Interactions) -> recsys.Model:
    """μ + b_i + b_u, where b_i = Σ (r - μ) / (25 + n_i) and then b_u = Σ (r - μ - b_i) / (10 + n_u) (Koren 2010)."""
    rows, columns, mean = train.row_positions(), train.indices, train.weights.mean(dtype=np.float64)
    items = np.bincount(columns, train.weights - mean, train.n_items) / (25 + train.item_counts)
    users = np.bincount(rows, train.weights - mean - items[columns], train.n_users) / (10 + train.user_counts)
    return with_biases(train, np.zeros((train.n_users, 0)), np.zeros((train.n_items, 0)), users, items, float(mean))


def with_biases(
    train: recsys.Interactions, x: np.ndarray, y: np.ndarray, users: np.ndarray, items: np.ndarray, mean: float
) -> recsys.Model:
    """Vectors and biases as one model: [x, b, 1] · [y, 1, b + μ]."""
    left = np.column_stack([x, users, np.ones(len(users))])
    right = np.column_stack([y, np.ones(len(items)), items + mean])
    return recsys.Model.from_vectors(train, left.astype(np.float32), right.astype(np.float32))


def cmfrec(**settings: Any) -> Fit:
    """Its CMF for ratings, with its biases, mean and conjugate gradients as they come."""

    def fit(train: recsys.Interactions) -> recsys.Model:
        import scipy.sparse
        from cmfrec import CMF

        model = CMF(verbose=False, produce_dicts=False, nthreads=available_cpus(), **settings)
        model.fit(scipy.sparse.coo_matrix(train.to_csr()))
        return with_biases(train, model.A_, model.B_, model.user_bias_, model.item_bias_, float(model.glob_mean_))

    return fit


CONTENDERS = (
    Contender("mean and damped biases", damped_biases),
    Contender("recsys.ExplicitALS, biases alone", ours(factors=0)),
    Contender("recsys.ExplicitALS, defaults", ours()),
    Contender("recsys.ExplicitALS, chosen", ours(regularization=1.4)),
    Contender("recsys.ExplicitALS, ν = 1, λ = 0.1", ours(regularization=0.1, regularization_exponent=1.0)),
)
RIVALS = (
    Contender("cmfrec CMF, defaults", cmfrec()),
    Contender("cmfrec CMF, chosen", cmfrec(k=64, lambda_=0.1, scale_lam=True)),
)


def main() -> None:
    """Measures every contender that is there, on each cut."""
    options = read_options()
    if not RATINGS.is_file():
        print(f"skipped: there is no {RATINGS.parent.name}/{RATINGS.name} in {REAL_DATA.parent.name}/{REAL_DATA.name}")
        return
    ratings = recsys.read_interactions(RATINGS, user="userId", item="movieId", weight="rating", timestamp="timestamp")
    print(ratings)
    with_cmfrec = importlib.util.find_spec("cmfrec") is not None
    if not with_cmfrec:
        print("cmfrec: skipped, it is not installed")
    if options.choose:
        choose(ratings, options.seeds, with_cmfrec)
    found = measure([*CONTENDERS, *(RIVALS if with_cmfrec else ())], ratings, range(options.seeds))
    show(found, options.seeds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="cuts to measure on, and to choose by")
    parser.add_argument("--choose", action="store_true", help="first print what each setting comes to on the other cuts")
    parser.add_argument("--quick", action="store_true", help="two cuts")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    if options.quick:
        options.seeds = 2
    return options


def measure(contenders: Iterable[Contender], ratings: recsys.Interactions, seeds: Iterable[int]) -> dict[str, Any]:
    """RMSE with its interval over users, and seconds, for each contender and cut; the contenders take turns."""
    contenders = list(contenders)
    # Compiled code and thread pools are there before the clock starts.
    tiny = ratings.select(ratings.row_positions() < 20)
    for contender in contenders:
        contender.fit(tiny)
    found: dict[str, Any] = {contender.name: {"rmse": [], "low": [], "high": [], "seconds": []} for contender in contenders}
    for seed in seeds:
        train, test = recsys.split.random(ratings, test_fraction=0.1, random_state=seed)
        for contender in contenders:
            began = time.perf_counter()
            model = contender.fit(train)
            seconds = time.perf_counter() - began
            row = recsys.evaluate_ratings(model, test, clip=SCALE).summary().iloc[0]
            for name, value in (("rmse", row["mean"]), ("low", row["low"]), ("high", row["high"]), ("seconds", seconds)):
                found[contender.name][name].append(float(value))
    return found


def show(found: dict[str, Any], n_seeds: int) -> None:
    """One line a contender; beside the defaults of ours, the difference cut by cut."""
    reference = np.array(found["recsys.ExplicitALS, defaults"]["rmse"])
    print(f"\n  {n_seeds} cuts; mean RMSE, the interval over users of the first cut, and RMSE less that of our defaults")
    print(f"  {'':36}{'RMSE':8}{'first cut':28}{'difference, 95 % over cuts':30}{'fit s':>7}")
    for name, values in found.items():
        first = f"{values['rmse'][0]:.4f} [{values['low'][0]:.4f}, {values['high'][0]:.4f}]"
        difference = in_words(np.array(values["rmse"]) - reference)
        seconds = statistics.median(values["seconds"])
        print(f"  {name:36}{statistics.mean(values['rmse']):<8.4f}{first:28}{difference:30}{seconds:7.2f}")


def in_words(differences: np.ndarray) -> str:
    """Their mean with Student's interval; cuts share ratings, so that it is a little too short."""
    if len(differences) < 2 or not differences.any():
        return "–"
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return f"{differences.mean():+.4f} [{differences.mean() - half:+.4f}, {differences.mean() + half:+.4f}]"


def choose(ratings: recsys.Interactions, n_seeds: int, with_cmfrec: bool) -> None:
    """Prints mean RMSE of both libraries over the same grids, on cuts that the measurement does not use."""
    grid = []
    for about, lambdas in LAMBDAS.items():
        for value in lambdas:
            exponent = EXPONENTS[about]
            grid.append(Contender(f"ours {about} λ = {value:g}", ours(regularization=value, regularization_exponent=exponent)))
            if with_cmfrec and exponent != 0.5:
                scaled = exponent == 1
                grid.append(Contender(f"cmfrec {about} λ = {value:g}", cmfrec(k=64, lambda_=value, scale_lam=scaled)))
    found = measure(grid, ratings, range(FIRST_SEED_TO_CHOOSE_BY, FIRST_SEED_TO_CHOOSE_BY + n_seeds))
    for name, values in sorted(found.items(), key=lambda entry: statistics.mean(entry[1]["rmse"])):
        print(f"  {name:28}{statistics.mean(values['rmse']):.4f}")


if __name__ == "__main__":
    main()
