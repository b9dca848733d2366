"""`Model`: user and item embeddings with the history they were trained on. Every trainer yields one.

May import everything below trainers: embeddings, retrieval, fold_in, interactions, storage, ids, errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recsys.embeddings import Embeddings
from recsys.errors import DataError, InputError, ParameterError
from recsys.fold_in import FoldIn, Rows, fold_in_from, fold_in_to
from recsys.ids import IdMap, as_id_array, id_series
from recsys.interactions import Interactions, require_interactions, same_timing
from recsys.progress import show_progress
from recsys.retrieval import RankedLists, top_k
from recsys.retrieval.exact import require_k
from recsys.storage import Stored, id_table, open_stored, write_stored

__all__ = ["Model"]

_BATCH_USERS = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """User vectors · item vectors, with ids, the history they come from, and how to fold in what is new. Immutable.

    The score of a user and an item is the dot product of their vectors. `history` is what seen items, explanations and
    fold-in go by; it has the ids of the model, in the same positions.
    """

    user_embeddings: Embeddings
    item_embeddings: Embeddings
    history: Interactions
    provenance: Mapping[str, Any] = field(default_factory=dict)
    fold_in_method: FoldIn | None = None

    def __post_init__(self) -> None:
        if self.user_embeddings.dim != self.item_embeddings.dim:
            raise DataError(
                f"User vectors have {self.user_embeddings.dim} columns and item vectors {self.item_embeddings.dim}."
            )
        if self.history.users != self.users or self.history.items != self.items:
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

    @property
    def users(self) -> IdMap:
        """The users this model knows."""
        return self.user_embeddings.ids

    @property
    def items(self) -> IdMap:
        """The items this model knows."""
        return self.item_embeddings.ids

    def __repr__(self) -> str:
        trainer = self.provenance.get("trainer", "unknown trainer")
        return f"Model({trainer}, {len(self.users):,} users × {len(self.items):,} items, {self.item_embeddings.dim} factors)"

    # ---- recommending -------------------------------------------------------------------------------------------

    def recommend(
        self,
        users: Any = None,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        only_items: Any = None,
        exclude_items: Any = None,
        unknown: str = "raise",
        index: str = "exact",
        num_threads: int | None = None,
        progress: bool = False,
    ) -> pd.DataFrame:
        """The k best items for each of `users` (all if None), as columns user_id, item_id, score, rank (from 1).

        exclude_seen : leave out what the user has in the history.
        only_items, exclude_items : ids to choose among, ids never to show. A filtered item never appears: where fewer
            than k are left there are fewer rows.
        unknown : "raise" names users the model does not know, "skip" leaves them out, "popular" gives them the most
            popular items, scored by the number of users who have them.
        index : "exact".

        Rows come in the order of `users`, best first; equal scores in order of item position. Raises `UnknownIdError`
        for unknown users or items and `ParameterError` for a wrong argument.
        """
        batches = self.recommend_batches(
            users, k, exclude_seen=exclude_seen, only_items=only_items, exclude_items=exclude_items, unknown=unknown,
            index=index, num_threads=num_threads, progress=progress,
        )  # fmt: skip
        return pd.concat(list(batches), ignore_index=True)

    def recommend_batches(
        self,
        users: Any = None,
        k: int = 10,
        *,
        batch_users: int = _BATCH_USERS,
        exclude_seen: bool = True,
        only_items: Any = None,
        exclude_items: Any = None,
        unknown: str = "raise",
        index: str = "exact",
        num_threads: int | None = None,
        progress: bool = False,
    ) -> Iterator[pd.DataFrame]:
        """What `recommend` returns, in frames of at most `batch_users` users: memory stays bounded however many there are.

        Everything is checked at the call, before the first frame is asked for. There is at least one frame, maybe empty.
        """
        require_k(k)
        if index != "exact":
            raise ParameterError(f"`index` must be 'exact': this model has no other index. Got {index!r}.")
        if unknown not in ("raise", "skip", "popular"):
            raise ParameterError(f"`unknown` must be 'raise', 'skip' or 'popular'. Got {unknown!r}.")
        if batch_users < 1:
            raise ParameterError(f"`batch_users` must be an int >= 1. Got {batch_users!r}.")
        positions, ids = self._asked_users(users, unknown)
        candidates = self._candidates(only_items, exclude_items)
        lists = self._popular(k, candidates) if (positions < 0).any() else None
        starts = range(0, max(len(ids), 1), batch_users)

        def frames() -> Iterator[pd.DataFrame]:
            with show_progress("Recommending, users", len(ids), enabled=progress) as advance:
                for start in starts:
                    batch = slice(start, start + batch_users)
                    ranked = self._ranked(positions[batch], k, exclude_seen, candidates, lists, num_threads)
                    yield self._frame(ids[batch], ranked)
                    advance(len(ranked))

        return frames()

    def rank(
        self,
        user_positions: np.ndarray,
        k: int,
        *,
        exclude_seen: bool = True,
        only_items: Any = None,
        exclude_items: Any = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """Ranked item positions for users given by position; the ground of `recommend` and of evaluation."""
        candidates = self._candidates(only_items, exclude_items)
        return self._ranked(np.asarray(user_positions), k, exclude_seen, candidates, None, num_threads)

    def _ranked(
        self,
        positions: np.ndarray,
        k: int,
        exclude_seen: bool,
        candidates: np.ndarray | None,
        for_unknown: RankedLists | None,
        num_threads: int | None,
    ) -> RankedLists:
        """Lists for users by position; where that is -1, the one list of `for_unknown`."""
        known = positions[positions >= 0]
        seen = self._rows(known) if exclude_seen else None
        lists = top_k(
            self.user_embeddings.vectors[known],
            self.item_embeddings.vectors,
            k,
            seen=None if seen is None else (seen.indptr, seen.indices),
            candidates=candidates,
            num_threads=num_threads,
        )
        if for_unknown is None:
            return lists
        place = np.where(positions >= 0, np.cumsum(positions >= 0) - 1, len(known))
        return RankedLists(
            np.vstack([lists.positions, for_unknown.positions])[place],
            np.vstack([lists.scores, for_unknown.scores])[place],
            np.concatenate([lists.counts, for_unknown.counts])[place],
        )

    def _popular(self, k: int, candidates: np.ndarray | None) -> RankedLists:
        counts = self.history.item_counts.astype(np.float32)[:, None]
        return top_k(np.ones((1, 1), np.float32), counts, k, candidates=candidates)

    def _asked_users(self, users: Any, unknown: str) -> tuple[np.ndarray, pa.Array]:
        """Positions (-1 for unknown) and ids of the users asked for."""
        if users is None:
            return np.arange(len(self.users)), self.users.to_arrow()
        ids = as_id_array(users, name=self.users.name)
        positions = self.users.positions(ids, unknown=_or_ignore(unknown))
        if unknown != "skip":
            return positions, ids
        return positions[positions >= 0], ids.filter(pa.array(positions >= 0))

    def _candidates(self, only_items: Any, exclude_items: Any) -> np.ndarray | None:
        """Rising positions of the items that may appear; None for all."""
        if only_items is None and exclude_items is None:
            return None
        allowed = np.full(len(self.items), only_items is None)
        if only_items is not None:
            allowed[self.items.positions(only_items)] = True
        if exclude_items is not None:
            allowed[self.items.positions(exclude_items)] = False
        return np.flatnonzero(allowed)

    def _rows(self, positions: np.ndarray) -> Rows:
        """The history of users given by position."""
        return Rows.of(self.history, "users").take(positions)

    def _frame(self, ids: pa.Array, lists: RankedLists) -> pd.DataFrame:
        valid = np.arange(lists.positions.shape[1]) < lists.counts[:, None]
        users = id_series(ids.take(pa.array(np.repeat(np.arange(len(ids)), lists.counts))), self.users.name)
        items = self.items.series(lists.positions[valid])
        rank = np.nonzero(valid)[1] + 1
        return pd.DataFrame({"user_id": users, "item_id": items, "score": lists.scores[valid], "rank": rank})

    # ---- likeness and reasons -----------------------------------------------------------------------------------

    def similar_items(self, items: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """The k items nearest by cosine to each of `items` (all if None): item_id, similar_item_id, score, rank."""
        return self._without_biases(self.item_embeddings).neighbours(items, k, num_threads=num_threads)

    def similar_users(self, users: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """The k users nearest by cosine to each of `users` (all if None): user_id, similar_user_id, score, rank."""
        return self._without_biases(self.user_embeddings).neighbours(users, k, num_threads=num_threads)

    def _without_biases(self, embeddings: Embeddings) -> Embeddings:
        """What likeness goes by: columns of biases are much the same for all, so they would make all alike."""
        columns = 0 if self.fold_in_method is None else self.fold_in_method.bias_columns
        if not columns:
            return embeddings
        if columns == embeddings.dim:
            raise InputError(f"A model with biases alone can not tell which {embeddings.ids.name}s are alike.")
        return Embeddings(embeddings.ids, embeddings.vectors[:, :-columns].copy(), embeddings.provenance)

    def explain(self, user: Any, item: Any, k: int | None = 5) -> pd.DataFrame:
        """Which of the user's own items carried the score of `item`: columns item_id, weight, contribution, rank.

        The contributions of all the user's items sum to the score less its base (Hu, Koren & Volinsky 2008, section 5);
        the k largest are returned, all of them for k=None. `.attrs["score"]` holds the score, `.attrs["base"]` the part
        that is the same whatever the user has: 0 for implicit feedback, the item's mean-and-bias for ratings.
        Raises `InputError` for a model whose user vectors do not come from least squares.
        """
        if k is not None:
            require_k(k)
        method = self._least_squares("explain")
        row = self._rows(np.array([self.users.position(user)]))
        query = self.item_embeddings[item]
        contributions = method.contributions(row, self.item_embeddings.vectors, query)
        order = np.argsort(-contributions, kind="stable")[:k]
        table = pd.DataFrame(
            {
                "item_id": self.items.series(row.indices[order]),
                "weight": row.weights[order],
                "contribution": contributions[order],
                "rank": np.arange(1, len(order) + 1),
            }
        )
        table.attrs["base"] = method.base(query)
        table.attrs["score"] = method.base(query) + float(contributions.sum())
        return table

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

        Raises `InputError` for a model that has no least-squares fold-in.
        """
        if of not in ("users", "items"):
            raise ParameterError(f"`of` must be 'users' or 'items'. Got {of!r}.")
        if unknown not in ("raise", "skip"):
            raise ParameterError(f"`unknown` must be 'raise' or 'skip'. Got {unknown!r}.")
        require_interactions(events, "fold_in")
        method = self._least_squares("fold in")
        if of == "users":
            known_ids = self.items.positions(events.items, unknown=_or_ignore(unknown)) >= 0
            usable = known_ids[events.indices]
        else:
            known_ids = self.users.positions(events.users, unknown=_or_ignore(unknown)) >= 0
            usable = known_ids[events.row_positions()]
        left_out = int((~usable).sum())
        events = events.select(usable) if left_out else events
        if not method.takes_negative_weights:
            events.refuse_negative_weights("fold_in")
        history = self.history_with(events)
        if of == "users":
            known, fixed = self.user_embeddings, self.item_embeddings
            ids, changed = history.users, history.users.positions(events.users)
        else:
            known, fixed = self.item_embeddings, self.user_embeddings
            ids, changed = history.items, history.items.positions(events.items)
        vectors = np.zeros((len(ids), known.dim), np.float32)
        vectors[: len(known)] = known.vectors
        vectors[changed] = method.solve(Rows.of(history, of).take(changed), fixed.vectors, num_threads, of=of)
        grown = Embeddings(ids, vectors, known.provenance)
        users, items = (grown, fixed) if of == "users" else (fixed, grown)
        provenance = {**self.provenance, "folded_in": {"of": of, "n": len(changed), "fingerprint": events.fingerprint}}
        provenance["folded_in"]["left_out"] = left_out
        return Model(users, items, history, provenance, method)

    def history_with(self, events: Interactions) -> Interactions:
        """The history followed by new events. Weights of the same pair are summed; of two ratings the later one holds."""
        duplicates = "sum" if self.fold_in_method is None else self.fold_in_method.duplicates
        history, events = same_timing(self.history, events)
        return history.merge(events, duplicates=duplicates)

    def forget(self, *, users: Any = None, items: Any = None, num_threads: int | None = None) -> Model:
        """A model without these users and items: gone from ids, vectors and history. This one stays as it is.

        Where the vectors come from least squares, every remaining user and item that had entries with what is forgotten is
        solved again, exactly, from the history that is left: users first with the items fixed, then items. What remains is
        indirect: the vectors held fixed meanwhile (and the mean of ratings) were once trained beside the forgotten ones, and
        only a new training from the remaining history removes that. provenance["forgotten"] counts all this; it does not
        name the ids.

        Raises `UnknownIdError` for ids the model does not know, `DataError` when nothing would be left.
        """
        history = self.history.drop(users=users, items=items)
        if not history.n_users or not history.n_items:
            raise DataError("A model must keep at least one user and one item.")
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

    def _least_squares(self, purpose: str) -> FoldIn:
        if self.fold_in_method is None:
            trainer = self.provenance.get("trainer", "unknown")
            raise InputError(
                f"A model of the trainer {trainer!r} can not {purpose}: its vectors do not come from least squares."
            )
        return self.fold_in_method

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "model" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        arrays = {"user_vectors": self.user_embeddings.vectors, "item_vectors": self.item_embeddings.vectors}
        write_stored(
            path,
            "model",
            arrays=arrays | {f"history_{name}": array for name, array in self.history.arrays().items()},
            tables={"users": id_table(self.users), "items": id_table(self.items)},
            attributes={
                "n_users": len(self.users),
                "n_items": len(self.items),
                "factors": self.item_embeddings.dim,
                "fold_in": None if self.fold_in_method is None else fold_in_to(self.fold_in_method),
            },
            provenance=self.provenance,
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Model:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "model", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored) -> Model:
        """The model in an opened directory."""
        saved = stored.attribute("fold_in")
        return cls.from_vectors(
            Interactions.from_stored(stored, prefix="history_"),
            stored.array("user_vectors"),
            stored.array("item_vectors"),
            fold_in=None if saved is None else fold_in_from(saved),
            provenance=stored.provenance,
        )


def _or_ignore(unknown: str) -> str:
    """What `IdMap.positions` is asked to do about unknown ids that are to be raised or skipped."""
    return "raise" if unknown == "raise" else "ignore"
