"""`EvaluationResult.by`: slices of users and of items, worked out by hand and held against evaluations of parts of the test."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation import EvaluationResult, evaluate
from recsys.evaluation.averages import average
from recsys.ids import IdMap

METRICS = ["recall@5", "ndcg@5", "map@5", "r_precision", "auc", "novelty@5"]


def frame(pairs):
    return pd.DataFrame(list(pairs), columns=["user_id", "item_id"])


@pytest.fixture(scope="module")
def parts():
    """(train, test) of 80 users, in which user 3 trained one item and item "new" is in the test alone."""
    rng = np.random.default_rng(0)
    pairs = frame(
        {(int(user), f"i{item}") for user, item in zip(rng.integers(0, 80, 900), rng.geometric(0.08, 900), strict=True)}
    )
    pairs = pairs.sort_values(["user_id", "item_id"], ignore_index=True)
    held_out = (rng.random(len(pairs)) < 0.3) | (pairs["user_id"] == 3)
    train = pd.concat([pairs[~held_out], frame([(3, "i1")])])
    known = pairs[held_out & pairs["item_id"].isin(train["item_id"]) & ~((pairs["user_id"] == 3) & (pairs["item_id"] == "i1"))]
    test = pd.concat([known, frame([(0, "new"), (7, "new")])])
    return recsys.read_interactions(train), recsys.read_interactions(test)


@pytest.fixture(scope="module")
def model(parts):
    return recsys.ALS(factors=4, iterations=2, random_state=0).fit(parts[0])


@pytest.fixture(scope="module")
def result(model, parts):
    users = pd.DataFrame({"user_id": range(90), "group": ["a", "b", None] * 30, "age": np.arange(90) / 2})
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(200)], "group": ["x", "y"] * 100, "size": range(200)})
    metrics = [*METRICS, "coverage@5", "popularity_lift@5"]
    return evaluate(model, parts[1], metrics, user_features=users, item_features=items, keep_lists=True)


def means(table, label):
    rows = table[table["slice"] == label]
    return dict(zip(rows["metric"], rows["mean"], strict=True))


def test_a_slice_of_users_is_the_evaluation_of_these_users(result, model, parts):
    table = result.by("group", of="users")
    for label, ids in {"a": range(0, 90, 3), "b": range(1, 90, 3)}.items():
        ids = [user for user in ids if user in parts[1].users]
        alone = evaluate(model, parts[1].filter(users=ids), [*METRICS, "coverage@5", "popularity_lift@5"])
        expected = dict(zip(alone.summary()["metric"], alone.summary()["mean"], strict=True))
        assert means(table, label) == pytest.approx(expected)
        lows = table[table["slice"] == label].set_index("metric")["low"]
        assert lows["popularity_lift@5"] == pytest.approx(alone.summary().set_index("metric")["low"]["popularity_lift@5"])


def test_a_slice_of_items_keeps_the_lists_and_makes_these_items_alone_relevant(result, model, parts):
    table = result.by("group", of="items")
    assert set(table["metric"]) == {"recall@5", "ndcg@5", "map@5", "r_precision", "auc"}
    for label, parity in (("x", 0), ("y", 1)):
        ids = [item for item in parts[1].items.to_numpy() if item != "new" and int(item[1:]) % 2 == parity]
        alone = evaluate(model, parts[1].filter(items=ids), ["recall@5", "ndcg@5", "map@5", "r_precision"]).summary()
        found = means(table, label)
        assert {name: found[name] for name in alone["metric"]} == pytest.approx(
            dict(zip(alone["metric"], alone["mean"], strict=True))
        )
        assert set(table[table["slice"] == label]["n_users"]) == set(alone["n_users"])


def test_unknown_items_are_cold_items_and_items_missing_from_the_table_are_named_so(result):
    cold = result.by("cold_items")
    assert cold["slice"].unique().tolist() == ["no interactions", "1 or more"]
    assert means(cold, "no interactions") == dict.fromkeys(["recall@5", "ndcg@5", "map@5", "r_precision", "auc"], 0)
    assert set(cold[cold["slice"] == "no interactions"]["n_users"]) == {2}
    assert set(result.by("group", of="items").query("slice == 'missing'")["n_users"]) == {2}


def test_the_slices_of_item_popularity_share_out_every_relevant_pair(result, parts):
    table = result.by("item_popularity")
    assert table["slice"].unique().tolist() == ["head", "mid", "tail", "no interactions"]
    counts = pd.Series(parts[0].item_counts, parts[0].items.to_numpy()).sort_values(ascending=False)
    # The head: the fewest most popular items that hold a fifth, with those that are as popular as the last of them.
    last = counts.iloc[int(np.searchsorted(counts.cumsum(), 0.2 * counts.sum()))]
    head = set(counts[counts >= last].index)
    relevant = parts[1].to_frame()
    relevant = relevant[relevant["user_id"].isin(result.users.to_numpy())]
    n_users = relevant[relevant["item_id"].isin(head)]["user_id"].nunique()
    assert set(table[table["slice"] == "head"]["n_users"]) == {n_users}


def test_activity_is_cut_at_quantiles_and_named_by_its_ends(result, parts):
    table = result.by("user_activity", bins=3)
    sizes = pd.Series(parts[0].user_counts, parts[0].users.to_numpy()).loc[result.users.to_numpy()]
    labels = table["slice"].unique()
    assert len(labels) == 3
    assert labels[0].startswith(f"{sizes.min()} to ")
    assert labels[-1].endswith(f" to {sizes.max()}")
    assert table.query("metric == 'recall@5'")["n_users"].sum() == len(result.users)


def test_cold_users_are_those_with_fewer_interactions_than_asked(result, parts):
    sizes = pd.Series(parts[0].user_counts, parts[0].users.to_numpy()).loc[result.users.to_numpy()]
    n_cold = int((sizes < 2).sum())
    assert n_cold >= 1
    table = result.by("cold_users", fewer_than=2).query("metric == 'recall@5'")
    assert table["slice"].tolist() == ["fewer than 2", "2 or more"]
    assert table["n_users"].tolist() == [n_cold, len(result.users) - n_cold]
    # Nobody is without any: the slice is shown, and empty.
    nobody = result.by("cold_users").query("slice == 'no interactions'")
    assert nobody.query("metric == 'recall@5'")["n_users"].tolist() == [0]
    assert nobody["mean"].isna().sum() >= len(METRICS)


def test_numbers_are_cut_at_quantiles_and_missing_values_come_last(result):
    assert result.by("age", bins=2)["slice"].nunique() == 2
    assert result.by("group", of="users")["slice"].unique().tolist() == ["a", "b", "missing"]


def test_every_slice_has_an_interval_around_its_mean(result):
    table = result.by("user_activity").query("metric != 'coverage@5'")
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()
    assert result.by("user_activity").query("metric == 'coverage@5'")["low"].isna().all()


def test_without_kept_lists_slices_leave_out_what_counts_items(model, parts):
    table = evaluate(model, parts[1], "recall@5,coverage@5,popularity_lift@5").by("user_activity")
    assert set(table["metric"]) == {"recall@5", "popularity_lift@5"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "user_activty"}, "No slices by 'user_activty'. Known: user_activity, .* Did you mean 'user_activity'"),
        ({"name": "group"}, "Both user_features and item_features have a column 'group'. Hint: say of='users'"),
        ({"name": "age", "of": "items"}, "No slices by 'age'"),
        ({"name": "age", "of": "item"}, "`of` must be 'users' or 'items'. Got 'item'. Did you mean 'items'"),
        ({"name": "age", "bins": 1}, "`bins` parameter of by must be an int >= 2. Got 1"),
        ({"name": "cold_users", "fewer_than": 0}, "`fewer_than` parameter of by must be an int >= 1"),
    ],
)
def test_what_can_not_be_cut_by_is_refused_with_what_can(result, arguments, message):
    with pytest.raises(ParameterError, match=message):
        result.by(**arguments)


def test_a_column_of_too_many_values_is_refused(model, parts):
    users = pd.DataFrame({"user_id": range(80), "name": [f"name {n}" for n in range(80)]})
    found = evaluate(model, parts[1], "recall@5", user_features=users)
    assert found.by("name")["slice"].nunique() == len(found.users)
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(300)], "name": [f"name {n}" for n in range(300)]})
    many = recsys.read_interactions(frame((5, f"i{n}") for n in range(300)))
    with pytest.raises(ParameterError, match="Hint: group its values to 200 or fewer"):
        evaluate(model, many, "recall@5", item_features=items, overlap="keep").by("name")


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([1, 2], ParameterError, "`user_features` must be a DataFrame with a column 'user_id'. Got list"),
        (pd.DataFrame({"user": [1], "age": [1]}), ParameterError, "Got columns 'user', 'age'"),
        (pd.DataFrame({"user_id": [1]}), ParameterError, "has no column beside 'user_id'"),
        (pd.DataFrame({"user_id": [1, 1], "age": [1, 2]}), DataError, "Each user_id must be unique"),
        (pd.DataFrame({"user_id": [1000], "age": [1]}), DataError, "holds none of the .* user_ids wanted; its first is 1000"),
        (pd.DataFrame({"user_id": ["1"], "age": [1]}), DataError, "Hint: its ids are strings, those wanted integers"),
    ],
)
def test_a_table_of_features_that_does_not_fit_is_refused(model, parts, table, error, message):
    with pytest.raises(error, match=message):
        evaluate(model, parts[1], "recall@5", user_features=table)


def test_the_table_of_features_stays_as_it_was(model, parts):
    users = pd.DataFrame({"user_id": range(80), "age": range(80)})
    before = users.copy()
    evaluate(model, parts[1], "recall@5", user_features=users).by("age")
    pd.testing.assert_frame_equal(users, before)


def test_the_result_shows_metrics_over_all_lists_and_is_plain_json(result):
    assert result.metrics == tuple(METRICS)
    assert set(result.overall) == {"coverage@5", "popularity_lift@5"}
    text = repr(result)
    assert "coverage@5" in text
    assert "–" in text
    assert "popularity_lift@5" in result._repr_html_()
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))["metrics"]
    assert content["coverage@5"]["mean"] == result.overall["coverage@5"]
    assert content["coverage@5"]["low"] is None
    assert content["popularity_lift@5"]["low"] < content["popularity_lift@5"]["mean"] < content["popularity_lift@5"]["high"]


def test_a_result_that_was_put_together_by_hand_has_no_slices():
    with pytest.raises(ParameterError, match="EvaluationResult has no slices"):
        EvaluationResult(IdMap(["u1"]), ("recall@1",), np.zeros((1, 1)), {}, {}).by("user_activity")


def test_averages_leave_out_users_without_a_value_and_keep_columns_apart():
    values = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, np.nan], [0.5, 1.0, np.nan]])
    found = average(values, 0.95, 0)
    np.testing.assert_allclose(found.mean, [0.5, 0.75, np.nan])
    assert found.n_users.tolist() == [3, 2, 0]
    alone = average(values[:, :1], 0.95, 0)
    np.testing.assert_allclose([found.low[0], found.high[0]], [alone.low[0], alone.high[0]])
    assert np.isnan(found.low).tolist() == [False, False, True]
