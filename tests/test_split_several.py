"""Cuts that come several at a time: folds, and periods that roll on. The log and the drawings are those of `test_split`."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split import DAY, SMALL_LOG, log_of, logs, many_users, pairs

from recsys import split
from recsys.errors import DataError, ParameterError

# ---- folds ------------------------------------------------------------------------------------------------------


def numbered(text):
    """The drawing of several cuts in a docstring: (user, item) → the number of the cut in whose test it is, or None."""
    lines = text.replace("| ", "").splitlines()
    head = next(number for number, line in enumerate(lines) if "day 1" in line)
    width = re.search(r"day 5", lines[head]).end() + 2
    found = {}
    for line in lines[head + 1 : head + 5]:
        for item, number in re.findall(r"\b(tea|rice|figs|oats|salt)(?:/(\d))?", line[:width]):
            found[line.split()[0], item] = int(number) if number else None
    return found


def test_the_drawing_of_folds_shows_what_the_function_does():
    expected = numbered(split.k_folds.__doc__)
    assert set(expected) == pairs(SMALL_LOG)
    for number, (train, test) in enumerate(split.k_folds(SMALL_LOG, folds=3), 1):
        assert pairs(test) == {pair for pair, fold in expected.items() if fold == number}
        assert pairs(train) == pairs(SMALL_LOG) - pairs(test)


def test_the_drawing_of_periods_shows_what_the_function_does():
    expected = numbered(split.rolling.__doc__)
    assert set(expected) == pairs(SMALL_LOG)
    for number, (train, test) in enumerate(split.rolling(SMALL_LOG, periods=2, length="1D"), 1):
        assert pairs(test) == {pair for pair, period in expected.items() if period == number}
        assert pairs(train) == {pair for pair, period in expected.items() if period is None or period < number}


@settings(max_examples=30, deadline=None)
@given(data=logs, folds=st.integers(2, 5), seed=st.integers(0, 3))
def test_folds_cut_all_entries_of_users_with_two_or_more_into_test_parts(data, folds, seed):
    try:
        cuts = list(split.k_folds(data, folds=folds, random_state=seed))
    except DataError:  # some fold would be empty
        cuts = []
    counts = dict(zip(data.users.to_numpy(), data.user_counts, strict=True))
    tested = [pair for cut in cuts for pair in pairs(cut.test)]
    assert len(tested) == len(set(tested))
    if cuts:
        assert set(tested) == {pair for pair in pairs(data) if counts[pair[0]] > 1}
    for train, test in cuts:
        assert pairs(train) == pairs(data) - pairs(test)
        for user, n in zip(test.users.to_numpy(), test.user_counts, strict=True):
            assert counts[user] // folds <= n <= -(-counts[user] // folds)
            assert user in train.users


def test_folds_are_of_about_the_same_size_although_most_users_have_fewer_entries_than_folds():
    data = log_of([(user, item, 0) for user in range(1000) for item in range(2 + user % 3)], timed=False)
    sizes = [len(test) for _, test in split.k_folds(data, folds=10)]
    # 3,000 entries: 300 a fold, with a standard deviation of at most 17.
    assert sum(sizes) == len(data)
    assert abs(np.array(sizes) - 300).max() < 70


def test_folds_cut_a_user_the_same_whoever_else_is_there_and_another_way_for_another_seed():
    whole = many_users()
    some = whole.filter(users=whole.users.to_numpy()[3::2])
    in_some = [pairs(cut.test) for cut in split.k_folds(some, folds=3)]
    in_whole = [{pair for pair in pairs(cut.test) if pair[0] in some.users} for cut in split.k_folds(whole, folds=3)]
    assert in_some == in_whole
    assert in_some != [pairs(cut.test) for cut in split.k_folds(some, folds=3, random_state=1)]


def test_folds_know_their_number_and_what_they_are_of():
    for number, cut in enumerate(split.k_folds(SMALL_LOG, folds=3), 1):
        about = cut.test.provenance["split"]
        assert (about["by"], about["folds"], about["fold"], about["of"]) == ("k_folds", 3, number, SMALL_LOG.fingerprint)


def test_folds_that_can_not_be_made_are_refused_at_the_call():
    with pytest.raises(ParameterError, match="`folds` parameter of k_folds must be an int >= 2. Got 1"):
        split.k_folds(SMALL_LOG, folds=1)
    with pytest.raises(DataError, match=r"without entries: users with two entries or more have 9 in all. Hint: ask for fewer"):
        split.k_folds(SMALL_LOG, folds=12)
    with pytest.raises(ParameterError, match="split.k_folds takes Interactions"):
        split.k_folds([1])


# ---- rolling ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    data=logs,
    periods=st.integers(1, 3),
    length=st.sampled_from([None, "1D", "36h", 172_800]),
    gap=st.sampled_from([None, "1D"]),
    train_length=st.sampled_from([None, "2D"]),
)
def test_no_period_learns_from_its_future_and_each_entry_is_tested_once_at_most(data, periods, length, gap, train_length):
    try:
        cuts = list(split.rolling(data, periods=periods, length=length, gap=gap, train_length=train_length))
    except DataError:
        return
    assert len(cuts) == periods
    tested = [pair for cut in cuts for pair in pairs(cut.test)]
    assert len(tested) == len(set(tested))
    for cut in cuts:
        begin, end = (np.datetime64(cut.test.provenance["split"][name], "us").astype(np.int64) for name in ("begin", "end"))
        assert cut.test.timestamps.min() >= begin
        assert cut.test.timestamps.max() < end
        assert cut.train.timestamps.max() < begin - (DAY if gap else 0)
        if train_length is None:
            before = data.timestamps < begin - (DAY if gap else 0)
            assert len(cut.train) == before.sum()
        else:
            assert cut.train.timestamps.min() >= begin - (DAY if gap else 0) - 2 * DAY
        assert len(cut.test) == ((data.timestamps >= begin) & (data.timestamps < end)).sum()
    ends = [cut.test.provenance["split"]["end"] for cut in cuts]
    assert [cut.test.provenance["split"]["begin"] for cut in cuts[1:]] == ends[:-1]


def test_periods_end_right_after_the_latest_entry_or_where_they_are_told_to():
    data = log_of([(1, item, item) for item in range(10)])
    latest = [sorted(pairs(cut.test)) for cut in split.rolling(data, periods=2, length="2D")]
    assert latest == [[(1, 6), (1, 7)], [(1, 8), (1, 9)]]
    earlier = [sorted(pairs(cut.test)) for cut in split.rolling(data, periods=2, length="2D", end="1970-01-09")]
    assert earlier == [[(1, 4), (1, 5)], [(1, 6), (1, 7)]]


def test_without_a_length_the_periods_divide_the_later_half_of_the_time():
    data = log_of([(1, item, item) for item in range(13)])
    assert [len(cut.test) for cut in split.rolling(data, periods=3)] == [2, 2, 2]
    assert [len(cut.train) for cut in split.rolling(data, periods=3)] == [7, 9, 11]


def test_a_gap_is_in_neither_part():
    data = log_of([(1, item, item) for item in range(10)])
    (cut,) = split.rolling(data, periods=1, length="2D", gap="3D")
    assert sorted(pairs(cut.test)) == [(1, 8), (1, 9)]
    assert sorted(pairs(cut.train)) == [(1, item) for item in range(5)]


def test_what_is_unseen_in_a_period_is_counted_and_dropped_on_request():
    kept, dropped = (next(split.rolling(SMALL_LOG, periods=1, length="2D", unseen=rule)) for rule in ("keep", "drop"))
    about = kept.test.provenance["split"]
    assert (about["unseen_users"], about["unseen_items"], about["unseen_entries"]) == (1, 2, 4)
    assert pairs(dropped.test) == {("u2", "rice")}
    assert pairs(dropped.train) == pairs(kept.train)


def test_periods_that_can_not_be_judged_are_refused_before_the_first_is_made():
    with pytest.raises(DataError, match=r"`train` of period 1 of 5 .* the entries reach from 1970-01-02.* Hint: ask for other"):
        split.rolling(SMALL_LOG, periods=5, length="1D")
    with pytest.raises(DataError, match=r"`test` of period 2 of 2 \(1980"):
        split.rolling(SMALL_LOG, periods=2, length="3650D", end="1990-01-01")
    with pytest.raises(DataError, match="`test` of period 1 of 1 .* unseen in train. Hint: unseen='keep'"):
        split.rolling(log_of([("a", "x", 1), ("b", "y", 2)]), periods=1, length="1h", unseen="drop")
    with pytest.raises(DataError, match="split.rolling needs timestamps"):
        split.rolling(log_of([("a", "x", 1), ("a", "y", 2)], timed=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"periods": 0}, "`periods` parameter of rolling must be an int >= 1. Got 0"),
        ({"length": "a week"}, "`length` must be a positive length of time"),
        ({"gap": -1}, "`gap` must be a positive length of time"),
        ({"train_length": 0}, "`train_length` must be a positive length of time"),
        ({"end": "soon"}, "`end` must be a date"),
        ({"unseen": "dorp"}, "Did you mean 'drop'"),
    ],
)
def test_a_bad_argument_of_rolling_is_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        split.rolling(SMALL_LOG, **arguments)
