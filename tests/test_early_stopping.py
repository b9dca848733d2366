"""Early stopping: the best model met comes back, and training ends when the metric has stopped rising."""

import pytest
from conftest import random_interactions

import recsys
from recsys.errors import ParameterError

TRAIN, VALIDATION = recsys.split.random(random_interactions(300, 120, 0.15, seed=4), test_fraction=0.3)


def means(trainer, **options):
    watch = recsys.EarlyStopping(VALIDATION, "ndcg@10", **options)
    return trainer.fit(TRAIN, callback=watch), watch.history


def test_the_model_returned_is_the_best_that_was_met():
    trainer = recsys.ALS(factors=40, iterations=80, regularization=1e-4, unobserved_weight=0.01)
    model, history = means(trainer, patience=3)
    best = max(mean for _, mean in history)
    assert recsys.evaluate(model, VALIDATION, "ndcg@10").summary()["mean"][0] == pytest.approx(best)
    assert model.provenance["training"]["epochs"] == next(epoch for epoch, mean in history if mean == best)
    assert len(history) < 80
    assert len(history) - 1 - [mean for _, mean in history].index(best) == 3


def test_the_best_comes_back_also_when_the_epochs_run_out():
    model, history = means(recsys.ALS(factors=24, iterations=5, regularization=1e-4), patience=50, every=2)
    assert [epoch for epoch, _ in history] == [2, 4, 5]
    best = max(history, key=lambda pair: pair[1])
    assert model.provenance["training"]["epochs"] == best[0]


def test_each_fit_is_watched_anew():
    watch = recsys.EarlyStopping(VALIDATION, "ndcg@10", patience=9)
    trainer = recsys.ALS(factors=4, iterations=3)
    first, second = trainer.fit(TRAIN, callback=watch), trainer.fit(TRAIN, callback=watch)
    assert [epoch for epoch, _ in watch.history] == [1, 2, 3]
    assert first.item_embeddings.vectors.tobytes() == second.item_embeddings.vectors.tobytes()


def test_errors_of_ratings_are_watched_for_falling():
    watch = recsys.EarlyStopping(VALIDATION, "RMSE", patience=2)
    model = recsys.ExplicitALS(factors=30, iterations=30, regularization=0.01, regularization_exponent=1.0).fit(
        TRAIN, callback=watch
    )
    values = [value for _, value in watch.history]
    assert len(values) < 30
    assert values.index(min(values)) == len(values) - 3
    found = recsys.evaluate_ratings(model, VALIDATION).summary()
    assert found["mean"][0] == pytest.approx(min(values), rel=1e-12)
    assert watch.best_epoch == model.provenance["training"]["epochs"]
    assert watch.best.summary()["low"][0] == found["low"][0]


def test_errors_of_ratings_are_refused_where_none_are_predicted():
    watch = recsys.EarlyStopping(VALIDATION, "mae")
    with pytest.raises(ParameterError, match="'mae' judges predicted ratings, and als predicts none"):
        recsys.ALS(factors=4).fit(TRAIN, callback=watch)


def test_users_held_out_of_training_are_folded_in_before_they_are_judged():
    cut = recsys.split.users(random_interactions(300, 120, 0.15, seed=4), test_fraction=0.2)
    watch = recsys.EarlyStopping(cut.test, "ndcg@10", fold_in=cut.fold_in)
    model = recsys.ALS(factors=8, iterations=3).fit(cut.train, callback=watch)
    folded = model.fold_in(cut.fold_in, unknown="skip")
    assert recsys.evaluate(folded, cut.test, "ndcg@10").summary()["mean"][0] == max(value for _, value in watch.history)


def test_overlap_and_threads_are_handed_on():
    watch = recsys.EarlyStopping(TRAIN, "ndcg@10", overlap="keep", num_threads=1)
    recsys.ALS(factors=4, iterations=1).fit(TRAIN, callback=watch)
    assert [value for _, value in watch.history] == [0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "ndgc@10"}, "ndcg"),
        ({"metric": "ndcg@10,recall@10"}, "watches one metric"),
        ({"patience": 0}, "`patience` parameter of EarlyStopping must be an int >= 1"),
        ({"every": 1.5}, "`every`"),
        ({"patience": True}, "`patience`"),
        ({"metric": "gini@10"}, "watches how well relevant items are ranked"),
        ({"fold_in": "file"}, "`fold_in` of EarlyStopping takes Interactions"),
        ({"validation": None}, "EarlyStopping takes Interactions"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        recsys.EarlyStopping(**{"validation": VALIDATION, **options})
