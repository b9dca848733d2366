"""`evaluate_ratings`: numbers worked out by hand, what is left out and counted, intervals over users."""

import json

import numpy as np
import pandas as pd
import pytest

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation.intervals import mean_intervals, ratio_intervals
from recsys.model import Model


def ratings(triples):
    return recsys.read_interactions(pd.DataFrame(triples, columns=["user", "item", "rating"]), weight="rating")


def model_of(predictions):
    """A model that predicts predictions[user][item], and was trained on the pairs on the diagonal."""
    frame = pd.DataFrame(predictions).T
    history = recsys.Interactions.from_csr(np.eye(*frame.shape), users=list(frame.index), items=list(frame.columns))
    return Model.from_vectors(history, frame.to_numpy(np.float32), np.eye(frame.shape[1], dtype=np.float32))


MODEL = model_of({"a": {"x": 1.0, "y": 2.0}, "b": {"x": 3.0, "y": 7.0}, "c": {"x": 0.0, "y": 0.0}})
TEST = ratings([("a", "y", 4.0), ("b", "x", 4.0), ("b", "y", 4.0), ("c", "z", 1.0), ("d", "x", 1.0)])


def test_both_errors_are_over_pairs_and_each_user_has_a_row():
    result = recsys.evaluate_ratings(MODEL, TEST)
    means = result.summary().set_index("metric")["mean"]
    assert means["rmse"] == pytest.approx(np.sqrt((4 + 1 + 9) / 3))
    assert means["mae"] == pytest.approx((2 + 1 + 3) / 3)
    assert result.per_user.user_id.tolist() == ["a", "b"]
    assert result.per_user.rmse.tolist() == pytest.approx([2, np.sqrt(5)])
    assert result.per_user.mae.tolist() == [2, 2]
    assert result.per_user.n_pairs.tolist() == [1, 2]


def test_what_can_not_be_predicted_is_left_out_and_counted():
    result = recsys.evaluate_ratings(MODEL, TEST)
    assert result.counts == {
        "pairs_in_test": 5,
        "pairs_evaluated": 3,
        "pairs_of_unknown_users": 1,
        "pairs_with_unknown_items": 1,
        "pairs_in_history": 1,
        "users_in_test": 4,
        "users_evaluated": 2,
        "users_unknown": 1,
        "users_without_known_items": 1,
    }
    shown = repr(result)
    assert "3 pairs of 2 users" in shown
    assert "1 pairs with items unknown to the model left out" in shown
    written = json.loads(json.dumps(result.to_dict()))
    assert written["metrics"]["mae"]["mean"] == 2
    assert written["evaluation"]["clip"] is None


def test_clipped_predictions_stay_on_the_scale():
    result = recsys.evaluate_ratings(MODEL, TEST, clip=(2.5, 5))
    assert result.per_user.mae.tolist() == [1.5, 1]


def test_the_interval_draws_users_and_holds_the_mean():
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 30, 200)
    sums = (generator.standard_normal((200, 2)) ** 2 + 1) * sizes[:, None]
    low, high = ratio_intervals(sums, sizes, 0.95, np.random.default_rng(1))
    ratio = sums.sum(axis=0) / sizes.sum()
    assert (low < ratio).all()
    assert (ratio < high).all()
    # The linear part of a ratio gives its standard error.
    error = (sums - ratio * sizes[:, None]).std(axis=0) / sizes.mean() / np.sqrt(200)
    np.testing.assert_allclose(high - low, 2 * 1.96 * error, rtol=0.15)


def test_with_one_pair_a_user_the_interval_is_that_of_the_mean_over_users():
    values = np.random.default_rng(0).random((50, 2))
    of_mean = mean_intervals(values, 0.9, np.random.default_rng(1))
    of_ratio = ratio_intervals(values, np.ones(50), 0.9, np.random.default_rng(1))
    np.testing.assert_allclose(of_ratio, of_mean, rtol=1e-9)


def test_one_user_has_no_interval():
    summary = recsys.evaluate_ratings(MODEL, TEST.filter(users=["b"])).summary()
    assert summary[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize("clip", [(5, 1), 3, (1,), (1, 2, 3), ("low", "high"), (float("nan"), 1)])
def test_a_scale_that_is_none_is_refused(clip):
    with pytest.raises(ParameterError, match=r"`clip` must be None or two numbers \(low, high\) with low < high"):
        recsys.evaluate_ratings(MODEL, TEST, clip=clip)


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(DataError, match="the model knows, so there is nothing to evaluate"):
        recsys.evaluate_ratings(MODEL, TEST.filter(users=["c", "d"]))
    with pytest.raises(DataError, match="knows none of the 1 test users"):
        recsys.evaluate_ratings(MODEL, TEST.filter(users=["d"]))
    with pytest.raises(ParameterError, match="evaluate_ratings takes Interactions. Got DataFrame"):
        recsys.evaluate_ratings(MODEL, TEST.to_frame())
    with pytest.raises(ParameterError, match="`confidence` must be a number between 0 and 1"):
        recsys.evaluate_ratings(MODEL, TEST, confidence=95)
