"""`evaluate_ratings`: how far predicted ratings are from given ones.

May import errors, kernels, ids, interactions, model and the rest of this folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from recsys.errors import DataError, ParameterError
from recsys.evaluation.intervals import check_confidence, ratio_intervals
from recsys.evaluation.protocol import require_whole
from recsys.evaluation.relevance import model_positions
from recsys.evaluation.result import EvaluationResult
from recsys.interactions import Interactions, require_interactions
from recsys.kernels import csr
from recsys.kernels.metrics import shared_entries
from recsys.model import Model, RankingModel

__all__ = ["RatingErrors", "evaluate_ratings"]

_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class RatingErrors(EvaluationResult):
    """What `recsys.evaluate_ratings` found. Immutable.

    values : (n_users, 2) float64, the RMSE and MAE over each user's own pairs.
    n_pairs : (n_users,) int64, how many those are.

    The "mean" of `summary()` is over all pairs, √(Σ e² / n) and Σ |e| / n, so a user counts as often as the user has
    pairs. Its interval draws users, each with all pairs: errors of one user are alike, so drawing pairs one by one would
    seem surer than it is.
    """

    n_pairs: np.ndarray = field(kw_only=True)

    _notes: ClassVar[Mapping[str, str]] = {
        "pairs_of_unknown_users": "pairs of users unknown to the model left out",
        "pairs_with_unknown_items": "pairs with items unknown to the model left out",
        "pairs_in_history": "pairs in the model's history, so not held out",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        view = self.n_pairs.view()
        view.flags.writeable = False
        object.__setattr__(self, "n_pairs", view)

    @property
    def per_user(self) -> pd.DataFrame:
        """One row a user, in order of the test set: user_id, rmse, mae, n_pairs."""
        table: pd.DataFrame = super().per_user
        return table.assign(n_pairs=self.n_pairs)

    @property
    def _sums(self) -> np.ndarray:
        """(n_users, 2): sums of squared and of absolute errors."""
        return np.asarray(np.column_stack([self.values[:, 0] ** 2, self.values[:, 1]]) * self.n_pairs[:, None])

    @property
    def _means(self) -> np.ndarray:
        return _root_of_first(self._sums.sum(axis=0) / self.n_pairs.sum())

    @cached_property
    def _intervals(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.random_state)
        # The ends of a BCa interval are quantiles, so those of a root are the roots of those.
        low, high = ratio_intervals(self._sums, self.n_pairs, self.confidence, rng)
        return _root_of_first(low), _root_of_first(high)

    def _heading(self) -> str:
        interval = f"{100 * self.confidence:g} % intervals over users"
        return f"RatingErrors: {int(self.n_pairs.sum()):,} pairs of {len(self.users):,} users, with {interval}"


def _root_of_first(values: np.ndarray) -> np.ndarray:
    """(mean squared error, mean absolute error) → (RMSE, MAE)."""
    return np.array([np.sqrt(values[0]), values[1]])


def evaluate_ratings(
    model: RankingModel,
    test: Interactions,
    *,
    confidence: float = 0.95,
    random_state: int = 0,
    clip: tuple[float, float] | None = None,
) -> RatingErrors:
    """RMSE and MAE of the model's scores as predictions of the weights of `test`: for models of ratings (`ExplicitALS`).

    Both are over all pairs whose user and item the model knows, with a bootstrap interval (BCa) that draws users; see
    `RatingErrors`. Pairs that cannot be predicted are left out and counted in `result.counts`:
        pairs_in_test = pairs_evaluated + pairs_of_unknown_users + pairs_with_unknown_items
        pairs_in_history : of those evaluated, how many the model was trained on, whose errors are no test
        users_in_test = users_evaluated + users_unknown + users_without_known_items

    confidence, random_state : of the intervals; the errors do not depend on them.
    clip : (low, high) of the scale, such as (1, 5): predictions outside are moved to its ends.

    Raises `ParameterError` for a bad argument, `DataError` for empty test data and when no pair is left.
    """
    if not isinstance(model, Model):
        raise ParameterError(f"evaluate_ratings needs a model that predicts ratings, such as ExplicitALS makes. Got {model!r}.")
    require_interactions(test, "evaluate_ratings")
    sure, seed = check_confidence(confidence), require_whole(random_state, "random_state", 0)
    scale = _checked_scale(clip)
    users, items = model_positions(model, test)
    rows, columns = test.row_positions(), items[test.indices]
    known = (users[rows] >= 0) & (columns >= 0)
    if not known.any():
        raise DataError("No test pair has both a user and an item that the model knows, so there is nothing to evaluate.")
    errors = _predictions(model, users[rows[known]], columns[known], scale) - test.weights[known]
    evaluated, n_pairs, values = _by_user(rows[known], errors)
    settings = {"clip": None if scale is None else list(scale), "confidence": sure, "random_state": seed}
    about_test = {"fingerprint": test.fingerprint, **test.provenance}
    return RatingErrors(
        users=test.users.subset(evaluated),
        metrics=("rmse", "mae"),
        values=values,
        counts=_counts(model, users, rows, columns, len(evaluated)),
        provenance={"model": dict(model.provenance), "test": about_test, "evaluation": settings},
        confidence=sure,
        random_state=seed,
        n_pairs=n_pairs,
    )


def _by_user(rows: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that have errors, rising; how many (n,); and their RMSE and MAE (n, 2) float64."""
    found, n_pairs = np.unique(rows, return_counts=True)
    squares, sizes = (np.bincount(rows, values)[found] for values in (errors**2, np.abs(errors)))
    return found, n_pairs, np.column_stack([np.sqrt(squares / n_pairs), sizes / n_pairs])


def _counts(model: Model, users: np.ndarray, rows: np.ndarray, columns: np.ndarray, n_evaluated: int) -> dict[str, int]:
    """What `evaluate_ratings` counts, for all pairs as (test row, model's item) and the rows' users in the model."""
    of_known_user = users[rows] >= 0
    known = of_known_user & (columns >= 0)
    n_unknown = int((users < 0).sum())
    return {
        "pairs_in_test": len(rows),
        "pairs_evaluated": int(known.sum()),
        "pairs_of_unknown_users": int((~of_known_user).sum()),
        "pairs_with_unknown_items": int((of_known_user & (columns < 0)).sum()),
        "pairs_in_history": _pairs_in_history(model, users, rows[known], columns[known]),
        "users_in_test": len(users),
        "users_evaluated": n_evaluated,
        "users_unknown": n_unknown,
        "users_without_known_items": len(users) - n_unknown - n_evaluated,
    }


def _predictions(model: Model, users: np.ndarray, items: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    """(n_pairs,) float64: the scores of pairs given by position, held within the scale."""
    scores = np.empty(len(users))
    for begin in range(0, len(users), _PAIRS_AT_ONCE):
        block = slice(begin, begin + _PAIRS_AT_ONCE)
        pair = (model.user_embeddings.vectors[users[block]], model.item_embeddings.vectors[items[block]])
        scores[block] = np.einsum("ij,ij->i", *pair, dtype=np.float64)
    return scores if scale is None else np.clip(scores, *scale)


def _pairs_in_history(model: Model, users: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> int:
    """How many of the pairs (test row, model's item) the model's history holds; `users` are the rows' positions there."""
    order = np.lexsort((columns, rows))
    indptr = csr.row_pointers(rows, len(users))
    seen = shared_entries(indptr, columns[order], users, model.history.indptr, model.history.indices)
    return int(seen.sum())


def _checked_scale(clip: Any) -> tuple[float, float] | None:
    if clip is None:
        return None
    try:
        low, high = (float(end) for end in clip)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low < high:
        raise ParameterError(f"`clip` must be None or two numbers (low, high) with low < high. Got {clip!r}.")
    return low, high
