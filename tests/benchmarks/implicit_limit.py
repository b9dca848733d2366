"""The rival's settings in `quality.py`: implicit's hyperparameters by NDCG on validation, as `als_limit.py` chooses ours.

    python tests/benchmarks/implicit_limit.py DATA [--factors 128 512] [--alpha 10 20 40] [--regularization 0.01 1 10]
                                              [--iterations 3 5 10 15] [--users 7000] [--output DIR]

Every combination is trained by implicit itself; the same validation pairs and the same users judge it as judge ours. What was
tried is appended to DIR/DATA-implicit.csv, and is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np
import scipy.sparse
from als_trials import METRICS, held_out, sample
from threadpoolctl import threadpool_limits

import recsys
from recsys.parallel import available_cpus

COLUMNS = ("factors", "alpha", "regularization", "iterations", "value", "users")


def main() -> None:
    """Tries what was asked for and names the best of all that was ever tried."""
    options = read_options()
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{options.data}-implicit.csv"
    fit, valid = held_out(options.data)
    valid = sample(valid, options.users)
    rows = [tuple(map(float, row)) for row in list(csv.reader(path.open(encoding="utf-8")))[1:]] if path.is_file() else []
    if not rows:
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    for settings in itertools.product(options.factors, options.alpha, options.regularization):
        if any(row[:3] == settings for row in rows):
            continue
        found = values(fit, valid, METRICS[options.data][1], *settings, judged=options.iterations)
        new = [(*settings, iterations, value, valid.n_users) for iterations, value in found.items()]
        rows += new
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(new)
        print(described(max(new, key=lambda row: row[4])), flush=True)
    print(f"best: {described(max(rows, key=lambda row: row[4]))}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=METRICS)
    parser.add_argument("--factors", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--alpha", type=float, nargs="+", default=[10.0, 20.0, 40.0])
    parser.add_argument("--regularization", type=float, nargs="+", default=[0.01, 1.0, 10.0])
    parser.add_argument(
        "--iterations", type=int, nargs="+", default=[3, 5, 10, 15], help="judged after so many, of one training"
    )
    parser.add_argument("--users", type=int, default=7000)
    parser.add_argument("--output", type=Path, default=Path("build/als-limit"))
    return parser.parse_args()


def described(row: tuple[float, ...]) -> str:
    """One line of the table in words."""
    return "  {:5g} factors  α {:<5g} λ {:<7g} {:2g} iterations  {:.4f}".format(*row[:5])


def values(
    fit: recsys.Interactions,
    valid: recsys.Interactions,
    metric: str,
    factors: int,
    alpha: float,
    regularization: float,
    *,
    judged: list[int],
) -> dict[int, float]:
    """The metric after some of the iterations of one training."""
    from implicit.als import AlternatingLeastSquares

    found: dict[int, float] = {}
    model = AlternatingLeastSquares(
        factors=factors, alpha=alpha, regularization=regularization, iterations=max(judged), random_state=0,
        num_threads=available_cpus(),
    )  # fmt: skip

    def judge(iteration: int, *_: float) -> None:
        if iteration + 1 in judged:
            vectors = recsys.Model.from_vectors(fit, np.asarray(model.user_factors), np.asarray(model.item_factors))
            found[iteration + 1] = float(recsys.evaluate(vectors, valid, [metric]).summary()["mean"].iloc[0])

    with threadpool_limits(limits=1, user_api="blas"):
        model.fit(scipy.sparse.csr_matrix(fit.to_csr()), show_progress=False, callback=judge)
    return found


if __name__ == "__main__":
    main()
