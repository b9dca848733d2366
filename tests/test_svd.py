"""SVD and PCA beside numpy's dense decomposition, and what their models promise about folding in and weighting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, ParameterError
from recsys.fold_in import DenseLeastSquares, Rows
from recsys.fold_in.dense import half_inverse
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.parallel import Workers
from recsys.trainers import krylov

WEIGHTINGS = ["none", "log", "tfidf", "bm25:k1=1.2,b=0.75", "degree", "ppmi:shift=0.5"]
SHAPES = [(60, 40), (40, 60)]
DATA = random_interactions(seed=4)


def weighed(data, weighting):
    """The dense matrix that a weighting makes, by the public way."""
    name, _, listed = weighting.partition(":")
    parameters = dict(part.split("=") for part in listed.split(",")) if listed else {}
    data = data if name == "none" else data.weighted(name, **{key: float(value) for key, value in parameters.items()})
    return data.to_csr().toarray().astype(np.float64)


def scores(model):
    return model.user_embeddings.vectors.astype(np.float64) @ model.item_embeddings.vectors.T


def captured(model, matrix, factors):
    """‖matrix V‖² with an orthonormal basis V of the first `factors` columns of the item vectors."""
    basis = np.linalg.qr(model.item_embeddings.vectors[:, :factors].astype(np.float64))[0]
    return ((matrix @ basis) ** 2).sum()


def only_user(data, user):
    """The interactions of one user, under an id that no model knows, with ids of its own items alone."""
    one = data.filter(users=[user])
    return replace(one, users=IdMap(["someone new"] if isinstance(user, str) else [-5], name="user_id"))


# ---- the decomposition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [recsys.SVD, recsys.PCA])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_model_is_the_dense_decomposition(kind, shape, weighting):
    data = random_interactions(*shape, seed=1)
    matrix = weighed(data, weighting)
    mean = matrix.mean(axis=0) if kind is recsys.PCA else 0
    model = kind(factors=6, weighting=weighting).fit(data)
    left, singular, right = np.linalg.svd(matrix - mean, full_matrices=False)
    training = model.provenance["training"]
    np.testing.assert_allclose(training["singular_values"], singular[:6], rtol=1e-4)
    np.testing.assert_allclose(scores(model), left[:, :6] * singular[:6] @ right[:6] + mean, atol=1e-4 * singular[0])
    # The cosines of the principal angles between both spaces of items.
    basis = np.linalg.qr(model.item_embeddings.vectors[:, :6].astype(np.float64))[0]
    assert np.linalg.svd(basis.T @ right[:6].T, compute_uv=False).min() > 1 - 1e-6
    assert training["captured"] == pytest.approx((singular[:6] ** 2).sum() / (singular**2).sum(), abs=1e-5)


@settings(max_examples=30)
@given(
    n_users=st.integers(1, 25), n_items=st.integers(1, 25), density=st.sampled_from([0.1, 0.5, 1.0]), rank=st.integers(1, 25),
    iterations=st.integers(1, 12), seed=st.integers(0, 99), centred=st.booleans(),
)  # fmt: skip
def test_never_more_is_captured_than_can_be_and_small_data_give_all_of_it(
    n_users, n_items, density, rank, iterations, seed, centred
):
    generator = np.random.default_rng(seed)
    matrix = np.where(generator.random((n_users, n_items)) < density, generator.standard_normal((n_users, n_items)), 0)
    matrix[0, 0] = 1.0
    factors = min(rank, n_users, n_items)
    kind = recsys.PCA if centred else recsys.SVD
    model = kind(factors=factors, iterations=iterations, weighting="none").fit(Interactions.from_csr(matrix))
    dense = matrix - matrix.mean(axis=0) if centred else matrix
    best = (np.linalg.svd(dense, compute_uv=False)[:factors] ** 2).sum()
    found = (np.array(model.provenance["training"]["singular_values"]) ** 2).sum()
    # The space searched has at least ten directions more than factors, which is all of a matrix this small.
    assert found == pytest.approx(best, rel=1e-4, abs=1e-5)
    assert np.isfinite(scores(model)).all()


def test_more_iterations_capture_more():
    data = random_interactions(400, 300, density=0.1, seed=2)
    measured = []
    recsys.SVD(factors=40, iterations=8, weighting="none").fit(
        data, callback=lambda epoch: measured.append(epoch.measured["energy"])
    )
    assert measured == sorted(measured)
    best = np.linalg.svd(weighed(data, "none"), compute_uv=False) ** 2
    assert measured[-1] == pytest.approx(best[:40].sum() / best.sum(), rel=1e-2)


def test_equal_singular_values_and_missing_ranks_are_no_trouble():
    # Every user has an item of their own: all singular values are 1, and any factors of them are as good.
    own = Interactions.from_csr(np.eye(30))
    model = recsys.SVD(factors=12, weighting="none").fit(own)
    np.testing.assert_allclose(model.provenance["training"]["singular_values"], np.ones(12), rtol=1e-5)
    # Two kinds of users: rank 2, so the other columns are empty.
    matrix = np.zeros((30, 20))
    matrix[:15, :10], matrix[15:, 10:] = 2, 1
    model = recsys.SVD(factors=5, weighting="none").fit(Interactions.from_csr(matrix))
    np.testing.assert_allclose(scores(model), matrix, atol=1e-4)
    assert not model.item_embeddings.vectors[:, 2:].any()
    assert not model.user_embeddings.vectors[:, 2:].any()


def test_columns_fall_in_what_they_carry_and_have_a_fixed_sign():
    model = recsys.SVD(factors=8).fit(DATA)
    for side in (model.item_embeddings, model.user_embeddings):
        lengths = np.linalg.norm(side.vectors[:, :8], axis=0)
        assert (np.diff(lengths) < 1e-3 * lengths[0]).all()
    items = model.item_embeddings.vectors[:, :8]
    assert (items[np.abs(items).argmax(axis=0), np.arange(8)] > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_the_items_changes_vectors_and_no_score(share):
    model = recsys.SVD(factors=6, weighting="none", item_share=share).fit(DATA)
    np.testing.assert_allclose(scores(model), scores(recsys.SVD(factors=6, weighting="none").fit(DATA)), atol=1e-4)
    singular = np.array(model.provenance["training"]["singular_values"])
    np.testing.assert_allclose(np.linalg.norm(model.item_embeddings.vectors, axis=0), singular**share, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(model.user_embeddings.vectors, axis=0), singular ** (1 - share), rtol=1e-3)


def test_one_thread_and_two_give_the_same_bytes_and_another_seed_the_same_scores():
    data = random_interactions(300, 200, seed=3)
    one, two, other = (
        recsys.PCA(factors=5, num_threads=threads, random_state=seed).fit(data) for threads, seed in ((1, 0), (2, 0), (2, 1))
    )
    assert one.fingerprint == two.fingerprint
    np.testing.assert_allclose(scores(one), scores(other), atol=0.02)


@pytest.mark.parametrize("kind", [recsys.SVD, recsys.PCA])
def test_an_interrupted_training_goes_on_to_the_same_bytes(kind, tmp_path):
    trainer = kind(factors=8, iterations=4)
    data = random_interactions(100, 80, seed=5)

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, checkpoint=tmp_path / "state", callback=interrupt)
    epochs = []
    resumed = trainer.fit(data, checkpoint=tmp_path / "state", resume=True, callback=lambda epoch: epochs.append(epoch.number))
    assert epochs == [3, 4]
    assert resumed.fingerprint == trainer.fit(data).fingerprint


def test_components_say_what_they_explain():
    model = recsys.PCA(factors=40, weighting="none").fit(DATA)
    matrix = weighed(DATA, "none")
    training = model.provenance["training"]
    np.testing.assert_allclose(sum(training["explained_variance"]), matrix.var(axis=0, ddof=1).sum(), rtol=1e-4)
    assert sum(training["explained_variance_ratio"]) == pytest.approx(1, abs=1e-4)
    assert training["captured"] == pytest.approx(1, abs=1e-5)
    # All 40 components: the model is the matrix itself.
    np.testing.assert_allclose(scores(model), matrix, atol=1e-3)


# ---- folding in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [recsys.SVD, recsys.PCA])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_trained_vector_equals_the_one_that_folding_in_gives(kind, weighting):
    model = kind(factors=6, weighting=weighting, item_share=0.3).fit(DATA)
    users = model.fold_in_method.solve(Rows.of(DATA, "users"), model.item_embeddings.vectors)
    np.testing.assert_allclose(users, model.user_embeddings.vectors, atol=2e-5)
    items = model.fold_in_method.solve(Rows.of(DATA, "items"), model.user_embeddings.vectors, of="items")
    np.testing.assert_allclose(items, model.item_embeddings.vectors, atol=2e-5)


@pytest.mark.parametrize("kind", [recsys.SVD, recsys.PCA])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_someone_new_with_the_same_events_gets_the_same_scores_whoever_else_comes(kind, weighting, tmp_path):
    data = random_interactions(strings=True, seed=6)
    kind(factors=6, weighting=weighting).fit(data).save(tmp_path / "model")
    model = recsys.load(tmp_path / "model")
    alone = model.fold_in(only_user(data, "u7"))
    crowd = replace(data, users=IdMap([f"new {n}" for n in range(data.n_users)], name="user_id"))
    together = alone.fold_in(crowd)
    for found in (alone.user_embeddings["someone new"], together.user_embeddings["new 7"]):
        np.testing.assert_allclose(found, model.user_embeddings["u7"], atol=2e-5)
    basket = data.filter(users=["u7"])
    listed = model.recommend_basket(basket.items.to_numpy().tolist(), weights=basket.weights.tolist(), k=5)
    expected = model.recommend(["u7"], k=5)
    assert listed.item_id.tolist() == expected.item_id.tolist()
    np.testing.assert_allclose(listed.score, expected.score, atol=1e-4)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_new_users_are_weighed_by_what_the_training_data_say_of_items(weighting):
    everyone = random_interactions(80, 40, seed=7)
    known = everyone.row_positions() < 60
    train, new = everyone.select(known), everyone.select(~known)
    model = recsys.SVD(factors=6, weighting=weighting).fit(train)
    assert (train.items, new.n_users) == (everyone.items, 20)
    matrix = weighed(train, weighting)
    w = np.zeros((new.n_users, train.n_items))
    w[new.row_positions(), train.items.positions(new.items)[new.indices]] = new.weights
    raw = weighed(train, "none")
    idf = np.log((1 + len(raw)) / (1 + train.item_counts))
    by_hand = {
        "none": lambda: w,
        "log": lambda: np.log1p(w),
        "tfidf": lambda: np.sqrt(w) * idf / np.linalg.norm(np.sqrt(w) * idf, axis=1, keepdims=True),
        "bm25": lambda: w * 2.2 / (w + 1.2 * (0.25 + 0.75 * w.sum(1, keepdims=True) / raw.sum(1).mean())) * idf,
        "degree": lambda: (
            w * (w > 0).sum(1, keepdims=True) ** -0.25 * train.item_counts**-0.25
            * raw.sum() / (raw * (raw > 0).sum(1, keepdims=True) ** -0.25 * train.item_counts**-0.25).sum()
        ),
        "ppmi": lambda: np.log(np.maximum(w * raw.sum() / (w.sum(1, keepdims=True) * raw.sum(0)) / 0.5, 1)),
    }[weighting.partition(":")[0]]()  # fmt: skip
    folded = model.fold_in(new)
    right = np.linalg.svd(matrix, full_matrices=False)[2][:6]
    expected = by_hand @ right.T @ right
    found = scores(folded)[train.n_users :]
    np.testing.assert_allclose(found, expected, atol=2e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kind", [recsys.SVD, recsys.PCA])
@pytest.mark.parametrize("weighting", ["none", "ppmi:shift=0.5"])
def test_contributions_sum_to_the_score_and_reasons_are_their_largest(kind, weighting):
    model = kind(factors=6, weighting=weighting).fit(DATA)
    user, item = DATA.users.to_numpy()[3], DATA.items.to_numpy()[8]
    table = model.explain(user, item, k=None)
    score = float(model.user_embeddings[user] @ model.item_embeddings[item])
    assert table.attrs["score"] == pytest.approx(score, abs=1e-4)
    assert table.contribution.sum() + table.attrs["base"] == pytest.approx(score, abs=1e-4)
    assert (table.attrs["base"] != 0) == (kind is recsys.PCA)
    reasons = model.recommend([user], k=3, with_reasons=2)
    for row in reasons.itertuples():
        own = model.explain(user, row.item_id, k=2)
        assert [reason["item_id"] for reason in row.reasons] == own.item_id[own.contribution > 0].tolist()


def test_a_user_without_events_gets_the_base(tmp_path):
    model = recsys.PCA(factors=4, weighting="none").fit(DATA)
    empty = Rows(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    vector = model.fold_in_method.solve(empty, model.item_embeddings.vectors)[0]
    for item in model.items.to_numpy()[:5]:
        query = model.item_embeddings[item]
        assert vector @ query == pytest.approx(model.fold_in_method.base(query))
    assert not recsys.SVD(factors=4).fit(DATA).fold_in_method.base(query)


def test_the_row_solves_the_equations_of_its_features():
    model = recsys.SVD(factors=5, weighting="bm25").fit(DATA)
    rows, fixed = Rows.of(DATA, "users"), model.item_embeddings.vectors
    features, dense = model.fold_in_method.features(fixed)
    a, t, ridge = model.fold_in_method.entry_terms(rows, fixed)
    assert not a.any()
    assert not ridge.any()
    first = slice(rows.indptr[3], rows.indptr[4])
    solved = (t[first] @ features[rows.indices[first]]) / dense
    np.testing.assert_allclose(features @ solved, fixed @ model.user_embeddings.vectors[3], atol=1e-4)


@pytest.mark.parametrize("weighting", ["tfidf", "bm25", "degree", "ppmi"])
def test_columns_of_statistics_change_no_length_and_no_likeness(weighting):
    model = recsys.SVD(factors=5, weighting=weighting).fit(DATA)
    vectors = model.item_embeddings.vectors
    assert vectors.shape[1] == 7
    assert np.array_equal(np.linalg.norm(vectors, axis=1), np.linalg.norm(vectors[:, :5], axis=1))
    assert model.fold_in_method.bias_columns == 2
    units = vectors[:, :5] / np.linalg.norm(vectors[:, :5], axis=1, keepdims=True)
    table = model.similar_items([DATA.items.to_numpy()[0]], k=3)
    np.testing.assert_allclose(table.score, np.sort(units[1:] @ units[0])[::-1][:3], atol=1e-5)


def test_after_alignment_and_forgetting_folding_in_still_gives_the_same():
    model = recsys.SVD(factors=5, weighting="tfidf").fit(DATA)
    other = recsys.SVD(factors=5, weighting="tfidf").fit(random_interactions(seed=9))
    turned = model.align_to(other)
    solved = turned.fold_in_method.solve(Rows.of(DATA, "users"), turned.item_embeddings.vectors)
    np.testing.assert_allclose(solved, turned.user_embeddings.vectors, atol=2e-5)
    without = model.forget(items=[DATA.items.to_numpy()[2]])
    solved = without.fold_in_method.solve(Rows.of(without.history, "users"), without.item_embeddings.vectors)
    touched = np.flatnonzero(without.history.user_counts != DATA.user_counts)
    np.testing.assert_allclose(solved[touched], without.user_embeddings.vectors[touched], rtol=0.05, atol=0.05)


def test_the_pseudo_inverse_leaves_out_what_is_rounding():
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((30, 3)) * [1e4, 1.0, 1e-4]
    tall = np.hstack([matrix, matrix[:, :1], np.zeros((30, 1))])
    half = half_inverse(tall.T @ tall)
    np.testing.assert_allclose(tall @ half @ half.T @ tall.T, matrix @ np.linalg.pinv(matrix), atol=1e-6)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factors": 0}, "`factors` parameter of SVD must be an int >= 1"),
        ({"iterations": 0}, "`iterations`"),
        ({"item_share": 1.5}, r"`item_share` parameter of SVD must be a number from 0 to 1\. Got 1\.5"),
        ({"weighting": "bm52"}, r"A weighting is one of 'none', 'log', .*Got 'bm52'\. Did you mean 'bm25'\?"),
        ({"weighting": "bm25:k=3"}, r"'bm25' takes 'k1', 'b'\. Got 'k'"),
        ({"weighting": "bm25:k1=x"}, "are numbers, as in 'bm25:k1=1.2,b=0.75'"),
        ({"weighting": "ppmi:shift=0"}, "`shift` of 'ppmi' must be a number > 0"),
        ({"weighting": None}, "A weighting is written as"),
        ({"num_threads": 0}, "`num_threads`"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(ParameterError, match=message):
        recsys.SVD(**values)


def test_more_factors_than_users_or_items_are_refused():
    with pytest.raises(DataError, match=r"PCA with factors = 41 needs as many .* 60 users and 40 items\. Hint"):
        recsys.PCA(factors=41).fit(DATA)


def test_weights_that_vanish_or_overflow_are_refused():
    nothing = replace(DATA, weights=np.zeros_like(DATA.weights))
    with pytest.raises(DataError, match=r"SVD needs weights whose squares sum .* they sum to 0"):
        recsys.SVD(factors=3).fit(nothing)
    huge = replace(DATA, weights=DATA.weights * np.float32(1e20))
    with pytest.raises(DataError, match=r"Hint: weighting='log' tames large ones"):
        recsys.SVD(factors=3, weighting="none").fit(huge)
    assert recsys.SVD(factors=3, weighting="log").fit(huge).provenance["training"]["captured"] > 0


def test_negative_weights_are_taken_as_they_are_and_refused_where_they_are_to_be_weighed():
    data = replace(DATA, weights=DATA.weights - 3)
    model = recsys.SVD(factors=4, weighting="none").fit(data)
    someone = data.users.to_numpy()[data.row_positions()[data.weights < 0][0]]
    assert len(model.fold_in(only_user(data, someone)).users) == 61
    with pytest.raises(DataError, match="weighting='bm25' needs weights >= 0"):
        recsys.SVD(factors=4, weighting="bm25").fit(data)
    with pytest.raises(DataError, match="needs weights >= 0"):
        recsys.SVD(factors=4, weighting="bm25").fit(DATA).fold_in(only_user(data, someone))


def test_a_model_can_not_be_gone_on_from():
    model = recsys.SVD(factors=4).fit(DATA)
    with pytest.raises(ParameterError, match="can not start from a model"):
        recsys.SVD(factors=4).partial_fit(model, DATA)


def test_weightings_with_parameters_are_settings_as_text():
    trainer = recsys.trainers.make_trainer("svd", {"factors": "4", "weighting": "bm25:k1=1.2,b=0.75", "item_share": "0"})
    assert trainer == recsys.SVD(factors=4, weighting="bm25:k1=1.2,b=0.75", item_share=0)
    model = trainer.fit(DATA)
    assert model.provenance["hyperparameters"]["weighting"] == "bm25:k1=1.2,b=0.75"
    assert isinstance(model.fold_in_method, DenseLeastSquares)
    # The history keeps the log's own weights: what is explained and added to is in the user's units.
    pd.testing.assert_frame_equal(model.history.to_frame(), DATA.to_frame())


# ---- the space searched ---------------------------------------------------------------------------------------------


def test_the_basis_is_orthonormal_and_its_leading_values_are_the_eigenvalues():
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((50, 50))
    matrix = (matrix @ matrix.T).astype(np.float32)
    with Workers(1) as workers:
        space = krylov.KrylovSpace(generator.standard_normal((50, 8), dtype=np.float32), 50, 0, workers)
        while not space.is_full:
            space.step(lambda block: matrix @ block, workers)
        vectors = space.vectors(50, workers)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(50), atol=1e-5)
    np.testing.assert_allclose(space.values(), np.linalg.eigvalsh(matrix.astype(np.float64))[::-1], atol=2e-3)
