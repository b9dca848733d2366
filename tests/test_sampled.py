"""Ranking among sampled negatives: equal to the full ranking when all are drawn, drawn by id, and never without its mark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.errors import ParameterError
from recsys.evaluation import evaluate, evaluate_sampled_biased, sampled

DATA = random_interactions(80, 30, 0.25, seed=1, strings=True)
SMALL_ALS = recsys.ALS(factors=4, iterations=2)
TRAIN, TEST = recsys.split.random(DATA, test_fraction=0.3)
MODEL = SMALL_ALS.fit(TRAIN)
ALL_ITEMS = len(MODEL.items)
RANKING = ["hit_rate@3", "ndcg@5", "recall@7", "mrr@40", "map@4", "precision@2"]


@dataclass
class OnlyARanker:
    """Wraps a model so that nothing but ranked lists can be asked of it."""

    model: recsys.Model

    def __getattr__(self, name):
        if name not in ("users", "items", "history", "provenance", "rank"):
            raise AttributeError(name)
        return getattr(self.model, name)


@pytest.mark.parametrize("wrap", [lambda model: model, OnlyARanker])
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("trainer", [SMALL_ALS, recsys.Popularity()])
def test_with_all_items_as_negatives_it_is_the_full_ranking(wrap, exclude_seen, trainer):
    model = wrap(trainer.fit(TRAIN))
    sampled = evaluate_sampled_biased(model, TEST, RANKING, negatives=ALL_ITEMS, exclude_seen=exclude_seen)
    full = evaluate(model, TEST, RANKING, exclude_seen=exclude_seen)
    np.testing.assert_array_equal(sampled.values, full.values)
    assert sampled.users == full.users


def test_a_ranker_and_a_model_give_the_same_among_samples():
    for by in ("uniform", "popularity"):
        of_model = evaluate_sampled_biased(MODEL, TEST, RANKING, negatives=6, by=by)
        of_ranker = evaluate_sampled_biased(OnlyARanker(MODEL), TEST, RANKING, negatives=6, by=by)
        np.testing.assert_array_equal(of_model.values, of_ranker.values)


def test_the_names_and_the_record_carry_the_bias():
    found = evaluate_sampled_biased(MODEL, TEST, "ndcg@10,hit_rate@1", negatives=9)
    assert found.metrics == ("ndcg@10(sampled 9)", "hit_rate@1(sampled 9)")
    assert "ndcg@10(sampled 9)" in repr(found)
    assert "biased" in found.provenance["evaluation"]["bias"]
    popular = evaluate_sampled_biased(MODEL, TEST, "ndcg@10", negatives=9, by="popularity")
    assert popular.metrics == ("ndcg@10(sampled 9 by popularity)",)


def candidates_of(model, test, *, negatives, seed, by="uniform"):
    """user id → the ids of all candidates, read off lists that are as long as there are items."""
    ranker = sampled._AmongSamples(model, test, negatives, by == "popularity", seed)
    lists = ranker.rank(model.users.positions(test.users), len(model.items))
    items = model.items.to_numpy()
    return {
        user: set(items[lists.positions[row, : lists.counts[row]]]) for row, user in enumerate(test.users.to_numpy().tolist())
    }


def rows_of(data):
    return data.to_frame().groupby("user_id")["item_id"].agg(set).to_dict()


@settings(max_examples=25)
@given(negatives=st.integers(1, 40), seed=st.integers(0, 3))
def test_candidates_are_the_relevant_and_so_many_others_that_the_user_does_not_have(negatives, seed):
    relevant, had = rows_of(TEST), rows_of(TRAIN)
    for user, candidates in candidates_of(MODEL, TEST, negatives=negatives, seed=seed).items():
        left = ALL_ITEMS - len(had[user]) - len(relevant[user])
        assert relevant[user] & set(MODEL.items.to_numpy()) <= candidates
        assert not candidates & had[user]
        assert len(candidates - relevant[user]) == min(negatives, left)


def test_negatives_depend_on_ids_and_seed_alone():
    frame = TRAIN.to_frame().sample(frac=1, random_state=0)
    shuffled = recsys.Popularity().fit(recsys.read_interactions(frame))
    fewer = TEST.filter(users=TEST.users.to_numpy()[::2])
    expected = candidates_of(MODEL, TEST, negatives=5, seed=1)
    found = candidates_of(shuffled, fewer, negatives=5, seed=1)
    assert found == {user: expected[user] for user in fewer.users.to_numpy()}
    assert candidates_of(MODEL, TEST, negatives=5, seed=2) != expected


def draws(by, negatives=3):
    """How often each item of a small log is drawn for 4,000 users without entries of their own among the items drawn."""
    n_users, counts = 4000, np.array([400, 200, 100, 50, 0])
    pairs = [(f"filler {n}", f"i{item}") for item, count in enumerate(counts) for n in range(count)]
    pairs += [(f"u{n}", "mine") for n in range(n_users)]
    train = recsys.read_interactions(pd.DataFrame(pairs, columns=["user_id", "item_id"]))
    test = recsys.read_interactions(pd.DataFrame({"user_id": [f"u{n}" for n in range(n_users)], "item_id": "i0"}))
    model = recsys.Popularity().fit(train)
    found = candidates_of(model, test, negatives=negatives, by=by, seed=0)
    return np.array([sum(f"i{item}" in candidates for candidates in found.values()) for item in range(1, 4)]) / n_users


def test_uniform_draws_every_item_alike_and_popularity_in_proportion():
    # One of i1, i2, i3 is drawn; a share of 4,000 has a standard deviation below 0.008.
    np.testing.assert_allclose(draws("uniform", negatives=1), [1 / 3] * 3, atol=0.04)
    np.testing.assert_allclose(draws("popularity", negatives=1), np.array([200, 100, 50]) / 350, atol=0.04)


def test_users_for_whom_there_are_too_few_negatives_are_counted():
    few = evaluate_sampled_biased(MODEL, TEST, "ndcg@5", negatives=2)
    many = evaluate_sampled_biased(MODEL, TEST, "ndcg@5", negatives=ALL_ITEMS)
    assert few.counts["users_with_fewer_negatives"] == 0
    assert many.counts["users_with_fewer_negatives"] == many.counts["users_evaluated"]


def test_ties_go_by_position_and_not_in_favour_of_the_relevant_item():
    model = recsys.Model.from_vectors(
        TRAIN, np.ones((len(TRAIN.users), 1), np.float32), np.ones((len(TRAIN.items), 1), np.float32)
    )
    last = TRAIN.items.ids_at([len(TRAIN.items) - 1])[0].as_py()
    users = [user for user, items in rows_of(TRAIN).items() if last not in items]
    test = recsys.read_interactions(pd.DataFrame({"user_id": users, "item_id": last}))
    assert evaluate_sampled_biased(model, test, "mrr@9", negatives=5).values.max() == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negatives": 0}, "`negatives` must be an int >= 1. Got 0"),
        ({"by": "popular"}, "`by` must be 'uniform' or 'popularity'. Got 'popular'. Did you mean 'popularity'"),
        ({"metrics": "ncdg@10"}, "Did you mean 'ndcg'"),
        ({"metrics": "coverage@10"}, "Among sampled negatives there are hit_rate, .*Got 'coverage@10'"),
        ({"random_state": -1}, "`random_state` must be an int >= 0"),
    ],
)
def test_a_bad_argument_of_sampling_is_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        evaluate_sampled_biased(MODEL, TEST, **arguments)


def test_sampling_from_what_is_no_test_set_is_refused():
    with pytest.raises(ParameterError, match="evaluate_sampled_biased takes Interactions. Got list"):
        evaluate_sampled_biased(MODEL, [])
