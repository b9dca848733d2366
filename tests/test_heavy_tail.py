"""The warning for heavy-tailed weights: when it comes, and when it must not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.jobs.terminal import in_cli_words
from recsys.trainers.heavy_tail import warn_of_heavy_tail

PLAYS = Path(__file__).parents[2] / "shared" / "datasets" / "lastfm-hetrec" / "plays.parquet"


def pairs_of(weights, n_items=200):
    """Interactions with these weights, a user for every 50."""
    n = len(weights)
    users, items = np.arange(n) // 50, (np.arange(n) * 7) % n_items
    columns = {"user_id": users, "item_id": items, "weight": np.asarray(weights, dtype=np.float64)}
    return recsys.read_interactions(pd.DataFrame(columns))


def warned(data, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_heavy_tail(data, recsys.ALS(**settings).problem)
    return [str(warning.message) for warning in caught]


def play_counts(n=4000, sigma=2.5):
    return np.ceil(np.random.default_rng(0).lognormal(4, sigma, n))


def test_raw_play_counts_are_warned_of_with_a_way_out():
    (message,) = warned(pairs_of(play_counts()))
    assert "4,000 pairs" in message
    assert "Hint: train on data.weighted('log'), or lower `alpha`, towards 1 / mean = 0.0" in message


def test_fit_warns_at_the_line_that_called_it():
    with pytest.warns(UserWarning, match="heavy-tailed") as caught:
        recsys.ALS(factors=2, iterations=1).fit(pairs_of(play_counts()))
    assert caught[0].filename == __file__


def test_the_command_line_names_its_own_option():
    (message,) = warned(pairs_of(play_counts()))
    assert in_cli_words(message).endswith(f" Hint: lower alpha, --set alpha={message.split()[-1]}")


def test_the_effective_number_is_that_of_kish():
    weights = np.ones(1000)
    weights[3] = 9_000
    (message,) = warned(pairs_of(weights))
    assert f"as much as {(weights.sum() ** 2 / (weights**2).sum()):,.0f} equal ones" in message


@given(st.lists(st.sampled_from(np.arange(0.5, 5.5, 0.5).tolist()), min_size=1, max_size=300), st.floats(1e-3, 1e6))
@settings(deadline=None, max_examples=50)
def test_ratings_are_never_warned_of_whatever_their_shares_and_alpha(ratings, alpha):
    assert warned(pairs_of(ratings), alpha=alpha) == []


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300))
@settings(deadline=None, max_examples=50)
def test_logarithms_of_counts_are_never_warned_of(counts):
    assert warned(pairs_of(counts).weighted("log"), alpha=100.0) == []


def test_the_same_tail_is_not_warned_of_where_alpha_makes_it_light_beside_the_unobserved_pairs():
    data = pairs_of(play_counts())
    assert warned(data, alpha=1.0)
    unobserved = 0.025 * data.n_users * data.n_items
    assert warned(data, alpha=0.99 * unobserved / float(data.weights.sum(dtype=np.float64))) == []


def test_a_part_of_the_confidence_that_all_pairs_share_counts():
    data = pairs_of(play_counts())
    even = {"weighting": "hu2008", "unobserved_weight": float(data.weights.max())}
    assert warned(data, **even) == []


@pytest.mark.parametrize("weighting", ["rendle2022", "hu2008", "implicit"])
def test_every_weighting_is_looked_after(weighting):
    data = pairs_of(play_counts())
    assert len(warned(data, weighting=weighting)) == 1
    assert warned(data.weighted("log"), weighting=weighting) == []


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1e30, 1e30], [5.0]])
def test_odd_weights_need_no_division_by_zero(weights):
    assert warned(pairs_of(weights)) == []


def test_pairs_of_weight_zero_are_no_observations():
    assert warned(pairs_of([1.0] * 20 + [0.0] * 2000), alpha=1e4) == []


@pytest.mark.skipif(not PLAYS.is_file(), reason="../shared/datasets/lastfm-hetrec is not there")
def test_lastfm_play_counts_are_warned_of_and_their_logarithms_are_not():
    plays = recsys.read_interactions(PLAYS, weight="plays", timestamp=False)
    assert len(warned(plays)) == 1
    assert warned(plays.weighted("log")) == []
    assert warned(plays.binarize()) == []
