"""`Catalogue`: what lists are drawn from, and what re-ranking and reasons go by. May import embeddings, fold_in, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.embeddings import Embeddings
from recsys.embeddings.biases import without_biases
from recsys.errors import InputError
from recsys.fold_in import FoldIn, Rows
from recsys.ids import IdMap
from recsys.recommending.reasons import ReasonFinder, Reasons
from recsys.retrieval import RankedLists

__all__ = ["Catalogue", "FindsReasons", "VectorCatalogue"]


class FindsReasons(Protocol):
    """Finds which of their own items carried each place of users' lists."""

    def find(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> Reasons:
        """The reasons of the lists of users whose entries are `rows`."""

    def contributions(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> np.ndarray:
        """(n, k, width) float64: what each entry of a row adds to each place of its list, in order of entries, then 0;
        width is that of the longest row, at least 1."""


class Catalogue(Protocol):
    """The items of a model."""

    @property
    def ids(self) -> IdMap:
        """The items."""

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: in how many users' histories each item is."""

    def units(self) -> np.ndarray:
        """(n, dim) float32 directions whose products say how alike items are. Raises `InputError` where there are none."""

    def reason_finder(self, n_reasons: int) -> FindsReasons:
        """Finds up to `n_reasons` a place. Raises `InputError` for a model whose scores are no sums over a user's items."""


@dataclass(frozen=True, eq=False)
class VectorCatalogue:
    """Items that have vectors."""

    items: Embeddings
    counts: np.ndarray
    fold_in: FoldIn | None

    @property
    def ids(self) -> IdMap:
        """The items."""
        return self.items.ids

    def units(self) -> np.ndarray:
        """The vectors without columns of biases, at length 1."""
        return without_biases(self.items, self.fold_in).units

    def reason_finder(self, n_reasons: int) -> FindsReasons:
        """By the sums that the fold-in makes."""
        if self.fold_in is None:
            raise InputError("This model can not give reasons: its user vectors are no sums over the user's items.")
        return ReasonFinder(self.fold_in, self.items.vectors, n_reasons)
