"""What SVD and PCA have in common: their settings' checks, the run, and the vectors made of what it finds.

May import trainers.base, trainers.krylov and what lies below trainers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.fold_in import DenseLeastSquares
from recsys.fold_in.dense import half_inverse
from recsys.interactions import Interactions
from recsys.kernels import sparse
from recsys.kernels.dense import gram, largest_entries, principal_axes, rotate
from recsys.model import Model
from recsys.parallel import Workers
from recsys.trainers.base import Factors, Run, Trainer
from recsys.trainers.krylov import KrylovSpace, product_of_columns
from recsys.weighting import Entries, Statistics, parse_scheme

__all__ = ["SpectralRun", "SpectralTrainer"]

# Columns of a block, as a share of the factors. Thinner blocks get further with the same work, until fetching rows of the
# matrix costs more than multiplying them.
_WIDTH, _LEAST_WIDTH = 0.25, 8
# How many more directions than factors the space has at least, as a share of them and as a number (Halko et al. 2011).
_OVERSAMPLING, _LEAST_OVERSAMPLING = 0.25, 10

# Within these the squares of ‖R‖², which appear on the way, are numbers of float32.
_LEAST_ENERGY, _MOST_ENERGY = 1e-16, 1e18

# Singular values below this share of the largest are rounding.
_RANK_TOLERANCE, _TINY = 1e-5, 1e-30


@dataclass(frozen=True, kw_only=True)
class SpectralTrainer(Trainer[Model]):
    """The settings of both; each trainer names and explains its own."""

    factors: int = 128
    """Length of each vector, and number of singular values kept. The captured share is in the model's provenance."""
    iterations: int = 12
    """Products with Rᵀ R, each of which widens the space searched by a quarter of the factors: more come nearer to the exact
    decomposition, which is soon near enough for lists."""
    # Best of all on validation data of both sets tried, at every number of factors (tests/benchmarks/README.md).
    weighting: str = "degree"
    """What the weights become first: a scheme of `Interactions.weighted`, with parameters if need be ("degree",
    "bm25:k1=1.2,b=0.75", "tfidf", "ppmi:shift=2", "log"), or "none" for the weights as they are."""
    item_share: float = 0.5
    """p: item vectors are V Σ^p and user vectors U Σ^(1-p). Scores do not depend on it; likeness does: with 0 of items, or 1
    of users, all directions count alike there, and less makes the leading ones count less."""
    random_state: int = 0
    """Seed of the space that the search starts from."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("factors", "iterations"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        self._check_number("item_share", at_least=0)
        self._check("item_share", "a number from 0 to 1", self.item_share <= 1)
        self._check_num_threads()
        parse_scheme(self.weighting)

    def _refuse_too_many_factors(self, train: Interactions) -> None:
        if self.factors > min(train.shape):
            raise DataError(
                f"{type(self).__name__} with factors = {self.factors:,} needs as many users and items, and the data have "
                f"{train.n_users:,} users and {train.n_items:,} items. Hint: lower `factors`."
            )


@dataclass(frozen=True)
class Decomposition(Factors):
    """Vectors, and what the singular values say of them."""

    facts: Mapping[str, Any] = field(default_factory=dict)

    def model(self, train: Interactions, provenance: Mapping[str, Any]) -> Model:
        """The model, with the facts in provenance["training"]."""
        return super().model(train, {**provenance, "training": {**provenance["training"], **self.facts}})


class SpectralRun(Run):
    """A run whose epoch is one product of Rᵀ R, or R Rᵀ, with a block.

    The space lies on the side with fewer rows: what a product touches is then small, and so is what must be kept orthogonal.
    """

    def __init__(self, trainer: SpectralTrainer, train: Interactions, *, centred: bool) -> None:
        self.epochs = trainer.iterations
        self._trainer, self._centred = trainer, centred
        self._shape = train.shape
        weighed, self._statistics = _weighed(train, trainer.weighting)
        self._by_user: sparse.Compressed = (weighed.indptr, weighed.indices, weighed.weights)
        self._on_users = train.n_users < train.n_items
        self._long: sparse.Compressed = weighed.by_item if self._on_users else self._by_user
        self._mean = _column_means(weighed) if centred else np.zeros(train.n_items)
        energy = float(np.einsum("i,i->", weighed.weights, weighed.weights, dtype=np.float64))
        self._energy = max(energy - train.n_users * float(self._mean @ self._mean), 0.0)
        if not _LEAST_ENERGY < energy < _MOST_ENERGY:
            raise DataError(
                f"{type(trainer).__name__} needs weights whose squares sum to something between {_LEAST_ENERGY:g} and "
                f"{_MOST_ENERGY:g}. Weighed by {trainer.weighting!r} they sum to {energy:g}. "
                "Hint: weighting='log' tames large ones."
            )
        self._space = self._start()

    def _start(self) -> KrylovSpace:
        trainer, n = self._trainer, min(self._shape)
        least = int(np.ceil(trainer.factors * (1 + _OVERSAMPLING))) + _LEAST_OVERSAMPLING
        # Whole registers of eight numbers.
        width = 8 * -(-max(_LEAST_WIDTH, trainer.factors * _WIDTH, least / trainer.iterations) // 8)
        width = min(int(width), n)
        generator = np.random.default_rng(trainer.random_state)
        start = sparse.sketch(self._long, n, width, generator)
        with Workers(trainer.num_threads) as workers:
            return KrylovSpace(start, width * trainer.iterations, trainer.random_state, workers)

    @cached_property
    def _shift(self) -> tuple[np.ndarray, np.ndarray]:
        """P (n, j) float32 and S (j, j) with which centring turns the product A Q into A Q + P S Pᵀ Q."""
        mean = self._mean.astype(np.float32)[:, None]
        if not self._on_users:
            return mean, np.array([[-float(self._shape[0])]])
        with Workers(self._trainer.num_threads) as workers:
            towards_mean = sparse.product(self._by_user, mean, workers)
        columns = np.hstack([np.ones_like(towards_mean), towards_mean])
        return columns, np.array([[float(self._mean @ self._mean), -1.0], [-1.0, 0.0]])

    def train_epoch(self) -> dict[str, float]:
        with Workers(self._trainer.num_threads) as workers:

            def multiply(block: np.ndarray) -> np.ndarray:
                result = sparse.gram_product(self._long, block, workers)
                if self._centred:
                    columns, small = self._shift
                    result += columns @ (small @ product_of_columns(columns, block, workers)).astype(np.float32)
                return result

            self._space.step(multiply, workers)
            captured = float(self._space.values()[: self._trainer.factors].sum())
        return {"energy": min(captured / self._energy, 1.0) if self._energy else 1.0}

    def state(self) -> dict[str, np.ndarray]:
        return self._space.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._space.restore(**state)

    def factors(self) -> Factors:
        with Workers(self._trainer.num_threads) as workers:
            items = self._right_vectors(workers)
            users = sparse.product(self._by_user, items, workers)
            towards_mean = items.T.astype(np.float64) @ self._mean
            centre = self._shape[0] * np.outer(towards_mean, towards_mean)
            squares, axes = principal_axes(gram(users, workers) - centre)
            signs = _signs(items, axes)
            rotate(items, axes * signs, workers)
            rotate(users, axes * signs, workers)
        singular = np.sqrt(squares)
        bias = self._mean - items @ (items.T.astype(np.float64) @ self._mean) if self._centred else None
        kept = (singular > _RANK_TOLERANCE * singular[0]) & (singular > 0)
        scale = np.where(kept, np.maximum(singular, _TINY) ** self._trainer.item_share, 0.0)
        items *= scale.astype(np.float32)
        return self._finished(users, items, scale, bias, singular)

    def _finished(
        self, users: np.ndarray, items: np.ndarray, scale: np.ndarray, bias: np.ndarray | None, singular: np.ndarray
    ) -> Decomposition:
        users *= np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0).astype(np.float32)
        statistics = self._statistics
        whole = {} if statistics is None else dict(statistics.whole)
        method = DenseLeastSquares(self._centred, self._trainer.weighting, whole)
        rows, columns = (None, None) if statistics is None else (statistics.rows, statistics.columns)
        return Decomposition(
            method.with_columns(users, "users", None, rows),
            method.with_columns(items, "items", bias, columns),
            method,
            self._facts(singular),
        )

    def _right_vectors(self, workers: Workers) -> np.ndarray:
        """(n_items, factors) float32, orthonormal: what the space knows of the leading right singular vectors."""
        found = self._space.vectors(self._trainer.factors, workers)
        if self._on_users:
            by_item = sparse.product(self._long, found, workers)
            if self._centred:
                by_item -= np.outer(self._mean, found.sum(axis=0, dtype=np.float64)).astype(np.float32)
            found = by_item
        rotate(found, half_inverse(gram(found, workers)), workers)
        return found

    def _facts(self, singular: np.ndarray) -> dict[str, Any]:
        shares = singular**2 / self._energy if self._energy else np.ones_like(singular)
        facts = {"singular_values": _digits(singular), "captured": round(float(min(shares.sum(), 1)), 6)}
        if self._centred:
            facts["explained_variance"] = _digits(singular**2 / max(self._shape[0] - 1, 1))
            facts["explained_variance_ratio"] = _digits(shares)
        return facts


def _weighed(train: Interactions, weighting: str) -> tuple[Interactions, Statistics | None]:
    scheme = parse_scheme(weighting)
    if scheme is None:
        return train, None
    train.refuse_negative_weights(f"weighting={weighting!r}")
    entries = Entries(
        train.weights.astype(np.float64), train.row_positions(), train.indices, train.user_counts, train.item_counts
    )
    statistics = Statistics.of(scheme, entries)
    weights = statistics.weigh(scheme, entries).astype(np.float32)
    return replace(train, weights=weights), None if scheme.is_local else statistics


def _column_means(data: Interactions) -> np.ndarray:
    """(n_items,) float64: mean over all users, who have 0 where they have nothing."""
    return np.bincount(data.indices, data.weights, minlength=data.n_items) / data.n_users


def _signs(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(k,) with which the largest entry of each turned column is positive: an axis may point either way."""
    largest = largest_entries(vectors @ axes.astype(np.float32))
    return np.where(largest < 0, np.float32(-1), np.float32(1))


def _digits(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
