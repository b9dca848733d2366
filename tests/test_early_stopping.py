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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "ndgc@10"}, "ndcg"),
        ({"metric": "ndcg@10,recall@10"}, "watches one metric"),
        ({"patience": 0}, "`patience` parameter of EarlyStopping must be an int >= 1"),
        ({"every": 1.5}, "`every`"),
        ({"validation": None}, "EarlyStopping takes Interactions"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        recsys.EarlyStopping(**{"validation": VALIDATION, **options})
