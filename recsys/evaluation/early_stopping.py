"""`EarlyStopping`: a callback of `fit` that ends a training when a metric on held-out data no longer gets better.

May import errors, interactions, model, trainers.base and this folder's `objective` and `result`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from recsys.errors import ParameterError
from recsys.evaluation.objective import Objective
from recsys.evaluation.result import EvaluationResult
from recsys.interactions import Interactions
from recsys.model import RankingModel
from recsys.trainers.base import AnyTrainer, Epoch

__all__ = ["EarlyStopping"]


@dataclass
class EarlyStopping:
    """Ends a training once `metric` on `validation` has not got better for `patience` judged epochs, with the best model met.

        model = recsys.ALS().fit(train, callback=recsys.EarlyStopping(validation, "ndcg@20", patience=2))

    validation : interactions held out from training.
    metric : of ranked lists, where more is better, such as "ndcg@20"; or "rmse" or "mae", where less is better, for
        trainers that predict ratings.
    patience : judged epochs without a better value after which the training ends; the best model is returned in any
        case, also when the epochs run out.
    every : judge each epoch whose number is a multiple of this, and the last.
    fold_in : events by which the model gets to know users of `validation` whom it was not trained on, before each judging.
    overlap : what becomes of pairs of `validation` that were trained on; see `recsys.evaluate`.
    num_threads : threads to judge with; None for as many as there are processors. Does not change the result.

    `history` holds (epoch, value of the metric) of the training last watched, `best` what the judging of its best epoch
    found; each `fit` starts both anew.
    """

    validation: Interactions
    metric: str = "ndcg@20"
    patience: int = 2
    every: int = 1
    fold_in: Interactions | None = field(default=None, kw_only=True)
    overlap: str = field(default="raise", kw_only=True)
    num_threads: int | None = field(default=None, kw_only=True)
    history: list[tuple[int, float]] = field(default_factory=list, init=False)
    best: EvaluationResult | None = field(default=None, init=False, repr=False)
    _best_model: RankingModel | None = field(default=None, init=False, repr=False)
    objective: Objective = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.objective = Objective(
            self.validation,
            self.metric,
            "EarlyStopping",
            fold_in=self.fold_in,
            overlap=self.overlap,
            num_threads=self.num_threads,
        )
        for name in ("patience", "every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ParameterError(f"The `{name}` parameter of EarlyStopping must be an int >= 1. Got {value!r}.")

    @property
    def best_epoch(self) -> int:
        """The number of the best epoch of the training last watched; 0 where none was judged. The first of equals."""
        epoch, best = 0, 0.0
        for number, value in self.history:
            if not epoch or self.objective.is_better(value, best):
                epoch, best = number, value
        return epoch

    def refuse_unsuited(self, trainer: AnyTrainer) -> None:
        """Raises `ParameterError` for a metric of ratings where the trainer predicts none; the first epoch does it too."""
        self.objective.refuse_unsuited(trainer)

    def __call__(self, epoch: Epoch) -> RankingModel | None:
        """Judges the epoch; the best model when the training is to end."""
        if self.history and epoch.number <= self.history[-1][0]:
            self.history, self.best, self._best_model = [], None, None
        self.refuse_unsuited(epoch.trainer)
        is_last = epoch.number == epoch.total
        if epoch.number % self.every and not is_last:
            return None
        model = epoch.snapshot()
        result = self.objective.judge(model)
        self.history.append((epoch.number, self.objective.value_of(result)))
        best = self.best_epoch
        if best == epoch.number:
            self.best, self._best_model = result, model
        since_best = sum(number > best for number, _ in self.history)
        return self._best_model if is_last or since_best >= self.patience else None
