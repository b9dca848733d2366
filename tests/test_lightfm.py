"""LightFM: the kernels against their slow twin, biases and features in the scores, cold start, going on where it stopped."""

import warnings

import naive
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import random_interactions

import recsys
from recsys.errors import DataError, InputError, ParameterError, UnknownIdError
from recsys.fold_in.descent import LOSSES, Descent
from recsys.kernels import hybrid

DATA = random_interactions()
ITEMS = pd.DataFrame({"item_id": DATA.items.to_numpy(), "group": np.where(np.arange(40) % 2, "odd", "even")})
USERS = pd.DataFrame({"user_id": DATA.users.to_numpy(), "side": np.where(np.arange(60) % 2, "left", "right")})
SMALL = {"factors": 6, "iterations": 5}


def with_features(data=DATA):
    items = recsys.Features.from_table(ITEMS, ids=data.items)
    return data.with_features(items=items, users=recsys.Features.from_table(USERS, ids=data.users))


def side(n_rows, n_features, width, generator):
    """A side of the kernels, and the same as (dense features, table) in float64."""
    dense = np.hstack([generator.integers(0, 3, (n_rows, n_features)), np.eye(n_rows)]).astype(np.float32)
    matrix = scipy.sparse.csr_array(dense)
    table = generator.normal(0, 0.5, (dense.shape[1], width)).astype(np.float32)
    parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, table)
    return parts, (dense.astype(np.float64), table.astype(np.float64))


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("schedule", ["adagrad", "adadelta"])
def test_the_kernels_take_the_steps_of_their_slow_twin(loss, schedule):
    generator = np.random.default_rng(3)
    width, n_users, n_items, n = 5, 6, 9, 40
    likes = {user: sorted(generator.choice(n_items, 4, replace=False).tolist()) for user in range(n_users)}
    rows = generator.integers(n_users, size=n).astype(np.int32)
    columns = np.array([generator.choice(likes[user]) for user in rows], np.int32)
    importance = generator.uniform(0.5, 2, n).astype(np.float32)
    liked = generator.integers(0, 2, n).astype(np.float32)
    candidates = generator.integers(n_items, size=(n, 4)).astype(np.int32)
    picks = generator.random((n, 3), dtype=np.float32)
    sides, twins = zip(side(n_users, 2, width, generator), side(n_items, 3, width, generator), strict=True)
    start = np.float32(schedule == "adagrad")
    users, items = ((*parts, np.full_like(parts[3], start), np.zeros_like(parts[3])) for parts in sides)
    settings = np.array([0.1, 0.95, 1e-6, 0.01, 0.02], np.float32)
    code = {"adagrad": hybrid.ADAGRAD, "adadelta": hybrid.ADADELTA}[schedule]
    if loss == "logistic":
        hybrid.logistic_steps(rows, columns, liked, importance, users, items, settings, code)
    else:
        indptr = np.arange(n_users + 1) * 4
        indices = np.concatenate([likes[user] for user in range(n_users)]).astype(np.int32)
        costs = np.minimum(np.log(np.maximum(np.arange(n_items), 1)), 10).astype(np.float32)
        lists = (rows, columns, importance, indptr, indices, candidates, picks, costs)
        assert 0 < hybrid.pairwise_steps(*lists, users, items, settings, code, LOSSES[loss], 2) <= n
    examples = list(zip(rows, columns, importance.astype(np.float64), liked, strict=True))
    adadelta = (0.95, 1e-6) if schedule == "adadelta" else None
    naive.hybrid_steps(examples, likes, candidates, picks, *twins, loss, 0.1, (0.01, 0.02), 2, adadelta)
    for moved, twin in zip((users, items), twins, strict=True):
        np.testing.assert_allclose(moved[3], twin[1], rtol=2e-3, atol=2e-4)


@pytest.mark.compiled
@pytest.mark.parametrize("loss", ["warp", "bpr", "warp-kos"])
def test_it_finds_the_two_taste_groups(loss):
    data = random_interactions(density=0.3)
    train, test = recsys.split.random(data, test_fraction=0.2, random_state=0)
    model = recsys.LightFM(loss=loss, factors=8, iterations=20).fit(train)
    popular = recsys.Popularity().fit(train)
    found = [recsys.evaluate(one, test, ["ndcg@10"]).summary()["mean"].iloc[0] for one in (model, popular)]
    assert found[0] > found[1] + 0.05


@pytest.mark.compiled
def test_logistic_tells_dislikes_from_likes():
    frame = DATA.to_frame().assign(weight=1.0)
    disliked = frame.assign(
        item_id=frame.item_id.map(lambda item: item + 7 if (item - 5) // 7 % 2 == 0 else item - 7), weight=-1.0
    )
    events = pd.concat([frame, disliked[disliked.item_id.isin(ITEMS.item_id)]]).drop_duplicates(["user_id", "item_id"])
    data = recsys.read_interactions(events, user="user_id", item="item_id", weight="weight")
    model = recsys.LightFM(loss="logistic", factors=8, iterations=30).fit(data)
    scores = model.score(events.user_id, events.item_id)
    assert scores[events.weight > 0].mean() > 1 > -1 > scores[events.weight < 0].mean()


def test_all_positive_weights_with_the_logistic_loss_are_warned_of():
    with pytest.warns(UserWarning, match="learns that everybody likes everything"):
        recsys.LightFM(loss="logistic", **SMALL).fit(DATA)


@pytest.mark.compiled
def test_disliked_items_say_nothing_to_ranking_losses_but_may_be_rivals():
    frame = DATA.to_frame()
    frame.loc[::3, "weight"] *= -1
    signed = recsys.read_interactions(frame, user="user_id", item="item_id", weight="weight")
    model = recsys.LightFM(factors=8, iterations=30).fit(signed)
    scores = model.score(frame.user_id, frame.item_id)
    assert scores[frame.weight > 0].mean() > scores[frame.weight < 0].mean() + 0.5
    with pytest.raises(DataError, match="learns from weights above 0, and there are none"):
        recsys.LightFM(**SMALL).fit(DATA.weighted(lambda weights: -weights))


def test_weights_count_only_when_asked_for():
    light = recsys.LightFM(**SMALL)
    assert light.fit(DATA).fingerprint != recsys.LightFM(use_weights=True, **SMALL).fit(DATA).fingerprint
    same = light.fit(DATA.binarize()).item_embeddings.vectors
    np.testing.assert_array_equal(same, light.fit(DATA).item_embeddings.vectors)


def test_vectors_carry_biases_as_columns_and_are_sums_over_features():
    model = recsys.LightFM(**SMALL).fit(with_features())
    users, items = model.user_embeddings.vectors, model.item_embeddings.vectors
    assert (users.shape, items.shape) == ((60, 8), (40, 8))
    assert (users[:, -1] == 1).all()
    assert (items[:, -2] == 1).all()
    assert np.abs(items[:, -1]).max() > 0.01
    # Two items of one kind are more alike than two of different kinds, since they share a vector.
    neighbours = model.similar_items(k=5)
    kind = dict(zip(ITEMS.item_id, ITEMS.group, strict=True))
    assert (neighbours.item_id.map(kind) == neighbours.similar_item_id.map(kind)).mean() > 0.6


def test_scores_are_those_of_the_library_for_the_same_vectors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightfm = pytest.importorskip("lightfm", reason="the library can not be imported here", exc_type=ImportError)
    data = with_features()
    model = recsys.LightFM(own_vectors=False, **SMALL).fit(data)
    peer = lightfm.LightFM(no_components=6)
    tables = {"user": model.fold_in_method.user_table, "item": model.fold_in_method.item_table}
    for name, table in tables.items():
        for part, values in (("embeddings", table[:, :-1]), ("biases", table[:, -1])):
            setattr(peer, f"{name}_{part}", np.ascontiguousarray(values))
        for part in ("embedding_gradients", "embedding_momentum", "bias_gradients", "bias_momentum"):
            setattr(peer, f"{name}_{part}", np.zeros_like(table[:, :-1] if "embedding" in part else table[:, -1]))
    users, items = np.repeat(np.arange(60), 40).astype(np.int32), np.tile(np.arange(40), 60).astype(np.int32)
    features = {}
    for name, found in (("user", data.user_features), ("item", data.item_features)):
        parts = (found.values.copy(), found.indices.copy(), found.indptr.astype(np.int32))
        features[f"{name}_features"] = scipy.sparse.csr_matrix(parts, shape=(len(found), found.n_features))
    theirs = peer.predict(users, items, **features)
    ours = model.score(data.users.to_numpy()[users], data.items.to_numpy()[items])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("schedule", ["adagrad", "adadelta"])
def test_an_interrupted_training_goes_on_to_the_same_bytes(tmp_path, schedule):
    trainer, data = recsys.LightFM(factors=4, iterations=6, schedule=schedule), with_features()

    def interrupt(epoch):
        assert 0 <= epoch.measured["moved"] <= 1
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, checkpoint=tmp_path / "state", callback=interrupt)
    epochs = []
    resumed = trainer.fit(data, checkpoint=tmp_path / "state", resume=True, callback=lambda epoch: epochs.append(epoch.number))
    assert epochs == [4, 5, 6]
    assert resumed.fingerprint == trainer.fit(data).fingerprint


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    first, second = (recsys.LightFM(random_state=1, **SMALL).fit(DATA).fingerprint for _ in range(2))
    assert first == second != recsys.LightFM(random_state=2, **SMALL).fit(DATA).fingerprint


# ---- new items and users -----------------------------------------------------------------------------------------------


def test_new_items_are_known_by_their_features_alone(tmp_path):
    model = recsys.LightFM(**SMALL).fit(with_features())
    new = pd.DataFrame({"item_id": [9001, 9002, 5], "group": ["odd", "even", "odd"]})
    model.save(tmp_path / "model")
    for known in (model, recsys.load(tmp_path / "model")):
        grown = known.add_items(new)
        assert grown.items.to_numpy()[40:].tolist() == [9001, 9002]
        assert len(model.items) == 40
        vectors = grown.item_embeddings
        np.testing.assert_array_equal(vectors[5], model.item_embeddings[5])
        table, names = known.fold_in_method.item_table, known.history.item_features.names
        row = table[names.index("group=odd")]
        np.testing.assert_allclose(vectors[9001], [*row[:-1], 1, row[-1]], rtol=1e-6)
        # Users of the group that has odd items see the new odd item before the new even one.
        ranked = grown.recommend(only_items=[9001, 9002], k=1)
        odd_users = ranked[ranked.user_id.isin(USERS[USERS.side == "left"].user_id)]
        assert (odd_users.item_id == 9001).mean() > 0.8
        assert grown.history.item_features.ids == grown.items
        assert grown.provenance["added_by_features"] == {"of": "items", "n": 2}


def test_new_users_are_known_by_their_features_alone():
    model = recsys.LightFM(**SMALL).fit(with_features())
    grown = model.add_users(pd.DataFrame({"user_id": [1, 2], "side": ["left", "right"]}))
    listed = grown.recommend([1, 2], k=10)
    odd = listed.item_id.map(dict(zip(ITEMS.item_id, ITEMS.group, strict=True))) == "odd"
    assert odd[listed.user_id == 1].mean() > odd[listed.user_id == 2].mean()
    assert grown.indexes is model.indexes


def test_unseen_categories_and_items_of_which_nothing_is_known_are_named():
    model = recsys.LightFM(**SMALL).fit(with_features())
    strange = pd.DataFrame({"item_id": [9001, 9002], "group": ["odd", "prime"]})
    with (
        pytest.warns(UserWarning, match="1 value is of a category that"),
        pytest.raises(DataError, match=r"1 of 2 .* 9002\. Hint"),
    ):
        model.add_items(strange)
    with pytest.warns(UserWarning, match="'group=prime'"):
        grown = model.add_items(strange, unknown="skip")
    assert grown.items.to_numpy()[-1] == 9001
    with pytest.raises(UnknownIdError, match="knows all items of the features already"):
        model.add_items(ITEMS)
    with pytest.raises(ParameterError, match="'raise' or 'skip'"):
        model.add_items(strange, unknown="ignore")


def test_a_category_that_no_trained_item_has_counts_as_nothing_known():
    features = recsys.Features.from_table(pd.concat([ITEMS, pd.DataFrame({"item_id": [9001], "group": ["prime"]})]))
    model = recsys.LightFM(**SMALL).fit(DATA.with_features(items=features))
    with pytest.raises(DataError, match="have no feature that was trained on: 9001"):
        model.add_items(features)


def test_a_model_without_features_says_that_it_can_not_know_items_by_them():
    for model in (recsys.LightFM(**SMALL).fit(DATA), recsys.ALS(factors=4).fit(DATA)):
        with pytest.raises(InputError, match=r"without features of items can not know new items by them. Hint: recsys.LightFM"):
            model.add_items(ITEMS)
    only_items = recsys.LightFM(**SMALL).fit(DATA.with_features(items=recsys.Features.from_table(ITEMS)))
    with pytest.raises(InputError, match="without features of users"):
        only_items.add_users(USERS)
    unused = recsys.LightFM(use_features=False, **SMALL).fit(with_features())
    with pytest.raises(InputError, match="without features of items"):
        unused.add_items(ITEMS)


def test_features_in_other_columns_are_refused():
    model = recsys.LightFM(**SMALL).fit(with_features())
    other = recsys.Features.from_table(pd.DataFrame({"item_id": [9001], "group": ["odd"]}))
    with pytest.raises(DataError, match=r"not those that the model was trained on: 'group=odd' here"):
        model.add_items(other)


def test_without_own_vectors_items_of_the_same_features_are_the_same():
    model = recsys.LightFM(own_vectors=False, **SMALL).fit(DATA.with_features(items=recsys.Features.from_table(ITEMS)))
    assert len(np.unique(model.item_embeddings.vectors, axis=0)) == 2
    bare = recsys.Features.from_table(ITEMS.head(30))
    with pytest.raises(DataError, match=r"needs features of each item_id, and 10 have none: .* Hint: own_vectors=True"):
        recsys.LightFM(own_vectors=False, **SMALL).fit(DATA.with_features(items=bare, missing="zero"))


def test_aligned_models_place_new_items_where_turned_ones_lie():
    model = recsys.LightFM(**SMALL).fit(with_features())
    other = recsys.LightFM(random_state=5, **SMALL).fit(with_features())
    new = pd.DataFrame({"item_id": [9001], "group": ["odd"]})
    turned = model.align_to(other)
    scores = [one.add_items(new).score(DATA.users.to_numpy(), 9001) for one in (model, turned)]
    assert np.abs(turned.fold_in_method.item_table - model.fold_in_method.item_table).max() > 0.01
    np.testing.assert_allclose(*scores, atol=1e-5)


@pytest.mark.compiled
def test_held_out_items_are_ranked_better_than_by_popularity():
    data = recsys.datasets.load_debian().k_core(users=5, items=5)
    features = recsys.Features.from_table(
        recsys.datasets.debian_items(), multi_valued={"tags": " "}, ids=data.items, missing="zero"
    )
    parts = recsys.split.items(data.with_features(items=features), test_fraction=0.2, random_state=0)
    # New items come in no order: the log's begins with the popular ones, and equal scores go by it.
    shuffled = parts.test.item_features.take(np.random.default_rng(0).permutation(parts.test.n_items))
    model = recsys.LightFM(factors=16, iterations=5).fit(parts.train).add_items(shuffled, unknown="skip")
    new = model.items.to_numpy()[parts.train.n_items :]
    test = parts.test.filter(items=new)
    test = test.filter(users=[user for user in test.users.to_numpy()[:3000] if user in model.users])

    def ndcg(one):
        listed = one.recommend(test.users.to_numpy(), only_items=new, k=10)
        return recsys.evaluate(recsys.evaluation.GivenLists.from_frame(listed), test, ["ndcg@10"])

    popular = recsys.Popularity().fit(parts.train.with_ids(items=model.items))
    by_features, by_popularity = (ndcg(one).summary().iloc[0] for one in (model, popular))
    assert by_features["low"] > by_popularity["high"]


# ---- new users by events -----------------------------------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_users_folded_in_by_events_do_not_depend_on_others_or_threads(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = recsys.LightFM(loss=loss, **SMALL).fit(DATA)
    strangers = recsys.Interactions.from_csr(DATA.to_csr(), users=DATA.users.to_numpy() + 50_000, items=DATA.items)
    together = model.fold_in(strangers, num_threads=2).user_embeddings.vectors[60:]
    assert np.isfinite(together).all()
    assert np.abs(together[:, :-2]).max() > 0
    alone = model.fold_in(strangers.filter(users=[50_000 + 1007]), num_threads=1).user_embeddings.vectors[60:]
    np.testing.assert_array_equal(alone[0], together[7])


@pytest.mark.compiled
def test_folded_in_users_are_ranked_better_than_by_popularity():
    data = random_interactions(n_users=300, density=0.3)
    parts = recsys.split.users(data, test_fraction=0.2, random_state=0)
    for loss in ("warp", "bpr"):
        trainers = (recsys.LightFM(loss=loss, factors=8, iterations=10), recsys.Popularity())
        found = [recsys.evaluate_new_users(one, parts, ["ndcg@10"]).summary()["mean"].iloc[0] for one in trainers]
        assert found[0] > found[1] + 0.05


def test_what_it_can_not_do_is_said():
    model = recsys.LightFM(**SMALL).fit(with_features())
    events = DATA.filter(items=[5])
    with pytest.raises(InputError, match="gets to know new items by their features, not by events. Hint: model.add_items"):
        model.fold_in(events, of="items")
    with pytest.raises(InputError, match="'lightfm' can not explain"):
        model.explain(1000, 5)
    left = model.forget(users=[1000])
    np.testing.assert_array_equal(left.item_embeddings.vectors, model.item_embeddings.vectors)
    assert left.history.user_features.ids == left.users


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "'warp', 'bpr', 'warp-kos', 'logistic'. Got 'hinge'"),
        ({"schedule": "adam"}, "'adagrad', 'adadelta'"),
        ({"factors": 0}, "int >= 1"),
        ({"learning_rate": 0}, "finite number > 0"),
        ({"item_regularization": -1}, "finite number >= 0"),
        ({"kth_positive": 11}, "at most positives_sampled = 10"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ParameterError, match=message):
        recsys.LightFM(**settings)


def test_one_user_one_item_and_nobody_left_to_be_a_rival():
    one = recsys.Interactions.from_csr(np.ones((1, 1)))
    assert recsys.LightFM(factors=2).fit(one).recommend(exclude_seen=False).shape == (1, 4)
    full = recsys.Interactions.from_csr(np.ones((3, 3)))
    model = recsys.LightFM(factors=2, loss="bpr").fit(full)
    assert np.isfinite(model.item_embeddings.vectors).all()


def test_what_is_saved_of_the_steps_is_what_was_trained_with():
    model = recsys.LightFM(**SMALL).fit(DATA)
    assert model.fold_in_method.descent == recsys.LightFM(**SMALL).descent
    assert isinstance(model.fold_in_method.descent, Descent)
