"""Models of weights between items (`ItemKNN`, `EASE`, `RP3beta`): all that a model promises, without vectors."""

import json
from dataclasses import replace

import naive
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions

import recsys
from recsys.cli import commands
from recsys.errors import DataError, FormatError, InputError, ParameterError, UnknownIdError
from recsys.ids import IdMap
from recsys.interactions import Interactions
from recsys.model import ItemItemModel, Model, load_model
from recsys.model.without_embeddings import NoEmbeddingsError
from recsys.retrieval.item_item import DenseWeights, SparseWeights
from recsys.trainers import memory

TRAINERS = {
    "ease": recsys.EASE(regularization=5.0),
    "ease, weighted": recsys.EASE(regularization=5.0, use_weights=True),
    "item-knn": recsys.ItemKNN(neighbours=6),
    "item-knn, weighted": recsys.ItemKNN(neighbours=6, use_weights=True),
    "item-knn, BARS": recsys.ItemKNN(neighbours=6, shrink=0, normalized=True, centred=True),
    "rp3beta": recsys.RP3beta(neighbours=6),
}
DATA = random_interactions(60, 40, 0.15)
MODELS = {name: trainer.fit(DATA) for name, trainer in TRAINERS.items()}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


def matrix_of(model, history=None):
    """(n_users, n_items) float64: what users are summed by."""
    matrix = (history or model.history).to_csr().toarray().astype(np.float64)
    return matrix if model.use_weights else (matrix > 0).astype(np.float64)


def dense_weights(model):
    weights = model.weights
    if isinstance(weights, DenseWeights):
        return weights.values.astype(np.float64)
    dense = np.zeros((weights.n_items, weights.n_items))
    for row, (begin, end) in enumerate(zip(weights.indptr[:-1], weights.indptr[1:], strict=True)):
        dense[row, weights.indices[begin:end]] = weights.values[begin:end]
    return dense


def all_scores(model):
    return matrix_of(model) @ dense_weights(model) + model.weights.offsets


def events(rows, **columns):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "weight"])
    return recsys.read_interactions(frame, timestamp=False, **columns)


# ---- training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_weights", [False, True])
def test_ease_is_the_formula(use_weights):
    model = recsys.EASE(regularization=5.0, use_weights=use_weights).fit(DATA)
    np.testing.assert_allclose(model.weights.values, naive.ease(matrix_of(model), 5.0), atol=1e-5)
    assert (np.diag(model.weights.values) == 0).all()


def test_ease_in_many_blocks_is_the_formula(monkeypatch):
    monkeypatch.setattr("recsys.kernels.inverse.PIVOT_ROWS", 16)
    monkeypatch.setattr("recsys.kernels.inverse._ROWS", 8)
    model = recsys.EASE(regularization=5.0).fit(DATA)
    np.testing.assert_allclose(model.weights.values, naive.ease(matrix_of(model), 5.0), atol=1e-5)


def test_ease_refuses_what_does_not_fit_and_says_how_much_it_would_need(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 5000)
    with pytest.raises(DataError, match=r"EASE on 40 items needs [\d,]+ bytes of memory, and 5,000 are available\. Hint: keep"):
        recsys.EASE().fit(DATA)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    recsys.EASE().fit(DATA)


def test_available_memory_is_a_number_of_this_machine():
    assert memory.available_bytes() > 2**20


def test_the_variant_with_deviations_is_the_formula():
    ones = matrix_of(MODELS["item-knn, BARS"])
    weights = np.zeros((40, 40))
    for item, near in enumerate(naive.nearest_items(ones, 6, similarity="cosine", shrink=0)):
        for other, likeness in near:
            weights[other, item] = likeness / sum(value for _, value in near)
    expected = ones.mean(axis=0) + (ones - ones.mean(axis=0)) @ weights
    np.testing.assert_allclose(MODELS["item-knn, BARS"].scores(np.arange(60)), expected, atol=1e-6)


@pytest.mark.parametrize("use_weights", [False, True])
@pytest.mark.parametrize(("source", "user", "target"), [(0.5, 1.0, 0.3), (1.0, 1.0, 0.0), (0.7, 0.0, 0.7)])
@pytest.mark.parametrize("neighbours", [5, 100])
def test_random_walks_are_the_formula(source, user, target, neighbours, use_weights):
    trainer = recsys.RP3beta(
        source_exponent=source, user_exponent=user, target_exponent=target, neighbours=neighbours, use_weights=use_weights
    )
    model = trainer.fit(DATA)
    expected = naive.walks(matrix_of(model), neighbours, source=source, user=user, target=target)
    np.testing.assert_allclose(dense_weights(model), expected, rtol=1e-5)


def test_whole_random_walks_are_the_published_chain_of_probabilities():
    model = recsys.RP3beta(source_exponent=0.8, user_exponent=0.8, target_exponent=0.4, neighbours=100).fit(DATA)
    ones = matrix_of(model)
    to_items, to_users = (
        (matrix / matrix.sum(axis=1, keepdims=True)) ** 0.8 for matrix in (ones, ones.T)
    )  # P of users × items and of items × users, to the power α
    reached = to_users @ to_items / ones.sum(axis=0) ** 0.4
    np.fill_diagonal(reached, 0)
    published = to_items @ reached
    scale = ones.sum(axis=1, keepdims=True) ** 0.8  # the same for all items of a user
    np.testing.assert_allclose(model.scores(np.arange(60)), published * scale, rtol=1e-4, atol=1e-6)


def test_the_symmetric_walk_gives_symmetric_weights():
    dense = dense_weights(recsys.RP3beta(source_exponent=0.5, target_exponent=0.5, neighbours=100).fit(DATA))
    np.testing.assert_allclose(dense, dense.T, rtol=1e-5)


def test_walks_from_and_to_items_that_nobody_has_are_none():
    grown = DATA.with_ids(items=DATA.items.extended([9999]))
    model = recsys.RP3beta(neighbours=6).fit(grown)
    assert np.isfinite(model.weights.values).all()
    assert dense_weights(model)[40].tolist() == dense_weights(model)[:, 40].tolist() == [0.0] * 41


@pytest.mark.parametrize("name", TRAINERS)
def test_threads_do_not_change_a_byte(name):
    models = [replace(TRAINERS[name], num_threads=threads).fit(DATA) for threads in (1, 3)]
    assert models[0].fingerprint == models[1].fingerprint == MODELS[name].fingerprint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recsys.EASE(regularization=0.0), r"`regularization` parameter of EASE must be a finite number > 0\. Got 0\.0"),
        (lambda: recsys.EASE(use_weights="yes"), "must be True or False"),
        (lambda: recsys.ItemKNN(neighbours=0), r"`neighbours` parameter of ItemKNN must be an int >= 1\. Got 0"),
        (lambda: recsys.ItemKNN(similarity="dot"), "must be 'cosine', 'jaccard'"),
        (lambda: recsys.ItemKNN(shrink=-1), "must be a finite number >= 0"),
        (lambda: recsys.ItemKNN(num_threads=0), "must be an int >= 1 or None"),
        (lambda: recsys.RP3beta(target_exponent=-1), r"`target_exponent` parameter of RP3beta must be a finite number >= 0"),
        (lambda: recsys.RP3beta(user_exponent="one"), "must be a finite number >= 0. Got 'one'"),
        (lambda: recsys.RP3beta(neighbours=1.5), "must be an int >= 1"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("trainer", [recsys.EASE(), recsys.ItemKNN(), recsys.RP3beta()], ids=lambda trainer: trainer.name)
def test_data_that_can_not_be_trained_on_are_refused(trainer):
    with pytest.raises(DataError, match="no interactions"):
        trainer.fit(DATA.filter(min_weight=100))
    with pytest.raises(DataError, match="needs weights >= 0"):
        trainer.fit(replace(DATA, weights=-DATA.weights))
    with pytest.raises(ParameterError, match="can start from a model that has vectors only"):
        trainer.partial_fit(MODELS["ease"], DATA)
    with pytest.raises(ParameterError, match="can not start from a model"):
        trainer.partial_fit(recsys.ALS(factors=2, iterations=1).fit(DATA), DATA)


def test_weights_that_overflow_are_named():
    huge = replace(DATA, weights=np.full(len(DATA), 1e30, np.float32))
    with (
        np.errstate(all="ignore"),
        pytest.raises(DataError, match=r"The training diverged: a weight of item_id \d+ is not finite"),
    ):
        recsys.EASE(use_weights=True).fit(huge)


@pytest.mark.parametrize(
    "trainer", [recsys.EASE(), recsys.ItemKNN(centred=True), recsys.RP3beta()], ids=lambda trainer: trainer.name
)
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)])
def test_one_user_and_one_item_are_enough(trainer, shape):
    model = trainer.fit(Interactions.from_csr(np.ones(shape)))
    assert model.recommend(k=5).empty
    assert len(model.recommend(k=5, exclude_seen=False)) == shape[0] * shape[1]
    assert np.isfinite(model.scores(np.arange(shape[0]))).all()


# ---- recommending -------------------------------------------------------------------------------------------------


def test_lists_hold_the_best_unseen_items_in_order_of_score(model):
    expected = all_scores(model)
    seen = DATA.to_csr().toarray() > 0
    table = model.recommend(k=7)
    for user, rows in table.groupby("user_id", sort=False):
        position = DATA.users.position(user)
        items = DATA.items.positions(rows.item_id)
        assert not seen[position, items].any()
        np.testing.assert_allclose(rows.score, expected[position, items], atol=1e-5)
        best = np.sort(np.where(seen[position], -np.inf, expected[position]))[::-1][:7]
        np.testing.assert_allclose(rows.score, best, atol=1e-5)
        assert rows["rank"].tolist() == list(range(1, 8))


def test_a_pair_has_the_score_of_its_list(model):
    table = model.recommend(k=9, exclude_seen=False)
    assert model.score(table.user_id, table.item_id).tolist() == table.score.tolist()
    whole = model.scores(DATA.users.positions(table.user_id))
    assert whole[np.arange(len(table)), DATA.items.positions(table.item_id)].tolist() == table.score.tolist()


def test_filters_hold(model):
    items = DATA.items.to_numpy()
    only = model.recommend(k=50, only_items=items[:9], exclude_items=items[:3])
    assert set(only.item_id) <= set(items[3:9])
    allow = pd.DataFrame({"user_id": DATA.users.to_numpy()[[0, 0, 5]], "item_id": items[[3, 8, 3]]})
    allowed = model.recommend(k=50, allow=allow, exclude_seen=False)
    assert set(zip(allowed.user_id, allowed.item_id, strict=True)) == set(zip(allow.user_id, allow.item_id, strict=True))
    denied = model.recommend(k=50, deny=allow, exclude_seen=False)
    assert len(denied) == 60 * 40 - 3
    assert (model.recommend(k=50, min_score=0.3).score >= 0.3).all()
    with pytest.raises(UnknownIdError, match="-1"):
        model.recommend(users=[-1])
    assert model.recommend(users=[-1], unknown="popular", k=1).score.tolist() == [DATA.item_counts.max()]


def test_what_needs_vectors_is_refused_in_a_sentence(model):
    with pytest.raises(InputError, match="`diversity` goes by how alike the vectors of items are"):
        model.recommend(diversity=0.5)
    with pytest.raises(ParameterError, match="`index` must be 'exact'. Got 'hnsw'"):
        model.recommend(index="hnsw")
    for wanted in ("user_embeddings", "item_embeddings"):
        with pytest.raises(NoEmbeddingsError, match="has no embeddings"):
            getattr(model, wanted)
    with pytest.raises(InputError, match="has no embeddings"):
        model.similar_users()
    with pytest.raises(ParameterError, match="needs a model that predicts ratings"):
        recsys.evaluate_ratings(model, DATA)


def test_calibration_and_popular_lists_work(model):
    assert len(model.recommend(k=5, calibration=0.5)) == 5 * 60


def test_a_basket_scores_as_a_new_user_would(model):
    items = DATA.items.to_numpy()[[2, 4, 30]]
    basket = model.recommend_basket(items, k=6, weights=[1, 2, 3])
    known = model.fold_in(events([(-5, item, weight) for item, weight in zip(items, (1.0, 2.0, 3.0), strict=True)]))
    user = known.recommend(users=[-5], k=6)
    assert basket.item_id.tolist() == user.item_id.tolist()
    assert basket.score.tolist() == user.score.tolist()


# ---- likeness and reasons -------------------------------------------------------------------------------------------


def test_similar_items_are_those_of_the_largest_weights(model):
    weights = dense_weights(model)
    table = model.similar_items(k=4)
    for item, rows in table.groupby("item_id"):
        column = weights[:, DATA.items.position(item)]
        np.testing.assert_allclose(rows.score, np.sort(column[column > 0])[::-1][:4], atol=1e-6)
        assert column[DATA.items.positions(rows.similar_item_id)].tolist() == rows.score.tolist()
    batches = pd.concat(model.similar_items_batches(k=4, batch_items=7), ignore_index=True)
    pd.testing.assert_frame_equal(batches, table)
    with pytest.raises(UnknownIdError):
        model.similar_items([-1])
    assert model.similar_items([], k=2).empty


def test_contributions_sum_to_the_score(model):
    user, item = DATA.users.to_numpy()[3], DATA.items.to_numpy()[8]
    table = model.explain(user, item, k=None)
    assert table.attrs["base"] + table.contribution.sum() == pytest.approx(table.attrs["score"])
    assert table.attrs["score"] == pytest.approx(float(model.score(user, item)[0]), abs=1e-6)
    assert len(table) == DATA.user_counts[3]
    assert table.contribution.is_monotonic_decreasing
    assert len(model.explain(user, item, k=2)) == 2


def test_reasons_are_the_largest_positive_contributions(model):
    table = model.recommend(k=3, with_reasons=2)
    for row in table.iloc[::17].itertuples():
        explained = model.explain(row.user_id, row.item_id, k=2)
        expected = explained[explained.contribution > 0]
        assert [reason["item_id"] for reason in row.reasons] == expected.item_id.tolist()
        np.testing.assert_allclose([reason["contribution"] for reason in row.reasons], expected.contribution, rtol=1e-6)


# ---- what is new, and what is to go -----------------------------------------------------------------------------------


def test_folding_in_users_is_exact_and_leaves_the_model(model):
    items = DATA.items.to_numpy()
    new = events([(-1, items[0], 2.0), (-1, items[5], 1.0), (1000, items[7], 1.0)])
    folded = model.fold_in(new)
    assert folded.users.to_numpy().tolist() == [*DATA.users.to_numpy(), -1]
    assert len(model.users) == 60
    np.testing.assert_allclose(folded.scores(np.arange(61)), all_scores(folded), atol=1e-5)
    assert folded.provenance["folded_in"] == {"of": "users", "n": 2, "fingerprint": new.fingerprint, "left_out": 0}
    assert folded.weights is model.weights


def test_unknown_items_of_new_users_are_named_or_skipped(model):
    new = events([(-1, -77, 2.0), (-1, DATA.items.to_numpy()[5], 1.0)])
    with pytest.raises(UnknownIdError, match="-77"):
        model.fold_in(new)
    folded = model.fold_in(new, unknown="skip")
    assert folded.provenance["folded_in"]["left_out"] == 1
    assert folded.items == model.items


def test_new_items_can_not_be_folded_in(model):
    with pytest.raises(InputError, match=r"can not fold in items: .* comes from training\. Hint: train again"):
        model.fold_in(events([(1000, -77, 1.0)]), of="items")
    with pytest.raises(ParameterError, match="`of` must be"):
        model.fold_in(DATA, of="both")
    with pytest.raises(ParameterError, match="`unknown` must be"):
        model.fold_in(DATA, unknown="drop")
    with pytest.raises(DataError, match="needs weights >= 0"):
        model.fold_in(replace(DATA, weights=-DATA.weights))


def test_history_with_new_events_adds_their_weights(model):
    grown = model.history_with(events([(1000, DATA.items.to_numpy()[7], 4.0)]))
    before = DATA.to_csr().toarray()[0, 7]
    assert grown.to_csr().toarray()[0, 7] == before + 4


def test_forgotten_users_are_gone(model):
    gone = DATA.users.to_numpy()[[0, 9]]
    left = model.forget(users=gone)
    assert not set(gone) & set(left.users.to_numpy())
    assert left.weights is model.weights
    kept = np.delete(np.arange(60), [0, 9])
    assert left.scores(np.arange(58)).tolist() == model.scores(kept).tolist()
    assert left.provenance["forgotten"]["users"] == 2


def test_forgotten_items_are_gone_from_history_and_weights(model):
    gone = [3, 20]
    left = model.forget(items=DATA.items.to_numpy()[gone])
    kept = np.delete(np.arange(40), gone)
    np.testing.assert_array_equal(dense_weights(left), dense_weights(model)[np.ix_(kept, kept)])
    np.testing.assert_allclose(left.scores(np.arange(60)), all_scores(left), atol=1e-5)
    with pytest.raises(DataError, match="at least one user and one item"):
        model.forget(items=DATA.items.to_numpy())
    with pytest.raises(UnknownIdError):
        model.forget(users=[-3])


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_saved_model_is_the_same(model, tmp_path):
    model.save(tmp_path / "m")
    for loaded in (recsys.load(tmp_path / "m"), load_model(tmp_path / "m"), ItemItemModel.load(tmp_path / "m")):
        assert isinstance(loaded, ItemItemModel)
        assert loaded.fingerprint == model.fingerprint
        assert loaded.use_weights == model.use_weights
        assert loaded.provenance == model.provenance
    pd.testing.assert_frame_equal(loaded.recommend(k=5, with_reasons=True), model.recommend(k=5, with_reasons=True))
    with pytest.raises(ParameterError, match="already exists"):
        model.save(tmp_path / "m")
    assert not loaded.weights.offsets.flags.writeable


def test_models_of_the_other_form_are_told_apart(tmp_path):
    MODELS["ease"].save(tmp_path / "items")
    recsys.ALS(factors=2, iterations=1).fit(DATA).save(tmp_path / "vectors")
    with pytest.raises(NoEmbeddingsError, match=r"items holds a model of 'ease', which has no embeddings"):
        Model.load(tmp_path / "items")
    with pytest.raises(FormatError, match="another form"):
        ItemItemModel.load(tmp_path / "vectors")
    manifest = json.loads((tmp_path / "items" / "manifest.json").read_text())
    assert manifest["attributes"]["form"] == "item-item"


def test_a_form_of_the_future_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.model.item_item.FORM", "hologram")
    MODELS["ease"].save(tmp_path / "m")
    with pytest.raises(
        FormatError, match=r"the form 'hologram'; this recsys knows 'vectors', 'item-item', 'blend'\. Hint: a newer"
    ):
        recsys.load(tmp_path / "m")


def test_a_damaged_file_is_named(tmp_path):
    MODELS["item-knn"].save(tmp_path / "m")
    path = tmp_path / "m" / "weights_values.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FormatError, match=r"weights_values\.npy is cut short"):
        recsys.load(tmp_path / "m")


def test_weights_of_other_items_are_refused():
    weights = SparseWeights(np.zeros(3, np.float32), np.zeros(4, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    with pytest.raises(DataError, match="of 3 items and the history of 40"):
        ItemItemModel(DATA, weights)


def test_fingerprints_tell_models_apart():
    assert len({model.fingerprint for model in MODELS.values()}) == len(MODELS)
    other = replace(MODELS["ease"], use_weights=True)
    assert other.fingerprint != MODELS["ease"].fingerprint


# ---- evaluating -----------------------------------------------------------------------------------------------------


def test_metrics_of_whole_rankings_go_by_the_scores():
    train, test = recsys.split.random(DATA, random_state=1)
    model = recsys.EASE(regularization=5.0).fit(train)
    result = recsys.evaluate(model, test, ["recall@10", "auc", "r_precision", "novelty@5"])
    assert np.isfinite(result.summary()["mean"]).all()
    seen, relevant = train.to_csr().toarray() > 0, test.to_csr().toarray() > 0
    columns = train.items.positions(test.items, unknown="ignore")
    for row, user in enumerate(result.users.to_numpy()):
        position = train.users.position(user)
        wanted = set(
            np.where(columns >= 0, columns, 1000 + np.arange(len(columns)))[relevant[test.users.position(user)]].tolist()
        )
        expected = naive.auc(model.scores(np.array([position]))[0], wanted, set(np.flatnonzero(seen[position])))
        assert result.values[row, 1] == pytest.approx(expected, nan_ok=True)


def test_new_users_are_judged_after_folding_in():
    parts = recsys.split.users(DATA, test_fraction=0.3, random_state=1)
    for trainer in (recsys.EASE(regularization=5.0), recsys.ItemKNN(neighbours=6)):
        trained = recsys.evaluate_new_users(trainer, parts, "recall@10")
        given = recsys.evaluate_new_users(trainer.fit(parts.train), parts, "recall@10")
        assert trained.values.tolist() == given.values.tolist()
        assert trained.values.mean() > 0


def test_tuning_and_early_stopping_take_them():
    train, valid = recsys.split.random(DATA, random_state=1)
    stop = recsys.EarlyStopping(valid, "ndcg@10")
    model = recsys.ItemKNN(neighbours=5).fit(train, callback=stop)
    assert isinstance(model, ItemItemModel)
    assert len(stop.history) == 1


def test_progress_is_shown_within_the_one_epoch(capsys):
    seen = []
    recsys.EASE().fit(DATA, progress=True, callback=lambda epoch: seen.append((epoch.number, epoch.total)))
    assert "Training ease" in capsys.readouterr().err
    assert seen == [(1, 1)]


# ---- the command line -----------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module", params=["ease", "item-knn"])
def places(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    train, test = recsys.split.random(random_interactions(strings=True), random_state=1)
    train.save(folder / "train")
    test.save(folder / "test")
    done("train", folder / "train", "--output", folder / "model", "--trainer", request.param)
    return folder


def test_recommending_from_the_command_line_gives_the_model_s_lists(places, tmp_path):
    done("recommend", places / "model", "--output", tmp_path / "lists.csv", "--k", 4)
    expected = recsys.load(places / "model").recommend(k=4)
    found = pd.read_csv(tmp_path / "lists.csv")
    assert found.item_id.tolist() == expected.item_id.tolist()


def test_evaluating_comparing_and_looking_from_the_command_line(places, tmp_path):
    done("evaluate", places / "model", "--test", places / "test", "--output", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["metrics"]
    done("train", places / "train", "--output", tmp_path / "popular", "--trainer", "popularity")
    done("compare", places / "model", tmp_path / "popular", "--test", places / "test")
    assert "similar" in done("similar", places / "model", "i3", "--k", 3).output.lower()
    done("similar", places / "model", "--all", "--output", tmp_path / "similar.csv", "--k", 3)
    assert "item-item" in done("info", places / "model").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("index", "model"),
        ("embeddings", "nearest", "model", "i3"),
        ("embeddings", "export", "model", "--output", "out.npz"),
        ("embeddings", "map", "model", "--output", "map.html"),
        ("recommend", "model", "--output", "lists.csv", "--index", "hnsw"),
        ("recommend", "model", "--output", "lists.csv", "--diversity", "0.3"),
        ("train", "train", "--output", "other", "--trainer", "ease", "--align-to", "model"),
        ("train", "train", "--output", "other", "--trainer", "als", "--align-to", "model"),
    ],
    ids=" ".join,
)
def test_what_needs_vectors_is_an_input_mistake_in_one_sentence(places, tmp_path, arguments):
    there = {"model", "train"}
    result = run(*(places / word if word in there and place else word for place, word in enumerate(arguments)))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_ids_stay_strings_from_end_to_end(places):
    model = recsys.load(places / "model")
    assert isinstance(model.users, IdMap)
    assert set(model.recommend(k=2).item_id) <= {f"i{n}" for n in range(40)}
