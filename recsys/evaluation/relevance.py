"""A test set in the positions of a model: who is ranked, what counts as relevant, and what had to be left out.

May import errors, ids, kernels, interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    indptr, indices : (n_users + 1,) int64 and (n_known,) int32, the relevant items that the model knows, rising in a row.
    n_relevant : (n_users,) int64, all relevant items, those unknown to the model too: nobody can find them, they stay misses.
    counts : what was counted on the way; see `recsys.evaluate`.
    """

    users: IdMap
    user_positions: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    n_relevant: np.ndarray
    counts: dict[str, int]


def relevant_items(model: Ranker, test: Interactions, *, exclude_seen: bool, overlap: str) -> Relevance:
    """Maps `test` to the model's positions. Raises `DataError` when nobody is left, or for overlap (see `recsys.evaluate`)."""
    if overlap not in OVERLAP_RULES:
        hint = closest_hint(str(overlap), OVERLAP_RULES)
        raise ParameterError(f"`overlap` must be 'raise', 'drop' or 'keep'. Got {overlap!r}.{hint}")
    users, items = model_positions(model, test)
    of_known_user = (users >= 0)[test.row_positions()]
    indptr, indices = _known_pairs(test, items, of_known_user, len(model.items))
    n_relevant = np.bincount(test.row_positions()[of_known_user], minlength=test.n_users)
    counts = {
        "pairs_in_test": test.n_interactions,
        "pairs_of_unknown_users": int((~of_known_user).sum()),
        "pairs_with_unknown_items": int(of_known_user.sum()) - len(indices),
    }
    if model.history is not None:
        seen = shared_entries(indptr, indices, users, model.history.indptr, model.history.indices)
        counts |= {"pairs_in_history": int(seen.sum()), "pairs_dropped": 0}
        if exclude_seen and overlap == "raise" and seen.any():
            raise DataError(_overlap_found(model, test, indptr, indices, seen))
        if exclude_seen and overlap == "drop":
            counts["pairs_dropped"] = int(seen.sum())
            indptr, indices, dropped = _without(indptr, indices, seen)
            n_relevant = n_relevant - dropped
    return _evaluated_rows(test, users, indptr, indices, n_relevant, counts)


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


def _known_pairs(
    test: Interactions, items: np.ndarray, of_known_user: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """(indptr, indices): the test rows with those entries whose user and item the model knows, sorted by the model's item.

    items : (test.n_items,) int32, the model's positions of the test's items, -1 for unknown.
    """
    columns = items[test.indices]
    known = of_known_user & (columns >= 0)
    rows, columns = test.row_positions()[known], columns[known]
    by_item = csr.counting_order(columns, n_items, np.empty(0, np.int64))
    order = csr.counting_order(rows, test.n_users, by_item)
    return csr.row_pointers(rows, test.n_users), columns[order]


def _without(indptr: np.ndarray, indices: np.ndarray, unwanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows without the entries of the mask, and how many (n_rows,) went from each."""
    removed = np.concatenate([[0], np.cumsum(unwanted)])[indptr]
    return indptr - removed, indices[~unwanted], np.diff(removed)


def _evaluated_rows(
    test: Interactions,
    users: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    n_relevant: np.ndarray,
    counts: dict[str, int],
) -> Relevance:
    """The rows of known users that have relevant items; the others have no entry in `indices`."""
    rows = np.flatnonzero((users >= 0) & (n_relevant > 0))
    n_unknown = int((users < 0).sum())
    if not len(rows):
        raise DataError(
            f"No user has a relevant item: of {test.n_users:,} test users {n_unknown:,} are unknown to the model "
            "and all pairs of the others stand in its history. Hint: are these the data that the model was trained on?"
        )
    counts |= {
        "users_in_test": test.n_users,
        "users_evaluated": len(rows),
        "users_unknown": n_unknown,
        "users_without_relevant_items": test.n_users - n_unknown - len(rows),
        "pairs_relevant": int(n_relevant[rows].sum()),
    }
    ends = np.concatenate([indptr[:1], indptr[1:][rows]])
    return Relevance(test.users.subset(rows), users[rows], ends, indices, n_relevant[rows], counts)


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
