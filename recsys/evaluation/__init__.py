"""Judging ranked lists: metrics with one definition each, means with intervals, and what was left out.

`metrics` formulas and names, `beyond_accuracy` those of what is shown · `judged` what they look at, `catalogue` and
`aligned_table` what is known beside the lists · `judging` from lists to values, `ordering` every item against every other ·
`averages` means of them, `slices` means over parts · `ranker` what is judged, `given_lists` lists from elsewhere ·
`relevance` the test set in the model's positions · `protocol` ranking and judging · `ratings` errors of predicted ratings ·
`intervals` the bootstrap · `result` what the user gets · `comparison` comparing models · `pairing` which results may be ·
`permutation` the test · `differences` what it found · `objective` one metric to make better · `early_stopping` ending a
training by it · `experiments` training and judging over several splits, or for new users · `sampled` the biased ranking among
a few items.
"""

from recsys.evaluation.comparison import compare
from recsys.evaluation.differences import Comparison, Difference
from recsys.evaluation.early_stopping import EarlyStopping
from recsys.evaluation.experiments import CrossValidation, cross_validate, evaluate_new_users
from recsys.evaluation.given_lists import GivenLists
from recsys.evaluation.judged import JudgedLists
from recsys.evaluation.metrics import METRICS, Metric, parse_metrics
from recsys.evaluation.protocol import evaluate
from recsys.evaluation.ranker import Ranker, Scorer
from recsys.evaluation.ratings import RatingErrors, evaluate_ratings
from recsys.evaluation.result import EvaluationResult
from recsys.evaluation.sampled import evaluate_sampled_biased

__all__ = [
    "METRICS",
    "Comparison",
    "CrossValidation",
    "Difference",
    "EarlyStopping",
    "EvaluationResult",
    "GivenLists",
    "JudgedLists",
    "Metric",
    "Ranker",
    "RatingErrors",
    "Scorer",
    "compare",
    "cross_validate",
    "evaluate",
    "evaluate_new_users",
    "evaluate_ratings",
    "evaluate_sampled_biased",
    "parse_metrics",
]
