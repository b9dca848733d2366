"""`evaluate`: numbers worked out by hand, what is left out and counted, overlap, blocks, and a published row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numba import config as numba_config

from recsys.errors import DataError, ParameterError
from recsys.evaluation import EvaluationResult, evaluate
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.retrieval import RankedLists
from recsys.trainers import Popularity

GOWALLA = Path(__file__).parents[2] / "shared" / "datasets" / "gowalla"


def interactions(pairs, users=None, items=None, provenance=None):
    user_ids, item_ids = [user for user, _ in pairs], [item for _, item in pairs]
    user_map = IdMap(users if users is not None else list(dict.fromkeys(user_ids)), name="user_id")
    item_map = IdMap(items if items is not None else list(dict.fromkeys(item_ids)), name="item_id")
    return Interactions.from_events(
        user_map, item_map, user_map.positions(user_ids), item_map.positions(item_ids), provenance=provenance
    )


class FixedOrder:
    """A model whose users each have a known order of the items; `asked` notes for how many users it was asked, and how deep."""

    def __init__(self, orders, history=()):
        self.users = IdMap(list(orders), name="user_id")
        items = sorted({item for order in orders.values() for item in order})
        self.items = IdMap(items, name="item_id")
        self.history = interactions(list(history), list(orders), items)
        self.provenance = {"trainer": "fixed order"}
        self.orders = [self.items.positions(list(order)) for order in orders.values()]
        self.asked = []

    def rank(self, user_positions, k, *, exclude_seen=True, num_threads=None):
        self.asked.append((len(user_positions), k))
        positions, counts = np.zeros((len(user_positions), k), np.int32), np.zeros(len(user_positions), np.int32)
        for row, user in enumerate(user_positions):
            seen = self.history.indices[self.history.indptr[user] : self.history.indptr[user + 1]] if exclude_seen else []
            left = [item for item in self.orders[user] if item not in seen][:k]
            positions[row, : len(left)], counts[row] = left, len(left)
        return RankedLists(positions, np.zeros(positions.shape, np.float32), counts)


def small_model():
    """Seen items are left out, so the lists are u1: a b d e, u2: e d c b, u3: c d."""
    orders = {"u1": "abcde", "u2": "edcba", "u3": "cabde"}
    return FixedOrder(orders, [("u1", "c"), ("u2", "a"), ("u3", "a"), ("u3", "b"), ("u3", "e")])


SMALL_TEST = [("u1", "b"), ("u1", "e"), ("u2", "e"), ("u3", "d")]


def means(result):
    return dict(zip(result.summary()["metric"], result.summary()["mean"], strict=True))


def test_values_worked_out_by_hand():
    metrics = ["recall@2", "precision@2", "ndcg@2", "map@2", "mrr@2", "hit_rate@1"]
    table = evaluate(small_model(), interactions(SMALL_TEST), metrics).per_user
    second = 1 / np.log2(3)
    assert table["user_id"].tolist() == ["u1", "u2", "u3"]
    assert table["recall@2"].tolist() == [1 / 2, 1, 1]
    assert table["precision@2"].tolist() == [1 / 2, 1 / 2, 1 / 2]
    np.testing.assert_allclose(table["ndcg@2"], [second / (1 + second), 1, second])
    assert table["map@2"].tolist() == [1 / 4, 1, 1 / 2]
    assert table["mrr@2"].tolist() == [1 / 2, 1, 1 / 2]
    assert table["hit_rate@1"].tolist() == [0, 1, 0]


def test_the_summary_holds_the_means_and_intervals_of_the_users():
    result = evaluate(small_model(), interactions(SMALL_TEST), ["recall@2", "mrr@2"])
    summary = result.summary()
    assert summary.columns.tolist() == ["metric", "mean", "low", "high", "n_users"]
    np.testing.assert_allclose(summary["mean"], [5 / 6, 2 / 3])
    assert (summary["low"] <= summary["mean"]).all()
    assert (summary["mean"] <= summary["high"]).all()
    assert summary["n_users"].tolist() == [3, 3]


def test_without_excluding_the_seen_lists_repeat_it():
    result = evaluate(small_model(), interactions([("u1", "c"), ("u2", "e")]), "recall@2,recall@3", exclude_seen=False)
    assert result.per_user["recall@2"].tolist() == [0, 1]
    assert result.per_user["recall@3"].tolist() == [1, 1]
    assert result.counts["pairs_in_history"] == 1


def test_each_user_is_ranked_once_as_deep_as_the_largest_cutoff():
    model = small_model()
    evaluate(model, interactions(SMALL_TEST), ["recall@2", "ndcg@4", "mrr@1"])
    assert model.asked == [(3, 4)]


def test_positions_of_the_test_set_do_not_matter():
    shuffled = interactions(SMALL_TEST[::-1], users=["u3", "u1", "u2"], items=["e", "d", "x", "b"])
    expected = evaluate(small_model(), interactions(SMALL_TEST), "ndcg@3").per_user.set_index("user_id")
    found = evaluate(small_model(), shuffled, "ndcg@3").per_user.set_index("user_id")
    pd.testing.assert_frame_equal(found.loc[expected.index], expected)


@pytest.mark.parametrize("batch_users", [1, 2, 3, 100])
def test_blocks_of_any_size_give_the_same_bytes(batch_users):
    model = small_model()
    expected = evaluate(small_model(), interactions(SMALL_TEST), ["recall@2", "ndcg@4"])
    result = evaluate(model, interactions(SMALL_TEST), ["recall@2", "ndcg@4"], batch_users=batch_users)
    assert max(n for n, _ in model.asked) <= batch_users
    assert result.values.tobytes() == expected.values.tobytes()
    assert result.counts == expected.counts
    pd.testing.assert_frame_equal(result.summary(), expected.summary(), check_exact=True)


def test_a_cutoff_beyond_the_items_is_allowed_and_missing_places_are_misses():
    model = small_model()
    result = evaluate(model, interactions(SMALL_TEST), ["precision@100", "recall@100"])
    assert model.asked == [(3, 5)]
    assert result.per_user["precision@100"].tolist() == [2 / 100, 1 / 100, 1 / 100]
    assert result.per_user["recall@100"].tolist() == [1, 1, 1]
    assert result.counts["users_with_short_lists"] == 3


def test_users_for_whom_few_items_are_left_are_counted():
    result = evaluate(small_model(), interactions(SMALL_TEST), "recall@3")
    assert result.counts["users_with_short_lists"] == 1


# ---- what is left out -------------------------------------------------------------------------------------------


def test_unknown_users_are_left_out_and_unknown_items_stay_as_misses_and_both_are_counted():
    test = interactions([*SMALL_TEST, ("u9", "a"), ("u9", "b"), ("u2", "new 1"), ("u2", "new 2")])
    result = evaluate(small_model(), test, ["recall@2", "ndcg@2"])
    assert result.per_user["user_id"].tolist() == ["u1", "u2", "u3"]
    assert result.per_user["recall@2"].tolist() == [1 / 2, 1 / 3, 1]
    np.testing.assert_allclose(result.per_user["ndcg@2"][1], 1 / (1 + 1 / np.log2(3)))
    assert result.counts == {
        "users_in_test": 4,
        "users_evaluated": 3,
        "users_unknown": 1,
        "users_without_relevant_items": 0,
        "pairs_in_test": 8,
        "pairs_relevant": 6,
        "pairs_of_unknown_users": 2,
        "pairs_with_unknown_items": 2,
        "pairs_in_history": 0,
        "pairs_dropped": 0,
        "users_with_short_lists": 0,
    }


def test_a_user_whose_every_item_is_unknown_gets_0():
    result = evaluate(small_model(), interactions([("u1", "new"), ("u2", "e")]), "recall@2")
    assert result.per_user["recall@2"].tolist() == [0, 1]


def test_users_without_relevant_items_are_left_out_and_counted():
    result = evaluate(small_model(), interactions(SMALL_TEST[2:], users=["u1", "u2", "u3", "u9"]), "recall@2")
    assert result.per_user["user_id"].tolist() == ["u2", "u3"]
    assert (result.counts["users_unknown"], result.counts["users_without_relevant_items"]) == (1, 1)


def test_overlap_is_refused_with_its_number_an_example_and_what_to_do():
    test = interactions([*SMALL_TEST, ("u3", "b"), ("u3", "a")])
    with pytest.raises(DataError, match=r"2 of the 6 test pairs .* user 'u3' with item 'a'.* Hint: overlap='drop'"):
        evaluate(small_model(), test)


def test_overlap_is_dropped_or_kept_as_misses_on_request():
    test = interactions([*SMALL_TEST, ("u3", "b"), ("u2", "a"), ("u1", "new")])
    dropped = evaluate(small_model(), test, "recall@2", overlap="drop")
    assert dropped.per_user["recall@2"].tolist() == [1 / 3, 1, 1]
    assert (dropped.counts["pairs_in_history"], dropped.counts["pairs_dropped"], dropped.counts["pairs_relevant"]) == (2, 2, 5)
    kept = evaluate(small_model(), test, "recall@2", overlap="keep")
    assert kept.per_user["recall@2"].tolist() == [1 / 3, 1 / 2, 1 / 2]
    assert (kept.counts["pairs_in_history"], kept.counts["pairs_dropped"], kept.counts["pairs_relevant"]) == (2, 0, 7)


def test_a_user_with_nothing_but_dropped_pairs_is_left_out():
    result = evaluate(small_model(), interactions([("u2", "a"), ("u1", "b")]), "recall@2", overlap="drop")
    assert result.per_user["user_id"].tolist() == ["u1"]
    assert result.counts["users_without_relevant_items"] == 1


def test_a_model_without_history_is_not_checked_for_overlap_and_says_so_by_silence():
    model = small_model()
    model.history = None
    result = evaluate(model, interactions([("u1", "c")]), "recall@3", exclude_seen=False)
    assert result.per_user["recall@3"].tolist() == [1]
    assert "pairs_in_history" not in result.counts


def test_every_user_and_every_pair_is_accounted_for():
    rng = np.random.default_rng(0)
    orders = {user: list(rng.permutation(15)) for user in range(20)}
    history = {(int(user), int(item)) for user, item in rng.integers(0, (20, 15), (80, 2))}
    test = {(int(user), int(item)) for user, item in rng.integers(0, (25, 18), (90, 2))}
    for overlap in ("drop", "keep"):
        data = interactions(sorted(test), users=list(range(26)))
        counts = evaluate(FixedOrder(orders, sorted(history)), data, "recall@3", overlap=overlap).counts
        left_out = counts["users_unknown"] + counts["users_without_relevant_items"]
        assert counts["users_in_test"] == counts["users_evaluated"] + left_out
        not_relevant = counts["pairs_of_unknown_users"] + counts["pairs_dropped"]
        assert counts["pairs_in_test"] == counts["pairs_relevant"] + not_relevant
        assert counts["pairs_in_history"] == len(test & history)


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": []}, "must name at least one metric"),
        ({"metrics": ["ncdg@10"]}, "Did you mean 'ndcg'"),
        ({"overlap": "dorp"}, "`overlap` must be 'raise', 'drop' or 'keep'. Got 'dorp'. Did you mean 'drop'"),
        ({"confidence": 95}, "`confidence` must be a number between 0 and 1.* Hint: 95 % is written 0.95"),
        ({"confidence": 0}, "`confidence` must be a number between 0 and 1"),
        ({"batch_users": 0}, "`batch_users` must be an int >= 1. Got 0"),
        ({"random_state": -1}, "`random_state` must be an int >= 0. Got -1"),
    ],
)
def test_a_bad_argument_is_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        evaluate(small_model(), interactions(SMALL_TEST), **arguments)


def test_a_test_set_that_gives_nothing_to_evaluate_is_refused_with_the_reason():
    model = small_model()
    with pytest.raises(DataError, match="test data have no entries"):
        evaluate(model, interactions([], users=["u1"], items=["a"]))
    with pytest.raises(
        DataError, match=r"The model knows none of the 1 test users, such as 'u7'. Hint: users held out .*fold_in"
    ):
        evaluate(model, interactions([("u7", "a")]))
    with pytest.raises(DataError, match="Hint: the ids of the test data are integers, those of the model strings"):
        evaluate(model, interactions([(1, 2)]))
    with pytest.raises(DataError, match="The model knows none of the 2 test items, such as 'x'"):
        evaluate(model, interactions([("u1", "x"), ("u2", "y")]))
    with pytest.raises(DataError, match="all pairs of the others stand in its history"):
        evaluate(model, interactions([("u1", "c")]), overlap="drop")
    with pytest.raises(ParameterError, match="`test` must be Interactions"):
        evaluate(model, SMALL_TEST)


# ---- the result -------------------------------------------------------------------------------------------------


def small_result(**arguments):
    test = interactions([*SMALL_TEST, ("u9", "a")], provenance={"source": "a test"})
    return evaluate(small_model(), test, ["recall@2", "ndcg@2"], **arguments)


def test_the_dictionary_is_plain_json_and_names_model_test_and_settings():
    result = small_result(confidence=0.9, random_state=3)
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(content["metrics"]["recall@2"]) == {"mean", "low", "high", "n_users"}
    assert content["metrics"]["recall@2"]["mean"] == pytest.approx(5 / 6)
    assert content["counts"]["users_unknown"] == 1
    assert content["model"] == {"trainer": "fixed order"}
    assert content["test"]["source"] == "a test"
    assert len(content["test"]["fingerprint"]) == 64
    assert content["evaluation"]["overlap"] == "raise"
    assert content["interval"]["confidence"] == 0.9
    assert content["interval"]["random_state"] == 3


def test_one_user_gives_a_mean_without_an_interval():
    result = evaluate(small_model(), interactions([("u1", "b")]), "recall@2")
    assert result.summary()["mean"].tolist() == [1]
    assert result.summary()["low"].isna().all()
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["metrics"]["recall@2"]["low"] is None


def test_the_result_shows_users_means_and_what_was_left_out():
    text = repr(small_result())
    assert "3 users, means with 95 % intervals" in text
    assert "recall@2" in text
    assert "0.8333" in text
    assert "1 users unknown to the model left out" in text
    assert "<table" in small_result()._repr_html_()


def test_the_result_cannot_be_changed_through_what_it_returns():
    result = small_result()
    table, summary = result.per_user, result.summary()
    table.loc[0, "recall@2"] = 9.0
    summary.loc[0, ["mean", "low"]] = 9.0
    assert means(result)["recall@2"] == pytest.approx(5 / 6)
    with pytest.raises(ValueError, match="read-only"):
        result.values[0, 0] = 9.0


def test_parts_of_a_result_must_fit_together():
    with pytest.raises(DataError, match="values must be of shape"):
        EvaluationResult(IdMap(["u1"]), ("recall@1",), np.zeros((2, 1)), {}, {})


# ---- with real models -------------------------------------------------------------------------------------------


def test_a_real_model_is_judged_by_its_own_lists():
    rng = np.random.default_rng(0)
    pairs = sorted(
        {(f"u{user}", f"i{item}") for user, item in zip(rng.integers(0, 30, 300), rng.geometric(0.15, 300), strict=True)}
    )
    train, test = interactions(pairs[::2]), interactions(pairs[1::2])
    model = Popularity().fit(train)
    result = evaluate(model, test, ["recall@5"])
    lists = model.recommend(k=5).groupby("user_id")["item_id"].agg(list)
    relevant = test.to_frame().groupby("user_id")["item_id"].agg(set)
    expected = [len(set(lists[user]) & relevant[user]) / len(relevant[user]) for user in result.per_user["user_id"]]
    np.testing.assert_allclose(result.per_user["recall@5"], expected)


@pytest.mark.skipif(not GOWALLA.exists(), reason="the gowalla files are not on this machine")
@pytest.mark.skipif(bool(numba_config.DISABLE_JIT), reason="a million entries take minutes without compiled kernels")
def test_most_popular_on_gowalla_gives_the_published_row():
    train, test = (pd.read_parquet(GOWALLA / f"{part}.parquet") for part in ("train", "test"))
    users, items = IdMap(train["user_id"].unique(), name="user_id"), IdMap(train["item_id"].unique(), name="item_id")
    data, held_out = (
        Interactions.from_events(users, items, users.positions(table["user_id"]), items.positions(table["item_id"]))
        for table in (train, test)
    )
    result = evaluate(Popularity().fit(data), held_out, ["recall@20", "ndcg@20"])
    assert means(result) == pytest.approx({"recall@20": 0.0416, "ndcg@20": 0.0317}, abs=1e-4)
    assert result.counts["users_evaluated"] == 29_858
