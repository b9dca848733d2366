"""`ItemItemModel`: weights between items; users are scored by what they have. What `ItemKNN` and `EASE` yield.

May import everything below trainers: recommending, retrieval, fold_in, interactions, storage, ids, errors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recsys.errors import DataError, FormatError, InputError, ParameterError
from recsys.fold_in import Rows
from recsys.interactions import Interactions
from recsys.model.base import NeighbourTable, RankingModel
from recsys.model.without_embeddings import WithoutEmbeddings
from recsys.recommending.asked import EventRules
from recsys.recommending.catalogue import Catalogue
from recsys.recommending.item_item import EVENT_RULES, ItemItemCatalogue, ItemItemScores, summed_entries
from recsys.recommending.scores import Scores
from recsys.retrieval.exact import require_k
from recsys.retrieval.item_item import DenseWeights, ItemWeights, SparseWeights
from recsys.storage import Stored, id_table, open_stored, write_stored

__all__ = ["ItemItemModel"]

FORM = "item-item"


@dataclass(frozen=True, eq=False, repr=False)
class ItemItemModel(WithoutEmbeddings, RankingModel):
    """Weights between items, with ids and the history by which users are scored. Immutable; it has no embeddings.

        score(u, i) = offset_i + Σ_{j of u} w_uj · B_ji

    weights : B and the offsets, dense or sparse, in the positions of the history's items.
    use_weights : whether w_uj is the weight in the history, or 1 for all that the user has.

    A user is what stands in the history and nothing else, so new users are folded in exactly and at no cost. New items are
    another matter: what they add to others comes from training only. `recommend` can not diversify, since items have no
    vectors by which they are alike; calibration, reasons and all filters are there.
    """

    history: Interactions
    weights: ItemWeights
    use_weights: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.weights.n_items != self.history.n_items:
            raise DataError(
                f"The weights are of {self.weights.n_items:,} items and the history of {self.history.n_items:,}; "
                "they must be the same, in the same order."
            )

    def __repr__(self) -> str:
        size = f"{len(self.users):,} users × {len(self.items):,} items, {self.weights.n_weights:,} weights"
        return f"ItemItemModel({self.trainer_name}, {size})"

    # ---- recommending -------------------------------------------------------------------------------------------

    def _scores(self, index: str) -> Scores:
        self._refuse_index(index)
        return ItemItemScores(Rows.of(self.history, "users"), self.weights, self.use_weights)

    def _catalogue(self) -> Catalogue:
        return ItemItemCatalogue(self.items, self.history.item_counts, self.weights, self.use_weights)

    def _event_rules(self, purpose: str) -> EventRules:
        return EVENT_RULES

    def _basket_scores(self, basket: Rows, index: str, num_threads: int | None) -> Scores:
        self._refuse_index(index)
        return ItemItemScores(basket, self.weights, self.use_weights)

    def _refuse_index(self, index: str) -> None:
        if index != "exact":
            raise ParameterError(
                f"A model of the trainer {self.trainer_name!r} has no item vectors and so no indexes: `index` must be 'exact'. "
                f"Got {index!r}."
            )

    def scores(self, user_positions: np.ndarray) -> np.ndarray:
        """(n, n_items) float32: the scores of every item, also of those that were seen, for users given by position."""
        entries = Rows.of(self.history, "users").take(np.asarray(user_positions))
        return self.weights.rows(summed_entries(entries, self.use_weights))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, history, weights and how they are used: equal models have equal fingerprints."""
        parts = (self.history.fingerprint, self.weights.fingerprint, f"use_weights={self.use_weights}")
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    # ---- likeness and reasons -----------------------------------------------------------------------------------

    def similar_items(self, items: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """The k items that count most in the score of each of `items` (all if None): item_id, similar_item_id, score, rank.

        The score is the weight B_ji of the similar item j in the score of i: for `ItemKNN` the likeness of i's nearest
        neighbours. Only weights above 0 make items similar, so there may be fewer than k. Raises `UnknownIdError`.
        """
        require_k(k)
        return self._neighbours(self._item_positions(items), k, num_threads)

    def similar_users(self, users: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """Raises `NoEmbeddingsError`: users are alike by vectors, and have none here."""
        raise self._no_embeddings()

    def _similar(self) -> NeighbourTable:
        return self._neighbours

    def _neighbours(self, wanted: np.ndarray, k: int, num_threads: int | None) -> pd.DataFrame:
        lists = self.weights.nearest(wanted, k, num_threads)
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        return pd.DataFrame(
            {
                "item_id": self.items.series(np.repeat(wanted, lists.counts)),
                f"similar_{self.items.name}": self.items.series(lists.positions[valid]),
                "score": lists.scores[valid],
                "rank": np.nonzero(valid)[1] + 1,
            }
        )

    def explain(self, user: Any, item: Any, k: int | None = 5) -> pd.DataFrame:
        """Which of the user's own items carried the score of `item`: columns item_id, weight, contribution, rank.

        The contribution of item j is w_uj · B_ji; those of all the user's items sum to the score less its base, the offset of
        `item`. The k largest are returned, all of them for k=None. `.attrs["score"]` holds the score, `.attrs["base"]` the
        offset. Raises `UnknownIdError`.
        """
        if k is not None:
            require_k(k)
        position = self.items.position(item)
        row = Rows.of(self.history, "users").take(np.array([self.users.position(user)]))
        contributions = summed_entries(row, self.use_weights).weights * self._weights_to(position, row.indices)
        return self._explanation(row, contributions, float(self.weights.offsets[position]), k)

    def _weights_to(self, item: int, own: np.ndarray) -> np.ndarray:
        """(n,) float64: B_ji of the items `own` and one item i."""
        alone = Rows(np.arange(len(own) + 1), own, np.ones(len(own), np.float32))
        columns = np.full(len(own), item)
        plain = replace(self.weights, offsets=np.zeros(self.weights.n_items, np.float32))
        return plain.pairs(alone, np.arange(len(own)), columns, 1).astype(np.float64)

    # ---- what is new --------------------------------------------------------------------------------------------

    def fold_in(
        self, events: Interactions, *, of: str = "users", unknown: str = "raise", num_threads: int | None = None
    ) -> ItemItemModel:
        """A model that also knows the users of `events`; this one stays as it is. The weights are the same.

        A user is scored by the history, so new users, and known ones with what they did since, are served exactly as if they
        had been there before; see `history_with`. Weight the events as the training data were weighted.

        unknown : what becomes of events of items this model does not know: "raise" names them (`UnknownIdError`), "skip"
            leaves them out and counts them in provenance["folded_in"].

        Raises `InputError` for of="items": weights of new items come from training only.
        """
        self._check_fold_in(events, of, unknown)
        if of == "items":
            raise InputError(
                f"A model of the trainer {self.trainer_name!r} can not fold in items: what they add to others comes from "
                "training. Hint: train again, on history_with(events)."
            )
        events, left_out = self._usable(events, of, unknown)
        facts = {"of": of, "n": events.n_users, "fingerprint": events.fingerprint, "left_out": left_out}
        return replace(self, history=self.history_with(events), provenance={**self.provenance, "folded_in": facts})

    def forget(self, *, users: Any = None, items: Any = None, num_threads: int | None = None) -> ItemItemModel:
        """A model without these users and items: gone from ids and history, items also from the weights. This one stays.

        Of a forgotten user nothing is left that tells them from others, but the weights were learnt from what they did too;
        and the weights between the items that stay were learnt beside those that go. Only a new training from the history
        that is left removes that. provenance["forgotten"] counts what went; it does not name the ids.

        Raises `UnknownIdError` for ids the model does not know, `DataError` when nothing would be left.
        """
        history = self._remaining(users, items)
        weights = self.weights
        if history.n_items < len(self.items):
            weights = weights.take(self.items.positions(history.items))
        counts = {
            "users": len(self.users) - len(history.users),
            "items": len(self.items) - len(history.items),
            "interactions": len(self.history) - len(history),
            "solved_again": False,
        }
        return replace(self, history=history, weights=weights, provenance={**self.provenance, "forgotten": counts})

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "model" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        write_stored(
            path,
            "model",
            arrays=self.weights.arrays() | {f"history_{name}": array for name, array in self.history.arrays().items()},
            tables={"users": id_table(self.users), "items": id_table(self.items)},
            attributes={
                "form": FORM,
                "n_users": len(self.users),
                "n_items": len(self.items),
                "n_weights": self.weights.n_weights,
                "use_weights": self.use_weights,
                **self.history.feature_attributes("history_"),
            },
            provenance=self.provenance,
            parts=self.history.feature_parts("history_"),
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> ItemItemModel:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "model", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored) -> ItemItemModel:
        """The model in an opened directory. Raises `FormatError` for a model of another form."""
        if stored.attributes.get("form") != FORM:
            raise FormatError(f"{stored.path} holds a model of another form. Hint: recsys.load opens every form.")
        weights: ItemWeights
        if stored.has("weights"):
            weights = DenseWeights(stored.array("offsets"), stored.array("weights"))
        else:
            arrays = (stored.array(f"weights_{name}") for name in ("indptr", "indices", "values"))
            weights = SparseWeights(stored.array("offsets"), *arrays)
        history = Interactions.from_stored(stored, prefix="history_")
        return cls(history, weights, bool(stored.attribute("use_weights")), stored.provenance)
