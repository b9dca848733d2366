"""LightFM: vectors that are sums over the features of users and items, learnt by ranking losses."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse

from recsys.errors import DataError, quote_some
from recsys.features import Features
from recsys.fold_in import Rows
from recsys.fold_in.by_features import ByFeatures, to_vectors
from recsys.fold_in.descent import LOSSES, SCHEDULES, Descent
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.trainers.base import Factors, Run, Trainer, refuse_idle_factors
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["LightFM"]


@dataclass(frozen=True, kw_only=True)
class LightFM(Trainer[Model]):
    """Matrix factorisation whose users and items are sums of the vectors of their features, so that new ones need no events.

    A user is x_u = Σ_f v_uf e_f over the features that `data.with_features` gave, and over one of their own; an item likewise;
    each feature has a bias too. The score is x_u · y_i + b_u + b_i (Kula, "Metadata Embeddings for User and Item Cold-start
    Recommendations", CBRecSys 2015, equation 1). Without features it is matrix factorisation with biases.

    loss : with s⁺ the score of an item that the user has (its weight is above 0) and s⁻ that of one drawn at random that they
        have not,
        "warp"      log(rank) · max(0, 1 - s⁺ + s⁻), where s⁻ is the first of `max_sampled` draws that comes within 1 of s⁺ and
                    the rank is estimated from how many it took (Weston, Bengio & Usunier, "WSABIE", IJCAI 2011): the top of
                    the lists.
        "bpr"       -log σ(s⁺ - s⁻) (Rendle et al., "BPR", UAI 2009): the whole order.
        "warp-kos"  "warp", where s⁺ is the `kth_positive` best of `positives_sampled` draws of the user's items (Weston, Yee &
                    Weiss, RecSys 2013).
        "logistic"  -log σ(s) for weights above 0 and -log σ(-s) for others: for likes and dislikes.

    Each example is a gradient step from where the last one ended, with AdaGrad or AdaDelta, as in the library lightfm; a step
    penalises the vectors that it moves, by `…_regularization` / 2 ‖e_f‖². Rivals are drawn evenly from all items, for "bpr" as
    often as users have them. Steps in order take one thread, and so the same seed gives the same bytes; a training that was
    interrupted goes on to the same bytes too. Vectors are [x, b_u, 1] for users and [y, 1, b_i] for items, `factors` + 2
    columns; likeness goes by the first `factors`.

    `model.add_items(features)` and `model.add_users(features)` know new ids by their features alone. `model.fold_in(events)`
    trains new users by such steps with the items fixed, from nothing, their features left aside.
    """

    name: ClassVar[str] = "lightfm"
    advice: ClassVar[str] = "when items or users have features: new ones are recommended before anybody had them"

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": Range(0.01, 0.2, log=True),
        "item_regularization": Range(1e-6, 1e-2, log=True),
        "user_regularization": Range(1e-6, 1e-2, log=True),
    }

    loss: str = "warp"
    """What is minimised: "warp", "bpr", "warp-kos" or "logistic"."""
    factors: int = 64
    """Length of x and y: more fits more, at linear cost in time and memory."""
    learning_rate: float = 0.05
    """Length of the first steps of "adagrad"; "adadelta" finds its own."""
    schedule: str = "adagrad"
    """How steps shorten: "adagrad" (Duchi et al. 2011) or "adadelta" (Zeiler 2012)."""
    iterations: int = 20
    """Passes over the interactions: each takes as long as the first; too many fit the training data alone."""
    user_regularization: float = 0.0
    """Pulls the vectors of users' features towards zero at each step; more for small or noisy data."""
    item_regularization: float = 0.0
    """The same for the features of items."""
    max_sampled: int = 10
    """Draws in search of an item that scores too high: more look deeper into the lists, and take longer."""
    kth_positive: int = 5
    """Of "warp-kos": which of the drawn items of the user is pushed up; 1 is the best, a later one helps those at the end."""
    positives_sampled: int = 10
    """Of "warp-kos": how many of the user's items are drawn."""
    own_vectors: bool = True
    """Whether those who have features have a vector of their own too; without, two of the same features are the same."""
    use_features: bool = True
    """Whether features in the data are used at all."""
    use_weights: bool = False
    """Whether a step is as long as its weight is large; by default only its sign counts."""
    random_state: int = 0
    """Seed of the first vectors, the order of the examples and the draws."""

    def __post_init__(self) -> None:
        for name in ("factors", "iterations", "max_sampled", "kth_positive", "positives_sampled"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        self._check_number("learning_rate", above=0)
        for name in ("user_regularization", "item_regularization"):
            self._check_number(name, at_least=0)
        self._check("loss", quote_some(LOSSES), self.loss in LOSSES)
        self._check("schedule", quote_some(SCHEDULES), self.schedule in SCHEDULES)
        at_most = f"an int of at most positives_sampled = {self.positives_sampled}"
        self._check("kth_positive", at_most, self.kth_positive <= self.positives_sampled)

    def start(self, train: Interactions) -> Run:
        refuse_idle_factors("LightFM", self.factors, train)
        liked = train.weights > 0
        if self.loss != "logistic" and not liked.any():
            raise DataError(f"LightFM with loss={self.loss!r} learns from weights above 0, and there are none.")
        if self.loss == "logistic" and liked.all():
            warnings.warn(
                "All weights are above 0, so the logistic loss learns that everybody likes everything. "
                "Hint: loss='warp' or 'bpr' holds items against others; dislikes have weights of 0 or below.",
                stacklevel=3,
            )
        return _LightFMRun(self, train)

    @property
    def descent(self) -> Descent:
        """How the steps are taken."""
        return Descent(**{name: getattr(self, name) for name in Descent.__dataclass_fields__})


class _LightFMRun(Run):
    """The tables of both sides: a row [x, b] for each feature, first those of the data, then one for each id."""

    def __init__(self, trainer: LightFM, train: Interactions) -> None:
        self.epochs, self._trainer, self._done = trainer.iterations, trainer, 0
        self._descent = trainer.descent
        self._rows = self._descent.entries(Rows.of(train, "users"))
        generator = np.random.default_rng(trainer.random_state)
        found = (train.user_features, train.item_features) if trainer.use_features else (None, None)
        self._n_features = [0 if features is None else features.n_features for features in found]
        self._users, self._items = (
            self._side(ids, features, generator) for ids, features in zip((train.users, train.items), found, strict=True)
        )

    def _side(self, ids: IdMap, features: Features | None, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        """(indptr, indices, values, table, squares, steps) as the kernels take them."""
        own = scipy.sparse.eye_array(len(ids), dtype=np.float32, format="csr")
        matrix = own
        if features is not None and self._trainer.own_vectors:
            matrix = scipy.sparse.hstack([features.to_csr(), own], format="csr")
        elif features is not None:
            _refuse_bare(features)
            matrix = features.to_csr()
        shape = (matrix.shape[1], self._trainer.factors + 1)
        table = ((generator.random(shape, dtype=np.float32) - np.float32(0.5)) / np.float32(shape[1] - 1)).astype(np.float32)
        table[:, -1] = 0
        steps = np.zeros(shape if self._trainer.schedule == "adadelta" else (shape[0], 0), np.float32)
        kept = (table, self._descent.start_squares(shape), steps)
        return (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, *kept)

    def train_epoch(self) -> dict[str, float]:
        self._done += 1
        return {"moved": self._descent.epoch(self._rows, self._users, self._items, self._done)}

    def factors(self) -> Factors:
        users, items = to_vectors(_summed(self._users), "users"), to_vectors(_summed(self._items), "items")
        tables = _learnt(self._users, self._n_features[0]), _learnt(self._items, self._n_features[1])
        return Factors(users, items, ByFeatures(tables[0], tables[1], asdict(self._descent)))

    def state(self) -> dict[str, np.ndarray]:
        sides = {"users": self._users, "items": self._items}
        named = {f"{name}_{part}": side[3 + n] for name, side in sides.items() for n, part in enumerate(_PARTS)}
        return {**named, "done": np.array([self._done])}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._users, self._items = (
            (*side[:3], *(np.array(state[f"{name}_{part}"]) for part in _PARTS))
            for name, side in (("users", self._users), ("items", self._items))
        )
        self._done = int(state["done"][0])


_PARTS = ("table", "squares", "steps")


def _summed(side: tuple[np.ndarray, ...]) -> np.ndarray:
    """(n, factors + 1) float32: the row [x, b] of each id."""
    indptr, indices, values, table = side[:4]
    return np.asarray(scipy.sparse.csr_array((values, indices, indptr), shape=(len(indptr) - 1, len(table))) @ table)


def _learnt(side: tuple[np.ndarray, ...], n_features: int) -> np.ndarray:
    """(n_features, factors + 1) float32: the rows of the data's features; 0 for those that nobody has, which learnt nothing."""
    table = side[3][:n_features].copy()
    table[np.bincount(side[1], minlength=n_features)[:n_features] == 0] = 0
    return table


def _refuse_bare(features: Features) -> None:
    """Raises `DataError` for ids of which nothing is known and that would have no vector of their own either."""
    bare = features.without
    if len(bare):
        raise DataError(
            f"LightFM with own_vectors=False needs features of each {bare.name}, and {len(bare):,} have none: "
            f"{quote_some(bare.to_arrow().to_pylist())}. Hint: own_vectors=True."
        )
