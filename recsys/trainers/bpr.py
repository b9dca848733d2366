"""BPR: matrix factorisation for ranking, by pairs of an item that a user has and one that they have not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import quote_some
from recsys.fold_in import BesideItemBiases
from recsys.interactions import Interactions
from recsys.kernels import sgd
from recsys.model import Model
from recsys.trainers.base import Trainer, refuse_idle_factors
from recsys.trainers.sampled import NEGATIVES, Bucket, SampledRun
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["BPR"]


@dataclass(frozen=True, kw_only=True)
class BPR(Trainer[Model]):
    """Bayesian personalised ranking (Rendle, Freudenthaler, Gantner & Schmidt-Thieme, UAI 2009, section 4).

    The score of user u and item i is s_ui = x_u · y_i + b_i. For each observed pair, once an epoch and in random order, an item
    j is drawn that the user has not, and one step is taken down the gradient of

        -log σ(s_ui - s_uj) + λ / 2 (‖x_u‖² + ‖y_i‖² + ‖y_j‖² + b_i² + b_j²)

    Where the paper has one length for all steps, a row (x_u; y_i and b_i) moves by learning_rate · (1 - epochs done /
    iterations) / √G, with G the sum of the mean squares of the row's gradients -∂ log σ so far (AdaGrad, one number a row): the
    objective is the same, and on held-out data of Last.fm and Gowalla the same number of passes ranks better by a tenth.
    Weights do not count: a pair of weight > 0 was observed, one of weight 0 was not. b_i is the last column of the item
    vectors, beside which users have 1. The same seed gives the same bytes, whatever the number of threads: the blocks of an
    epoch (see `recsys.trainers.sampled`) do not depend on it, and no two that run at a time share a row. New users and items
    are folded in by least squares, which is not what training would have given them: see `recsys.fold_in.beside_biases`.
    """

    name: ClassVar[str] = "bpr"
    advice: ClassVar[str] = "ranking learnt from pairs, has against has not: for plain clicks, where weights say little"

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": Range(0.02, 0.4, log=True),
        "regularization": Range(0.0005, 0.05, log=True),
    }

    factors: int = 128
    """Length of each vector, biases apart: more fits more, at linear cost in time and memory."""
    learning_rate: float = 0.1
    """Length of the first steps: more learns faster, and past some point not at all. Falls evenly to nothing."""
    regularization: float = 0.01
    """λ: pulls the rows of each step towards zero; more for small or noisy data."""
    iterations: int = 200
    """Passes over all pairs, over which the steps shorten: up to a few hundred more rank better, at linear cost."""
    negatives: str = "uniform"
    """What j is drawn from: "uniform" all items alike, "popularity" as often as they are had. The latter, which the library
    implicit does, leaves less room for popularity in the lists."""
    verify_negative_samples: bool = True
    """Draw again when the user has j; without it steps are a little cheaper and some are wrong."""
    random_state: int = 0
    """Seed of the initial vectors and of what is drawn."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("factors", "iterations"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        self._check_number("learning_rate", above=0)
        self._check_number("regularization", at_least=0)
        self._check("negatives", quote_some(NEGATIVES), self.negatives in NEGATIVES)
        self._check("verify_negative_samples", "True or False", isinstance(self.verify_negative_samples, bool))
        self._check_num_threads()

    def start(self, train: Interactions) -> SampledRun:
        refuse_idle_factors("BPR", self.factors, train)
        return _BprRun(self, train)


class _BprRun(SampledRun):
    def __init__(self, trainer: BPR, train: Interactions) -> None:
        super().__init__(trainer, train, fold_in=BesideItemBiases)
        self._trainer = trainer

    def _pass(self, bucket: Bucket) -> np.ndarray:
        trainer = self._trainer
        found_and_correct = sgd.train_bpr(
            bucket.entries, bucket.members, bucket.seed, trainer.negatives == "popularity", trainer.verify_negative_samples,
            self._rows, self._indptr, self._indices, self._users, self._items, self._user_squares, self._item_squares,
            self._rate(), np.float32(trainer.regularization),
        )  # fmt: skip
        return np.array(found_and_correct, np.float64)

    def _measured(self, sums: np.ndarray) -> dict[str, float]:
        """The share of pairs that stood in the right order before their step: AUC on the training data, about."""
        found, correct = sums
        return {"train_auc": float(correct / found)} if found else {}
