"""ALS: implicit alternating least squares, solved by preconditioned conjugate gradients in a rotated basis."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.errors import ParameterError, quote_some
from recsys.fold_in import CONVERGED, Rows, WeightedLeastSquares
from recsys.interactions import Interactions
from recsys.kernels.dense import gram, largest_entries, principal_axes, rotate
from recsys.model import Model
from recsys.parallel import Workers
from recsys.trainers.alternating import AlternatingRun
from recsys.trainers.base import Factors, Run, Trainer, known_vectors, refuse_idle_factors
from recsys.trainers.heavy_tail import warn_of_heavy_tail
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["ALS"]

_WEIGHTINGS = ("rendle2022", "hu2008", "implicit")


@dataclass(frozen=True, kw_only=True)
class ALS(Trainer[Model]):
    """Implicit-feedback matrix factorisation by alternating least squares.

    With S the observed pairs, c = alpha · weight, n the entries of a row, it minimises (Rendle, Krichene, Zhang & Koren,
    "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022, equations 1 to 4)

        L = Σ_S c (1 - x_u · y_i)² + α₀ Σ_u Σ_i (x_u · y_i)²
            + λ Σ_u (n_u + α₀ |I|)^ν ‖x_u‖² + λ Σ_i (n_i + α₀ |U|)^ν ‖y_i‖²

    with `weighting="hu2008"` the objective of Hu, Koren & Volinsky (ICDM 2008), in which an observed pair has confidence
    α₀ + c and every other pair α₀ (theirs is α₀ = 1, ν = 0), and with `weighting="implicit"` that of the library implicit, in
    which it has confidence c. `ALS.like_implicit` takes the hyperparameters of that library as they are.

    Each half sweep rotates both sides into the eigenvectors of the fixed side's Gram matrix, in which the part of the
    normal equations that all rows share is diagonal; conjugate gradients with the diagonal as preconditioner, started
    from the last sweep, then need only a few steps. Rows go on past their minimum (`relaxation`), which halves the sweeps to
    a given loss, and after each half sweep the lengths of both sides are brought to the one ratio that makes the penalty
    least, without which many sweeps are spent on that. At the end every user is solved exactly, so that a trained user's
    vector equals the one that folding in the same events gives. Both sides end in the principal axes of the item vectors,
    columns in falling order of what they carry. The same seed gives the same bytes, whatever the number of threads.
    """

    name: ClassVar[str] = "als"
    advice: ClassVar[str] = "the default: best accuracy for its cost on implicit feedback, new users folded in exactly"

    # The grids of Rendle et al. 2022, who search no other setting.
    search_space: ClassVar[SearchSpace] = {
        "unobserved_weight": Range(0.003, 1.0, log=True),
        "regularization": Range(0.0003, 0.1, log=True),
    }

    factors: int = 128
    """Length of each vector: more fits more, at linear cost in time and memory."""
    regularization: float = 0.003
    """λ: pulls vectors towards zero; more for small or noisy data."""
    alpha: float = 1.0
    """Confidence per unit of weight in an observed pair. Counts with a long tail: train on `data.weighted("log")`."""
    unobserved_weight: float = 0.025
    """α₀: how strongly every pair, observed or not, is pulled towards a score of 0."""
    regularization_exponent: float = 1.0
    """ν: 1 regularises frequent rows in proportion to their entries, 0 all rows alike."""
    iterations: int = 5
    """Sweeps over both sides: more bring the objective lower, and past the default seldom better lists."""
    weighting: str = "rendle2022"
    """Which objective: "rendle2022", "hu2008" or "implicit"."""
    cg_steps: int = 3
    """Conjugate gradient steps for each row in each half sweep."""
    relaxation: float = 1.4
    """How far rows go on past their minimum, from the second sweep on: about half the sweeps of 1.0, plain alternation."""
    random_state: int = 0
    """Seed of the initial vectors."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""
    track_loss: bool = False
    """Compute the objective after every sweep (about a tenth more time) and report it to progress and callback."""

    def __post_init__(self) -> None:
        for name in ("factors", "iterations", "cg_steps"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        for name in ("alpha", "regularization", "unobserved_weight"):
            self._check_number(name, above=0)
        self._check_number("regularization_exponent", at_least=0)
        self._check_number("relaxation", above=0)
        self._check("relaxation", "below 2, where every sweep still lowers the objective", self.relaxation < 2)
        self._check("weighting", quote_some(_WEIGHTINGS), self.weighting in _WEIGHTINGS)
        self._check_num_threads()

    def start(self, train: Interactions) -> Run:
        train.refuse_negative_weights("ALS")
        refuse_idle_factors("ALS", self.factors, train)
        warn_of_heavy_tail(train, self.problem)
        return _AlsRun(self, train)

    @classmethod
    def like_implicit(cls, factors: int = 100, regularization: float = 0.01, alpha: float = 1.0, **others: Any) -> ALS:
        """The trainer with the objective that `implicit.als.AlternatingLeastSquares` of these hyperparameters minimises.

        others : hyperparameters of this trainer. It needs fewer sweeps for the same loss than that library needs iterations.
        """
        return cls(
            factors=factors, regularization=regularization, alpha=alpha, weighting="implicit", unobserved_weight=1.0,
            regularization_exponent=0.0, **others,
        )  # fmt: skip

    @property
    def problem(self) -> WeightedLeastSquares:
        """The objective of one row with the other side fixed."""
        return WeightedLeastSquares(
            alpha=self.alpha,
            target=0.0 if self.weighting == "rendle2022" else self.unobserved_weight,
            less=self.unobserved_weight if self.weighting == "implicit" else 0.0,
            unobserved_weight=self.unobserved_weight,
            regularization=self.regularization,
            regularization_exponent=self.regularization_exponent,
        )


class _AlsRun(AlternatingRun):
    def __init__(self, trainer: ALS, train: Interactions) -> None:
        super().__init__(trainer, train)
        self._trainer, self._problem = trainer, trainer.problem
        generator = np.random.default_rng(trainer.random_state)
        scale = np.float32(0.1 / np.sqrt(trainer.factors))  # Rendle et al. 2022, section 3.3
        self._users, self._items = (
            generator.standard_normal((n, trainer.factors), dtype=np.float32) * scale for n in train.shape
        )

    def _half_sweep(self, rows: Rows, solved: np.ndarray, fixed: np.ndarray, workers: Workers) -> None:
        eigenvalues = _turn(fixed, solved, workers)
        self._problem.improve(rows, fixed, eigenvalues, solved, workers, self._effort)

    def _after_half_sweep(self) -> None:
        self._balance(
            self._problem.penalty(self._users, self._rows.counts, len(self._items)),
            self._problem.penalty(self._items, self._columns.counts, len(self._users)),
        )

    def _loss(self, workers: Workers) -> float:
        return self._problem.loss(self._rows, self._users, self._items, self._columns.counts, workers)

    def factors(self) -> Factors:
        return self._finished(self._users.copy(), self._items.copy())

    def finish(self) -> Factors:
        return self._finished(self._users, self._items)

    def _finished(self, users: np.ndarray, items: np.ndarray) -> Factors:
        """Works in place on both arrays."""
        with Workers(self._trainer.num_threads) as workers:
            eigenvalues = _turn(items, users, workers)
            self._problem.improve(self._rows, items, eigenvalues, users, workers, CONVERGED)
        largest = largest_entries(items)
        if not np.abs(largest).max() > 1e-6:
            warnings.warn(
                "All vectors vanished: the regularization is too strong for these data (every score is about 0). "
                "Hint: lower `regularization` or `unobserved_weight`.",
                stacklevel=5,
            )
        # An axis may point either way: the largest entry of each column is made positive.
        signs = np.where(largest < 0, np.float32(-1), np.float32(1))
        users *= signs
        items *= signs
        return Factors(users, items, self._problem)

    def warm_start(self, model: Model) -> None:
        if type(model.fold_in_method) is not WeightedLeastSquares:
            raise ParameterError(f"ALS can start from a model of its own only ({model!r} was given).")
        factors = self._trainer.factors
        if model.item_embeddings.dim != factors:
            raise ParameterError(f"This trainer has factors = {factors}, the model to start from {model.item_embeddings.dim}.")
        sides = (
            (self._users, self._train.users, model.user_embeddings),
            (self._items, self._train.items, model.item_embeddings),
        )
        for vectors, ids, known in sides:
            is_known, earlier = known_vectors(ids, known)
            vectors[is_known] = earlier


def _turn(fixed: np.ndarray, solved: np.ndarray, workers: Workers) -> np.ndarray:
    """Turns both sides in place into the principal axes of `fixed`; returns the eigenvalues of its Gram matrix."""
    eigenvalues, axes = principal_axes(gram(fixed, workers))
    rotate(fixed, axes, workers)
    rotate(solved, axes, workers)
    return eigenvalues
