"""LogisticMF: matrix factorisation whose scores are log-odds that a user takes an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import quote_some
from recsys.fold_in import BesideTwoBiases
from recsys.interactions import Interactions
from recsys.kernels import sgd
from recsys.model import Model
from recsys.trainers.base import Trainer, refuse_idle_factors
from recsys.trainers.sampled import NEGATIVES, Bucket, SampledRun
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["LogisticMF"]

# Of one step, alpha included: a pair of a thousand plays would leave its rows short steps for the rest of the training.
_MOST_WEIGHT = 20.0


@dataclass(frozen=True, kw_only=True)
class LogisticMF(Trainer[Model]):
    """Logistic matrix factorisation (Johnson, "Logistic Matrix Factorization for Implicit Feedback Data", NIPS workshop 2014).

    The score s_ui = x_u · y_i + b_u + b_i is the log-odds that u takes i. With c = alpha · weight and S the observed pairs it
    goes down, by single steps in random order,

        Σ_S ( -c log σ(s_ui) - Σ_j log(1 - σ(s_uj)) )  and λ / 2 ‖·‖² of the rows of each step

    with `neg_prop` items j drawn anew for each pair in each epoch, where Johnson sums over all pairs and takes whole gradients;
    a row's steps are as long as those of `BPR`. c counts in a step up to 20 only.
    σ(s) is thus a probability among the drawn, `neg_prop` to one, and no share of all items. The last two columns are biases:
    users [x, 1, b_u], items [y, b_i, 1]. The same seed gives the same bytes, whatever the number of threads. New users and
    items are folded in by least squares, which is not what training would have given them: see
    `recsys.fold_in.beside_biases`.
    """

    name: ClassVar[str] = "logistic-mf"
    advice: ClassVar[str] = "scores are log-odds, weights count as confidence: for plays and views, where more is surer"

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": Range(0.02, 0.4, log=True),
        "regularization": Range(0.0005, 0.05, log=True),
        "neg_prop": Range(1, 30, log=True),
    }

    factors: int = 128
    """Length of each vector, biases apart: more fits more, at linear cost in time and memory."""
    learning_rate: float = 0.1
    """Length of the first steps: more learns faster, and past some point not at all. Falls evenly to nothing."""
    regularization: float = 0.01
    """λ: pulls the rows of each step towards zero; more for small or noisy data."""
    alpha: float = 1.0
    """Confidence per unit of weight in an observed pair. Counts with a long tail: train on `data.weighted("log")`."""
    iterations: int = 50
    """Passes over all pairs. Too many overfit small data: stop early on validation data."""
    neg_prop: int = 5
    """Negatives drawn for each observed pair: more cost time in proportion and steady the ranking of rare items."""
    negatives: str = "uniform"
    """What they are drawn from: "uniform" all items alike, "popularity" as often as they are had, which leaves less room for
    popularity in the lists."""
    random_state: int = 0
    """Seed of the initial vectors and of what is drawn."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("factors", "iterations", "neg_prop"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        for name in ("learning_rate", "alpha"):
            self._check_number(name, above=0)
        self._check_number("regularization", at_least=0)
        self._check("negatives", quote_some(NEGATIVES), self.negatives in NEGATIVES)
        self._check_num_threads()

    def start(self, train: Interactions) -> SampledRun:
        refuse_idle_factors("LogisticMF", self.factors, train)
        return _LogisticRun(self, train)


class _LogisticRun(SampledRun):
    def __init__(self, trainer: LogisticMF, train: Interactions) -> None:
        super().__init__(trainer, train, fold_in=BesideTwoBiases)
        self._trainer = trainer

    def _pass(self, bucket: Bucket) -> np.ndarray:
        trainer = self._trainer
        loss = sgd.train_logistic(
            bucket.entries, bucket.members, bucket.seed, trainer.negatives == "popularity", trainer.neg_prop,
            np.float32(trainer.alpha), self._rows, self._indices, self._weights, self._users, self._items,
            self._user_squares, self._item_squares, self._rate(), np.float32(_MOST_WEIGHT), np.float32(trainer.regularization),
        )  # fmt: skip
        return np.array([len(bucket.entries), loss])

    def _measured(self, sums: np.ndarray) -> dict[str, float]:
        """The logarithms of the loss, summed over an observed pair and its negatives, on average."""
        n_pairs, loss = sums
        return {"loss": float(loss / n_pairs)}
