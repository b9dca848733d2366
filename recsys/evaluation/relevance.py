"""A test set in the positions of a model: who is ranked, what counts as relevant, and what had to be left out.

May import errors, ids, kernels, interactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint
from recsys.evaluation.ranker import Ranker
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.kernels import csr
from recsys.kernels.metrics import shared_entries

__all__ = ["Relevance", "model_positions", "relevant_items"]

OVERLAP_RULES = ("raise", "drop", "keep")


@dataclass(frozen=True, eq=False)
class Relevance:
    """The users that are evaluated, in order of the test set, and their relevant items.

    users : their ids.
    user_positions : (n_users,) int64, their rows in the model.
    items : the model's items in their positions, then the test's items that the model does not know.
    pair_indptr, pair_items, pair_gains : (n_users + 1,) int64, (n_pairs,) int32 and float32: the relevant items, positions in
        `items` that rise in a row, and their weights. Those unknown to the model are there too: nobody can find them, they
        stay misses.
    n_known_items : how many items the model knows.
    counts : what was counted on the way; see `recsys.evaluate`.
    """

    users: IdMap
    user_positions: np.ndarray
    items: IdMap
    n_known_items: int
    pair_indptr: np.ndarray
    pair_items: np.ndarray
    pair_gains: np.ndarray
    counts: dict[str, int]

    @property
    def n_relevant(self) -> np.ndarray:
        """(n_users,) int64, all relevant items, those unknown to the model too."""
        return np.diff(self.pair_indptr)

    @cached_property
    def _known(self) -> np.ndarray:
        return self.pair_items < self.n_known_items

    @cached_property
    def indptr(self) -> np.ndarray:
        """(n_users + 1,) int64: the rows of `indices`."""
        return np.asarray(np.concatenate([[0], np.cumsum(self._known)])[self.pair_indptr])

    @cached_property
    def indices(self) -> np.ndarray:
        """(n_known,) int32: the relevant items that the model knows, by its positions, rising in a row."""
        return np.asarray(self.pair_items[self._known])


def relevant_items(model: Ranker, test: Interactions, *, exclude_seen: bool, overlap: str) -> Relevance:
    """Maps `test` to the model's positions. Raises `DataError` when nobody is left, or for overlap (see `recsys.evaluate`)."""
    if overlap not in OVERLAP_RULES:
        hint = closest_hint(str(overlap), OVERLAP_RULES)
        raise ParameterError(f"`overlap` must be 'raise', 'drop' or 'keep'. Got {overlap!r}.{hint}")
    users, known_items = model_positions(model, test)
    items, columns = _with_unknown(model, test, known_items)
    indptr, indices, gains = _pairs_by_item(test, columns, users >= 0, len(items))
    counts = {
        "pairs_in_test": test.n_interactions,
        "pairs_of_unknown_users": test.n_interactions - len(indices),
        "pairs_with_unknown_items": int((indices >= len(model.items)).sum()),
    }
    if model.history is not None:
        seen = shared_entries(indptr, indices, users, model.history.indptr, model.history.indices)
        counts |= {"pairs_in_history": int(seen.sum()), "pairs_dropped": 0}
        if exclude_seen and overlap == "raise" and seen.any():
            raise DataError(_overlap_found(model, test, indptr, indices, seen))
        if exclude_seen and overlap == "drop":
            counts["pairs_dropped"] = int(seen.sum())
            indptr, indices, gains = _without(indptr, indices, gains, seen)
    rows = np.flatnonzero(np.diff(indptr))
    counts |= _user_counts(test, users, rows, len(indices))
    ends = np.concatenate([indptr[:1], indptr[1:][rows]])
    return Relevance(test.users.subset(rows), users[rows], items, len(model.items), ends, indices, gains, counts)


def model_positions(model: Ranker, test: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """The model's positions of the test's users (int64) and items (int32), -1 for unknown.

    Raises `DataError` for empty test data and when the model knows none of their users or items.
    """
    if not len(test):
        raise DataError("The test data have no entries, so there is nothing to evaluate.")
    users = model.users.positions(test.users, unknown="ignore")
    items = model.items.positions(test.items, unknown="ignore").astype(np.int32)
    hint = "users held out of training become known by model.fold_in(events)."
    _refuse_strangers(model.users, test.users, users, "users", hint)
    _refuse_strangers(model.items, test.items, items, "items", "are these the data that the model was trained for?")
    return users, items


def _with_unknown(model: Ranker, test: Interactions, items: np.ndarray) -> tuple[IdMap, np.ndarray]:
    """The model's items with the test's unknown ones appended, and the positions there (int32) of the test's items.

    items : (test.n_items,) int32, the model's positions of the test's items, -1 for unknown.
    """
    strangers = np.flatnonzero(items < 0)
    if not len(strangers):
        return model.items, items
    columns = items.copy()
    columns[strangers] = len(model.items) + np.arange(len(strangers), dtype=np.int32)
    return model.items.extended(test.items.ids_at(strangers)), columns


def _pairs_by_item(
    test: Interactions, columns: np.ndarray, known_user: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(indptr, indices, weights): the test rows, empty for unknown users, sorted by the new positions of their items."""
    wanted = known_user[test.row_positions()]
    rows, items = test.row_positions()[wanted], columns[test.indices[wanted]]
    by_item = csr.counting_order(items, n_items, np.empty(0, np.int64))
    order = csr.counting_order(rows, test.n_users, by_item)
    return csr.row_pointers(rows, test.n_users), items[order], test.weights[wanted][order]


def _without(
    indptr: np.ndarray, indices: np.ndarray, gains: np.ndarray, unwanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows without the entries of the mask."""
    removed = np.concatenate([[0], np.cumsum(unwanted)])[indptr]
    return indptr - removed, indices[~unwanted], gains[~unwanted]


def _user_counts(test: Interactions, users: np.ndarray, rows: np.ndarray, n_pairs: int) -> dict[str, int]:
    """What became of the test users; `rows` are those that are evaluated."""
    n_unknown = int((users < 0).sum())
    if not len(rows):
        raise DataError(
            f"No user has a relevant item: of {test.n_users:,} test users {n_unknown:,} are unknown to the model "
            "and all pairs of the others stand in its history. Hint: are these the data that the model was trained on?"
        )
    return {
        "users_in_test": test.n_users,
        "users_evaluated": len(rows),
        "users_unknown": n_unknown,
        "users_without_relevant_items": test.n_users - n_unknown - len(rows),
        "pairs_relevant": n_pairs,
    }


def _refuse_strangers(known: IdMap, wanted: IdMap, positions: np.ndarray, what: str, hint: str) -> None:
    """Raises `DataError` when the model knows none of the test's users (or items): all numbers would be empty or 0."""
    if (positions >= 0).any():
        return
    if wanted.is_integer != known.is_integer:
        kinds = ("integers", "strings") if wanted.is_integer else ("strings", "integers")
        hint = f"the ids of the test data are {kinds[0]}, those of the model {kinds[1]}."
    example = wanted.ids_at([0])[0].as_py()
    raise DataError(f"The model knows none of the {len(wanted):,} test {what}, such as {example!r}. Hint: {hint}")


def _overlap_found(model: Ranker, test: Interactions, indptr: np.ndarray, indices: np.ndarray, seen: np.ndarray) -> str:
    entry = int(np.flatnonzero(seen)[0])
    user = test.users.ids_at([np.searchsorted(indptr, entry, side="right") - 1])[0].as_py()
    item = model.items.ids_at([indices[entry]])[0].as_py()
    return (
        f"{int(seen.sum()):,} of the {test.n_interactions:,} test pairs stand in the model's history, such as user {user!r} "
        f"with item {item!r}, and exclude_seen=True keeps them out of every list. Hint: overlap='drop' leaves them out of the "
        "relevant items, overlap='keep' counts them as misses, exclude_seen=False lets lists repeat what was seen."
    )
