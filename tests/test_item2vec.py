"""Item2Vec: sequences by time and session, what is given to gensim, determinism, and what the trainer promises."""

import hashlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, MissingExtraError, ParameterError
from recsys.fold_in import CrossedMean, Rows, fold_in_arrays, fold_in_from, fold_in_to
from recsys.trainers import item2vec
from recsys.trainers.sequences import sequences_of

pytest.importorskip("gensim")

SMALL = {"factors": 4, "iterations": 3, "subsampling": 0.0}


def timed(rows):
    """Interactions from (user, item, time of day)."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    frame["timestamp"] = pd.to_datetime("2024-03-01 " + frame["timestamp"])
    return recsys.read_interactions(frame)


DAY = timed(
    [
        ("u", "c", "10:00"), ("u", "a", "10:20"), ("u", "b", "12:00"), ("u", "d", "12:30"),
        ("v", "d", "09:00"), ("v", "a", "09:30"), ("w", "a", "08:00"),
    ]
)  # fmt: skip


def as_texts(data, **options):
    found = sequences_of(data, wanted_by="Item2Vec", **{"order": "auto", "session_gap": None} | options)
    names = data.items.to_numpy()[found.items]
    return ["".join(names[a:b]) for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)], found


def test_a_users_items_stand_in_order_of_time_and_lone_ones_are_left_out():
    texts, found = as_texts(DAY)
    assert texts == ["cabd", "da"]
    assert found.ordered
    assert found.users_left_out == 1


def test_a_longer_pause_begins_a_new_sequence():
    assert as_texts(DAY, session_gap="1h")[0] == ["ca", "bd", "da"]
    assert as_texts(DAY, session_gap=30 * 60)[0] == ["ca", "bd", "da"]
    with pytest.warns(UserWarning, match=r"learns nothing of 2 of 3 users, who have no two items within one session"):
        texts, found = as_texts(DAY, session_gap="25min")
    assert texts == ["ca"]
    assert found.users_left_out == 2


def test_rare_items_are_left_out_before_sequences_are_made():
    assert as_texts(DAY, min_count=2)[0] == ["ad", "da"]


def test_pairs_of_weight_0_were_not_observed():
    data = recsys.read_interactions(pd.DataFrame({"user_id": 1, "item_id": ["a", "b", "c"], "weight": [1.0, 0.0, 2.0]}))
    assert as_texts(data)[0] == ["ac"]


def test_without_order_items_stand_as_a_set():
    texts, found = as_texts(DAY, order="none")
    assert [sorted(text) for text in texts] == [list("abcd"), list("ad")]
    assert not found.ordered
    assert not as_texts(random_interactions(strings=True))[1].ordered


def test_an_item_that_came_again_stands_at_its_latest_event():
    data = timed([("u", "a", "10:00"), ("u", "b", "11:00"), ("u", "a", "12:00")])
    assert as_texts(data)[0] == ["ba"]


def test_what_follows_each_other_in_time_becomes_alike_although_all_users_have_all_items():
    """Two chains of items; every user has both chains whole, one after the other: only order tells them apart."""
    generator = np.random.default_rng(0)
    rows = []
    for user in range(150):
        for chain in (0, 1):
            order = generator.permutation(8)
            rows += [(user, f"{'xy'[chain]}{item}", 1e6 * chain + float(place)) for place, item in enumerate(order)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    data = recsys.read_interactions(frame)
    settings = {"factors": 8, "iterations": 15, "window": 2, "subsampling": 0.0, "session_gap": 100.0}
    model = recsys.Item2Vec(**settings).fit(data)
    table = model.similar_items(k=7)
    assert (table.item_id.str[0] == table.similar_item_id.str[0]).mean() > 0.9


def test_the_loss_falls():
    losses = []
    trainer = recsys.Item2Vec(factors=8, iterations=12, subsampling=0.0, track_loss=True)
    trainer.fit(random_interactions(), callback=lambda epoch: losses.append(epoch.measured["loss"]))
    assert losses[-1] < 0.95 * losses[0]


def test_an_epoch_at_a_time_is_what_gensim_does_in_one_go():
    """Draws differ, since those of its loop come from one stream: what is compared is how the learning rate falls."""
    from gensim.models.word2vec import Word2Vec

    data = random_interactions(timestamps=True)
    run = recsys.Item2Vec(factors=4, iterations=4, subsampling=0.0).start(data)
    rates = []

    class Spy:
        @staticmethod
        def train_batch_sg(handle, sentences, rate, work, loss):
            rates.append(rate)

    run._gensim = Spy
    for _ in range(4):
        run.train_epoch()
    peer = Word2Vec(alpha=0.1, min_alpha=1e-4)
    peer.epochs = 4
    assert rates == pytest.approx([peer._get_next_alpha(0.0, epoch) for epoch in range(4)])


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    program = textwrap.dedent(
        """
        import hashlib, sys
        sys.path.insert(0, sys.argv[1])
        import recsys
        from conftest import random_interactions
        model = recsys.Item2Vec(factors=4, iterations=3, subsampling=0.01).fit(random_interactions(strings=True))
        print(hashlib.sha256(model.item_embeddings.vectors.tobytes()).hexdigest())
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", program, os.path.dirname(__file__)], env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    model = recsys.Item2Vec(factors=4, iterations=3, subsampling=0.01).fit(random_interactions(strings=True))
    assert found.stdout.strip() == hashlib.sha256(model.item_embeddings.vectors.tobytes()).hexdigest()
    other = recsys.Item2Vec(factors=4, iterations=3, subsampling=0.01, random_state=2**40).fit(
        random_interactions(strings=True)
    )
    assert other.item_embeddings.vectors.tobytes() != model.item_embeddings.vectors.tobytes()


@pytest.mark.parametrize("timestamps", [False, True])
def test_an_interrupted_training_goes_on_to_the_same_bytes(tmp_path, timestamps):
    data, trainer = random_interactions(timestamps=timestamps), recsys.Item2Vec(**SMALL)

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, checkpoint=tmp_path / "state", callback=interrupt)
    resumed = trainer.fit(data, checkpoint=tmp_path / "state", resume=True)
    assert resumed.item_embeddings.vectors.tobytes() == trainer.fit(data).item_embeddings.vectors.tobytes()


def test_several_threads_train_too(data, monkeypatch):
    monkeypatch.setattr(item2vec, "_BATCH_ITEMS", 40)
    model = recsys.Item2Vec(factors=8, iterations=10, subsampling=0.0, num_threads=3).fit(data)
    own = model.item_embeddings.vectors
    assert np.isfinite(own).all()
    assert own.any(axis=1).all()


def test_early_stopping_judges_each_epoch():
    cut = recsys.split.random(random_interactions(), test_fraction=0.2, random_state=0)
    stopping = recsys.EarlyStopping(cut.test, "ndcg@5", patience=1)
    model = recsys.Item2Vec(factors=4, iterations=20).fit(cut.train, callback=stopping)
    assert model.provenance["training"]["epochs"] == stopping.best_epoch


@pytest.mark.parametrize("lengths", [[3, 25, 2], [40], [10, 10, 10, 1], [2, 2]])
def test_batches_take_every_place_once_and_hold_no_more_than_gensim_takes(lengths, monkeypatch):
    monkeypatch.setattr(item2vec, "_BATCH_ITEMS", 10)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    cut = item2vec._cut(starts)
    assert set(starts) <= set(cut)
    batches = item2vec._batches(cut)
    assert [first for first, _ in batches] == [0, *[last for _, last in batches[:-1]]]
    assert batches[-1][1] == len(cut) - 1
    assert all(0 < cut[last] - cut[first] <= 10 for first, last in batches)


def test_items_beside_no_other_get_a_vector_of_zeros():
    model = recsys.Item2Vec(**SMALL, min_count=2).fit(DAY)
    known = dict(zip(model.items.to_numpy(), model.item_embeddings.vectors.any(axis=1), strict=True))
    assert known == {"a": True, "b": False, "c": False, "d": True}
    assert model.user_embeddings["w"].any()


def test_the_score_is_the_mean_of_the_trained_products(data):
    run = recsys.Item2Vec(**SMALL).start(data)
    for _ in range(3):
        run.train_epoch()
    inputs, outputs = (half.astype(np.float64) for half in (run._word2vec.wv.vectors, run._word2vec.syn1neg))
    model = recsys.Item2Vec(**SMALL).fit(data)
    products = inputs @ outputs.T + outputs @ inputs.T
    row = slice(*data.indptr[5:7])
    weights = data.weights[row].astype(np.float64)
    wanted = weights @ products[data.indices[row]] / weights.sum()
    scores = model.item_embeddings.vectors @ model.user_embeddings.vectors[5]
    np.testing.assert_allclose(scores, wanted, atol=1e-5)


def test_trained_users_equal_folded_in_ones_and_contributions_sum_to_the_score(data, tmp_path):
    recsys.Item2Vec(**SMALL).fit(data).save(tmp_path / "model")
    model = recsys.load(tmp_path / "model")
    solved = model.fold_in_method.solve(Rows.of(data, "users"), model.item_embeddings.vectors)
    np.testing.assert_allclose(solved, model.user_embeddings.vectors, atol=1e-6)
    user, item = data.users.to_numpy()[3], data.items.to_numpy()[7]
    table = model.explain(user, item, k=None)
    score = float(model.user_embeddings[user] @ model.item_embeddings[item])
    assert table.contribution.sum() == pytest.approx(score, abs=1e-5)


def test_reasons_of_whole_lists_are_those_of_explain(data):
    model = recsys.Item2Vec(**SMALL).fit(data)
    user = data.users.to_numpy()[5]
    listed = model.recommend([user], k=3, with_reasons=2)
    for item, reasons in zip(listed.item_id, listed.reasons, strict=True):
        explained = model.explain(user, item, k=2)
        positive = explained[explained.contribution > 0]
        assert [reason["item_id"] for reason in reasons] == positive.item_id.tolist()
        assert [reason["contribution"] for reason in reasons] == pytest.approx(positive.contribution.tolist(), rel=1e-3)


def test_a_turned_model_folds_in_to_the_same_scores(data):
    model = recsys.Item2Vec(**SMALL).fit(data)
    other = recsys.Item2Vec(**SMALL, random_state=1).fit(data)
    turned = model.align_to(other)
    rows = Rows.of(data, "users")
    solved = turned.fold_in_method.solve(rows, turned.item_embeddings.vectors)
    np.testing.assert_allclose(solved, turned.user_embeddings.vectors, atol=1e-4)
    assert np.abs(turned.item_embeddings.vectors - model.item_embeddings.vectors).max() > 0.01


def test_a_crossed_mean_is_saved_with_its_matrix():
    method = CrossedMean.of_halves(2)
    assert method.form.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]
    arrays = fold_in_arrays(method)
    again = fold_in_from(fold_in_to(method), arrays.__getitem__)
    assert isinstance(again, CrossedMean)
    assert again.form.tolist() == method.form.tolist()


def test_a_mean_of_no_weight_is_zeros():
    rows = Rows(np.array([0, 0, 2]), np.array([0, 1], np.int32), np.zeros(2, np.float32))
    assert not CrossedMean.of_halves(1).solve(rows, np.ones((2, 2), np.float32)).any()


def test_a_missing_gensim_is_said_with_the_extra(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models.word2vec", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(MissingExtraError, match=r"The trainer 'item2vec' needs an optional package.*recsys\[word2vec\]"):
        recsys.Item2Vec().fit(data)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"order": "time"}, DataError, "Item2Vec with order='time' needs timestamps"),
        ({"session_gap": "1h"}, DataError, "Item2Vec with session_gap needs timestamps"),
        ({"session_gap": "soon"}, ParameterError, "`session_gap` must be a positive length of time"),
        ({"order": "random"}, ParameterError, "`order` parameter of Item2Vec must be 'auto', 'time', 'none'"),
        ({"subsampling": 1.0}, ParameterError, "must be a share of all events, below 1"),
        ({"window": 0}, ParameterError, "must be an int >= 1"),
        ({"min_count": 1000}, DataError, r"two items that 1000 or more have \(min_count\)\. Hint: "),
        ({"factors": 5000}, ParameterError, "more factors than the data have"),
    ],
)
def test_what_is_wrong_is_said(data, settings, error, message):
    with pytest.raises(error, match=message):
        recsys.Item2Vec(**settings).fit(data)


def test_users_with_one_item_each_are_no_training_data():
    frame = pd.DataFrame({"user_id": [1, 2, 3], "item_id": ["a", "b", "a"]})
    with pytest.raises(DataError, match="learns from what users have together, and none of 3 users has two items"):
        recsys.Item2Vec().fit(recsys.read_interactions(frame))
