"""`Evidence`: the lists behind a result, held against what was relevant. May import errors, kernels, the rest of evaluation.

Curves need the places of what is relevant, which a result of `recsys.evaluate` has; distributions and examples need the lists
themselves: those that were kept, or those that the model ranks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.errors import DataError
from recsys.evaluation.judged import JudgedLists, RelevantPairs
from recsys.evaluation.judging import deepest_cutoff
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.relevance import Relevance
from recsys.evaluation.result import EvaluationResult
from recsys.evaluation.slices import Basis
from recsys.interactions import Interactions
from recsys.kernels.dense import row_blocks
from recsys.kernels.metrics import find_places
from recsys.retrieval import RankedLists

__all__ = ["LARGEST_DEPTH", "Evidence", "Shown", "gather_evidence"]

# Lists are ranked again to the largest cut-off, but no deeper than this; to the usual depth where no metric has a cut-off.
LARGEST_DEPTH, _USUAL_DEPTH = 100, 20
_BATCH_USERS = 8192


@dataclass(frozen=True, eq=False)
class Shown:
    """The lists and what users had before: what distributions and examples look at.

    lists : item positions and scores, best first; row r belongs to user r of the result.
    history : what the model was trained on, in its positions.
    """

    lists: RankedLists
    history: Interactions

    @cached_property
    def listed(self) -> np.ndarray:
        """(n_users, depth) bool: the places that hold an item."""
        return np.asarray(np.arange(self.lists.positions.shape[1]) < self.lists.counts[:, None])


@dataclass(frozen=True, eq=False)
class Evidence:
    """Row r of each part belongs to user r of the result.

    relevance : the relevant items and the ids of all items.
    pairs : the relevant items and their places in the lists.
    depth : how many places of the lists are known.
    shown : the lists themselves, where they are known too and the model keeps a history.
    """

    relevance: Relevance
    pairs: RelevantPairs
    depth: int
    shown: Shown | None

    @cached_property
    def judged(self) -> JudgedLists:
        """Where the hits are."""
        return JudgedLists.from_pairs(self.pairs, self.depth)

    def relevant_to(self, row: int) -> np.ndarray:
        """The relevant items of a user, as positions in `relevance.items`."""
        return self.relevance.pair_items[self.relevance.pair_indptr[row] : self.relevance.pair_indptr[row + 1]]


def gather_evidence(result: EvaluationResult, model: Ranker | None) -> Evidence | None:
    """What a result tells of its lists, ranked again by `model` where they were not kept; None for a result without basis.

    Raises `DataError` when `model` ranks otherwise than the model that was evaluated.
    """
    basis = result.basis
    if basis is None:
        return None
    deepest, lists, pairs = deepest_cutoff(basis.metrics), result.lists, basis.pairs
    if lists is None and model is not None:
        lists = _ranked_again(model, basis, min(deepest or _USUAL_DEPTH, LARGEST_DEPTH))
        pairs = _judged_again(lists, basis, deepest)
    depth = deepest if lists is None else lists.positions.shape[1]
    if depth == 0:
        return None
    history = basis.catalogue.history
    shown = None if lists is None or history is None else Shown(lists, history)
    return Evidence(basis.relevance, pairs, depth, shown)


def _ranked_again(model: Ranker, basis: Basis, depth: int) -> RankedLists:
    relevance = basis.relevance
    known = relevance.items.ids_at(np.arange(relevance.n_known_items))
    positions = model.users.positions(relevance.users, unknown="ignore")
    if not (model.items.to_arrow().equals(known) and np.array_equal(positions, relevance.user_positions)):
        raise DataError(_ANOTHER_MODEL.format("knows other users or items than"))
    depth = min(depth, len(model.items))
    blocks = [
        model.rank(positions[rows], depth, exclude_seen=basis.catalogue.exclude_seen)
        for rows in row_blocks(len(positions), _BATCH_USERS)
    ]
    return RankedLists(
        np.concatenate([block.positions for block in blocks]),
        np.concatenate([block.scores for block in blocks]),
        np.concatenate([block.counts for block in blocks]),
    )


def _judged_again(lists: RankedLists, basis: Basis, deepest: int) -> RelevantPairs:
    """The places of the relevant items in `lists`, which must be those that were found before, as far as both reach."""
    before, relevance = basis.pairs, basis.relevance
    places = find_places(lists.positions, lists.counts, relevance.pair_indptr, relevance.pair_items)
    depth = min(deepest, lists.positions.shape[1])
    if not np.array_equal(_cut(before.places, depth), _cut(places, depth)):
        raise DataError(_ANOTHER_MODEL.format("ranks otherwise than"))
    return RelevantPairs(before.indptr, places, before.gains, before.wins)


def _cut(places: np.ndarray, depth: int) -> np.ndarray:
    return np.where(places < depth, places, -1)


_ANOTHER_MODEL = "`model` {} the one that this result is about. Hint: pass the very model that was evaluated."
