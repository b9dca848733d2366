"""Recommending: allow and deny lists, item rules, re-ranking, reasons, baskets, scores of pairs."""

from __future__ import annotations

import inspect

import naive
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, InputError, ParameterError, UnknownIdError
from recsys.recommending.rerank import Reranker, group_shares, popularity_groups
from recsys.recommending.tables import PairSet
from recsys.retrieval import RankedLists

DATA = random_interactions(n_users=30, n_items=24, density=0.2)
MODEL = recsys.ALS(factors=6, iterations=3).fit(DATA)
RATINGS = recsys.ExplicitALS(factors=5, iterations=3).fit(DATA)
USERS, ITEMS = DATA.users.to_numpy().tolist(), DATA.items.to_numpy().tolist()
SEEN = set(zip(DATA.to_frame().user_id, DATA.to_frame().item_id, strict=True))
PAIRS = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS)), max_size=120)


def pairs_of(table):
    return set(zip(table.user_id, table.item_id, strict=True))


def pair_table(pairs):
    return pd.DataFrame({"user_id": [user for user, _ in pairs], "item_id": [item for _, item in pairs]}, dtype="int64")


# ---- which items may appear -----------------------------------------------------------------------------------------


@given(st.none() | PAIRS, st.none() | PAIRS, st.none() | st.sets(st.sampled_from(ITEMS)), st.booleans(), st.integers(1, 40))
def test_lists_hold_the_best_of_the_pairs_that_may_appear(allow, deny, only, exclude_seen, k):
    table = MODEL.recommend(
        k=k, allow=None if allow is None else pair_table(allow), deny=None if deny is None else pair_table(deny),
        only_items=None if only is None else sorted(only), exclude_seen=exclude_seen, num_threads=1,
    )  # fmt: skip
    vectors = MODEL.item_embeddings.vectors
    for position, user in enumerate(USERS[:5]):
        items = set(ITEMS) if allow is None else {item for owner, item in allow if owner == user}
        items &= set(ITEMS) if only is None else only
        items -= {item for owner, item in deny or [] if owner == user}
        items -= {item for owner, item in SEEN if owner == user and exclude_seen}
        rows = sorted(DATA.items.positions(sorted(items)).tolist())
        expected = naive.ranked(MODEL.user_embeddings.vectors[position], vectors, k, candidates=rows)
        got = table[table.user_id == user]
        assert got.item_id.tolist() == DATA.items.ids_at([place for place, _ in expected]).to_pylist()
        np.testing.assert_allclose(got.score, [score for _, score in expected], rtol=1e-6)
        assert got["rank"].tolist() == list(range(1, len(got) + 1))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_tables_of_any_kind_are_taken(kind):
    table = kind({"user_id": [USERS[0], USERS[0]], "item_id": [ITEMS[3], ITEMS[4]]})
    assert pairs_of(MODEL.recommend(allow=table, exclude_seen=False)) == {(USERS[0], ITEMS[3]), (USERS[0], ITEMS[4])}


def test_a_user_without_a_row_in_the_allow_list_gets_nothing():
    table = MODEL.recommend([USERS[0], USERS[1]], allow=pair_table([(USERS[1], ITEMS[0])]), exclude_seen=False)
    assert pairs_of(table) == {(USERS[1], ITEMS[0])}


def test_unknown_users_keep_to_their_allow_and_deny_lists():
    asked = [1, USERS[0], 2, 3]
    denied = MODEL.recommend(asked, k=24, deny=pair_table([(2, ITEMS[0]), (3, ITEMS[1])]), unknown="popular")
    missing = {user: set(ITEMS) - {item for owner, item in pairs_of(denied) if owner == user} for user in (1, 2, 3)}
    assert missing == {1: set(), 2: {ITEMS[0]}, 3: {ITEMS[1]}}
    allow = pair_table([(2, ITEMS[0]), (2, ITEMS[5]), (USERS[0], ITEMS[7])])
    allowed = MODEL.recommend(asked, allow=allow, unknown="popular", exclude_seen=False)
    assert pairs_of(allowed) == {(2, ITEMS[0]), (2, ITEMS[5]), (USERS[0], ITEMS[7])}
    counts = dict(zip(ITEMS, DATA.item_counts.tolist(), strict=True))
    best = sorted([ITEMS[0], ITEMS[5]], key=lambda item: -counts[item])
    assert allowed[allowed.user_id == 2].item_id.tolist() == best


def test_ids_in_a_table_that_the_model_does_not_know_are_named_or_passed_over():
    table = pair_table([(USERS[0], ITEMS[0]), (USERS[0], 1), (9, ITEMS[0])])
    with pytest.raises(UnknownIdError, match="`allow`: Unknown user_id: 9"):
        MODEL.recommend(allow=table)
    with pytest.raises(UnknownIdError, match="`deny`: Unknown item_id: 1"):
        MODEL.recommend(deny=table[:2])
    assert pairs_of(MODEL.recommend(allow=table, unknown="skip", exclude_seen=False)) == {(USERS[0], ITEMS[0])}


def rules(**columns):
    return pd.DataFrame({"item_id": [ITEMS[0], ITEMS[0], ITEMS[1]], **columns})


@pytest.mark.parametrize(
    ("table", "at", "missing"),
    [
        (rules(expires=["2024-01-01", None, "2024-01-01"]), "2024-06-01", {ITEMS[1]}),
        (rules(expires=["2024-01-01"] * 3), "2024-01-01", {ITEMS[0], ITEMS[1]}),
        (rules(expires=["2024-01-01"] * 3), "2023-12-31T23:59:59Z", set()),
        (rules(available_from=pd.to_datetime(["2024-01-01"] * 3)), "2024-01-01", set()),
        (rules(available_from=[10, 20, 30]), 15, {ITEMS[1]}),
        (rules(available_from=[10, 30, 10], expires=[20.0, 40.0, None]), 25, {ITEMS[0]}),
        (rules(available_from=["2999-01-01"] * 3), None, {ITEMS[0], ITEMS[1]}),
        (rules(expires=pd.to_datetime(["2024-01-01T02:00+02:00"] * 3)), "2024-01-01", {ITEMS[0], ITEMS[1]}),
    ],
)
def test_an_item_may_appear_while_one_of_its_rules_holds(table, at, missing):
    found = MODEL.recommend(k=24, exclude_seen=False, item_rules=table, at=at)
    assert set(ITEMS) - set(found.item_id) == missing


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"allow": pd.DataFrame({"user": [1], "item_id": [1]})}, DataError, "`allow` has no column 'user_id'.*mean 'user'"),
        ({"deny": "pairs.csv"}, ParameterError, "`deny` must be a table with the columns user_id, item_id"),
        (
            {"deny": pd.DataFrame({"user_id": [USERS[0]], "item_id": [None]})},
            DataError,
            "`deny`: A item_id must not be missing",
        ),
        ({"item_rules": pd.DataFrame({"item_id": [1]})}, DataError, "'available_from' or 'expires'"),
        ({"item_rules": rules(expires=["2024-01-01", "soon", "x"])}, DataError, "`item_rules expires`.*Row 2 is 'soon'"),
        ({"item_rules": rules(expires=[1, 2, 3]), "at": "later"}, ParameterError, "`at` must be a date"),
        ({"at": "2024-01-01"}, ParameterError, "`at` is the time that `item_rules`"),
        ({"min_score": "high"}, ParameterError, "`min_score` must be a number"),
        ({"min_score": float("nan")}, ParameterError, "`min_score` must be a number"),
        ({"diversity": 1.5}, ParameterError, "`diversity` must be a number from 0 to 1. Got 1.5"),
        ({"diversity": 0.6, "calibration": 0.6}, ParameterError, "sum must be at most 1"),
        ({"pool": 20}, ParameterError, "`pool` is what `diversity` and `calibration`"),
        ({"pool": 5, "diversity": 0.1}, ParameterError, "`pool` must be an int of at least k = 10"),
        ({"with_reasons": -1}, ParameterError, "`with_reasons` must be"),
        ({"k": -3}, ParameterError, "`k` must be an int >= 1. Got -3"),
        ({"batch_users": 0}, ParameterError, "`batch_users`"),
        ({"surprise": 1}, TypeError, r"recommend\(\) got an unexpected keyword argument 'surprise'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        MODEL.recommend(**arguments)


def test_a_k_beyond_the_catalogue_gives_all_that_may_appear():
    for options in (
        {},
        {"diversity": 0.5},
        {"with_reasons": True},
        {"allow": pair_table([(USERS[0], item) for item in ITEMS])},
    ):
        table = MODEL.recommend([USERS[0]], 10_000, exclude_seen=False, **options)
        assert sorted(table.item_id) == sorted(ITEMS)


def test_both_methods_show_the_one_signature_that_the_request_has():
    shown = inspect.signature(recsys.Model.recommend)
    assert list(shown.parameters)[:3] == ["self", "users", "k"]
    assert shown.parameters == inspect.signature(recsys.Model.recommend_batches).parameters
    assert shown.parameters["k"].default == 10
    for name in list(shown.parameters)[1:]:
        assert name in recsys.Model.recommend.__doc__


# ---- scores ---------------------------------------------------------------------------------------------------------


def test_no_item_below_the_least_score_appears():
    everything = MODEL.recommend(k=24)
    found = MODEL.recommend(k=24, min_score=0.2)
    pd.testing.assert_frame_equal(found, everything[everything.score >= 0.2].reset_index(drop=True))
    assert len(MODEL.recommend(min_score=1e9)) == 0


def test_scores_of_pairs_are_those_of_the_lists():
    table = MODEL.recommend(k=5)
    np.testing.assert_array_equal(MODEL.score(table.user_id, table.item_id), table.score.to_numpy())
    assert MODEL.score(USERS[0], ITEMS).shape == (len(ITEMS),)
    assert MODEL.score(USERS, ITEMS[0]).dtype == np.float32
    assert MODEL.score([], []).shape == (0,)
    with pytest.raises(ParameterError, match="must be as many"):
        MODEL.score(USERS[:2], ITEMS[:3])
    with pytest.raises(UnknownIdError, match="Unknown item_id: 1"):
        MODEL.score(USERS[0], [1])


# ---- re-ranking -----------------------------------------------------------------------------------------------------


@given(
    st.floats(0, 0.6), st.floats(0, 0.35), st.integers(1, 12), st.integers(0, 20), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_the_kernel_chooses_as_the_formula_says(diversity, calibration, k, size, seed):
    generator = np.random.default_rng(seed)
    units = generator.standard_normal((40, 3)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    groups, wanted = generator.integers(0, 3, 40), generator.dirichlet([1, 1, 1])[None]
    positions = generator.permutation(40)[None, :20].astype(np.int32)
    scores = -np.sort(-generator.standard_normal((1, 20)).astype(np.float32))
    pool = RankedLists(positions, scores, np.array([size], np.int32))
    lists = Reranker(diversity, calibration, units, groups).rerank(pool, k, wanted, 1)
    assert lists.counts[0] == min(k, size)
    if size:
        pairs = list(zip(positions[0, :size].tolist(), scores[0, :size].astype(float).tolist(), strict=True))
        expected = naive.chosen(
            pairs, k, diversity=diversity, calibration=calibration, units=units, groups=groups.tolist(), wanted=wanted[0]
        )
        assert lists.positions[0, : lists.counts[0]].tolist() == expected
        assert dict(pairs)[expected[0]] == lists.scores[0, 0]


def test_diversity_makes_lists_less_alike_and_0_leaves_them():
    def likeness(table):
        lists = [MODEL.item_embeddings[rows.item_id].units for _, rows in table.groupby("user_id")]
        return np.mean([(units @ units.T).mean() for units in lists])

    assert likeness(MODEL.recommend(k=5, diversity=0.7)) < 0.9 * likeness(MODEL.recommend(k=5))
    pd.testing.assert_frame_equal(MODEL.recommend(k=5, diversity=0), MODEL.recommend(k=5))


def test_calibration_brings_the_popularity_of_lists_to_that_of_histories():
    groups = popularity_groups(DATA.item_counts)
    wanted = group_shares(DATA.indptr, DATA.indices, groups)

    def distance(table):
        positions = DATA.items.positions(table.item_id)
        rows = DATA.users.positions(table.user_id)
        shares = np.array([np.bincount(groups[positions[rows == row]], minlength=3) / 6 for row in range(len(USERS))])
        return np.abs(shares - wanted).sum()

    plain = MODEL.recommend(k=6, exclude_seen=False)
    assert distance(MODEL.recommend(k=6, exclude_seen=False, calibration=0.9, pool=24)) < distance(plain)


def test_popularity_groups_split_the_interactions_and_shares_count_a_history():
    groups = popularity_groups(np.array([50, 30, 5, 10, 5]))
    assert groups.tolist() == [0, 1, 2, 2, 2]
    assert popularity_groups(np.zeros(3, np.int64)).tolist() == [0, 0, 0]
    shares = group_shares(np.array([0, 3, 3]), np.array([0, 1, 2]), groups)
    np.testing.assert_allclose(shares, [[1 / 3, 1 / 3, 1 / 3], [0, 0, 0]])


# ---- reasons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, RATINGS], ids=["implicit", "ratings"])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_reasons_are_the_largest_contributions_of_explain(model, exclude_seen):
    table = model.recommend(USERS[:8], k=6, with_reasons=2, exclude_seen=exclude_seen)
    for row in table.itertuples():
        explained = model.explain(row.user_id, row.item_id, k=None)
        expected = naive.carried(explained.contribution.tolist(), 2)
        np.testing.assert_allclose(
            [reason["contribution"] for reason in row.reasons], [amount for _, amount in expected], rtol=2e-3, atol=1e-5
        )
        gaps = np.abs(np.diff(explained.contribution[:3]))
        if (gaps > 1e-4).all():
            assert [reason["item_id"] for reason in row.reasons] == [explained.item_id[place] for place, _ in expected]


def test_reasons_of_long_and_of_short_histories_agree():
    # A history longer than the number of factors is solved through them, a shorter one through its entries.
    history = DATA.user_counts
    assert history.min() < MODEL.item_embeddings.dim < history.max()
    strings = recsys.ALS(factors=4, iterations=2).fit(random_interactions(strings=True))
    first = strings.recommend(["u1"], k=1, with_reasons=True).reasons[0]
    assert 1 <= len(first) <= 3
    assert all(isinstance(reason["item_id"], str) for reason in first)


def test_who_gets_what_is_popular_gets_no_reasons_and_who_can_not_give_them_says_so():
    table = MODEL.recommend([1, USERS[0]], k=2, unknown="popular", with_reasons=True)
    assert [len(reasons) > 0 for reasons in table.reasons] == [False, False, True, True]
    with pytest.raises(InputError, match="can not explain"):
        recsys.Popularity().fit(DATA).recommend(with_reasons=True)


# ---- baskets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, RATINGS], ids=["implicit", "ratings"])
def test_a_basket_gets_what_a_user_with_that_history_gets(model):
    own = DATA.to_frame()
    own = own[own.user_id == USERS[4]]
    shuffled = own.sample(frac=1, random_state=1)
    options = {"diversity": 0.2, "with_reasons": True, "exclude_items": [ITEMS[0]]}
    found = model.recommend_basket(shuffled.item_id, 5, weights=shuffled.weight, **options)
    expected = model.recommend([USERS[4]], 5, **options).drop(columns="user_id")
    assert found.item_id.tolist() == expected.item_id.tolist()
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-3, atol=1e-4)


def test_items_named_twice_in_a_basket_weigh_as_the_model_counts_them():
    item, other = ITEMS[2], ITEMS[5]
    twice = MODEL.recommend_basket([item, other, item], weights=[1, 1, 2])
    pd.testing.assert_frame_equal(twice, MODEL.recommend_basket([item, other], weights=[3, 1]))
    last = RATINGS.recommend_basket([item, other, item], weights=[1, 3, 5])
    pd.testing.assert_frame_equal(last, RATINGS.recommend_basket([item, other], weights=[5, 3]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"items": []}, DataError, "A basket needs at least one item_id"),
        ({"items": [1]}, UnknownIdError, "Unknown item_id: 1"),
        ({"items": ITEMS[0]}, DataError, "one id is given as"),
        ({"items": ITEMS[:2], "weights": [1]}, ParameterError, "`weights` must be 2 finite numbers"),
        ({"items": ITEMS[:1], "weights": ["a"]}, ParameterError, "`weights` must be 1 numbers"),
        ({"items": ITEMS[:1], "weights": [-1]}, ParameterError, "must not be negative"),
        ({"items": ITEMS[:1], "k": 0}, ParameterError, "`k` must be an int >= 1"),
    ],
)
def test_a_wrong_basket_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        MODEL.recommend_basket(**arguments)


# ---- batches --------------------------------------------------------------------------------------------------------


def test_the_rows_of_a_user_do_not_depend_on_the_stretch_or_the_threads():
    options = {"k": 4, "diversity": 0.3, "calibration": 0.2, "with_reasons": True, "min_score": -1.0}
    recommender = MODEL.recommender(num_threads=1, **options)
    parts = [recommender.frame(start, stop) for start, stop in ((0, 1), (1, 9), (9, 30), (30, 30))]
    together = pd.concat(parts, ignore_index=True)
    for threads in (1, 2):
        pd.testing.assert_frame_equal(together, MODEL.recommend(num_threads=threads, batch_users=7, **options))


def test_pairs_are_taken_beyond_the_last_row_as_empty():
    pairs = PairSet.of_keys(np.array([1, 5, 8]), 3, 4)
    assert pairs.take(np.array([2, 7, 0])).keys(4).tolist() == [0, 9]
    assert pairs.counts(np.array([0, 1, 2, 3])).tolist() == [1, 1, 1, 0]
    none = PairSet.of_keys(np.empty(0, np.int64), 0, 4)
    assert none.take(np.array([0, 5])).indptr.tolist() == [0, 0, 0]
