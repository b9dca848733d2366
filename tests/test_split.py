"""Splits: every entry in exactly one part, the promises of each docstring, and the drawings in them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import split
from recsys.errors import DataError, ParameterError
from recsys.ids import IdMap
from recsys.interactions import Interactions

DAY = 86_400_000_000


def log_of(events, *, timed=True):
    """Interactions from (user, item, day) triples."""
    table = pd.DataFrame(events, columns=["user", "item", "day"])
    users = IdMap(table.user.unique(), name="user_id")
    items = IdMap(table.item.unique(), name="item_id")
    times = table.day.to_numpy() * DAY if timed else None
    return Interactions.from_events(
        users,
        items,
        users.positions(table.user),
        items.positions(table.item),
        timestamps=times,
        provenance={"source": "a test"},
    )


def pairs(part):
    return set(zip(part.to_frame()["user_id"], part.to_frame()["item_id"], strict=True))


def drawn(text):
    """The drawing in a docstring as (user, item, day, mark) where mark is '', '[' or '('."""
    lines = text.splitlines()
    head = next(number for number, line in enumerate(lines) if "day 1" in line)
    days = [match.start() for match in re.finditer(r"day \d", lines[head])]
    rows = []
    for line in lines[head + 1 : head + 5]:
        user = line.split()[0]
        for match in re.finditer(r"([\[(]?)(tea|rice|figs|oats|salt)\b", line[: days[-1] + 8]):
            day = max(number for number, start in enumerate(days, 1) if start <= match.start())
            rows.append((user, match[2], day, match[1]))
    return rows


def triples(rows, mark):
    return {(user, item) for user, item, _, found in rows if found == mark}


SMALL_LOG = log_of([row[:3] for row in drawn(split.__doc__)])

logs = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=60, unique_by=lambda row: row[:2]
).map(log_of)

CUTS = {
    "random": lambda data: split.random(data, test_fraction=0.3),
    "leave_last": lambda data: split.leave_last(data, n=2),
    "temporal": lambda data: split.temporal(data, test_fraction=0.3),
    "users": lambda data: split.users(data, test_fraction=0.3, unseen="keep"),
}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (split.random, {"test_fraction": 0.4}),
        (split.leave_last, {"n": 1}),
        (split.temporal, {"cutoff": "1970-01-05"}),
        (split.users, {"unseen": "keep"}),
    ],
)
def test_the_drawing_in_each_docstring_shows_what_the_function_does(function, arguments):
    rows = drawn(function.__doc__.replace("| ", ""))
    assert {row[:2] for row in rows} == pairs(SMALL_LOG)
    parts = function(SMALL_LOG, **arguments)
    assert pairs(parts.train) == triples(rows, "")
    assert pairs(parts.test) == triples(rows, "[")
    assert (set() if parts.fold_in is None else pairs(parts.fold_in)) == triples(rows, "(")


@pytest.mark.parametrize("name", CUTS)
@settings(max_examples=30, deadline=None)
@given(data=logs)
def test_every_entry_lands_in_exactly_one_part_with_its_weight_and_time(name, data):
    try:
        parts = CUTS[name](data)
    except DataError:  # a part would be empty; the tests below say when
        return
    frames = [part.to_frame() for part in (parts.train, parts.test, parts.fold_in) if part is not None]
    together = pd.concat(frames).sort_values(["user_id", "item_id"], ignore_index=True)
    expected = data.to_frame().sort_values(["user_id", "item_id"], ignore_index=True)
    pd.testing.assert_frame_equal(together, expected)
    for part in (parts.train, parts.test):
        assert (part.user_counts > 0).all()
        assert (part.item_counts > 0).all()


@pytest.mark.parametrize("name", CUTS)
def test_the_same_arguments_give_the_same_parts(name):
    first, second = CUTS[name](SMALL_LOG), CUTS[name](SMALL_LOG)
    assert first.train.fingerprint == second.train.fingerprint
    assert first.test.fingerprint == second.test.fingerprint


@pytest.mark.parametrize("name", CUTS)
def test_a_split_unpacks_into_train_and_test(name):
    parts = CUTS[name](SMALL_LOG)
    train, test = parts
    assert train is parts.train
    assert test is parts.test


@pytest.mark.parametrize("name", CUTS)
def test_each_part_knows_how_it_was_cut_and_of_what(name):
    train, test = CUTS[name](SMALL_LOG)
    assert train.provenance["source"] == "a test"
    assert train.provenance["split"]["by"] == name
    assert train.provenance["split"]["of"] == SMALL_LOG.fingerprint
    assert (train.provenance["split"]["part"], test.provenance["split"]["part"]) == ("train", "test")
    assert "split" not in SMALL_LOG.provenance


def test_a_part_that_is_cut_again_keeps_how_it_was_cut_before():
    train, _ = split.leave_last(SMALL_LOG)
    again, _ = split.leave_last(train)
    assert again.provenance["split"]["earlier"] == train.provenance["split"]


# ---- random -----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(data=logs, fraction=st.sampled_from([0.1, 0.25, 0.5, 0.9]), seed=st.integers(0, 5))
def test_random_holds_out_the_stated_number_of_each_user(data, fraction, seed):
    expected = {}
    for user, n in zip(data.users.to_numpy(), data.user_counts, strict=True):
        expected[user] = min(int(np.floor(fraction * n + 0.5)), n - 1)
    if not any(expected.values()):
        with pytest.raises(DataError, match="leaves the part `test` without entries"):
            split.random(data, test_fraction=fraction, random_state=seed)
        return
    _, test = split.random(data, test_fraction=fraction, random_state=seed)
    found = dict(zip(test.users.to_numpy(), test.user_counts, strict=True))
    assert found == {user: n for user, n in expected.items() if n}


def test_random_rounds_halves_up_also_where_the_product_is_not_exact_in_binary():
    data = log_of([("u", item, 0) for item in range(100)])
    assert 0.285 * 100 < 28.5
    assert len(split.random(data, test_fraction=0.285).test) == 29


def test_random_cuts_a_user_the_same_whoever_else_is_there():
    whole = log_of([(user, (7 * user + item) % 40, item) for user in range(30) for item in range(3 + user % 9)])
    some = whole.filter(users=whole.users.to_numpy()[5::3])
    expected = {pair for pair in pairs(split.random(whole).test) if pair[0] in some.users}
    assert pairs(split.random(some).test) == expected


def test_random_gives_another_cut_for_another_seed_and_each_entry_an_equal_chance():
    data = log_of([(user, item, 0) for user in range(600) for item in range(10)], timed=False)
    test, other = (split.random(data, test_fraction=0.3, random_state=seed).test for seed in (0, 1))
    # 600 users draw 3 of 10 each: an item is drawn 180 times on average, with a standard deviation of 11.
    assert abs(test.item_counts - 180).max() < 45
    # Two cuts share 3 · 3 / 10 of a user's entries on average: 540 in all, with a standard deviation of 17.
    assert abs(len(pairs(test) & pairs(other)) - 540) < 70


def test_random_is_the_same_on_every_machine_and_version():
    of_strings = log_of([(f"user {user}", f"item {item}", 0) for user in range(2) for item in range(5)], timed=False)
    of_numbers = log_of([(user, -item, 0) for user in range(2) for item in range(5)], timed=False)
    assert sorted(pairs(split.random(of_strings, test_fraction=0.4).test)) == [
        ("user 0", "item 0"),
        ("user 0", "item 4"),
        ("user 1", "item 0"),
        ("user 1", "item 3"),
    ]
    assert sorted(pairs(split.random(of_numbers, test_fraction=0.4).test)) == [(0, -4), (0, -2), (1, -2), (1, 0)]


# ---- leave_last -------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(data=logs, n=st.integers(1, 4))
def test_leave_last_holds_out_the_latest_and_leaves_short_rows_alone(data, n):
    expected = set()
    frame = data.to_frame().assign(place=data.indices)
    for user, rows in frame.groupby("user_id"):
        if len(rows) > n:
            latest = rows.sort_values(["timestamp", "place"]).tail(n)
            expected |= {(user, item) for item in latest["item_id"]}
    if not expected:
        with pytest.raises(DataError, match="no user has more than"):
            split.leave_last(data, n=n)
        return
    assert pairs(split.leave_last(data, n=n).test) == expected


# ---- temporal ---------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(data=logs, fraction=st.sampled_from([0.1, 0.3, 0.6]))
def test_temporal_puts_all_of_train_before_all_of_test_and_at_least_the_share_in_test(data, fraction):
    try:
        train, test = split.temporal(data, test_fraction=fraction)
    except DataError:
        # Even the share's first entry is among the earliest: nothing is before it.
        latest = np.sort(data.timestamps)[::-1]
        assert latest[max(1, int(fraction * len(data) + 0.5)) - 1] == data.timestamps.min()
        return
    assert train.timestamps.max() < test.timestamps.min()
    assert len(test) >= max(1, int(fraction * len(data) + 0.5))
    assert (test.timestamps > test.timestamps.min()).sum() < max(1, int(fraction * len(data) + 0.5))


def test_temporal_counts_what_is_unseen_and_drops_it_on_request():
    kept = split.temporal(SMALL_LOG, cutoff="1970-01-05")
    about = kept.test.provenance["split"]
    assert (about["unseen_users"], about["unseen_items"], about["unseen_entries"]) == (1, 2, 4)
    dropped = split.temporal(SMALL_LOG, cutoff="1970-01-05", unseen="drop")
    assert pairs(dropped.test) == {("u2", "rice")}
    assert pairs(dropped.train) == pairs(kept.train)
    assert dropped.test.provenance["split"]["unseen_entries"] == 4


def test_temporal_refuses_a_cutoff_outside_the_data_and_names_its_span():
    with pytest.raises(DataError, match=r"`test` without entries: the entries reach from 1970-01-02.* to 1970-01-06.*2001"):
        split.temporal(SMALL_LOG, cutoff="2001-01-01")
    with pytest.raises(DataError, match="`train` without entries"):
        split.temporal(SMALL_LOG, cutoff="1960-01-01")
    with pytest.raises(DataError, match="Hint: unseen='keep'"):
        split.temporal(log_of([("a", "x", 1), ("b", "y", 2)]), unseen="drop")


# ---- users ------------------------------------------------------------------------------------------------------


def many_users():
    return log_of([(user, item, item) for user in range(200) for item in range(1 + user % 12)])


def test_users_holds_out_whole_users_and_cuts_their_rows():
    data = many_users()
    parts = split.users(data, test_fraction=0.25, fold_in_fraction=0.5)
    held_out = set(parts.test.users.to_numpy())
    assert len(held_out) == 50
    assert held_out == set(parts.fold_in.users.to_numpy())
    assert held_out.isdisjoint(parts.train.users.to_numpy())
    counts = dict(zip(data.users.to_numpy(), data.user_counts, strict=True))
    for user, n in zip(parts.fold_in.users.to_numpy(), parts.fold_in.user_counts, strict=True):
        assert n == min(int(0.5 * counts[user] + 0.5), counts[user] - 1)


def test_users_moves_at_most_one_when_a_user_is_added():
    data = many_users()
    before = split.users(data)
    for left_out in (11, 50, 199):
        fewer = data.filter(users=[user for user in range(200) if user != left_out])
        after = split.users(fewer)
        moved = set(before.test.users.to_numpy()) ^ set(after.test.users.to_numpy())
        assert len(moved - {left_out}) <= 1
        both = set(before.test.users.to_numpy()) & set(after.test.users.to_numpy())
        assert pairs(before.test.filter(users=sorted(both))) == pairs(after.test.filter(users=sorted(both)))


def test_users_drops_what_no_model_can_fold_in_and_counts_it():
    own_item_each = [(user, 100 + user, 0) for user in range(20)]
    events = log_of(own_item_each + [(user, item, 0) for user in range(20) for item in range(4)])
    # Ids without any entry are nobody's, so they count as neither seen nor unseen.
    data = replace(events, items=events.items.extended([900, 901]))
    kept, dropped = split.users(data, unseen="keep"), split.users(data, unseen="drop")
    assert dropped.test.provenance["split"]["unseen_items"] == 2
    assert dropped.test.provenance["split"]["unseen_entries"] == 2
    assert pairs(dropped.train) == pairs(kept.train)
    for with_all, without in ((kept.fold_in, dropped.fold_in), (kept.test, dropped.test)):
        assert pairs(without) == {pair for pair in pairs(with_all) if pair[1] < 100}
    assert len(kept.fold_in) + len(kept.test) == len(dropped.fold_in) + len(dropped.test) + 2


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), "0.1", True, None])
def test_a_fraction_that_is_no_fraction_is_refused(fraction):
    for function in (split.random, split.users, split.temporal):
        with pytest.raises(ParameterError, match="`test_fraction` must be a number between 0 and 1"):
            function(SMALL_LOG, test_fraction=fraction)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split.leave_last(SMALL_LOG, n=0), "`n` parameter of leave_last must be an int >= 1. Got 0"),
        (lambda: split.leave_last(SMALL_LOG, n=1.5), "`n` parameter of leave_last must be an int >= 1. Got 1.5"),
        (lambda: split.random(SMALL_LOG, random_state=-1), "`random_state` must be an int >= 0"),
        (lambda: split.temporal(SMALL_LOG, unseen="dorp"), "Did you mean 'drop'"),
        (lambda: split.users(SMALL_LOG, unseen=None), "`unseen` must be 'keep' or 'drop'"),
        (lambda: split.temporal(SMALL_LOG, cutoff="yesterday-ish"), "`cutoff` must be a date"),
        (lambda: split.random([1, 2]), "split.random takes Interactions. Got list"),
    ],
)
def test_a_bad_argument_is_named(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_splits_by_time_need_timestamps():
    untimed = log_of([("a", "x", 1), ("a", "y", 2)], timed=False)
    for function in (split.leave_last, split.temporal):
        with pytest.raises(DataError, match="needs timestamps"):
            function(untimed)


def test_data_that_cannot_be_cut_are_refused_with_the_reason():
    alone = log_of([("a", "x", 1), ("b", "x", 2)])
    with pytest.raises(DataError, match=r"`test` without entries: no user has enough entries. Hint: raise test_fraction"):
        split.random(alone)
    with pytest.raises(DataError, match="no user has more than 1 entry"):
        split.leave_last(alone)
    with pytest.raises(DataError, match="it takes two users"):
        split.users(alone)
    with pytest.raises(DataError, match="it takes two users"):
        split.users(log_of([("a", "x", 1), ("a", "y", 1)]))
    with pytest.raises(DataError, match="have no entries"):
        split.random(alone.select(np.zeros(2, dtype=bool)))
