"""`GivenLists`: lists from elsewhere are judged as a model's own are."""

import numpy as np
import pandas as pd
import pytest

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation import GivenLists, evaluate

METRICS = "recall@5,ndcg@5,novelty@5,serendipity@5,feature_diversity@5,coverage@5,gini@5,popularity_lift@5"


@pytest.fixture(scope="module")
def parts():
    matrix = (np.random.default_rng(0).random((40, 25)) < 0.3).astype(np.float32)
    data = recsys.Interactions.from_csr(matrix, users=[f"u{n}" for n in range(40)], items=[f"i{n}" for n in range(25)])
    train, test = recsys.split.random(data, test_fraction=0.3, random_state=0)
    return train, test


@pytest.fixture(scope="module")
def model(parts):
    return recsys.ALS(factors=4, iterations=2, random_state=0).fit(parts[0])


def test_a_models_own_lists_give_the_models_own_numbers_in_any_order_of_rows(model, parts):
    features = pd.DataFrame({"item_id": model.items.to_numpy(), "parity": np.arange(len(model.items)) % 2})
    expected = evaluate(model, parts[1], METRICS, item_features=features)
    table = model.recommend(k=5)
    for rows in (table.sample(frac=1, random_state=0), table.drop(columns="rank"), table.drop(columns=["rank", "score"])):
        lists = GivenLists.from_frame(rows, history=parts[0])
        found = evaluate(lists, parts[1], METRICS, item_features=features)
        pd.testing.assert_frame_equal(found.per_user, expected.per_user)
        assert found.overall == pytest.approx(expected.overall)
        pd.testing.assert_frame_equal(found.by("item_popularity"), expected.by("item_popularity"))


def test_users_without_a_list_are_unknown_and_short_lists_are_counted(model, parts):
    lists = GivenLists.from_frame(model.recommend(["u1", "u2"], k=3), history=parts[0])
    result = evaluate(lists, parts[1], "recall@5")
    assert result.per_user["user_id"].tolist() == ["u1", "u2"]
    assert result.counts["users_unknown"] == parts[1].n_users - 2
    assert result.counts["users_with_short_lists"] == 2


def test_the_catalogue_is_what_was_shown_and_what_else_is_named():
    table = pd.DataFrame({"user_id": [1, 2], "item_id": [10, 10]})
    test = recsys.read_interactions(pd.DataFrame({"user_id": [1], "item_id": [10]}))
    assert evaluate(GivenLists.from_frame(table), test, "coverage@1").overall["coverage@1"] == 1
    wide = GivenLists.from_frame(table, items=[10, 11, 12, 13])
    assert evaluate(wide, test, "coverage@1").overall["coverage@1"] == 1 / 4
    assert repr(wide) == "GivenLists(2 users, up to 1 of 4 items)"


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"user_id": [1], "item": [1]}, ParameterError, "columns 'user_id' and 'item_id'. Got columns 'user_id', 'item'"),
        ({"user_id": [], "item_id": []}, DataError, "The lists have no rows"),
        ({"user_id": [1, 1], "item_id": [2, 2]}, DataError, "That of user 1 holds item 2 twice"),
        ({"user_id": [1], "item_id": [2], "rank": [None]}, DataError, "The column 'rank' of the lists must hold a number"),
    ],
)
def test_lists_that_are_none_are_refused(table, error, message):
    with pytest.raises(error, match=message):
        GivenLists.from_frame(pd.DataFrame(table))


def test_lists_whose_ids_are_not_those_of_the_data_are_refused(parts):
    table = pd.DataFrame({"user_id": [1, 2], "item_id": [3, 4]})
    with pytest.raises(DataError, match="the ids of the test data are strings, those of the model integers"):
        evaluate(GivenLists.from_frame(table), parts[1], "recall@5")
    with pytest.raises(DataError, match="one map holds one type"):
        GivenLists.from_frame(table, history=parts[0])


def test_auc_can_not_be_had_from_lists(parts, model):
    lists = GivenLists.from_frame(model.recommend(k=5), history=parts[0])
    with pytest.raises(ParameterError, match="auc needs the score of every item, and GivenLists gives ranked lists alone"):
        evaluate(lists, parts[1], "auc")
