"""Interactions: immutable, checked, and each method does what its docstring says."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, ParameterError, UnknownIdError
from recsys.ids import IdMap
from recsys.interactions import Interactions

DAY = 86_400_000_000


def events(rows, **options):
    """Interactions from (user, item, weight[, day]) rows, ids in order of appearance."""
    users, items = pd.factorize(np.array([r[0] for r in rows], object)), pd.factorize(np.array([r[1] for r in rows], object))
    days = np.array([r[3] * DAY for r in rows], np.int64) if rows and len(rows[0]) > 3 else None
    return Interactions.from_events(
        IdMap(users[1], name="user_id"),
        IdMap(items[1], name="item_id"),
        users[0].astype(np.int32),
        items[0].astype(np.int32),
        np.array([r[2] for r in rows], np.float32),
        days,
        **options,
    )


def as_dict(data):
    return {(row.user_id, row.item_id): row.weight for row in data.to_frame().itertuples()}


rows_of_events = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("vwxyz"), st.integers(-3, 9)), min_size=1, max_size=40
)


@given(rows_of_events, st.sampled_from(["sum", "count", "max", "last"]))
def test_events_of_one_pair_are_merged_by_the_rule(rows, rule):
    gathered = {}
    for user, item, weight in rows:
        gathered.setdefault((user, item), []).append(weight)
    merge = {"sum": sum, "count": len, "max": max, "last": lambda weights: weights[-1]}[rule]
    assert as_dict(events(rows, duplicates=rule)) == {pair: merge(weights) for pair, weights in gathered.items()}


def test_the_last_event_is_the_latest_in_time_then_the_later_in_the_log():
    data = events([("a", "x", 1, 5), ("a", "x", 2, 9), ("a", "x", 3, 9), ("a", "x", 4, 1)], duplicates="last")
    assert data.weights.tolist() == [3]
    assert data.timestamps.tolist() == [9 * DAY]


def test_sums_are_taken_in_double_precision():
    data = events([("a", "x", 16_777_216), ("a", "x", 1), ("a", "x", 1)])
    assert data.weights.tolist() == [16_777_218]


@given(rows_of_events, st.integers(0, 4), st.integers(0, 4))
def test_a_k_core_has_enough_on_both_sides_and_is_the_largest_such(rows, users, items):
    pairs = set(as_dict(events(rows)))
    while True:
        enough = {p for p in pairs if sum(q[0] == p[0] for q in pairs) >= users and sum(q[1] == p[1] for q in pairs) >= items}
        if enough == pairs:
            break
        pairs = enough
    core = events(rows).k_core(users=users, items=items)
    assert set(as_dict(core)) == pairs
    assert core.n_users == len({u for u, _ in pairs})


def test_filter_keeps_what_fulfils_every_condition():
    data = events([("a", "x", 1, 1), ("a", "y", 5, 2), ("b", "x", 4, 3), ("b", "y", 2, 4)])
    assert as_dict(data.filter(users=["b"])) == {("b", "x"): 4, ("b", "y"): 2}
    assert as_dict(data.filter(items=["x"], min_weight=2)) == {("b", "x"): 4}
    assert as_dict(data.filter(since="1970-01-03", until="1970-01-05")) == {("a", "y"): 5, ("b", "x"): 4}
    assert as_dict(data.filter(max_weight=1)) == {("a", "x"): 1}
    assert as_dict(data.filter(since=3 * 86_400)) == {("b", "x"): 4, ("b", "y"): 2}
    with pytest.raises(UnknownIdError, match="'z'"):
        data.filter(users=["z"])


def test_filter_by_time_needs_timestamps():
    with pytest.raises(DataError, match=r"filter\(since=…\) needs timestamps"):
        events([("a", "x", 1)]).filter(since="2020-01-01")


def test_weighting_schemes_match_their_formulas(data):
    counts, frame = data.item_counts, data.to_frame()
    idf = np.log((1 + data.n_users) / (1 + counts))[data.indices]
    w = data.weights.astype(np.float64)
    np.testing.assert_allclose(data.weighted("log", alpha=2).weights, np.log1p(2 * w), rtol=1e-6)
    raw = np.sqrt(w) * idf
    lengths = pd.Series(raw**2).groupby(frame.user_id).transform("sum") ** 0.5
    np.testing.assert_allclose(data.weighted("tfidf").weights, raw / lengths, rtol=1e-5)
    total = pd.Series(w).groupby(frame.user_id).transform("sum")
    mean = total.sum() and w.sum() / data.n_users
    expected = w * 2.2 / (w + 1.2 * (1 - 0.75 + 0.75 * total / mean)) * idf
    np.testing.assert_allclose(data.weighted("bm25", k1=1.2, b=0.75).weights, expected, rtol=1e-5)
    np.testing.assert_array_equal(data.weighted(np.sqrt).weights, np.sqrt(data.weights))


def test_weights_of_an_item_everybody_has_are_never_negative():
    data = events([(user, "x", 3) for user in "abcd"])
    assert (data.weighted("bm25").weights >= 0).all()
    assert (data.weighted("tfidf").weights >= 0).all()


def test_wrong_weighting_names_the_closest_and_the_parameters(data):
    with pytest.raises(ParameterError, match=r"Did you mean 'bm25'\?"):
        data.weighted("bm52")
    with pytest.raises(ParameterError, match=r"'bm25' takes 'k1', 'b'\. Got 'k'"):
        data.weighted("bm25", k=3)
    with pytest.raises(DataError, match="negative"):
        replace(data, weights=-data.weights).weighted("log")
    with pytest.raises(DataError, match="must return"):
        data.weighted(lambda weights: weights[:1])


def test_degree_weighting_counts_busy_users_and_popular_items_less_and_keeps_the_mean(data):
    frame = data.to_frame()
    by_user = frame.groupby("user_id").weight.transform("size")
    by_item = frame.groupby("item_id").weight.transform("size")
    raw = data.weights * by_user**-0.5 * by_item**-0.25
    new = data.weighted("degree", user_exponent=-0.5, item_exponent=-0.25).weights
    np.testing.assert_allclose(new, raw * data.weights.mean() / raw.mean(), rtol=1e-5)


def test_dropping_ids_keeps_all_others_even_without_entries():
    data = events([("a", "x", 1), ("a", "y", 2), ("b", "x", 3)])
    less = data.drop(items=["x"])
    assert as_dict(less) == {("a", "y"): 2}
    assert less.users.to_numpy().tolist() == ["a", "b"]
    assert as_dict(data.drop(users=["a"])) == {("b", "x"): 3}
    assert data.drop().fingerprint == data.fingerprint
    with pytest.raises(UnknownIdError, match="'z'"):
        data.drop(users=["z"])


def test_decay_halves_the_weight_for_every_half_life():
    data = events([("a", "x", 8, 0), ("a", "y", 8, 30), ("a", "z", 8, 60)])
    assert data.decayed(half_life="30D").weights.tolist() == [2, 4, 8]
    assert data.decayed(half_life=30 * 86_400).weights.tolist() == [2, 4, 8]
    assert data.decayed(half_life="30D", now="1970-01-31").weights.tolist() == [4, 8, 8]
    for wrong in ("soon", 0, -1, float("nan"), None):
        with pytest.raises(ParameterError, match="half_life"):
            data.decayed(half_life=wrong)


def test_binarize_sets_every_weight_to_one():
    data = events([("a", "x", 2), ("a", "y", 4), ("b", "x", 5)])
    assert as_dict(data.binarize(threshold=4)) == {("a", "y"): 1, ("b", "x"): 1}
    assert data.binarize().n_interactions == 3


@given(rows_of_events, rows_of_events)
def test_merging_equals_gathering_all_events_at_once_and_keeps_positions(first, second):
    old = events(first)
    merged = old.merge(events(second))
    assert as_dict(merged) == as_dict(events(first + second))
    assert merged.users.positions(old.users).tolist() == list(range(old.n_users))
    assert merged.items.positions(old.items).tolist() == list(range(old.n_items))


def test_merging_data_with_and_without_times_is_refused():
    with pytest.raises(DataError, match="both or neither have timestamps"):
        events([("a", "x", 1, 1)]).merge(events([("a", "x", 1)]))


def test_by_item_holds_the_same_entries_transposed(data):
    indptr, users, weights = data.by_item
    transposed = scipy.sparse.csr_array((weights, users, indptr), shape=data.shape[::-1])
    assert (data.to_csr() != transposed.T).nnz == 0
    assert (np.diff(indptr) == data.item_counts).all()


def test_from_csr_and_to_csr_are_inverse(data):
    again = Interactions.from_csr(data.to_csr(), users=data.users, items=data.items)
    assert again.fingerprint == data.fingerprint
    with pytest.raises(DataError, match="The matrix is 60 × 40"):
        Interactions.from_csr(data.to_csr(), users=[1, 2])


def test_nothing_can_be_changed(data):
    with pytest.raises(ValueError, match="read-only"):
        data.weights[0] = 5
    with pytest.raises(FrozenInstanceError):
        data.weights = None
    data.to_csr().data[:] = 0
    assert data.weights.min() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indptr": np.array([0, 1], np.int64)}, r"Interactions.indptr must be int64 of shape \(61,\)"),
        ({"indices": np.zeros(3, np.int64)}, "Interactions.indices must be int32"),
        ({"weights": np.ones(2, np.float32)}, "Interactions.weights must be float32"),
        ({"timestamps": np.ones(2, np.int64)}, "Interactions.timestamps must be int64"),
    ],
)
def test_parts_that_do_not_fit_are_refused(data, change, message):
    with pytest.raises(DataError, match=message):
        replace(data, **change)


def test_unsorted_rows_and_bad_pointers_are_refused(data):
    with pytest.raises(DataError, match="strictly rise"):
        replace(data, indices=data.indices[::-1].copy())
    with pytest.raises(DataError, match="indptr must rise"):
        replace(data, indptr=data.indptr[::-1].copy())


def test_a_weight_that_is_not_finite_is_named(data):
    weights = data.weights.copy()
    weights[0] = np.inf
    with pytest.raises(DataError, match=r"That of user 1000 and item \d+ is not"):
        replace(data, weights=weights)


def test_a_user_with_more_than_four_billion_entries_would_not_overflow():
    # The pointers are 64-bit all the way; here with rows that claim to be huge, without the data.
    from recsys.fold_in import Rows

    indptr = np.array([0, 3_000_000_000, 6_000_000_000], np.int64)
    assert Rows(indptr, np.empty(0, np.int32), np.empty(0, np.float32)).blocks()[-1][1] == 2


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("timestamps", [False, True])
def test_saved_data_come_back_equal(tmp_path, strings, timestamps):
    data = random_interactions(strings=strings, timestamps=timestamps)
    data.save(tmp_path / "set")
    for again in (Interactions.load(tmp_path / "set"), recsys.load(tmp_path / "set", verify=False)):
        assert again.fingerprint == data.fingerprint
        pd.testing.assert_frame_equal(again.to_frame(), data.to_frame())


def test_an_existing_path_is_refused_unless_asked(tmp_path, data):
    data.save(tmp_path / "set")
    with pytest.raises(ParameterError, match="already exists"):
        data.save(tmp_path / "set")
    smaller = data.filter(min_weight=3)
    smaller.save(tmp_path / "set", overwrite=True)
    assert Interactions.load(tmp_path / "set").fingerprint == smaller.fingerprint


def test_the_fingerprint_follows_ids_weights_and_times(data):
    changed = [
        replace(data, weights=data.weights + 1),
        replace(data, timestamps=np.zeros(len(data), np.int64)),
        replace(data, users=IdMap(np.arange(data.n_users), name="user_id")),
        replace(data, users=IdMap([str(n) for n in data.users.to_numpy()], name="user_id")),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in changed)}) == 5


def test_the_representation_tells_size_density_weights_and_time():
    data = events([("a", "x", 1, 0), ("b", "y", 3, 40)])
    assert repr(data) == (
        "Interactions(2 users × 2 items, 2 interactions, density 50 %, weights 1 to 3, 1970-01-01 to 1970-02-10)"
    )
    assert "empty" in repr(data.filter(min_weight=9))
