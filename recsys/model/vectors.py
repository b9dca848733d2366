"""`Model`: user and item embeddings with the history they were trained on. Most trainers yield one.

May import everything below trainers: embeddings, retrieval, fold_in, interactions, storage, ids, errors.
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

from recsys.embeddings import Embeddings
from recsys.embeddings.biases import without_biases
from recsys.embeddings.compression import CompressedEmbeddings, Compression
from recsys.embeddings.compression.scores import CompressedScores
from recsys.errors import DataError, InputError, ParameterError
from recsys.fold_in import FoldIn, Rows, fold_in_arrays, fold_in_from, fold_in_to
from recsys.interactions import Interactions
from recsys.model.base import NeighbourTable, RankingModel
from recsys.model.compressing import compressed_sides, side_arrays, side_facts, side_from_stored, turned_fold_in
from recsys.model.new_by_features import grown_by_features
from recsys.model.without_embeddings import NoEmbeddingsError
from recsys.recommending.catalogue import Catalogue, VectorCatalogue
from recsys.recommending.scores import Scores, VectorScores
from recsys.retrieval import RepeatedSearch, Searcher
from recsys.retrieval.approximate import Indexes, build_index
from recsys.retrieval.approximate.choice import drawn_queries
from recsys.retrieval.approximate.stored import require_name
from recsys.retrieval.exact import require_k
from recsys.storage import Stored, id_table, open_stored, write_stored

__all__ = ["Model"]


@dataclass(frozen=True, eq=False, repr=False)
class Model(RankingModel):
    """User vectors · item vectors, with ids, the history they come from, and how to fold in what is new. Immutable.

    The score of a user and an item is the dot product of their vectors. `history` is what seen items, explanations and
    fold-in go by; it has the ids of the model, in the same positions.
    """

    user_embeddings: Embeddings
    item_embeddings: Embeddings
    history: Interactions
    provenance: Mapping[str, Any] = field(default_factory=dict)
    fold_in_method: FoldIn | None = None
    indexes: Indexes = field(default_factory=Indexes)

    def __post_init__(self) -> None:
        if self.user_embeddings.dim != self.item_embeddings.dim:
            raise DataError(
                f"User vectors have {self.user_embeddings.dim} columns and item vectors {self.item_embeddings.dim}."
            )
        if self.users != self.user_embeddings.ids or self.items != self.item_embeddings.ids:
            raise DataError("The history must have the model's own users and items, in the same order.")

    @classmethod
    def from_vectors(
        cls,
        history: Interactions,
        users: np.ndarray,
        items: np.ndarray,
        *,
        fold_in: FoldIn | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Model:
        """A model from (n_users, dim) and (n_items, dim) float32 vectors in the positions of `history`."""
        origin = dict(provenance or {})
        return cls(Embeddings(history.users, users, origin), Embeddings(history.items, items, origin), history, origin, fold_in)

    def __repr__(self) -> str:
        size = f"{len(self.users):,} users × {len(self.items):,} items, {self.item_embeddings.dim} factors"
        return f"Model({self.trainer_name}, {size})"

    # ---- recommending -------------------------------------------------------------------------------------------

    def _scores(self, index: str) -> Scores:
        if index == "exact" and isinstance(self.item_embeddings, CompressedEmbeddings):
            return CompressedScores(self.user_embeddings.vectors_at, self.item_embeddings)
        return VectorScores(self.user_embeddings.vectors, self.item_embeddings.vectors, self._searcher(index))

    def _catalogue(self) -> Catalogue:
        return VectorCatalogue(self.item_embeddings, self.history.item_counts, self.fold_in_method)

    def _event_rules(self, purpose: str) -> FoldIn:
        if self.fold_in_method is None:
            reason = "its user vectors do not follow from what users have"
            raise InputError(f"A model of the trainer {self.trainer_name!r} can not {purpose}: {reason}.")
        return self.fold_in_method

    def _basket_scores(self, basket: Rows, index: str, num_threads: int | None) -> Scores:
        vectors = self._event_rules("fold in").solve(basket, self.item_embeddings.vectors, num_threads)
        if index == "exact" and isinstance(self.item_embeddings, CompressedEmbeddings):
            return CompressedScores(lambda rows: vectors[rows], self.item_embeddings)
        return VectorScores(vectors, self.item_embeddings.vectors, self._searcher(index))

    def _rows(self, positions: np.ndarray) -> Rows:
        """The history of users given by position."""
        return Rows.of(self.history, "users").take(positions)

    @cached_property
    def _exact(self) -> RepeatedSearch:
        return RepeatedSearch()

    def _searcher(self, index: str) -> Searcher:
        """How items are searched: "exact", or by the index of that name. Raises `ParameterError` where there is none."""
        if index == "exact":
            return self._exact
        return self.indexes.searcher(index, self.item_embeddings.fingerprint)

    # ---- indexes ------------------------------------------------------------------------------------------------

    def build_index(
        self,
        kind: str = "auto",
        *,
        name: str | None = None,
        target_recall: float = 0.99,
        k: int = 20,
        n_queries: int = 1000,
        random_state: int = 0,
        num_threads: int | None = None,
        progress: bool = False,
    ) -> Model:
        """This model with an approximate index of its items, which `recommend(index=name)` then searches by.

        kind : "ivf", "ivf-flat", "ivf-pq", "hnsw", or "auto" for the one that answers single queries fastest on this model.
        name : how to ask for it; by default `kind`, as it stands here.
        target_recall : the share of the exact `k` best, less what the user has seen, that must be found on average. Parameters
            are chosen on half of `n_queries` users drawn at random, and measured on the other half: that recall, its interval,
            speeds beside exact search, size and time to build are in `model.indexes[name].describe()`.

        Parameters depend on measured times; what is built from them depends on `random_state` alone. An index stays valid as
        long as the items do: folding in users keeps it, other changes leave it out. Raises `ParameterError` for a wrong
        argument, `MissingExtraError` without faiss, and `InputError` with the curve found when the recall can not be reached.
        """
        if name is not None:
            require_name(name)
        sample = drawn_queries(self.user_embeddings.vectors, n_queries, random_state)
        seen = self._rows(sample)
        built = build_index(
            self.item_embeddings.vectors, self.user_embeddings.vectors[sample], (seen.indptr, seen.indices), kind=kind,
            target_recall=target_recall, k=k, random_state=random_state, num_threads=num_threads, progress=progress,
            fingerprint=self.item_embeddings.fingerprint,
        )  # fmt: skip
        return replace(self, indexes=self.indexes.with_index(kind if name is None else name, built))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, vectors and history: equal models have equal fingerprints. Indexes do not count."""
        parts = (self.user_embeddings, self.item_embeddings, self.history)
        return hashlib.sha256("".join(part.fingerprint for part in parts).encode()).hexdigest()

    # ---- alignment ----------------------------------------------------------------------------------------------

    def align_to(self, reference: Model | Embeddings, *, weights: Any = None, num_threads: int | None = None) -> Model:
        """This model turned so that its item vectors lie as near to those of `reference` as a rotation can bring them.

        Users are turned with the items, so every score, list, explanation and fold-in stays, to float32's accuracy; columns of
        biases are left alone. What keeps vectors downstream may go on as if nothing had happened.

        reference : an earlier model, or its items' embeddings. Of different dimensions the larger is taken, and a warning says
            when the model gets more than it had.
        weights : how much each shared item counts: None for all alike, "popularity" for its interactions in this model's
            history, or a Series or mapping from item to a number >= 0.

        provenance["aligned_to"] says what came of it; indexes are left out. Raises `DataError` when no item is shared.
        """
        own = without_biases(self.item_embeddings, self.fold_in_method)
        target = reference if isinstance(reference, Embeddings) else reference.item_embeddings
        if isinstance(reference, Model):
            target = without_biases(target, reference.fold_in_method)
        if isinstance(weights, str):
            if weights != "popularity":
                raise ParameterError(f"`weights` must be 'popularity', or numbers by item_id. Got {weights!r}.")
            weights = pd.Series(self.history.item_counts, index=self.items.to_numpy())
        alignment = own.alignment_to(target, weights=weights, num_threads=num_threads)
        alignment.warn_if_wider(own.dim)
        kept = self.item_embeddings.dim - own.dim
        users, items = (
            alignment.apply(side.vectors, kept=kept, num_threads=num_threads)
            for side in (self.user_embeddings, self.item_embeddings)
        )
        facts = {"fingerprint": reference.fingerprint, **alignment.describe()}
        provenance = {**self.provenance, "aligned_to": facts}
        method = self.fold_in_method
        if method is not None:
            method = method.turned(lambda vectors, left: alignment.apply(vectors, kept=left, num_threads=num_threads))
        return Model.from_vectors(self.history, users, items, fold_in=method, provenance=provenance)

    # ---- size -----------------------------------------------------------------------------------------------------

    def compress(
        self,
        dimensions: int | None = None,
        storage: str = "int8",
        *,
        subspaces: int | None = None,
        rescore: str | None = None,
        oversample: float | None = None,
        random_state: int = 0,
        num_threads: int | None = None,
    ) -> Model:
        """This model with users and items in fewer bytes; `recommend` then searches the items' codes.

        Arguments and errors are those of `Embeddings.compress`. Where dimensions are left out, users and items are turned to
        the principal axes of both together, so that their dot products keep the most; columns of biases stay as they are.
        With `rescore` users are kept as the whole vectors of the items are. Indexes are left out.
        What comes of it is measured by `recsys.tradeoff`.
        """
        settings = Compression(dimensions, storage, subspaces, rescore, oversample, random_state)
        users, items, axes = compressed_sides(self, settings, num_threads)
        method = turned_fold_in(self.fold_in_method, axes, items.dim, num_threads)
        return Model(users, items, self.history, {**self.provenance, "compressed": settings.describe()}, method)

    # ---- likeness and reasons -----------------------------------------------------------------------------------

    def similar_items(self, items: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """The k items nearest by cosine to each of `items` (all if None): item_id, similar_item_id, score, rank."""
        return without_biases(self.item_embeddings, self.fold_in_method).neighbours(items, k, num_threads=num_threads)

    def _similar(self) -> NeighbourTable:
        embeddings = without_biases(self.item_embeddings, self.fold_in_method)
        return lambda wanted, k, threads: embeddings.neighbours(embeddings.ids.ids_at(wanted), k, num_threads=threads)

    def similar_users(self, users: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """The k users nearest by cosine to each of `users` (all if None): user_id, similar_user_id, score, rank."""
        return without_biases(self.user_embeddings, self.fold_in_method).neighbours(users, k, num_threads=num_threads)

    def explain(self, user: Any, item: Any, k: int | None = 5) -> pd.DataFrame:
        """Which of the user's own items carried the score of `item`: columns item_id, weight, contribution, rank.

        The contributions of all the user's items sum to the score less its base (Hu, Koren & Volinsky 2008, section 5);
        the k largest are returned, all of them for k=None. `.attrs["score"]` holds the score, `.attrs["base"]` the part
        that is the same whatever the user has: 0 for implicit feedback, the item's mean-and-bias for ratings.
        Raises `InputError` for a model that can not fold in.
        """
        if k is not None:
            require_k(k)
        method = self._event_rules("explain")
        row = self._rows(np.array([self.users.position(user)]))
        query = self.item_embeddings[item]
        contributions = method.contributions(row, self.item_embeddings.vectors, query)
        return self._explanation(row, contributions, method.base(query), k)

    # ---- what is new --------------------------------------------------------------------------------------------

    def fold_in(
        self, events: Interactions, *, of: str = "users", unknown: str = "raise", num_threads: int | None = None
    ) -> Model:
        """A model that also knows the users (or, with of="items", the items) of `events`; this one stays as it is.

        Their vectors are solved exactly with the other side fixed; ids that were known are solved again from their history
        and `events` together (see `history_with`). Weight the events as the training data were weighted. Old ids keep
        their positions.

        unknown : what becomes of events whose id on the fixed side this model does not know: "raise" names the ids
            (`UnknownIdError`), "skip" leaves them out and counts them in provenance["folded_in"].

        Raises `InputError` for a model that can not fold in.
        """
        self._check_fold_in(events, of, unknown)
        method = self._event_rules("fold in")
        events, left_out = self._usable(events, of, unknown)
        history = self.history_with(events)
        if of == "users":
            known, fixed = self.user_embeddings, self.item_embeddings
            ids, changed = history.users, history.users.positions(events.users)
        else:
            known, fixed = self.item_embeddings, self.user_embeddings
            ids, changed = history.items, history.items.positions(events.items)
        if of not in method.sides:
            changed = changed[changed >= len(known)]
        vectors = np.zeros((len(ids), known.dim), np.float32)
        vectors[: len(known)] = known.vectors
        vectors[changed] = method.solve(Rows.of(history, of).take(changed), fixed.vectors, num_threads, of=of)
        grown = Embeddings(ids, vectors, known.provenance)
        users, items = (grown, fixed) if of == "users" else (fixed, grown)
        provenance = {**self.provenance, "folded_in": {"of": of, "n": len(changed), "fingerprint": events.fingerprint}}
        provenance["folded_in"]["left_out"] = left_out
        return Model(users, items, history, provenance, method, self.indexes if of == "users" else Indexes())

    def add_items(self, features: Any, *, unknown: str = "raise") -> Model:
        """A model that also knows the items of `features`, by these alone: they can be recommended before anybody had them.

        features : a table with one row an item (a file, DataFrame or Arrow table), read in the columns of the training's
            features; or `recsys.Features` in these columns.
        unknown : what becomes of new items without any feature that was trained on: "raise" names them, "skip" leaves them out.

        Items that are known stay as they are. Raises `InputError` for a model that was trained without features of items,
        `DataError` that names items without any feature that was trained on, `UnknownIdError` where no item is new.
        """
        return self._added(features, "items", unknown)

    def add_users(self, features: Any, *, unknown: str = "raise") -> Model:
        """A model that also knows the users of `features`, by these alone: the same as `add_items` for the other side."""
        return self._added(features, "users", unknown)

    def _added(self, features: Any, of: str, unknown: str) -> Model:
        known = self.user_embeddings if of == "users" else self.item_embeddings
        grown, history = grown_by_features(features, known, self.history, self.fold_in_method, self.trainer_name, of, unknown)
        provenance = {**self.provenance, "added_by_features": {"of": of, "n": len(grown) - len(known)}}
        if of == "users":
            return Model(grown, self.item_embeddings, history, provenance, self.fold_in_method, self.indexes)
        return Model(self.user_embeddings, grown, history, provenance, self.fold_in_method)

    @property
    def _duplicates(self) -> str:
        return "sum" if self.fold_in_method is None else self.fold_in_method.duplicates

    def forget(self, *, users: Any = None, items: Any = None, num_threads: int | None = None) -> Model:
        """A model without these users and items: gone from ids, vectors and history. This one stays as it is.

        Where the model can fold in, every remaining user and item that had entries with what is forgotten is solved again,
        exactly, from the history that is left, as far as it folds in that side: users first with the items fixed, then items.
        What remains is indirect: the vectors held fixed meanwhile (and the mean of ratings) were once trained beside the
        forgotten ones, and only a new training from the remaining history removes that. provenance["forgotten"] counts all
        this; it does not name the ids.

        Raises `UnknownIdError` for ids the model does not know, `DataError` when nothing would be left.
        """
        history = self._remaining(users, items)
        kept_users = self.users.positions(history.users)
        kept_items = self.items.positions(history.items)
        lost_users = self.history.user_counts[kept_users] != history.user_counts
        lost_items = self.history.item_counts[kept_items] != history.item_counts
        user_vectors = self.user_embeddings.vectors[kept_users]
        item_vectors = self.item_embeddings.vectors[kept_items]
        if self.fold_in_method is not None:
            sides = (
                ("users", lost_users, user_vectors, item_vectors),
                ("items", lost_items, item_vectors, user_vectors),
            )
            for of, lost, vectors, fixed in sides:
                if of not in self.fold_in_method.sides:
                    continue
                rows = Rows.of(history, of).take(np.flatnonzero(lost))
                vectors[lost] = self.fold_in_method.solve(rows, fixed, num_threads, of=of)
        counts = {
            "users": len(self.users) - len(history.users),
            "items": len(self.items) - len(history.items),
            "interactions": len(self.history) - len(history),
            "users_affected": int(lost_users.sum()),
            "items_affected": int(lost_items.sum()),
            "solved_again": self.fold_in_method is not None,
        }
        provenance = {**self.provenance, "forgotten": counts}
        return Model.from_vectors(history, user_vectors, item_vectors, fold_in=self.fold_in_method, provenance=provenance)

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "model" (see `recsys.storage`), its indexes in folders of `indexes/`.

        An existing path is refused unless `overwrite`; its indexes go with it.
        """
        arrays = side_arrays(self.user_embeddings, "user") | side_arrays(self.item_embeddings, "item")
        write_stored(
            path,
            "model",
            arrays=arrays
            | {f"history_{name}": array for name, array in self.history.arrays().items()}
            | fold_in_arrays(self.fold_in_method),
            tables={"users": id_table(self.users), "items": id_table(self.items)},
            attributes={
                "n_users": len(self.users),
                "n_items": len(self.items),
                "factors": self.item_embeddings.dim,
                "fold_in": None if self.fold_in_method is None else fold_in_to(self.fold_in_method),
                **side_facts(self),
                **self.history.feature_attributes("history_"),
            },
            provenance=self.provenance,
            parts={f"indexes/{name}": index.save for name, index in self.indexes.items()}
            | self.history.feature_parts("history_"),
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Model:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "model", verify=verify), verify=verify)

    @classmethod
    def from_stored(cls, stored: Stored, *, verify: bool = True) -> Model:
        """The model in an opened directory. Its indexes are opened, and checked if `verify`, when they are asked for.

        Raises `NoEmbeddingsError` for a model of another form, which `recsys.load` opens.
        """
        if stored.attributes.get("form", "vectors") != "vectors":
            raise NoEmbeddingsError(str(stored.provenance.get("trainer", "unknown")), str(stored.path))
        saved = stored.attribute("fold_in")
        history = Interactions.from_stored(stored, prefix="history_")
        return cls(
            side_from_stored(stored, history.users, "user"),
            side_from_stored(stored, history.items, "item"),
            history,
            stored.provenance,
            None if saved is None else fold_in_from(saved, stored.array),
            Indexes.in_folder(stored.path / "indexes", verify=verify),
        )
