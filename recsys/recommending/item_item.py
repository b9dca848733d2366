"""Scores that are weighted sums over what users have: what a model of weights between items brings to recommending.

May import errors, fold_in, ids, retrieval and the room's own parts. Knows no history: users are rows of entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import InputError
from recsys.fold_in import Rows
from recsys.fold_in.rows import read_only
from recsys.ids import IdMap
from recsys.recommending.asked import EventRules
from recsys.recommending.reasons import Reasons, all_contributions
from recsys.retrieval import RankedLists
from recsys.retrieval.item_item import ItemWeights

__all__ = ["EVENT_RULES", "ItemItemCatalogue", "ItemItemScores", "summed_entries"]


@dataclass(frozen=True)
class _Rules:
    duplicates: str = "sum"
    takes_negative_weights: bool = False


EVENT_RULES: EventRules = _Rules()
"""What is asked of the events of new users."""


def summed_entries(rows: Rows, use_weights: bool) -> Rows:
    """The rows as they are summed: with their weights, or 1 for each entry."""
    return rows if use_weights else Rows(rows.indptr, rows.indices, read_only(np.ones(len(rows.indices), np.float32)))


@dataclass(frozen=True, eq=False)
class ItemItemScores:
    """How users with the entries `rows` score the items. See `recsys.recommending.scores.Scores`."""

    rows: Rows
    weights: ItemWeights
    use_weights: bool

    def search(
        self,
        rows: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None,
        candidates: np.ndarray | None,
        num_threads: int | None,
    ) -> RankedLists:
        """See `Scores`."""
        entries = summed_entries(self.rows.take(np.asarray(rows)), self.use_weights)
        return self.weights.search(entries, k, seen=seen, candidates=candidates, num_threads=num_threads)

    def pairs(self, rows: np.ndarray, columns: np.ndarray, num_threads: int | None) -> np.ndarray:
        """See `Scores`."""
        wanted, place = np.unique(rows, return_inverse=True)
        entries = summed_entries(self.rows.take(wanted), self.use_weights)
        return self.weights.pairs(entries, place, columns, num_threads)


@dataclass(frozen=True, eq=False)
class ItemItemCatalogue:
    """Items that have weights and no vectors. See `recsys.recommending.catalogue.Catalogue`."""

    ids: IdMap
    counts: np.ndarray
    weights: ItemWeights
    use_weights: bool

    def units(self) -> np.ndarray:
        """Raises `InputError`."""
        raise InputError(
            "`diversity` goes by how alike the vectors of items are, and this model has weights between items alone."
        )

    def reason_finder(self, n_reasons: int) -> ItemItemReasons:
        """By the sums that scores are."""
        return ItemItemReasons(self.weights, self.use_weights, n_reasons)


@dataclass(frozen=True, eq=False)
class ItemItemReasons:
    """Finds up to `n_reasons` a place: of what a user has, the items that added most to the score."""

    weights: ItemWeights
    use_weights: bool
    n_reasons: int

    def find(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> Reasons:
        """The reasons of the lists of users whose entries are `rows`."""
        return self._largest(rows, lists, self.n_reasons, 1, num_threads)

    def contributions(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> np.ndarray:
        """See `recsys.recommending.catalogue.FindsReasons`."""
        return all_contributions(rows, lambda n, sign: self._largest(rows, lists, n, sign, num_threads))

    def _largest(self, rows: Rows, lists: RankedLists, n_reasons: int, sign: int, num_threads: int | None) -> Reasons:
        """The largest of `sign` times the contributions."""
        summed = summed_entries(rows, self.use_weights)
        signed = summed if sign > 0 else Rows(summed.indptr, summed.indices, -summed.weights)
        return Reasons(*self.weights.carried(signed, lists, n_reasons, num_threads))
