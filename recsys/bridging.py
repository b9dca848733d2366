"""From another team's vectors of our items to ours: a bridge by which a brand-new item gets its place. May import all below.

New items have no interactions, so nothing trained on these knows them. Where they have a vector of their text, picture or
anything else, a linear map learnt on the items that have both puts them among ours, where they can be recommended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from recsys.embeddings import Embeddings
from recsys.embeddings.alignment import shared_positions
from recsys.errors import DataError, ParameterError, UnknownIdError
from recsys.evaluation import evaluate
from recsys.evaluation.intervals import mean_intervals
from recsys.fold_in import Rows
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.progress import show_progress

__all__ = ["Bridge", "bridge"]

# λ over the mean eigenvalue of the foreign vectors' covariances.
_RIDGES = (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class Bridge:
    """An affine map y = (x - foreign_mean) W + our_mean, learnt by ridge regression.

    slopes : W, (foreign dim, our dim) float64;  n_shared : items it was learnt from.
    ridge : the λ that predicted held-out items best, over the mean eigenvalue of the foreign covariances.
    explained : of held-out items, the share of our vectors' squared distances from their mean that the map explains.
    quality : of a model, how well held-out items are ranked: columns way, metric, mean, low, high, n_users; see `bridge`.
    """

    slopes: np.ndarray
    foreign_mean: np.ndarray
    our_mean: np.ndarray
    n_shared: int
    ridge: float
    explained: float
    ours: Embeddings
    quality: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        dims = f"{self.slopes.shape[0]} → {self.slopes.shape[1]}"
        return f"Bridge({dims} dimensions by {self.n_shared:,} shared {self.ours.ids.name}s, explains {self.explained:.0%})"

    def place(self, foreign: Embeddings) -> Embeddings:
        """Where foreign vectors lie among ours: embeddings of our dimensions with the ids of `foreign`."""
        if foreign.dim != self.slopes.shape[0]:
            raise ParameterError(f"The foreign vectors must have {self.slopes.shape[0]} dimensions. Got {foreign.dim}.")
        placed = (foreign.vectors - self.foreign_mean) @ self.slopes + self.our_mean
        facts = {"n_shared": self.n_shared, "explained": round(self.explained, 4), "ridge": self.ridge}
        return Embeddings(foreign.ids, placed, {**foreign.provenance, "bridged": facts})

    def extend(self, model: Model, foreign: Embeddings) -> Model:
        """`model` with those items of `foreign` that it does not know, at their places; they can be recommended at once.

        They have no interactions in the history. Users, and the items that were known, stay as they are. Raises
        `UnknownIdError` where nothing is new, `ParameterError` for a model of other dimensions.
        """
        if model.item_embeddings.dim != self.slopes.shape[1]:
            raise ParameterError(f"The model must have {self.slopes.shape[1]} dimensions. Got {model.item_embeddings.dim}.")
        strange = np.flatnonzero(model.items.positions(foreign.ids.to_arrow(), unknown="ignore") < 0)
        if not len(strange):
            raise UnknownIdError("The model knows all items of `foreign` already; there is none to add.")
        placed = self.place(foreign.take(foreign.ids.ids_at(strange)))
        items = model.items.extended(placed.ids.to_arrow())
        old = model.history
        history = old.with_ids(items=items)
        vectors = np.vstack([model.item_embeddings.vectors, placed.vectors])
        facts = {**placed.provenance["bridged"], "n_new": len(strange)}
        return Model.from_vectors(
            history, model.user_embeddings.vectors, vectors, fold_in=model.fold_in_method,
            provenance={**model.provenance, "bridged": facts},
        )  # fmt: skip


def bridge(
    foreign: Embeddings,
    ours: Model | Embeddings,
    *,
    folds: int = 5,
    metric: str = "ndcg@20",
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> Bridge:
    """The map from the space of `foreign` to that of `ours`, learnt on the items that both have.

    Ridge regression with the λ that predicts held-out items best: the shared items are cut at random into `folds`, by
    `random_state`, and each fold is predicted from the others.

    Of a model, `quality` says what that is worth: in each fold the held-out items are ranked for the users who have some of
    them, by `metric`, with 95 % intervals over users. Before that users are folded in again without their interactions with
    these items, as they were before the items came; a model without fold-in keeps its users, who then know them already.
    Ways: "bridge" places the items by their foreign vectors alone; "popularity" ranks them by interactions that only came
    later, which no brand-new item has; "trained" has the vectors that interactions gave them, the most that can be hoped for.

    Raises `DataError` when fewer items are shared than twice the folds.
    """
    if not isinstance(foreign, Embeddings):
        raise ParameterError(f"`foreign` must be Embeddings. Got {type(foreign).__name__}.")
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        raise ParameterError(f"`folds` must be an int >= 2. Got {folds!r}.")
    target = ours.item_embeddings if isinstance(ours, Model) else ours
    there, here = shared_positions(foreign.ids, target.ids)
    if len(here) < 2 * folds:
        raise DataError(f"A bridge of {folds} folds needs at least {2 * folds} shared items. Got {len(here)}.")
    x, y = foreign.vectors[there].astype(np.float64), target.vectors[here].astype(np.float64)
    fold_of = np.random.default_rng(random_state).permutation(len(x)) % folds
    held_out = np.stack([_predicted(x, y, fold_of, ridge) for ridge in _RIDGES])
    errors = ((held_out - y) ** 2).sum(axis=(1, 2))
    best = int(errors.argmin())
    quality = pd.DataFrame()
    if isinstance(ours, Model):
        quality = _quality(ours, here, held_out[best], fold_of, metric, random_state, num_threads, progress)
    slopes, foreign_mean, our_mean = _fitted(x, y, _RIDGES[best])
    spread = float(((y - y.mean(axis=0)) ** 2).sum())
    explained = 1 - float(errors[best]) / spread if spread > 0 else float("nan")
    return Bridge(slopes, foreign_mean, our_mean, len(x), _RIDGES[best], explained, target, quality)


def _fitted(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The W that minimises ‖(X - x̄) W - (Y - ȳ)‖² + λ ‖W‖², and both means."""
    foreign_mean, our_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - foreign_mean
    gram = centred.T @ centred
    size = float(np.trace(gram)) / len(gram)
    gram[np.diag_indices_from(gram)] += ridge * size if size > 0 else 1.0
    return np.linalg.solve(gram, centred.T @ (y - our_mean)), foreign_mean, our_mean


def _predicted(x: np.ndarray, y: np.ndarray, fold_of: np.ndarray, ridge: float) -> np.ndarray:
    """(n, dim): each row as the rows of the other folds predict it."""
    predicted = np.empty_like(y)
    for fold in range(int(fold_of.max()) + 1):
        rows = fold_of == fold
        slopes, foreign_mean, our_mean = _fitted(x[~rows], y[~rows], ridge)
        predicted[rows] = (x[rows] - foreign_mean) @ slopes + our_mean
    return predicted


def _quality(
    model: Model,
    here: np.ndarray,
    placed: np.ndarray,
    fold_of: np.ndarray,
    metric: str,
    random_state: int,
    num_threads: int | None,
    progress: bool,
) -> pd.DataFrame:
    """A row for each way; the mean over users of their mean over the folds in which they have some of the items."""
    parts: dict[str, list[pd.DataFrame]] = {}
    with show_progress("Held-out items", int(fold_of.max()) + 1, enabled=progress) as advance:
        for fold in range(int(fold_of.max()) + 1):
            rows = fold_of == fold
            for way, judged in _judged(model, here[rows], placed[rows], metric, num_threads):
                parts.setdefault(way, []).append(judged)
            advance()
    table = []
    for way, frames in parts.items():
        values = pd.concat(frames).groupby("user_id")[metric].mean().to_numpy(np.float64)
        low, high = mean_intervals(values[:, None], _CONFIDENCE, np.random.default_rng(random_state))
        table.append((way, metric, float(values.mean()), float(low[0]), float(high[0]), len(values)))
    return pd.DataFrame(table, columns=["way", "metric", "mean", "low", "high", "n_users"])


def _judged(
    model: Model, held_out: np.ndarray, placed: np.ndarray, metric: str, num_threads: int | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """For each way, the metric of each user who has some of the items `held_out`, all of which are ranked."""
    ids = model.items.subset(held_out)
    relevant = model.history.select(np.isin(model.history.indices, held_out))
    if not len(relevant):
        return
    users = _users_without(model, ids, num_threads)
    popularity = model.history.item_counts[held_out].astype(np.float32)[:, None]
    ways = {
        "bridge": (users, placed),
        "popularity": (np.ones((len(users), 1), np.float32), popularity),
        "trained": (users, model.item_embeddings.vectors[held_out]),
    }
    n_users = len(model.users)
    unseen = Interactions(model.users, ids, np.zeros(n_users + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    for way, (user_vectors, item_vectors) in ways.items():
        candidate = Model.from_vectors(unseen, user_vectors, item_vectors)
        yield way, evaluate(candidate, _only_items(relevant, ids), [metric], num_threads=num_threads).per_user


def _only_items(data: Interactions, ids: IdMap) -> Interactions:
    """The same entries with `ids`, which hold all their items, as the items."""
    places = ids.positions(data.items.to_arrow(), unknown="ignore")
    return Interactions.from_events(data.users, ids, data.row_positions(), places[data.indices].astype(np.int32), data.weights)


def _users_without(model: Model, held_out: IdMap, num_threads: int | None) -> np.ndarray:
    """(n_users, dim) float32: users folded in without their interactions with the held-out items."""
    if model.fold_in_method is None:
        return model.user_embeddings.vectors
    history = model.history.drop(items=held_out.to_arrow())
    kept = model.item_embeddings.vectors[model.items.positions(history.items)]
    return model.fold_in_method.solve(Rows.of(history, "users"), kept, num_threads)
