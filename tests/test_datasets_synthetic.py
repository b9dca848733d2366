"""Synthetic logs: shape, determinism, the distributions that the docstring promises, and that their groups can be found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.datasets import make_events
from recsys.errors import ParameterError


def test_a_log_has_the_promised_columns_types_and_ranges():
    log = make_events(users=50, items=30, events=2_000, random_state=1)
    assert list(log.columns) == ["user_id", "item_id", "weight", "timestamp"]
    assert [str(kind) for kind in log.dtypes] == ["int64", "int64", "int32", "datetime64[us]"]
    assert len(log) == 2_000
    assert log["user_id"].between(0, 49).all()
    assert log["item_id"].between(0, 29).all()
    assert log["weight"].min() == 1
    assert 1.5 < log["weight"].mean() < 1.85


def test_times_rise_and_fill_the_stated_span_evenly():
    log = make_events(events=20_000, start="2020-02-01", days=10)
    times = log["timestamp"]
    assert times.is_monotonic_increasing
    assert times.min() >= pd.Timestamp("2020-02-01")
    assert times.max() < pd.Timestamp("2020-02-11")
    share_of_each_day = times.dt.day.value_counts(normalize=True)
    assert share_of_each_day.between(0.09, 0.11).all()


def test_nothing_drifts_from_the_first_to_the_second_half_of_the_log():
    log = make_events(users=20, items=10, events=100_000, random_state=3)
    early, late = (half["item_id"].value_counts(normalize=True).sort_index() for half in (log[:50_000], log[50_000:]))
    assert np.abs(early - late).max() < 0.01


def test_the_column_of_times_can_be_left_out_and_changes_nothing_else():
    without = make_events(events=500, timestamps=False)
    assert list(without.columns) == ["user_id", "item_id", "weight"]
    pd.testing.assert_frame_equal(without, make_events(events=500)[without.columns])


def test_string_ids_have_twelve_characters_and_name_the_same_events():
    numbers, names = make_events(events=3_000), make_events(events=3_000, id_type="string")
    assert str(names["user_id"].dtype) == "str"
    assert (names["user_id"].str.len() == 12).all()
    assert (names["item_id"].str.len() == 12).all()
    assert (names["user_id"].str.removeprefix("user").astype("int64") == numbers["user_id"]).all()
    assert (names["item_id"].str.removeprefix("item").astype("int64") == numbers["item_id"]).all()


def test_the_same_seed_gives_the_same_log_and_another_seed_another():
    first = make_events(random_state=7, events=1_000)
    pd.testing.assert_frame_equal(first, make_events(random_state=7, events=1_000))
    assert not first.equals(make_events(random_state=8, events=1_000))


def test_a_log_longer_than_the_block_drawn_at_a_time_is_whole():
    log = make_events(users=4, items=3, groups=1, events=2**20 + 7, popularity_skew=0, activity_skew=0, timestamps=False)
    assert len(log) == 2**20 + 7
    assert log["item_id"].value_counts(normalize=True).between(0.32, 0.35).all()


def test_an_empty_log_keeps_its_columns_and_types():
    full, empty = make_events(events=10, id_type="string"), make_events(events=0, id_type="string")
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


@pytest.mark.parametrize(("users", "items"), [(1, 1), (1, 5), (5, 1)])
def test_one_user_or_one_item_is_enough(users, items):
    log = make_events(users=users, items=items, groups=1, events=100)
    assert log["user_id"].nunique() <= users
    assert log["item_id"].nunique() <= items


def test_popularity_grows_more_uneven_with_the_skew():
    def share_of_most_popular(skew):
        log = make_events(items=200, events=40_000, popularity_skew=skew, affinity=0.0)
        return log["item_id"].value_counts(normalize=True).head(20).sum()

    shares = [share_of_most_popular(skew) for skew in (0.0, 0.5, 1.0, 1.5)]
    assert shares == sorted(shares)
    assert shares[0] < 0.15
    assert shares[3] > 0.7


def test_popularity_follows_the_power_law_of_the_docstring():
    log = make_events(items=50, events=200_000, popularity_skew=1.0, affinity=0.0)
    found = log["item_id"].value_counts(normalize=True).to_numpy()
    expected = 1 / np.arange(1, 51)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.004)


def test_events_follow_the_groups_as_the_docstring_says():
    groups, affinity = 4, 0.6
    log = make_events(users=16, items=40, groups=groups, affinity=affinity, events=200_000, popularity_skew=0)
    group, first = log["item_id"] % groups, log["user_id"] % groups
    second = log["user_id"] // groups % groups
    differ = first != second
    by_chance = (1 - affinity) / groups
    assert (group == first)[differ].mean() == pytest.approx(affinity * 2 / 3 + by_chance, abs=0.01)
    assert (group == second)[differ].mean() == pytest.approx(affinity / 3 + by_chance, abs=0.01)


def test_the_groups_can_be_found_from_the_log_alone():
    groups = 10
    log = make_events(users=1_000, items=200, groups=groups, events=40_000, random_state=5)
    touched = pd.crosstab(log["user_id"], log["item_id"]).to_numpy() > 0
    items = np.sort(log["item_id"].unique())
    together = touched.astype(float).T @ touched
    np.fill_diagonal(together, 0)
    counts = touched.sum(axis=0)
    cosine = together / np.sqrt(np.outer(counts, counts))
    nearest = items[np.argsort(-cosine, axis=1)[:, :5]]
    same_group = (nearest % groups == (items % groups)[:, None]).mean()
    assert same_group > 0.8  # by chance one in ten


def test_without_affinity_there_are_no_groups_to_find():
    log = make_events(users=100, items=40, groups=4, affinity=0.0, events=50_000, popularity_skew=0)
    assert (log["item_id"] % 4 == log["user_id"] % 4).mean() == pytest.approx(0.25, abs=0.01)


@given(
    users=st.integers(1, 40),
    items=st.integers(1, 40),
    events=st.integers(0, 300),
    skew=st.floats(0, 20),
    affinity=st.floats(0, 1),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_any_valid_setting_gives_a_log_within_its_ids(users, items, events, skew, affinity, data):
    groups = data.draw(st.integers(1, items))
    log = make_events(users, items, events, popularity_skew=skew, activity_skew=skew, affinity=affinity, groups=groups)
    assert len(log) == events
    assert log["user_id"].between(0, users - 1).all()
    assert log["item_id"].between(0, items - 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 0},
        {"items": 0},
        {"items": 2.5},
        {"events": -1},
        {"events": True},
        {"groups": 0},
        {"groups": 6, "items": 5},
        {"popularity_skew": -0.1},
        {"popularity_skew": float("nan")},
        {"popularity_skew": 20.5},
        {"activity_skew": float("inf")},
        {"affinity": 1.1},
        {"affinity": "much"},
        {"days": -1},
        {"days": 1e9},
        {"start": "some day"},
        {"start": 1e300},
        {"id_type": "uuid"},
        {"id_type": "string", "users": 10**8 + 1},
        {"random_state": -1},
        {"random_state": None},
    ],
    ids=str,
)
def test_a_value_that_can_not_be_is_named(wrong):
    with pytest.raises(ParameterError) as caught:
        make_events(**wrong)
    assert any(name in str(caught.value) for name in wrong)
