"""Alignment: a rotation is undone, dot products stay, models keep their scores; what can not be aligned is told."""

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

import recsys
from recsys.errors import DataError, ParameterError


def embeddings(vectors, first=0, name="item_id"):
    return recsys.Embeddings.from_arrays(np.arange(first, first + len(vectors)), vectors, name=name)


def drawn(n=80, dim=7, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim)) * np.geomspace(3, 0.1, dim)


def test_a_rotation_is_undone_whatever_the_order_and_the_new_ids():
    vectors = drawn()
    rotation = ortho_group.rvs(7, random_state=0)
    order = np.random.default_rng(1).permutation(80)
    turned = recsys.Embeddings.from_arrays(order + 5, (vectors @ rotation)[order], name="item_id")
    aligned = turned.align_to(embeddings(vectors))
    assert aligned.ids == turned.ids
    same = recsys.Embeddings.from_arrays(order, (vectors @ rotation)[order], name="item_id").align_to(embeddings(vectors))
    np.testing.assert_allclose(same.take(range(80)).vectors, vectors, atol=1e-5)
    assert same.provenance["aligned_to"]["residual"] < 1e-2
    assert same.provenance["aligned_to"]["n_shared"] == 80


def test_it_is_the_best_rotation_there_is():
    one, other = drawn(seed=1), drawn(seed=2)
    expected, _ = orthogonal_procrustes(one, other)
    alignment = embeddings(one).alignment_to(embeddings(other))
    np.testing.assert_allclose(alignment.rotation, expected, atol=1e-5)
    residual = np.linalg.norm(one @ expected - other) / np.linalg.norm(other)
    assert alignment.residual == pytest.approx(residual, abs=1e-5)


def test_weights_count_as_repeated_rows_would():
    one, other = drawn(seed=1), drawn(seed=2)
    weights = np.random.default_rng(3).integers(0, 5, 80)
    expected, _ = orthogonal_procrustes(np.repeat(one, weights, axis=0), np.repeat(other, weights, axis=0))
    given = pd.Series(weights, index=np.arange(80)).sample(frac=1, random_state=0)
    alignment = embeddings(one).alignment_to(embeddings(other), weights=given)
    np.testing.assert_allclose(alignment.rotation, expected, atol=1e-5)
    assert alignment.weighted


@pytest.mark.parametrize("dims", [(4, 7), (7, 4)])
def test_different_dimensions_are_aligned_in_the_larger_space(dims):
    own, theirs = drawn(dim=dims[0], seed=1), drawn(dim=dims[1], seed=2)
    one, other = embeddings(own), embeddings(theirs)
    if dims[0] < dims[1]:
        with pytest.warns(UserWarning, match="these vectors had 4 dimensions, the reference 7; now they have 7"):
            aligned = one.align_to(other)
    else:
        aligned = one.align_to(other)
    assert aligned.dim == 7
    np.testing.assert_allclose(aligned.vectors @ aligned.vectors.T, one.vectors @ one.vectors.T, atol=1e-4)
    padded = [np.pad(side, ((0, 0), (0, 7 - side.shape[1]))) for side in (own, theirs)]
    best, _ = orthogonal_procrustes(*padded)
    distance = np.linalg.norm(aligned.vectors - padded[1])
    assert distance == pytest.approx(np.linalg.norm(padded[0] @ best - padded[1]), rel=1e-5)


def test_where_few_shared_ids_leave_the_rotation_open_it_moves_nothing_else():
    vectors = drawn(20, 6)
    known = recsys.Embeddings.from_arrays([0, 1], vectors[:2], name="item_id")
    aligned = embeddings(vectors).align_to(known)
    np.testing.assert_allclose(aligned.vectors, vectors, atol=1e-5)


def test_all_zero_vectors_stay_where_they_are():
    zeros = embeddings(np.zeros((4, 3)))
    assert not zeros.align_to(embeddings(drawn(4, 3))).vectors.any()
    aligned = embeddings(drawn(4, 3)).align_to(zeros)
    np.testing.assert_allclose(aligned.vectors, drawn(4, 3), atol=1e-5)


def test_one_thread_and_two_give_the_same_bytes_also_of_many_rows():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((40_000, 8), dtype=np.float32)
    one, other = embeddings(vectors), embeddings(vectors @ ortho_group.rvs(8, random_state=1).astype(np.float32), first=100)
    aligned = [one.align_to(other, num_threads=threads).vectors.tobytes() for threads in (1, 2)]
    assert aligned[0] == aligned[1]
    own = embeddings(vectors @ ortho_group.rvs(8, random_state=1).astype(np.float32)).align_to(one)
    np.testing.assert_allclose(own.vectors, vectors, atol=1e-5)


def test_what_can_not_be_aligned_is_told():
    one = embeddings(drawn())
    with pytest.raises(DataError, match="share no item_id: they hold ids such as 0, 1 and 500, 501"):
        one.align_to(embeddings(drawn(), first=500))
    words = recsys.Embeddings.from_arrays([str(n) for n in range(80)], drawn(), name="item_id")
    with pytest.raises(DataError, match="one side's are integers, the other's strings"):
        one.align_to(words)
    with pytest.raises(ParameterError, match="`reference` must be Embeddings. Got str"):
        one.align_to("model")
    with pytest.raises(DataError, match=r"a number >= 0 for each shared item_id. Not so: 1, 2"):
        one.align_to(one, weights={0: 1.0})
    with pytest.raises(DataError, match="all are 0"):
        one.align_to(one, weights=dict.fromkeys(range(80), 0))


@pytest.fixture(scope="module")
def models():
    data = random_interactions(120, 80, 0.3)
    return [recsys.ALS(factors=8, iterations=3, random_state=seed).fit(data) for seed in (0, 1)]


def test_an_aligned_model_gives_every_score_list_and_fold_in_as_before(models):
    first, second = models
    aligned = second.align_to(first, weights="popularity")
    scores = [model.user_embeddings.vectors @ model.item_embeddings.vectors.T for model in (second, aligned)]
    np.testing.assert_allclose(*scores, atol=2e-6)
    pd.testing.assert_frame_equal(second.recommend(k=5), aligned.recommend(k=5), atol=1e-5)
    new = [9000, 9001]
    events = recsys.read_interactions(pd.DataFrame({"user_id": [*new, 9000], "item_id": [5, 12, 19]}))
    folded = [model.fold_in(events).recommend(new, k=5) for model in (second, aligned)]
    pd.testing.assert_frame_equal(*folded, atol=1e-5)
    reasons = [model.explain(1000, aligned.items.to_numpy()[3]) for model in (second, aligned)]
    pd.testing.assert_frame_equal(*reasons, atol=1e-5)
    facts = aligned.provenance["aligned_to"]
    assert facts["fingerprint"] == first.fingerprint
    assert facts["weighted"] is True


def test_alignment_brings_a_model_nearer(models):
    first, second = models
    ids = first.items.to_numpy()
    distances = [
        np.linalg.norm(model.item_embeddings[ids].vectors - first.item_embeddings.vectors)
        for model in (second, second.align_to(first))
    ]
    assert distances[1] < 0.9 * distances[0]


def test_an_aligned_model_survives_a_file(models, tmp_path):
    models[1].align_to(models[0]).save(tmp_path / "model")
    again = recsys.load(tmp_path / "model")
    assert again.provenance["aligned_to"]["n_shared"] == 80
    assert again.fold_in_method == models[1].fold_in_method


def test_a_larger_reference_widens_a_model_and_keeps_its_scores(models):
    wide = recsys.ALS(factors=12, iterations=2).fit(models[0].history)
    with pytest.warns(UserWarning, match="had 8 dimensions, the reference 12"):
        aligned = models[0].align_to(wide.item_embeddings)
    assert aligned.user_embeddings.dim == aligned.item_embeddings.dim == 12
    pd.testing.assert_frame_equal(models[0].recommend(k=5), aligned.recommend(k=5), atol=1e-5)
    events = random_interactions(3, 80, 0.3, seed=5)
    folded = [model.fold_in(events).recommend([1000, 1001], k=5) for model in (models[0], aligned)]
    pd.testing.assert_frame_equal(*folded, atol=1e-5)


def test_columns_of_biases_are_left_alone():
    data = random_interactions(100, 60, 0.3)
    one, other = (recsys.ExplicitALS(factors=5, iterations=3, random_state=seed).fit(data) for seed in (0, 1))
    aligned = other.align_to(one)
    for side in ("user_embeddings", "item_embeddings"):
        np.testing.assert_array_equal(getattr(aligned, side).vectors[:, -2:], getattr(other, side).vectors[:, -2:])
    assert not np.allclose(aligned.item_embeddings.vectors, other.item_embeddings.vectors, atol=1e-3)
    pd.testing.assert_frame_equal(other.recommend(k=5), aligned.recommend(k=5), atol=1e-4)
    events = random_interactions(4, 60, 0.3, seed=5)
    folded = [model.fold_in(events).recommend([1000, 1001], k=5) for model in (other, aligned)]
    pd.testing.assert_frame_equal(*folded, atol=1e-4)
    pd.testing.assert_frame_equal(other.similar_items(k=3), aligned.similar_items(k=3), atol=1e-4)


def test_a_wrong_weighting_of_a_model_is_told(models):
    with pytest.raises(ParameterError, match="`weights` must be 'popularity'"):
        models[0].align_to(models[1], weights="popular")
