"""`Objective`: one metric on held-out data as a number to make better, for early stopping and tuning.

May import errors, interactions, model, trainers.base and the rest of this folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from recsys.errors import ParameterError
from recsys.evaluation.metrics import METRICS, parse_metrics
from recsys.evaluation.protocol import evaluate
from recsys.evaluation.ratings import RatingErrors, evaluate_ratings
from recsys.evaluation.result import EvaluationResult
from recsys.interactions import Interactions, require_interactions
from recsys.model import RankingModel
from recsys.trainers.base import AnyTrainer

__all__ = ["RATING_METRICS", "Objective"]

RATING_METRICS = ("rmse", "mae")


@dataclass(frozen=True)
class Objective:
    """`metric` on `validation`: a ranking metric, of which more is better, or "rmse" or "mae", of which less is better.

    who : whom messages speak of, such as "EarlyStopping".
    fold_in : events by which the model first gets to know users of `validation` who were held out of training entirely.
    overlap : as in `recsys.evaluate`; ratings do not look at it.
    num_threads : threads to judge with; None for as many as there are processors.

    Raises `ParameterError` for anything but one known metric.
    """

    validation: Interactions
    metric: str
    who: str
    fold_in: Interactions | None = None
    overlap: str = "raise"
    num_threads: int | None = None
    of_ratings: bool = field(init=False)

    def __post_init__(self) -> None:
        require_interactions(self.validation, self.who)
        if self.fold_in is not None:
            require_interactions(self.fold_in, f"`fold_in` of {self.who}")
        metric = self.metric.strip().lower() if isinstance(self.metric, str) else self.metric
        of_ratings = metric in RATING_METRICS
        if not of_ratings:
            parsed = parse_metrics(self.metric)
            if len(parsed) != 1:
                raise ParameterError(f"{self.who} watches one metric. Got {self.metric!r}.")
            # Of novelty or coverage alone the most is had by recommending at random.
            if not parsed[0].definition.of_relevant:
                known = [name for name, definition in METRICS.items() if definition.of_relevant]
                raise ParameterError(
                    f"{self.who} watches how well relevant items are ranked, by {', '.join(known)}, rmse or mae. "
                    f"Got {self.metric!r}."
                )
            metric = str(parsed[0])
        object.__setattr__(self, "metric", metric)
        object.__setattr__(self, "of_ratings", of_ratings)

    @property
    def higher_is_better(self) -> bool:
        """False for errors of ratings."""
        return not self.of_ratings

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better."""
        return value > than if self.higher_is_better else value < than

    def refuse_unsuited(self, trainer: AnyTrainer) -> None:
        """Raises `ParameterError` when the metric is of ratings and the trainer's scores are none."""
        if self.of_ratings and not trainer.predicts_ratings:
            raise ParameterError(
                f"{self.metric!r} judges predicted ratings, and {trainer.name} predicts none. "
                "Hint: use the trainer explicit-als, or a metric of ranked lists such as 'ndcg@20'."
            )

    def judge(self, model: RankingModel) -> EvaluationResult:
        """The metric for each user; `value_of` is the number, `summary()` of it has the interval."""
        if self.fold_in is not None:
            model = model.fold_in(self.fold_in, unknown="skip", num_threads=self.num_threads)
        if self.of_ratings:
            return evaluate_ratings(model, self.validation)
        return evaluate(model, self.validation, [self.metric], overlap=self.overlap, num_threads=self.num_threads)

    def value_of(self, result: EvaluationResult) -> float:
        """The mean in `result.summary()`, without the interval there, which would take longer than the judging."""
        values = result.values[:, result.metrics.index(self.metric)]
        if not isinstance(result, RatingErrors):
            return float(np.nanmean(values))  # NaN: no value is defined for that user
        if self.metric == "rmse":
            return float(np.sqrt(np.average(values**2, weights=result.n_pairs)))
        return float(np.average(values, weights=result.n_pairs))

    def interval_of(self, result: EvaluationResult) -> tuple[float, float]:
        """Both ends of the interval around `value_of`."""
        row = result.summary().iloc[result.metrics.index(self.metric)]
        return float(row["low"]), float(row["high"])
