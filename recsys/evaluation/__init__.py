"""Judging ranked lists: metrics with one definition each, means with intervals, and what was left out.

`metrics` formulas and names · `ranker` what is judged · `relevance` the test set in the model's positions · `protocol`
ranking and judging · `ratings` errors of predicted ratings · `intervals` the bootstrap · `result` what the user gets ·
`early_stopping` ending a training by a metric.
"""

from recsys.evaluation.early_stopping import EarlyStopping
from recsys.evaluation.metrics import METRICS, JudgedLists, Metric, parse_metrics
from recsys.evaluation.protocol import evaluate
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.ratings import RatingErrors, evaluate_ratings
from recsys.evaluation.result import EvaluationResult

__all__ = [
    "METRICS",
    "EarlyStopping",
    "EvaluationResult",
    "JudgedLists",
    "Metric",
    "Ranker",
    "RatingErrors",
    "evaluate",
    "evaluate_ratings",
    "parse_metrics",
]
