"""A bridge from foreign vectors to ours: a linear map is found, new items are recommended, and its worth is told honestly."""

import numpy as np
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, ParameterError, UnknownIdError


@pytest.fixture(scope="module")
def model():
    return recsys.ALS(factors=6, iterations=4).fit(random_interactions(200, 90, 0.3))


def foreign_of(embeddings, noise=0.0, dim=10, seed=0):
    generator = np.random.default_rng(seed)
    vectors = embeddings.vectors @ generator.standard_normal((embeddings.dim, dim)) + 3
    return recsys.Embeddings(embeddings.ids, vectors + noise * generator.standard_normal(vectors.shape))


def test_a_linear_map_is_found_and_held_out_items_are_ranked_as_by_their_own_vectors(model):
    found = recsys.bridge(foreign_of(model.item_embeddings), model, metric="ndcg@10")
    assert found.explained > 0.99
    np.testing.assert_allclose(found.place(foreign_of(model.item_embeddings)).vectors, model.item_embeddings.vectors, atol=0.02)
    quality = found.quality.set_index("way")
    assert quality.index.tolist() == ["bridge", "popularity", "trained"]
    assert quality["mean"]["bridge"] == pytest.approx(quality["mean"]["trained"], abs=0.02)
    assert (quality.low < quality["mean"]).all()
    assert repr(found) == "Bridge(10 → 6 dimensions by 90 shared item_ids, explains 100%)"


def test_vectors_without_meaning_explain_nothing_and_rank_no_better_than_chance(model):
    noise = recsys.Embeddings(model.items, np.random.default_rng(0).standard_normal((90, 10)))
    found = recsys.bridge(noise, model, metric="ndcg@10")
    assert found.explained < 0.1
    quality = found.quality.set_index("way")["mean"]
    assert quality["bridge"] < quality["trained"] - 0.1


def test_the_ridge_is_that_of_least_squares(model):
    foreign = foreign_of(model.item_embeddings, noise=0.5)
    found = recsys.bridge(foreign, model.item_embeddings)
    x = foreign.vectors - foreign.vectors.mean(axis=0)
    y = model.item_embeddings.vectors - model.item_embeddings.vectors.mean(axis=0)
    penalty = np.sqrt(found.ridge * (x**2).sum() / 10) * np.eye(10)
    expected = np.linalg.lstsq(np.vstack([x, penalty]), np.vstack([y, np.zeros((10, 6))]), rcond=None)[0]
    np.testing.assert_allclose(found.slopes, expected, atol=1e-5)
    assert found.quality.empty


def test_new_items_get_a_place_and_are_recommended(model):
    known = model.items.to_numpy()[:80].tolist()
    some = model.item_embeddings.take(known)
    young = recsys.Model.from_vectors(
        model.history.drop(items=model.items.to_numpy()[80:]),
        model.user_embeddings.vectors,
        some.vectors,
        fold_in=model.fold_in_method,
    )
    foreign = foreign_of(model.item_embeddings)
    grown = recsys.bridge(foreign, young, metric="ndcg@10").extend(young, foreign)
    assert grown.items.to_numpy()[:80].tolist() == known
    assert len(grown.items) == 90
    assert grown.history.item_counts[80:].sum() == 0
    assert grown.provenance["bridged"]["n_new"] == 10
    expected = model.recommend([1000], k=5, only_items=model.items.to_numpy()[80:], exclude_seen=False)
    found = grown.recommend([1000], k=5, only_items=model.items.to_numpy()[80:])
    assert found.item_id.tolist() == expected.item_id.tolist()
    assert grown.fold_in(random_interactions(3, 20, 0.5, seed=4)).recommend([1001], k=3).shape == (3, 4)
    with pytest.raises(UnknownIdError, match="knows all items"):
        recsys.bridge(foreign, model, metric="ndcg@10").extend(model, foreign)


def test_what_can_not_be_bridged_is_told(model):
    foreign = foreign_of(model.item_embeddings)
    with pytest.raises(DataError, match="needs at least 10 shared items. Got 4"):
        recsys.bridge(foreign.take(foreign.ids.to_numpy()[:4]), model)
    with pytest.raises(DataError, match="share no"):
        recsys.bridge(recsys.Embeddings.from_arrays(["x"], [[1.0]]), model)
    with pytest.raises(ParameterError, match="`foreign` must be Embeddings"):
        recsys.bridge(model, model)
    with pytest.raises(ParameterError, match="`folds`"):
        recsys.bridge(foreign, model, folds=1)
    found = recsys.bridge(foreign, model.item_embeddings)
    with pytest.raises(ParameterError, match="must have 10 dimensions. Got 6"):
        found.place(model.item_embeddings)
    with pytest.raises(ParameterError, match="The model must have 6 dimensions"):
        found.extend(recsys.ALS(factors=3, iterations=1).fit(model.history), foreign)
