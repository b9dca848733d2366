"""`FoldIn`: what a `Model` needs to know of how vectors follow from entries. May import errors and fold_in.rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import InputError
from recsys.fold_in.rows import Rows

__all__ = ["FoldIn", "WithoutReasons"]


@dataclass(frozen=True)
class FoldIn(ABC):
    """What a `Model` needs of a fold-in. Each is a frozen dataclass whose fields, numbers or arrays, are saved with it."""

    name: ClassVar[str]
    duplicates: ClassVar[str] = "sum"
    """What a new event of a known pair does to its weight, a rule of `Interactions.from_events`."""

    @property
    def takes_negative_weights(self) -> bool:
        """Whether weights may be below 0."""
        return False

    @property
    def bias_columns(self) -> int:
        """How many of the last columns of a vector hold biases; they say nothing about likeness."""
        return 0

    @abstractmethod
    def solve(self, rows: Rows, fixed: np.ndarray, num_threads: int | None = None, *, of: str = "users") -> np.ndarray:
        """(n, dim) float32: the vectors of `rows`, which are "users" or "items", given those of the other side (m, dim)."""

    @abstractmethod
    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(n,) float64: what each entry of one user adds to the score of the item vector `query` (dim,) above its base.

        fixed : (m, dim) the item vectors. The contributions sum to the score less `base(query)`.
        """

    @abstractmethod
    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m, d) float32 features f of the item vectors `fixed` and (d,) float64 `dense`, such that a user's vector solves

            (diag(dense + λ_u) + Σ a f fᵀ) x = Σ t f    with a, t and λ_u as `entry_terms` has them,

        and entry j adds t_j f_jᵀ (…)⁻¹ f_i to the score of item i: `contributions` for many users and items at once."""

    @abstractmethod
    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(nnz,) a and (nnz,) t of each entry and (n,) λ_u of each row, float32 (see `features`)."""

    @property
    def sides(self) -> tuple[str, ...]:
        """Of which sides vectors follow from entries; known ids of others keep theirs, whatever is folded in or forgotten."""
        return ("users", "items")

    def turned(self, turn: Callable[[np.ndarray, int], np.ndarray]) -> FoldIn:
        """This fold-in for a model whose vectors were turned by `turn` (vectors, number of last columns left alone)."""
        return self

    def base(self, query: np.ndarray) -> float:
        """The part of the score of an item vector `query` (dim,) that is the same whatever the user has."""
        return 0.0


@dataclass(frozen=True)
class WithoutReasons(FoldIn):
    """A fold-in whose scores are no sums over what a user has, which `no_reasons` says in a sentence."""

    no_reasons: ClassVar[str]

    def contributions(self, row: Rows, fixed: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Raises `InputError`."""
        raise InputError(self.no_reasons)

    def features(self, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raises `InputError`."""
        raise InputError(self.no_reasons)

    def entry_terms(self, rows: Rows, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Raises `InputError`."""
        raise InputError(self.no_reasons)
