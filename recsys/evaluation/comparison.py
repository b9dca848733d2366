"""`compare`: which of several models is better, by how much and how sure, from their values for the same users.

May import errors and this folder's pairing, intervals, permutation, differences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.evaluation.differences import Comparison, Difference
from recsys.evaluation.intervals import check_confidence, interval_ends, resampled_means
from recsys.evaluation.pairing import PairedResults, paired_results
from recsys.evaluation.permutation import detectable_difference, flipped_sums, holm, sign_flip_p_value
from recsys.evaluation.protocol import require_whole
from recsys.evaluation.result import EvaluationResult

__all__ = ["compare"]

# The usual demand on a plan: Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences", section 2.4.
POWER = 0.8


def compare(
    results: Mapping[str, EvaluationResult],
    *,
    metrics: str | Iterable[str] | None = None,
    baseline: str | None = None,
    on: str = "same",
    confidence: float = 0.95,
    resamples: int = 10_000,
    random_state: int = 0,
    num_threads: int | None = None,
) -> Comparison:
    """Which model is better, by how much, and how sure that is: from the differences user by user, on the same test.

        recsys.compare({"als": recsys.evaluate(als, test), "bpr": recsys.evaluate(bpr, test)})

    results : names of models and what `recsys.evaluate` found for them (or `recsys.cross_validate(…).pooled`). They must be
        about the same test data, evaluated in the same way; how a list is searched (exact or by an index) may differ.
    metrics : those to compare, such as "ndcg@20" or ["ndcg@20", "recall@20"]; None for all, which must then be the same ones.
    baseline : the model with which each other is compared; None compares every two.
    on : "same" demands that all results are about the same users; "common" takes those that all have, counts the others in
        `left_out`, and then speaks of the former only.
    confidence : of each interval; a difference is *shown* when its corrected p-value is at most 1 - confidence.
    resamples : how often signs are flipped and users are drawn again.

    For each two models a, b and each metric, of the differences d = value of b - value of a of the n users:
        difference, low, high : the mean of d and its interval (BCa bootstrap over users, as `EvaluationResult.summary` has it)
        p_value : two-sided, from flipping the signs of d at random; exact where few users differ (`permutation`). It supposes
            that which model is which does not matter to a user's difference. Where only the means are alike and d is skewed
            it holds for many users, not for a handful.
        p_adjusted : p_value after Holm's correction over all rows of this comparison, that is all its pairs of models times all
            its metrics. With it, the chance that any row is shown wrongly is at most 1 - confidence. Name fewer metrics,
            or a baseline, for a smaller family. Intervals are not corrected.
        effect_size : the mean of d over its standard deviation (Cohen's d for pairs, d_z); NaN where all d are equal.
        better, equal, worse : the shares of users whose value is higher, the same, and lower under b.
        detectable_difference : the smallest true difference that this test set shows with 80 % probability, at the level of
            Holm's strictest step, (1 - confidence) / rows; infinite for a handful of users, who can show none. See
            `permutation.detectable_difference`.

    A user for whom a metric has no value (NaN) under one of the models is left out of that metric's rows; see `n_users`.
    All this speaks of drawing other users like these, not of training the models again with other seeds.

    Raises `ParameterError` for a bad argument, such as fewer than two models or an unknown metric, and `DataError` for results
    that cannot be held against each other: other test data, other settings, other users, or fewer than two users.
    """
    sure = check_confidence(confidence)
    n_resamples = require_whole(resamples, "resamples", 1)
    seed = require_whole(random_state, "random_state", 0)
    paired = paired_results(results, metrics, on)
    pairs = _pairs(paired.models, baseline)
    plan = _Plan(pairs, len(pairs) * len(paired.metrics), sure, n_resamples, num_threads)
    _refuse_too_few_resamples(plan)
    rows = [row for group in _groups(paired) for row in _tested(paired, group, plan, np.random.default_rng(seed))]
    rows.sort(key=lambda row: paired.metrics.index(row.metric))
    adjusted = holm(np.array([row.p_value for row in rows]))
    return Comparison(
        models=paired.models,
        metrics=paired.metrics,
        users=paired.users,
        values=paired.values,
        differences=tuple(row.corrected(float(p), plan.alpha) for row, p in zip(rows, adjusted, strict=True)),
        left_out=paired.left_out,
        provenance=_provenance(results),
        baseline=baseline,
        confidence=sure,
        resamples=n_resamples,
        random_state=seed,
    )


@dataclass(frozen=True)
class _Plan:
    """What all rows share. pairs : positions (a, b) of models;  family : how many rows there are."""

    pairs: list[tuple[int, int]]
    family: int
    confidence: float
    resamples: int
    num_threads: int | None

    @property
    def alpha(self) -> float:
        return 1 - self.confidence


@dataclass(frozen=True, eq=False)
class _Group:
    """Metrics that have a value for the same users. columns : which;  values : for each model (n_users, n_columns) of these."""

    columns: list[int]
    values: list[np.ndarray]


def _pairs(models: Sequence[str], baseline: str | None) -> list[tuple[int, int]]:
    if baseline is None:
        return list(itertools.combinations(range(len(models)), 2))
    if baseline not in models:
        hint = closest_hint(str(baseline), models)
        raise ParameterError(f"`baseline` must be one of the models, {quote_some(models)}. Got {baseline!r}.{hint}")
    first = models.index(baseline)
    return [(first, other) for other in range(len(models)) if other != first]


def _groups(paired: PairedResults) -> list[_Group]:
    """The metrics, by the users for whom all models have a value: mostly one group of all metrics and users."""
    undefined = np.logical_or.reduce([np.isnan(values) for values in paired.values])
    by_users: dict[bytes, list[int]] = {}
    for column in range(len(paired.metrics)):
        by_users.setdefault(np.packbits(undefined[:, column]).tobytes(), []).append(column)
    groups = []
    for columns in by_users.values():
        rows = ~undefined[:, columns[0]]
        if rows.sum() < 2:
            raise DataError(
                f"{quote_some(paired.metrics[column] for column in columns)} has a value under all models for "
                f"{int(rows.sum())} of {len(rows):,} users. A comparison needs at least 2. Hint: leave it out of `metrics`."
            )
        whole = rows.all() and len(columns) == len(paired.metrics)
        groups.append(_Group(columns, [v if whole else v[np.ix_(rows, columns)] for v in paired.values]))
    return groups


def _tested(paired: PairedResults, group: _Group, plan: _Plan, rng: np.random.Generator) -> Iterator[Difference]:
    """The rows of the group's metrics, not corrected yet.

    Signs and users are drawn once for all pairs, since sums of differences are differences of sums. What is summed is each
    model less one of them, the reference: numbers of the size of the differences.
    """
    reference = plan.pairs[0][0]
    others = [values for model, values in enumerate(group.values) if model != reference]
    offsets = np.concatenate(others, axis=1) - np.tile(group.values[reference], len(others))
    flips, draws = rng.spawn(2)
    signed = _by_model(flipped_sums(offsets, flips, plan.resamples, num_threads=plan.num_threads), reference, len(others))
    drawn = _by_model(resampled_means(offsets, draws, plan.resamples, num_threads=plan.num_threads), reference, len(others))
    for place, column in enumerate(group.columns):
        for a, b in plan.pairs:
            names = (paired.metrics[column], paired.models[a], paired.models[b])
            values = (group.values[a][:, place], group.values[b][:, place])
            sums, means = (of[b][:, place] - of[a][:, place] for of in (signed, drawn))
            yield _difference(names, values, sums, means, plan)


def _by_model(found: np.ndarray, reference: int, n_others: int) -> list[np.ndarray]:
    """For each model its columns of `found`, zeros for the reference, of which they are distances."""
    parts = np.split(found, n_others, axis=1)
    return [*parts[:reference], np.zeros_like(parts[0]), *parts[reference:]]


def _difference(
    names: tuple[str, str, str], values: tuple[np.ndarray, np.ndarray], sums: np.ndarray, means: np.ndarray, plan: _Plan
) -> Difference:
    """names : metric, a, b;  values : (n_users,) of a and b;  sums, means : (resamples,) of random signs, of drawn users."""
    differences = values[1] - values[0]
    difference, spread = float(differences.mean()), float(differences.std(ddof=1))
    (low,), (high,) = interval_ends(differences[:, None], means[:, None], plan.confidence)
    better, worse = float((differences > 0).mean()), float((differences < 0).mean())
    p_value = sign_flip_p_value(differences, sums)
    return Difference(
        *names,
        mean_a=float(values[0].mean()),
        mean_b=float(values[1].mean()),
        difference=difference,
        low=float(low),
        high=float(high),
        p_value=p_value,
        p_adjusted=p_value,
        # Equal differences have a spread of rounding errors.
        effect_size=difference / spread if spread > 1e-9 * abs(difference) else math.nan,
        better=better,
        equal=float((differences == 0).mean()),
        worse=worse,
        detectable_difference=detectable_difference(differences, plan.alpha / plan.family, POWER),
        n_users=len(differences),
        verdict="not shown",
    )


def _refuse_too_few_resamples(plan: _Plan) -> None:
    """No corrected p-value is below family / (resamples + 1); then nothing could be shown, whatever the models are."""
    if plan.family / (plan.resamples + 1) > plan.alpha:
        least = math.ceil(plan.family / plan.alpha * (1 - 1e-9))
        raise ParameterError(
            f"With {plan.family:,} differences to correct for, resamples={plan.resamples:,} can show none at confidence "
            f"{plan.confidence:g}. Hint: take resamples={10 * least} or more, or name fewer metrics, or a baseline."
        )


def _provenance(results: Mapping[str, EvaluationResult]) -> dict[str, Any]:
    """Each model's own, and what all results share: that is checked, so the first one's stands for all."""
    first = next(iter(results.values())).provenance
    shared = {name: first[name] for name in ("test", "evaluation") if name in first}
    return {"models": {name: result.provenance.get("model") for name, result in results.items()}, **shared}
