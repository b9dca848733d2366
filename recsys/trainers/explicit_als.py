"""ExplicitALS: ratings, predicted from a mean, biases and factors by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import ParameterError
from recsys.fold_in import BiasedLeastSquares, Rows
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.parallel import Workers
from recsys.trainers.alternating import AlternatingRun
from recsys.trainers.base import Factors, Run, Trainer, known_vectors, refuse_idle_factors
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["ExplicitALS"]


@dataclass(frozen=True, kw_only=True)
class ExplicitALS(Trainer[Model]):
    """Explicit-feedback matrix factorisation with biases: weights are ratings, and the score is the predicted rating.

    With S the rated pairs, r a rating, μ the mean of all ratings, n the entries of a row, it minimises

        L = Σ_S (r - μ - b_u - b_i - x_u · y_i)² + λ Σ_u n_u^ν (‖x_u‖² + b_u²) + λ Σ_i n_i^ν (‖y_i‖² + b_i²)

    which for ν = 1 is ALS-WR (Zhou, Wilkinson, Schreiber & Pan, "Large-Scale Parallel Collaborative Filtering for the
    Netflix Prize", AAIM 2008, equation 3) with the mean and biases of Koren, Bell & Volinsky ("Matrix Factorization
    Techniques for Recommender Systems", IEEE Computer 2009, equations 4 and 5), and for ν = 0 the latter's objective.
    A rating may be any finite number; read logs in which users rate again with `duplicates="last"`. Pairs without a rating
    say nothing here: for clicks and plays use `ALS`.

    Each half sweep is least squares on the features [y_i, 1] (or [x_u, 1]) by conjugate gradients from where the last sweep
    ended. At the end every user is solved exactly, so that a trained user's vector equals the one that folding in the same
    ratings gives. Vectors are [x_u, b_u, 1] for users and [y_i, 1, b_i + μ] for items, `factors` + 2 columns; likeness of
    items and of users goes by the first `factors` alone. The same seed gives the same bytes, whatever the number of threads.
    """

    name: ClassVar[str] = "explicit-als"
    advice: ClassVar[str] = "for ratings: predicts them, with biases of users and items; judged by evaluate_ratings"

    predicts_ratings: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {"regularization": Range(0.1, 10.0, log=True)}

    factors: int = 64
    """Length of x and y: more fits more, at linear cost in time and memory; 0 leaves the biases alone."""
    # ν = ½ did better than 1 and 0, each with its own best λ, on both data sets tried (tests/benchmarks/README.md). Zhou et al.
    # end at ν = 1, λ = .065 on the Netflix ratings.
    regularization: float = 1.0
    """λ: pulls vectors and biases towards zero; more for small or noisy data. With another ν it is of another size."""
    regularization_exponent: float = 0.5
    """ν: 1 regularises frequent rows in proportion to their entries, 0 all rows alike."""
    iterations: int = 8
    """Sweeps over both sides."""
    cg_steps: int = 3
    """Conjugate gradient steps for each row in each half sweep."""
    relaxation: float = 1.4
    """How far rows go on past their minimum, from the second sweep on: about half the sweeps of 1.0, plain alternation."""
    random_state: int = 0
    """Seed of the initial vectors."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""
    track_loss: bool = False
    """Compute the objective after every sweep and report it to progress and callback."""

    def __post_init__(self) -> None:
        for name in ("iterations", "cg_steps"):
            self._check_integer(name, at_least=1)
        for name in ("factors", "random_state"):
            self._check_integer(name, at_least=0)
        self._check_number("regularization", above=0)
        self._check_number("regularization_exponent", at_least=0)
        self._check_number("relaxation", above=0)
        self._check("relaxation", "below 2, where every sweep still lowers the objective", self.relaxation < 2)
        self._check_num_threads()

    def start(self, train: Interactions) -> Run:
        refuse_idle_factors("ExplicitALS", self.factors, train)
        return _ExplicitRun(self, train)


class _ExplicitRun(AlternatingRun):
    """Rows [x, b] of both sides, (n, factors + 1) float32 each."""

    def __init__(self, trainer: ExplicitALS, train: Interactions) -> None:
        super().__init__(trainer, train)
        self._trainer = trainer
        self._problem = BiasedLeastSquares(
            mean=float(train.weights.mean(dtype=np.float64)),
            regularization=trainer.regularization,
            regularization_exponent=trainer.regularization_exponent,
        )
        generator = np.random.default_rng(trainer.random_state)
        self._users, self._items = (_initial_rows(n, trainer.factors, generator) for n in train.shape)

    def _half_sweep(self, rows: Rows, solved: np.ndarray, fixed: np.ndarray, workers: Workers) -> None:
        self._problem.improve(rows, fixed, solved, workers, self._effort)

    def _after_half_sweep(self) -> None:
        self._balance(
            self._problem.penalty(self._users[:, :-1], self._rows.counts),
            self._problem.penalty(self._items[:, :-1], self._columns.counts),
            self._trainer.factors,
        )

    def _loss(self, workers: Workers) -> float:
        return self._problem.loss(self._rows, self._users, self._items, self._columns.counts, workers)

    def factors(self) -> Factors:
        items = self._problem.to_vectors(self._items, "items")
        users = self._problem.solve(self._rows, items, self._trainer.num_threads, of="users")
        return Factors(users, items, self._problem)

    def warm_start(self, model: Model) -> None:
        if not isinstance(model.fold_in_method, BiasedLeastSquares):
            raise ParameterError(f"ExplicitALS can start from a model of its own only ({model!r} was given).")
        factors = model.item_embeddings.dim - BiasedLeastSquares.bias_columns
        if factors != self._trainer.factors:
            raise ParameterError(f"This trainer has factors = {self._trainer.factors}, the model to start from {factors}.")
        sides = (
            ("users", self._users, self._train.users, model.user_embeddings),
            ("items", self._items, self._train.items, model.item_embeddings),
        )
        for of, rows, ids, known in sides:
            is_known, earlier = known_vectors(ids, known)
            # Taken apart with the new mean: an item keeps b + μ, whatever the new ratings do to μ.
            rows[is_known] = self._problem.from_vectors(earlier, of)


def _initial_rows(n: int, factors: int, generator: np.random.Generator) -> np.ndarray:
    """(n, factors + 1) float32: vectors of expected length 1, biases 0."""
    rows = np.zeros((n, factors + 1), np.float32)
    rows[:, :-1] = generator.standard_normal((n, factors), dtype=np.float32) * np.float32(max(factors, 1) ** -0.5)
    return rows
