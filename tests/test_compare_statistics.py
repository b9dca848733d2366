"""The statistics of `compare`: equal to scipy's, and right under simulation with values such as recall has.

Seeds are fixed, so a test passes always or never. Tolerances are 3.5 standard errors of the binomial law: with another seed,
correct code would pass more than 999 times in 1,000.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.evaluation import EvaluationResult, compare
from recsys.evaluation.intervals import interval_ends, resampled_means
from recsys.evaluation.permutation import detectable_difference, flipped_sums, holm, sign_flip_p_value
from recsys.ids import IdMap

pytestmark = pytest.mark.compiled


def binomial_tolerance(rate, trials):
    return 3.5 * math.sqrt(rate * (1 - rate) / trials)


def like_recall(generator, n_users, n_models, n_columns=1):
    """(n_models, n_users, n_columns): shares of 5 relevant items, mostly 0, alike within a user; models are exchangeable."""
    easiness = generator.beta(0.3, 2.0, (n_users, n_columns))
    return generator.binomial(5, easiness, (n_models, n_users, n_columns)) / 5


def p_values(differences, resamples=999, seed=0):
    sums = flipped_sums(differences, np.random.default_rng(seed), resamples)
    return np.array([sign_flip_p_value(*pair) for pair in zip(differences.T, sums.T, strict=True)])


# ---- against scipy --------------------------------------------------------------------------------------------------


def scipy_p_value(differences, resamples):
    test = stats.permutation_test(
        (differences, np.zeros(len(differences))), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=resamples, rng=np.random.default_rng(5),
    )  # fmt: skip
    return test.pvalue


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_of_few_users_is_scipys_exact_one(seed):
    values = np.random.default_rng(seed).integers(-2, 4, 11).astype(float) / 3
    assert p_values(values[:, None], 10_000)[0] == pytest.approx(scipy_p_value(values[values != 0], np.inf), rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.04])
def test_the_p_value_of_many_users_is_scipys_within_the_noise_of_both(shift):
    a, b = like_recall(np.random.default_rng(8), 300, 2)[:, :, 0]
    differences = b - a + shift
    ours, theirs = p_values(differences[:, None], 20_000)[0], scipy_p_value(differences, 20_000)
    assert ours == pytest.approx(theirs, abs=5 * math.sqrt(2 * max(ours, 1e-4) * (1 - ours) / 20_000))


def test_on_well_behaved_data_the_p_value_is_that_of_the_t_test():
    generator = np.random.default_rng(3)
    a, b = generator.standard_normal((2, 400, 6)) + np.linspace(0, 0.2, 6) * np.array([[[0]], [[1]]])
    np.testing.assert_allclose(p_values(b - a, 20_000), stats.ttest_rel(b, a).pvalue, atol=0.015)


def test_the_interval_is_scipys_within_the_noise_of_both():
    generator = np.random.default_rng(4)
    # Not of recall itself: its means are multiples of 1 / 5n, and such a step is more than the noise.
    differences = np.where(generator.random((120, 1)) < 0.6, 0, generator.exponential(0.2, (120, 1)) - 0.1)
    theirs = stats.bootstrap(
        (differences[:, 0],), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    low, high = interval_ends(differences, resampled_means(differences, np.random.default_rng(6), 20_000), 0.95)
    np.testing.assert_allclose([low[0], high[0]], theirs, atol=0.02 * (theirs.high - theirs.low))


# ---- exact p-values and Holm ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=7))
def test_the_exact_p_value_is_the_share_of_all_sign_patterns_that_are_as_extreme(differences):
    sums = [sum(np.multiply(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    wanted = np.mean(np.abs(sums) >= abs(sum(differences)))
    values = np.array(differences) * 0.1  # whose sums are not exact, so ties have to be recognised
    assert sign_flip_p_value(values, np.zeros(128)) == pytest.approx(wanted, rel=1e-12)


def test_a_p_value_from_resamples_is_never_zero_and_one_without_differences():
    assert p_values(np.ones((50, 1)), 999)[0] == 1 / 1000
    assert p_values(np.zeros((50, 1)), 999)[0] == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holms_p_values_reject_what_his_procedure_rejects(values, alpha):
    adjusted = holm(np.array(values))
    rejected = set()
    for step, place in enumerate(np.argsort(values, kind="stable")):
        if values[place] * (len(values) - step) > alpha:
            break
        rejected.add(place)
    assert set(np.flatnonzero(adjusted <= alpha)) == rejected
    assert (adjusted >= values).all()
    assert (adjusted <= 1).all()


# ---- simulations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_users", [30, 200])
def test_equal_models_are_told_apart_at_the_nominal_rate(n_users):
    a, b = like_recall(np.random.default_rng(1), n_users, 2, n_columns=2_000)
    found = p_values(b - a)
    for level in (0.01, 0.05, 0.2):
        # Values have many ties, where a valid test can only be more careful.
        tolerance = binomial_tolerance(level, 2_000)
        assert 0.75 * level - tolerance <= (found <= level).mean() <= level + tolerance


def test_with_many_users_the_rate_holds_where_only_the_means_are_equal():
    # b wins little with most users and loses much with a few.
    generator = np.random.default_rng(2)
    differences = np.where(generator.random((1_000, 1_500)) < 0.9, 0.1, -0.9) * (generator.random((1_000, 1_500)) < 0.5)
    rate = (p_values(differences) <= 0.05).mean()
    assert rate == pytest.approx(0.05, abs=binomial_tolerance(0.05, 1_500))


def test_intervals_hold_the_true_difference_at_the_nominal_rate():
    generator = np.random.default_rng(3)
    a, b = like_recall(generator, 200, 2, n_columns=1_000)
    differences = np.where(generator.random(b.shape) < 0.3, np.maximum(b, 0.2), b) - a
    truth = _expected_gain()
    low, high = interval_ends(differences, resampled_means(differences, generator, 1_000), 0.95)
    held = ((low <= truth) & (truth <= high)).mean()
    # Skewed values and 200 users cost a percent.
    assert 0.94 - binomial_tolerance(0.95, 1_000) <= held <= 0.95 + binomial_tolerance(0.95, 1_000)
    assert min((truth < low).mean(), (truth > high).mean()) > 0.01


def _expected_gain():
    """The mean of the differences above: .3 · .2 · P(nothing of 5 found), where P(0 of 5) = E[(1 - p)^5], p ~ Beta(.3, 2)."""
    nothing = math.prod((2 + i) / (2.3 + i) for i in range(5))
    return 0.3 * 0.2 * nothing


def test_a_difference_of_the_detectable_size_is_shown_four_times_in_five():
    generator = np.random.default_rng(4)
    n_users, n_trials = 150, 1_500
    noise = generator.choice([-0.4, -0.2, 0.0, 0.2, 0.4], (n_users, n_trials), p=[0.05, 0.1, 0.7, 0.1, 0.05])
    spread = math.sqrt(2 * (0.05 * 0.16 + 0.1 * 0.04))
    t = stats.t(n_users - 1)
    least = (t.ppf(0.975) + t.ppf(0.8)) * spread / math.sqrt(n_users)
    shown = (p_values(noise + least) <= 0.05).mean()
    assert shown == pytest.approx(0.8, abs=binomial_tolerance(0.8, n_trials) + 0.01)
    stated = [detectable_difference(column, 0.05, 0.8) for column in noise.T]
    assert np.mean(stated) == pytest.approx(least, rel=0.01)


def result_of(values):
    names = tuple(f"recall@{k + 1}" for k in range(values.shape[1]))
    return EvaluationResult(IdMap(np.arange(len(values))), names, values, {}, {})


def test_with_holm_any_false_alarm_among_many_differences_is_as_rare_as_one():
    generator = np.random.default_rng(5)
    n_trials = 200
    alarms = uncorrected = 0
    for seed in range(n_trials):
        models = like_recall(generator, 60, 4, n_columns=2)
        results = {name: result_of(values) for name, values in zip("abcd", models, strict=True)}
        table = compare(results, resamples=500, random_state=seed).table()
        assert len(table) == 12
        alarms += (table["verdict"] != "not shown").any()
        uncorrected += (table["p_value"] <= 0.05).any()
    assert alarms / n_trials <= 0.05 + binomial_tolerance(0.05, n_trials)
    # The simulation would see a correction that is missing.
    assert uncorrected / n_trials > 0.2
