"""Cross-validation and new users: pooling worked out by hand, memory let go, and what is refused."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, InputError, ParameterError
from recsys.evaluation import (
    CrossValidation,
    cross_validate,
    evaluate,
    evaluate_new_users,
)
from recsys.split import Split

DATA = random_interactions(80, 30, 0.25, seed=1, strings=True, timestamps=True)
SMALL_ALS = recsys.ALS(factors=4, iterations=2)
METRICS = ["recall@5", "ndcg@5"]


# ---- cross-validation -------------------------------------------------------------------------------------------


def test_a_number_of_folds_is_the_same_as_the_folds_given():
    by_number = cross_validate(recsys.Popularity(), DATA, METRICS, by=4, random_state=3)
    by_splits = cross_validate(recsys.Popularity(), DATA, METRICS, by=list(recsys.split.k_folds(DATA, folds=4, random_state=3)))
    assert len(by_number.folds) == 4
    np.testing.assert_array_equal(by_number.pooled.values, by_splits.pooled.values)


def test_each_fold_is_what_training_and_evaluating_by_hand_gives():
    found = cross_validate(SMALL_ALS, DATA, METRICS, by=3)
    for fold, (train, test) in zip(found.folds, recsys.split.k_folds(DATA, folds=3), strict=True):
        np.testing.assert_array_equal(fold.values, evaluate(SMALL_ALS.fit(train), test, METRICS).values)


def test_a_user_counts_once_with_the_mean_over_the_folds_that_judge_the_user():
    found = cross_validate(recsys.Popularity(), DATA, METRICS, by=3)
    everything = pd.concat([fold.per_user for fold in found.folds])
    expected = everything.groupby("user_id")[METRICS].mean()
    pooled = found.pooled.per_user.set_index("user_id")
    pd.testing.assert_frame_equal(pooled.sort_index(), expected.sort_index())
    assert len(pooled) < len(everything)
    np.testing.assert_allclose(found.summary()["mean"], expected.mean())


def test_the_interval_draws_users_not_values_of_folds():
    found = cross_validate(recsys.Popularity(), DATA, "recall@5", by=5)
    summary = found.summary().iloc[0]
    per_user = found.pooled.values[:, 0]
    half = 1.96 * per_user.std(ddof=1) / np.sqrt(len(per_user))
    assert summary["n_users"] == len(per_user)
    assert (summary["high"] - summary["low"]) / 2 == pytest.approx(half, rel=0.15)


def test_the_pooled_result_is_one_that_everything_else_takes():
    found = cross_validate(recsys.Popularity(), DATA, METRICS, by=3)
    assert isinstance(found.pooled, recsys.evaluation.EvaluationResult)
    assert found.pooled.metrics == tuple(METRICS)
    counts = found.pooled.counts
    assert counts["pairs_in_test"] == sum(fold.counts["pairs_in_test"] for fold in found.folds)
    left_out = counts["users_unknown"] + counts["users_without_relevant_items"]
    assert counts["users_in_test"] == counts["users_evaluated"] + left_out
    assert found.pooled.provenance["model"]["trainer"] == "popularity"
    compared = recsys.compare({"als": cross_validate(SMALL_ALS, DATA, METRICS, by=3).pooled, "popularity": found.pooled})
    assert compared.table()["n_users"].iloc[0] == len(found.pooled.users)


def test_metrics_over_all_lists_are_averaged_over_the_folds_and_missing_values_left_out():
    names = ["coverage@5", "intra_list_diversity@5", "recall@5"]
    found = cross_validate(SMALL_ALS, DATA, names, by=3)
    assert found.pooled.overall["coverage@5"] == pytest.approx(found.per_fold["coverage@5"].mean())
    summary = found.summary().set_index("metric")
    assert summary.loc["coverage@5", "mean"] == found.pooled.overall["coverage@5"]
    assert summary.loc["coverage@5", "fold_std"] == pytest.approx(found.per_fold["coverage@5"].std())
    without = [replace(fold, values=np.where(fold.values == fold.values.max(), np.nan, fold.values)) for fold in found.folds]
    pooled = replace(found, folds=tuple(without)).pooled.per_user.set_index("user_id")
    expected = pd.concat([fold.per_user for fold in without]).groupby("user_id")[list(found.pooled.metrics)].mean()
    pd.testing.assert_frame_equal(pooled.sort_index(), expected.sort_index())


def test_two_trainers_on_the_same_folds_have_the_same_users_and_test_fingerprint():
    first, second = (cross_validate(trainer, DATA, METRICS, by=3).pooled for trainer in (recsys.Popularity(), SMALL_ALS))
    assert first.users == second.users
    assert first.provenance["test"] == second.provenance["test"]
    assert first.provenance["model"] != second.provenance["model"]


def test_rolling_periods_are_the_same_call_and_the_table_names_them():
    periods = recsys.split.rolling(DATA, periods=3)
    found = cross_validate(recsys.Popularity(), DATA, METRICS, by=periods)
    table = found.per_fold
    assert table["fold"].tolist() == [1, 2, 3]
    assert table["n_train"].is_monotonic_increasing
    assert (table["begin"] < table["end"]).all()
    assert (table["end"].iloc[:-1].to_numpy() == table["begin"].iloc[1:].to_numpy()).all()
    np.testing.assert_allclose(table["recall@5"], [fold.values[:, 0].mean() for fold in found.folds])
    np.testing.assert_allclose(found.summary()["fold_std"], table[METRICS].std())


def test_splits_of_whole_users_are_folded_in():
    parts = recsys.split.users(DATA, test_fraction=0.3)
    found = cross_validate(SMALL_ALS, DATA, METRICS, by=[parts])
    by_hand = evaluate(SMALL_ALS.fit(parts.train).fold_in(parts.fold_in), parts.test, METRICS)
    np.testing.assert_array_equal(found.pooled.values, by_hand.values)
    assert found.summary()["fold_std"].isna().all()


def test_a_fold_is_let_go_before_the_next_is_trained():
    alive, most = [], []

    class Watched:
        def fit(self, train):
            gc.collect()
            most.append(sum(reference() is not None for reference in alive))
            model = recsys.Popularity().fit(train)
            alive.extend([weakref.ref(model), weakref.ref(train)])
            return model

    found = cross_validate(Watched(), DATA, METRICS, by=4)
    assert len(found.folds) == 4
    assert most == [0, 0, 0, 0]


def test_the_dictionary_is_plain_json_with_the_pooled_numbers_and_each_fold():
    found = cross_validate(recsys.Popularity(), DATA, METRICS, by=2)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["trainer"] == "popularity"
    assert content["metrics"]["ndcg@5"]["mean"] == pytest.approx(found.summary()["mean"].iloc[1])
    assert content["metrics"]["ndcg@5"]["fold_std"] == pytest.approx(found.summary()["fold_std"].iloc[1])
    assert [fold["n_train"] for fold in content["folds"]] == list(found.n_train)
    alone = cross_validate(recsys.Popularity(), DATA, METRICS, by=[recsys.split.random(DATA)])
    assert json.loads(json.dumps(alone.to_dict(), allow_nan=False))["metrics"]["ndcg@5"]["fold_std"] is None


def test_it_shows_the_pooled_means_and_the_folds():
    found = cross_validate(recsys.Popularity(), DATA, METRICS, by=2)
    assert isinstance(found, CrossValidation)
    assert "CrossValidation of popularity: 2 splits, " in repr(found)
    assert "fold_std" in repr(found)
    assert "n_train" in repr(found)
    assert found._repr_html_().count("<table") == 2


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (1, ParameterError, "`folds` parameter of k_folds must be an int >= 2. Got 1"),
        (True, ParameterError, "`by` must be a number of folds or several splits. Got bool"),
        ("folds", ParameterError, "Got str"),
        (recsys.split.random(DATA), ParameterError, r"Got Split. Hint: one split is given as \[split\]"),
        ([], ParameterError, "yields no splits. Hint: a generator of splits can be gone through once"),
        ([(DATA, DATA)], ParameterError, "must yield recsys.split.Split. Got tuple"),
        ([recsys.split.random(random_interactions(seed=9))], DataError, "splits of other data"),
    ],
)
def test_what_can_not_be_cross_validated_over_is_named(by, error, message):
    with pytest.raises(error, match=message):
        cross_validate(recsys.Popularity(), DATA, METRICS, by=by)


def test_what_is_no_trainer_or_no_data_is_refused():
    with pytest.raises(ParameterError, match="takes a trainer such as recsys.ALS.*Got str"):
        cross_validate("als", DATA)
    with pytest.raises(ParameterError, match="cross_validate takes Interactions. Got list"):
        cross_validate(SMALL_ALS, [1])


# ---- users that the model was not trained on --------------------------------------------------------------------


PARTS = recsys.split.users(DATA, test_fraction=0.3, unseen="keep")


def test_new_users_in_one_call_are_train_fold_in_and_evaluate():
    expected = evaluate(SMALL_ALS.fit(PARTS.train).fold_in(PARTS.fold_in, unknown="skip"), PARTS.test, METRICS)
    of_trainer = evaluate_new_users(SMALL_ALS, PARTS, METRICS)
    of_model = evaluate_new_users(SMALL_ALS.fit(PARTS.train), PARTS, METRICS)
    for found in (of_trainer, of_model):
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.users == expected.users


def test_fold_in_entries_that_the_model_can_not_use_are_counted():
    events = DATA.to_frame().assign(weight=1.0)
    new = pd.DataFrame({"user_id": ["new", "new", "new"], "item_id": ["i0", "unheard of", "i1"], "weight": 1.0})
    train = recsys.read_interactions(events, timestamp="timestamp")
    fold_in, test = recsys.read_interactions(new.iloc[:2]), recsys.read_interactions(new.iloc[2:])
    found = evaluate_new_users(SMALL_ALS, Split(train, test, fold_in), METRICS)
    assert found.counts["fold_in_pairs_with_unknown_items"] == 1
    assert found.counts["users_evaluated"] == 1


def test_a_model_that_knows_a_held_out_user_is_refused():
    with pytest.raises(DataError, match=r"trained on \d+ of the held-out users \('u\d+'.*not new to it. Hint: train on"):
        evaluate_new_users(SMALL_ALS.fit(DATA), PARTS, METRICS)


def test_a_split_without_fold_in_and_a_model_that_can_not_fold_in_are_refused():
    with pytest.raises(ParameterError, match=r"fold-in part. Got a split without one. Hint: recsys.split.users"):
        evaluate_new_users(SMALL_ALS, recsys.split.random(DATA))
    with pytest.raises(ParameterError, match="Got Interactions"):
        evaluate_new_users(SMALL_ALS, DATA)
    with pytest.raises(ParameterError, match=r"takes a trainer such as recsys.ALS\(\). Got int"):
        evaluate_new_users(3, PARTS)
    vectors = np.ones((len(PARTS.train.users), 1), np.float32), np.ones((len(PARTS.train.items), 1), np.float32)
    with pytest.raises(InputError, match="can not fold in"):
        evaluate_new_users(recsys.Model.from_vectors(PARTS.train, *vectors), PARTS)
