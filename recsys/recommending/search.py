"""Ranked lists under filters: by a search over all items, or pair by pair where an allow list names them. Knows no ids.

May import retrieval and the room's own parts.
"""

from __future__ import annotations

import itertools

import numpy as np

from recsys.recommending.filters import Filters
from recsys.recommending.scores import Scores
from recsys.recommending.tables import PairSet
from recsys.retrieval import RankedLists, empty_lists

__all__ = ["at_least", "ranked_lists", "stacked"]

# Pairs of allow lists that are scored at once: bounds the memory whatever the lists hold.
_PAIRS = 2**22


def ranked_lists(scores: Scores, rows: np.ndarray, k: int, filters: Filters, num_threads: int | None) -> RankedLists:
    """The k best items of each of `rows`, which are rows of the scores and of the filters."""
    k = min(k, filters.n_items)
    if filters.allow is None:
        hidden = filters.hidden(rows)
        seen = None if hidden is None else (hidden.indptr, hidden.indices)
        return scores.search(rows, k, seen=seen, candidates=filters.candidates, num_threads=num_threads)
    blocks = _blocks_of_pairs(filters.allow.counts(rows))
    parts = [_best_pairs(scores, rows[block], filters.allowed(rows[block]), k, num_threads) for block in blocks]
    return stacked(parts) if parts else empty_lists(0, k)


def _blocks_of_pairs(counts: np.ndarray) -> list[slice]:
    """Runs of rows of at most about `_PAIRS` pairs."""
    number = np.cumsum(counts) // _PAIRS
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(counts)]
    return [slice(begin, end) for begin, end in itertools.pairwise(edges) if end > begin]


def _best_pairs(scores: Scores, wanted: np.ndarray, pairs: PairSet, k: int, num_threads: int | None) -> RankedLists:
    sizes = np.diff(pairs.indptr)
    rows = np.repeat(np.arange(len(wanted)), sizes)
    values = scores.pairs(wanted[rows], pairs.indices, num_threads)
    # The sort is stable and positions rise within a row: ties go to the lower position.
    order = np.lexsort((-values, rows))
    place = np.arange(len(order)) - np.repeat(pairs.indptr[:-1], sizes)
    kept = place < k
    lists = empty_lists(len(wanted), k)
    lists.positions[rows[kept], place[kept]] = pairs.indices[order[kept]]
    lists.scores[rows[kept], place[kept]] = values[order[kept]]
    lists.counts[:] = np.minimum(sizes, k)
    return lists


def at_least(lists: RankedLists, min_score: float) -> RankedLists:
    """The lists without the items of a score below `min_score`."""
    good = (lists.scores >= min_score) & (np.arange(lists.scores.shape[1]) < lists.counts[:, None])
    return RankedLists(lists.positions, lists.scores, good.sum(axis=1, dtype=np.int32))


def stacked(parts: list[RankedLists]) -> RankedLists:
    """The lists of all parts, one below the other; narrower ones get room to the right."""
    width = max(part.positions.shape[1] for part in parts)

    def wide(array: np.ndarray) -> np.ndarray:
        return array if array.shape[1] == width else np.pad(array, ((0, 0), (0, width - array.shape[1])))

    return RankedLists(
        np.vstack([wide(part.positions) for part in parts]),
        np.vstack([wide(part.scores) for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )
