"""`EarlyStopping`: a callback of `fit` that ends a training when a metric on held-out data has stopped rising."""

from __future__ import annotations

from dataclasses import dataclass, field

from recsys.errors import ParameterError
from recsys.evaluation.metrics import parse_metrics
from recsys.evaluation.protocol import evaluate
from recsys.interactions import Interactions, require_interactions
from recsys.model import Model
from recsys.trainers.base import Epoch

__all__ = ["EarlyStopping"]


@dataclass
class EarlyStopping:
    """Ends a training once `metric` on `validation` has not risen for `patience` judged epochs, with the best model met.

        model = recsys.ALS().fit(train, callback=recsys.EarlyStopping(validation, "ndcg@20", patience=2))

    validation : interactions held out from training.
    patience : judged epochs without a rise after which the training ends; the best model is returned in any case, also
        when the epochs run out.
    every : judge each epoch whose number is a multiple of this, and the last.

    `history` holds (epoch, mean of the metric) of the training last watched; each `fit` starts it anew.
    """

    validation: Interactions
    metric: str = "ndcg@20"
    patience: int = 2
    every: int = 1
    history: list[tuple[int, float]] = field(default_factory=list, init=False)
    _best: Model | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        require_interactions(self.validation, "EarlyStopping")
        if len(parse_metrics(self.metric)) != 1:
            raise ParameterError(f"EarlyStopping watches one metric. Got {self.metric!r}.")
        for name in ("patience", "every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ParameterError(f"The `{name}` parameter of EarlyStopping must be an int >= 1. Got {value!r}.")

    def __call__(self, epoch: Epoch) -> Model | None:
        """Judges the epoch; the best model when the training is to end."""
        if self.history and epoch.number <= self.history[-1][0]:
            self.history, self._best = [], None
        is_last = epoch.number == epoch.total
        if epoch.number % self.every and not is_last:
            return None
        model = epoch.snapshot()
        value = float(evaluate(model, self.validation, [self.metric]).summary()["mean"].iloc[0])
        if self._best is None or value > max(mean for _, mean in self.history):
            self._best = model
        self.history.append((epoch.number, value))
        means = [mean for _, mean in self.history]
        since_best = len(means) - 1 - means.index(max(means))
        return self._best if is_last or since_best >= self.patience else None
