"""Scores that are weighted sums of other scores: what a blend of models brings to recommending. Knows no ids.

    score(row, i) = Σ_m w_m s_m(row, i)     w_m > 0

Searched by the threshold algorithm (Fagin, Lotem & Naor, "Optimal aggregation algorithms for middleware", PODS 2001): each
part gives its best items; what is in none of these lists scores at most the sum of their ends. May import errors, fold_in,
ids, kernels, retrieval and the room's own parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.errors import InputError
from recsys.fold_in import Rows
from recsys.ids import IdMap
from recsys.kernels.dense import row_blocks
from recsys.recommending.catalogue import Catalogue, FindsReasons
from recsys.recommending.reasons import Reasons
from recsys.recommending.scores import Scores
from recsys.recommending.tables import PairSet
from recsys.retrieval import RankedLists, empty_lists
from recsys.retrieval.exact import require_k

__all__ = ["BlendedCatalogue", "BlendedScores", "united"]

# Of each part so many times k are asked for, and where that does not prove a list so many times more.
_FIRST, _LEAST, _MORE = 3, 32, 6
# Entries that the lists of a group of rows may hold, of all parts together; contributions that are summed at once.
_ENTRIES, _CONTRIBUTIONS = 2**21, 2**21


@dataclass(frozen=True, eq=False)
class BlendedScores:
    """Sums of the scores of `parts`, times `weights`, numbers above 0. See `recsys.recommending.scores.Scores`.

    Sums run in float64 over the parts' float32 scores, in the order of the parts, and are rounded once.
    """

    parts: Sequence[Scores]
    weights: Sequence[float]
    n_items: int

    def search(
        self,
        rows: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None,
        candidates: np.ndarray | None,
        num_threads: int | None,
    ) -> RankedLists:
        """See `Scores`. Memory is bounded by groups of rows."""
        require_k(k)
        rows, n_items = np.asarray(rows), self.n_items if candidates is None else len(candidates)
        lists = empty_lists(len(rows), min(k, n_items))
        hidden = None if seen is None else PairSet(*seen)
        left = np.arange(len(rows) if n_items else 0)
        kept = max(_LEAST, _FIRST * k)
        while len(left):
            kept = min(kept, n_items)
            unproven = []
            for group in row_blocks(len(left), max(1, _ENTRIES // (kept * len(self.parts)))):
                some = left[group]
                masked = None if hidden is None else hidden.take(some)
                pairs = None if masked is None else (masked.indptr, masked.indices)
                best = [
                    part.search(rows[some], kept, seen=pairs, candidates=candidates, num_threads=num_threads)
                    for part in self.parts
                ]
                unproven.append(some[~self._enter(rows, some, best, kept == n_items, lists, num_threads)])
            left, kept = np.concatenate(unproven), kept * _MORE
        return lists

    def pairs(self, rows: np.ndarray, columns: np.ndarray, num_threads: int | None) -> np.ndarray:
        """See `Scores`."""
        total = np.zeros(len(rows), np.float64)
        for part, weight in zip(self.parts, self.weights, strict=True):
            total += weight * part.pairs(rows, columns, num_threads).astype(np.float64)
        return total.astype(np.float32)

    def _enter(
        self,
        rows: np.ndarray,
        some: np.ndarray,
        best: list[RankedLists],
        everything: bool,
        lists: RankedLists,
        num_threads: int | None,
    ) -> np.ndarray:
        """Writes the best of what the parts' lists hold to the lists `some`; returns which of them, (n,) bool, are proven."""
        found = united(best, self.n_items)
        sizes, k = found.counts(np.arange(len(some))), lists.positions.shape[1]
        owners = np.repeat(np.arange(len(some)), sizes)
        scores = self.pairs(rows[some[owners]], found.indices, num_threads)
        # The sort is stable and positions rise within a row: ties go to the lower position.
        order = np.lexsort((-scores, owners))
        place = np.arange(len(order)) - np.repeat(found.indptr[:-1], sizes)
        kept = place < k
        lists.positions[some[owners[kept]], place[kept]] = found.indices[order[kept]]
        lists.scores[some[owners[kept]], place[kept]] = scores[order[kept]]
        lists.counts[some] = np.minimum(sizes, k)
        if everything:
            return np.ones(len(some), bool)
        # Sums and products of floats never fall where their terms rise, so this holds after rounding too. A part's lists and
        # its pairs may differ by the rounding of their last bit.
        others = np.zeros(len(some), np.float64)
        complete = np.zeros(len(some), bool)
        for part, weight in zip(best, self.weights, strict=True):
            last = part.scores[np.arange(len(some)), np.maximum(part.counts, 1) - 1]
            others += weight * np.nextafter(last, np.float32(np.inf)).astype(np.float64)
            complete |= part.counts < part.positions.shape[1]
        return np.asarray(complete | (lists.scores[some, k - 1] > others.astype(np.float32)))


def united(lists: Sequence[RankedLists], n_items: int) -> PairSet:
    """Every item that one of the lists of a row has, by row, in rising order."""
    keys = []
    for part in lists:
        valid = np.arange(part.positions.shape[1]) < part.counts[:, None]
        keys.append((np.arange(len(part))[:, None] * np.int64(n_items) + part.positions)[valid])
    return PairSet.of_keys(np.unique(np.concatenate(keys)), len(lists[0]), n_items)


@dataclass(frozen=True, eq=False)
class BlendedCatalogue:
    """The items of a blend. See `recsys.recommending.catalogue.Catalogue`.

    likeness : the parts' catalogues in the order in which they are asked how alike items are.
    """

    parts: Sequence[Catalogue]
    weights: Sequence[float]
    likeness: Sequence[Catalogue]

    @property
    def ids(self) -> IdMap:
        """The items."""
        return self.parts[0].ids

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: in how many users' histories each item is."""
        return self.parts[0].counts

    def units(self) -> np.ndarray:
        """Those of the first part that has any. Raises `InputError` where none has."""
        *others, last = self.likeness
        for part in others:
            try:
                return part.units()
            except InputError:
                continue
        return last.units()

    def reason_finder(self, n_reasons: int) -> BlendedReasons:
        """By the weighted sums of what each part finds. Raises `InputError` where one part finds none."""
        return BlendedReasons([part.reason_finder(n_reasons) for part in self.parts], self.weights, n_reasons)


@dataclass(frozen=True, eq=False)
class BlendedReasons:
    """Finds up to `n_reasons` a place: contributions to a blend's score are the weighted sums of those to its parts'."""

    parts: Sequence[FindsReasons]
    weights: Sequence[float]
    n_reasons: int

    def find(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> Reasons:
        """The reasons of the lists of users whose entries are `rows`."""
        shape = (*lists.positions.shape, self.n_reasons)
        found = Reasons(np.zeros(shape, np.int32), np.zeros(shape, np.float64), np.zeros(shape[:2], np.int32))
        widest = int(rows.counts.max(initial=1)) * max(1, shape[1])
        for block in row_blocks(len(rows), max(1, _CONTRIBUTIONS // widest)):
            own = rows.take(np.arange(block.start, block.stop))
            part = RankedLists(lists.positions[block], lists.scores[block], lists.counts[block])
            amounts = self.contributions(own, part, num_threads)
            best = np.argsort(-amounts, axis=2, kind="stable")[:, :, : self.n_reasons]
            amounts = np.take_along_axis(amounts, best, axis=2)
            width = best.shape[2]
            entries = np.minimum(own.indptr[:-1, None, None] + best, max(0, len(own.indices) - 1))
            found.positions[block, :, :width] = own.indices[entries] if len(own.indices) else 0
            found.contributions[block, :, :width] = amounts
            found.counts[block] = (amounts > 0).sum(axis=2)
        return found

    def contributions(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> np.ndarray:
        """See `FindsReasons`."""
        parts = [part.contributions(rows, lists, num_threads) for part in self.parts]
        return np.asarray(sum(weight * part for part, weight in zip(parts, self.weights, strict=True)))
