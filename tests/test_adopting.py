"""Models that other libraries trained are taken over: same scores, our ids, folding in, files."""

import json
import warnings

import numpy as np
import pytest
import scipy.sparse
from conftest import random_interactions
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.gpu.als import AlternatingLeastSquares as OnGpu
from implicit.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import CosineRecommender
from threadpoolctl import threadpool_limits

import recsys
from recsys.errors import DataError, InputError, ParameterError
from recsys.ids import IdMap
from recsys.interactions import Interactions

DATA = random_interactions(n_users=90, n_items=50, density=0.25, strings=True)
ONE = {"num_threads": 1, "random_state": 3}
MAKERS = {
    "implicit.als": lambda: AlternatingLeastSquares(factors=6, regularization=0.3, alpha=0.7, iterations=5, **ONE),
    "implicit.bpr": lambda: BayesianPersonalizedRanking(factors=6, learning_rate=0.1, iterations=60, **ONE),
    "implicit.lmf": lambda: LogisticMatrixFactorization(factors=6, iterations=20, **ONE),
}
BIASES = {"implicit.als": 0, "implicit.bpr": 1, "implicit.lmf": 2}


def matrix_of(data):
    return scipy.sparse.csr_matrix(data.to_csr())


def trained(name, data=DATA):
    # implicit warns about the threads of BLAS, which it does not need here.
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = MAKERS[name]()
        theirs.fit(matrix_of(data), show_progress=False)
    return theirs


@pytest.fixture(scope="module", params=sorted(MAKERS))
def pair(request):
    theirs = trained(request.param)
    return request.param, theirs, recsys.adopt(theirs, DATA)


def all_scores(model):
    users, items = model.users.to_numpy(), model.items.to_numpy()
    return model.score(np.repeat(users, len(items)), np.tile(items, len(users))).reshape(len(users), len(items))


# ---- what is the library's stays the library's ---------------------------------------------------------------------------


def test_scores_are_those_of_the_library(pair):
    _, theirs, ours = pair
    np.testing.assert_allclose(all_scores(ours), theirs.user_factors @ theirs.item_factors.T, rtol=1e-5, atol=1e-5)


def test_lists_are_those_of_the_library_without_what_users_have(pair):
    _, theirs, ours = pair
    positions, scores = theirs.recommend(np.arange(len(DATA.users)), matrix_of(DATA), N=8, filter_already_liked_items=True)
    found = ours.recommend(k=8)
    np.testing.assert_allclose(found.score.to_numpy().reshape(-1, 8), scores, rtol=1e-5, atol=1e-5)
    apart = np.abs(np.diff(scores, axis=1)).min(axis=1) > 1e-5
    assert apart.mean() > 0.9
    ranked = found.item_id.to_numpy().reshape(-1, 8)
    assert (ranked[apart] == DATA.items.to_numpy()[positions[apart]]).all()


def test_columns_of_biases_are_the_last_and_say_nothing_of_likeness(pair):
    name, theirs, ours = pair
    assert ours.fold_in_method.bias_columns == BIASES[name]
    vectors = theirs.item_factors[:, : theirs.item_factors.shape[1] - BIASES[name]].astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    first = ours.similar_items(k=1)
    np.testing.assert_allclose(first.score.to_numpy(), likeness.max(axis=1), atol=1e-5)


def test_a_copy_is_taken_that_further_training_leaves_alone():
    theirs = trained("implicit.als")
    ours = recsys.adopt(theirs, DATA)
    before = ours.fingerprint
    theirs.user_factors[:] = 0
    assert np.abs(ours.user_embeddings.vectors).max() > 0.01
    assert recsys.Model.from_vectors(DATA, ours.user_embeddings.vectors, ours.item_embeddings.vectors).fingerprint == before


def test_float64_vectors_become_float32():
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = AlternatingLeastSquares(factors=4, dtype=np.float64, iterations=4, **ONE)
        theirs.fit(matrix_of(DATA), show_progress=False)
    ours = recsys.adopt(theirs, DATA)
    assert ours.item_embeddings.vectors.dtype == np.float32
    np.testing.assert_allclose(all_scores(ours), theirs.user_factors @ theirs.item_factors.T, atol=1e-5)


# ---- what becomes possible -----------------------------------------------------------------------------------------------


def test_a_saved_one_opens_as_it_was(pair, tmp_path):
    _, _, ours = pair
    ours.save(tmp_path / "model")
    again = recsys.load(tmp_path / "model")
    assert again.fingerprint == ours.fingerprint
    assert again.fold_in_method == ours.fold_in_method
    assert again.provenance == ours.provenance
    assert again.recommend(k=3).equals(ours.recommend(k=3))


def test_provenance_says_which_library_trained_how_on_what(pair):
    import implicit

    name, theirs, ours = pair
    assert ours.trainer_name == name
    known = ours.provenance["hyperparameters"]
    assert (known["factors"], known["iterations"], known["random_state"]) == (6, theirs.iterations, 3)
    assert ours.provenance["data"]["fingerprint"] == DATA.fingerprint
    assert ours.provenance["versions"]["implicit"] == implicit.__version__
    assert ours.provenance["adopted"]["class"].startswith("implicit.cpu.")
    assert ours.provenance["adopted"]["agreement"] > 0.6
    assert json.loads(json.dumps(ours.provenance)) == ours.provenance


def test_it_is_evaluated_aligned_and_forgotten_as_any_model(pair):
    name, _, ours = pair
    assert recsys.evaluate(ours, DATA, ["ndcg@5"], exclude_seen=False).summary()["mean"].iloc[0] > 0.2
    turned = ours.align_to(recsys.adopt(trained(name), DATA))
    np.testing.assert_allclose(all_scores(turned), all_scores(ours), atol=1e-4)
    left = ours.forget(users=["u3"])
    assert len(left.users) == len(DATA.users) - 1


def test_users_folded_in_are_those_that_implicit_recalculates():
    theirs, new = trained("implicit.als"), newcomers()
    ours = recsys.adopt(theirs, DATA).fold_in(new)
    with threadpool_limits(limits=1, user_api="blas"):
        wanted = theirs.recalculate_user(np.arange(len(new.users)), matrix_of(new))
    found = np.stack([ours.user_embeddings[user] for user in new.users.to_numpy()])
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_items_folded_in_are_those_that_implicit_recalculates():
    theirs = trained("implicit.als")
    rows = random_interactions(n_users=90, n_items=5, density=0.4, seed=5, strings=True)
    new = Interactions(
        DATA.users, IdMap([f"new{n}" for n in range(5)], name="item_id"), rows.indptr, rows.indices, rows.weights
    )
    ours = recsys.adopt(theirs, DATA).fold_in(new, of="items")
    with threadpool_limits(limits=1, user_api="blas"):
        wanted = theirs.recalculate_item(np.arange(5), matrix_of(new).T.tocsr())
    np.testing.assert_allclose(np.stack([ours.item_embeddings[f"new{n}"] for n in range(5)]), wanted, atol=1e-3)


def test_reasons_are_those_that_implicit_gives():
    theirs = trained("implicit.als")
    ours = recsys.adopt(theirs, DATA)
    table = ours.explain("u7", "i9", k=3)
    with threadpool_limits(limits=1, user_api="blas"):
        total, top, _ = theirs.explain(7, matrix_of(DATA), 9, N=3)
    assert table.attrs["score"] == pytest.approx(total, abs=1e-4)
    assert table.item_id.tolist() == [f"i{position}" for position, _ in top]
    np.testing.assert_allclose(table.contribution, [contribution for _, contribution in top], atol=1e-4)


def test_models_without_regularization_fold_in_too():
    theirs = trained("implicit.als")
    theirs.regularization = 0
    ours = recsys.adopt(theirs, DATA).fold_in(newcomers())
    assert np.isfinite(ours.user_embeddings.vectors).all()


@pytest.mark.parametrize("name", ["implicit.bpr", "implicit.lmf"])
def test_step_by_step_models_fold_in_as_ours_of_the_kind_do(name):
    ours = recsys.adopt(trained(name), DATA)
    own = {"implicit.bpr": recsys.BPR, "implicit.lmf": recsys.LogisticMF}[name](factors=6, iterations=3)
    assert type(ours.fold_in_method) is type(own.fit(DATA).fold_in_method)
    grown = ours.fold_in(newcomers())
    # Two tastes: odd users have odd items, and so have new ones.
    lists = grown.recommend(users=newcomers().users.to_numpy().tolist(), k=5)
    same = lists.user_id.str[3:].astype(int) % 2 == lists.item_id.str[1:].astype(int) % 2
    assert same.mean() > 0.8


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_our_trainer_of_the_kind_goes_on_from_it(name):
    ours = recsys.adopt(trained(name), DATA)
    trainer = {"implicit.als": recsys.ALS, "implicit.bpr": recsys.BPR, "implicit.lmf": recsys.LogisticMF}[name]
    assert len(trainer(factors=6, iterations=1).partial_fit(ours, newcomers()).users) == len(DATA.users) + 8


def newcomers():
    """Eight new users, of both tastes, over the items of DATA."""
    rows = random_interactions(n_users=8, n_items=50, density=0.3, seed=9)
    users = IdMap([f"new{n}" for n in range(8)], name="user_id")
    return Interactions(users, DATA.items, rows.indptr, rows.indices, rows.weights)


# ---- lightfm -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lightfm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lightfm", reason="the library can not be imported here", exc_type=ImportError)


@pytest.fixture(scope="module")
def light(lightfm):
    theirs = lightfm.LightFM(no_components=6, loss="warp", user_alpha=1e-5, random_state=2)
    theirs.fit(matrix_of(DATA.binarize()), epochs=20)
    return theirs


def test_scores_and_lists_of_lightfm_are_its_own(light, tmp_path):
    ours = recsys.adopt(light, DATA)
    users, items = np.repeat(np.arange(90), 50).astype(np.int32), np.tile(np.arange(50), 90).astype(np.int32)
    np.testing.assert_allclose(all_scores(ours).ravel(), light.predict(users, items), rtol=1e-5, atol=1e-5)
    ours.save(tmp_path / "model")
    again = recsys.load(tmp_path / "model")
    assert again.fingerprint == ours.fingerprint
    assert again.fold_in(newcomers()).fingerprint == ours.fold_in(newcomers()).fingerprint
    assert ours.trainer_name == "lightfm.LightFM"
    assert ours.provenance["hyperparameters"]["loss"] == "warp"
    assert "random_state" not in ours.provenance["hyperparameters"]
    assert ours.provenance["versions"]["lightfm"][0].isdigit()


def test_users_folded_into_lightfm_like_what_is_like_theirs(light):
    ours = recsys.adopt(light, DATA)
    assert ours.fold_in_method.bias_columns == 2
    lists = ours.fold_in(newcomers()).recommend(users=newcomers().users.to_numpy().tolist(), k=5)
    same = lists.user_id.str[3:].astype(int) % 2 == lists.item_id.str[1:].astype(int) % 2
    assert same.mean() > 0.8


def test_an_identity_of_features_is_none_and_other_features_are_refused(lightfm):
    some, matrix = lightfm.LightFM(no_components=3, random_state=2), matrix_of(DATA)
    identity = scipy.sparse.identity(50, np.float32, "csr")
    some.fit(matrix, item_features=identity, epochs=10)
    users, items = np.arange(50, dtype=np.int32), np.arange(50, dtype=np.int32)
    ours = recsys.adopt(some, DATA).score([f"u{n}" for n in users], [f"i{n}" for n in items])
    np.testing.assert_allclose(ours, some.predict(users, items, item_features=identity), rtol=1e-5, atol=1e-5)
    more = lightfm.LightFM(no_components=3, random_state=2)
    more.fit(matrix, item_features=scipy.sparse.hstack([identity, identity[:, :4]]).tocsr(), epochs=1)
    with pytest.raises(DataError, match="has 90 users and 54 items, the data have 90 users and 50.*with features can not"):
        recsys.adopt(more, DATA)


def test_lightfm_without_a_fit_is_refused(lightfm):
    with pytest.raises(ParameterError, match=r"not trained yet.*lightfm\.LightFM"):
        recsys.adopt(lightfm.LightFM(), DATA)


# ---- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_model_that_is_not_trained_is_refused(name):
    with threadpool_limits(limits=1, user_api="blas"), pytest.raises(ParameterError, match=f"not trained yet.*{name}"):
        recsys.adopt(MAKERS[name](), DATA)


def test_a_model_of_the_transposed_matrix_is_refused():
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = AlternatingLeastSquares(factors=3, iterations=1, **ONE)
        theirs.fit(matrix_of(DATA).T.tocsr(), show_progress=False)
    with pytest.raises(DataError, match="has 50 users and 90 items, the data .* 50 items: was it trained on the transposed"):
        recsys.adopt(theirs, DATA)


def test_a_model_of_other_data_is_refused():
    with pytest.raises(DataError, match=r"90 users and 50 items, the data have 60 users and 40 items\. Hint"):
        recsys.adopt(trained("implicit.als"), random_interactions())


def test_a_vector_that_is_not_finite_is_refused_by_name():
    theirs = trained("implicit.als")
    theirs.user_factors[4, 2] = np.nan
    with pytest.raises(DataError, match="vector of user_id 'u4' is not finite"):
        recsys.adopt(theirs, DATA)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (object.__new__(OnGpu), r"on the CPU\. Got implicit\.gpu\.als\..*Hint: adopt\(model\.to_cpu\(\), data\)"),
        (CosineRecommender(), r"Got implicit\.nearest_neighbours\.CosineRecommender\. Hint: .*recsys\.ItemKNN"),
        (AlternatingLeastSquares, r"adopt takes a trained Alt.*Got builtins\.function\.$"),
        (None, r"Got builtins\.NoneType\.$"),
    ],
)
def test_anything_else_is_refused_with_the_next_step(given, message):
    with pytest.raises(ParameterError, match=message):
        recsys.adopt(given, DATA)


def test_of_an_index_around_a_model_the_model_inside_is_asked_for():
    around = pytest.importorskip("implicit.ann.faiss").FaissModel(trained("implicit.als"))
    with pytest.raises(ParameterError, match=r"Got implicit\.ann\.faiss\.FaissModel\. Hint: adopt\(model\.model, data\)"):
        recsys.adopt(around, DATA)


def test_data_must_be_interactions_and_hold_some():
    with pytest.raises(InputError, match="adopt"):
        recsys.adopt(trained("implicit.als"), matrix_of(DATA))
    bare = DATA.select(np.zeros(len(DATA), bool)).with_ids(users=DATA.users, items=DATA.items)
    with pytest.raises(DataError, match="no interactions in these data"):
        recsys.adopt(trained("implicit.als"), bare)


# ---- what is doubted -----------------------------------------------------------------------------------------------------


def test_users_in_other_positions_than_those_trained_on_are_warned_of():
    data = random_interactions(n_users=300, n_items=80, density=0.25, seed=2)
    theirs = trained("implicit.als", data)
    shuffled = matrix_of(data)[np.random.default_rng(0).permutation(300)]
    with pytest.warns(UserWarning, match=r"hardly tells .* (49|50|51|52|53|54)% score higher .* trained on data\.to_csr"):
        recsys.adopt(theirs, Interactions.from_csr(shuffled, users=data.users.to_numpy(), items=data.items.to_numpy()))


def test_dislikes_are_adopted_without_folding_in():
    signed = matrix_of(DATA)
    signed.data[::9] *= -1
    data = Interactions.from_csr(signed)
    theirs = trained("implicit.als", data)
    with pytest.warns(UserWarning, match="Weights below 0 mean dislikes to implicit"):
        ours = recsys.adopt(theirs, data)
    assert ours.fold_in_method is None
    np.testing.assert_allclose(all_scores(ours), theirs.user_factors @ theirs.item_factors.T, rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match=r"'implicit\.als' can not fold in"):
        ours.recommend_basket([3])


def test_a_class_derived_from_a_known_one_is_taken_as_that():
    theirs = trained("implicit.als")
    theirs.__class__ = type("Tuned", (type(theirs),), {})
    ours = recsys.adopt(theirs, DATA)
    assert ours.trainer_name == "implicit.als"
    assert ours.provenance["adopted"]["class"].endswith("Tuned")
