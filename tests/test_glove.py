"""GloVe: pairs against a naive count, steps against the written objective, and what the trainer promises."""

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import glove_loss, pair_sums

import recsys
from recsys.errors import DataError, ParameterError
from recsys.fold_in import Rows
from recsys.kernels.glove import train_bucket
from recsys.parallel import Workers
from recsys.trainers.item_pairs import BLOCKS, Cooccurrences, ItemPairs
from recsys.trainers.sequences import Sequences

SMALL = {"factors": 4, "iterations": 3}


def as_sequences(lists, *, ordered=True):
    starts = np.concatenate([[0], np.cumsum([len(items) for items in lists])]).astype(np.int64)
    return Sequences(starts, np.array([item for items in lists for item in items], np.int32), ordered, 0)


def counted_pairs(lists, n_items, *, window=None, by_distance=False, num_threads=1):
    seen = []
    with Workers(num_threads) as workers:
        counted = Cooccurrences.of(
            as_sequences(lists), n_items, window=window, by_distance=by_distance, check_size=seen.append, workers=workers
        )
    assert seen == [len(counted.columns)]
    return counted


def as_dict(counted):
    rows = np.repeat(np.arange(len(counted.indptr) - 1), np.diff(counted.indptr))
    return {(i, j): total for i, j, total in zip(rows.tolist(), counted.columns.tolist(), counted.sums.tolist(), strict=True)}


sequences_of_items = st.lists(
    st.permutations(range(7)).flatmap(lambda p: st.integers(2, 7).map(lambda n: p[:n])), min_size=1, max_size=6
)


@settings(max_examples=40)
@given(lists=sequences_of_items, window=st.sampled_from([None, 1, 2, 5]), by_distance=st.booleans())
def test_pairs_are_counted_as_the_naive_count_does(lists, window, by_distance):
    counted = counted_pairs(lists, 8, window=window, by_distance=by_distance)
    wanted = pair_sums(lists, window=window, by_distance=by_distance)
    assert as_dict(counted) == pytest.approx(wanted)
    assert counted.pair_counts().tolist() == [sum(item in pair for pair in wanted) for item in range(8)]


def test_counting_in_many_tasks_and_threads_gives_the_same_bytes(monkeypatch):
    data = random_interactions()
    lists = [data.indices[a:b].tolist() for a, b in zip(data.indptr[:-1], data.indptr[1:], strict=True)]
    once = counted_pairs(lists, data.n_items)
    monkeypatch.setattr("recsys.trainers.item_pairs._TASK_PLACES", 50)
    cut = counted_pairs(lists, data.n_items, num_threads=3)
    for name in ("indptr", "columns", "sums"):
        assert getattr(cut, name).tobytes() == getattr(once, name).tobytes()


def test_every_pair_is_dealt_once_into_the_bucket_of_its_blocks():
    data = random_interactions(n_users=30, n_items=50)
    with Workers(2) as workers:
        lists = [data.indices[a:b].tolist() for a, b in zip(data.indptr[:-1], data.indptr[1:], strict=True)]
        counted = counted_pairs(lists, data.n_items)
        pairs = ItemPairs.of(counted, 0, workers)
    items = np.argsort(pairs.numbers)
    dealt = {}
    blocks = {}
    for one in range(BLOCKS):
        for other in range(one, BLOCKS):
            for place in range(*pairs.bucket(one, other)):
                row, column = items[pairs.rows[place]], items[pairs.columns[place]]
                dealt[(min(row, column), max(row, column))] = np.exp(pairs.logs[place])
                assert blocks.setdefault(row, one) == one
                assert blocks.setdefault(column, other) == other
    assert dealt == pytest.approx(as_dict(counted))
    assert pairs.paired.sum() == len({item for pair in dealt for item in pair})


def random_tables(generator, n, dim):
    return [generator.normal(0, 0.5, (n, dim + 1)).astype(np.float32) for _ in range(2)]


def test_a_step_follows_the_gradient_of_the_written_objective():
    generator = np.random.default_rng(0)
    left, right = random_tables(generator, 3, 4)
    squares = [np.ones_like(left), np.ones_like(right)]
    before = [left.copy(), right.copy()]
    x, rate = np.float32(np.log(2.0)), np.float32(0.01)
    row, column = np.array([1], np.int32), np.array([2], np.int32)
    loss = train_bucket(
        0, 1, row, column, np.array([x]), left, right, *squares, rate, np.float32(np.log(10.0)), np.float32(0.75)
    )
    pair = {(1, 2): 2.0}

    def objective(tables):
        return glove_loss(*tables, pair, x_max=10.0, exponent=0.75)

    assert loss / 2 == pytest.approx(objective(before), rel=1e-5)
    for side, table in enumerate((left, right)):
        for place in np.ndindex(table.shape):
            ends = []
            for step in (1e-4, -1e-4):
                moved = [array.astype(np.float64) for array in before]
                moved[side][place] += step
                ends.append(objective(moved))
            slope = (ends[0] - ends[1]) / 2e-4
            # The first AdaGrad step divides by 1.
            assert (before[side][place] - table[place]) / rate == pytest.approx(slope, abs=2e-4)
            assert squares[side][place] - 1 == pytest.approx(slope**2, abs=1e-3)


def test_training_lowers_the_objective_towards_its_least():
    data = random_interactions(n_users=40, n_items=12, density=0.4)
    losses = []
    recsys.GloVe(factors=8, iterations=200, x_max=3).fit(data, callback=lambda epoch: losses.append(epoch.measured["loss"]))
    assert losses[-1] < 0.05 * losses[0]
    assert losses[-1] < losses[len(losses) // 2]


def test_the_reported_loss_is_the_objective_for_each_ordered_pair():
    data = random_interactions(n_users=20, n_items=10, density=0.4)
    trainer = recsys.GloVe(factors=3, iterations=1, learning_rate=1e-8)
    run = trainer.start(data)
    measured = run.train_epoch()["loss"]
    numbers = run._pairs.numbers
    lists = [data.indices[a:b].tolist() for a, b in zip(data.indptr[:-1], data.indptr[1:], strict=True)]
    pairs = {(numbers[i], numbers[j]): total for (i, j), total in pair_sums(lists, window=None, by_distance=False).items()}
    both = pairs | {(j, i): total for (i, j), total in pairs.items()}
    assert measured == pytest.approx(glove_loss(run._left, run._right, both, x_max=10.0, exponent=0.75) / len(both), rel=1e-4)


def test_threads_do_not_change_the_bytes():
    data = random_interactions(n_users=50, n_items=60)
    one, three = (recsys.GloVe(**SMALL, num_threads=n).fit(data) for n in (1, 3))
    assert one.item_embeddings.vectors.tobytes() == three.item_embeddings.vectors.tobytes()
    assert one.user_embeddings.vectors.tobytes() == three.user_embeddings.vectors.tobytes()
    other = recsys.GloVe(**SMALL, random_state=1).fit(data)
    assert other.item_embeddings.vectors.tobytes() != one.item_embeddings.vectors.tobytes()


def test_an_interrupted_training_goes_on_to_the_same_bytes(data, tmp_path):
    trainer = recsys.GloVe(factors=4, iterations=5)

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, checkpoint=tmp_path / "state", callback=interrupt)
    resumed = trainer.fit(data, checkpoint=tmp_path / "state", resume=True)
    assert resumed.item_embeddings.vectors.tobytes() == trainer.fit(data).item_embeddings.vectors.tobytes()


@pytest.mark.parametrize("user_vectors", ["least_squares", "mean"])
def test_trained_users_equal_folded_in_ones_and_contributions_sum_to_the_score(data, user_vectors, tmp_path):
    recsys.GloVe(**SMALL, user_vectors=user_vectors).fit(data).save(tmp_path / "model")
    model = recsys.load(tmp_path / "model")
    solved = model.fold_in_method.solve(Rows.of(data, "users"), model.item_embeddings.vectors)
    np.testing.assert_allclose(solved, model.user_embeddings.vectors, atol=1e-5)
    user, item = data.users.to_numpy()[3], data.items.to_numpy()[7]
    table = model.explain(user, item, k=None)
    score = float(model.user_embeddings[user] @ model.item_embeddings[item])
    assert table.contribution.sum() == pytest.approx(score, abs=1e-4)
    assert table.attrs["score"] == pytest.approx(score, abs=1e-4)


def test_items_that_never_stand_with_another_get_a_vector_of_zeros():
    frame = pd.DataFrame({"user_id": ["a", "a", "b", "b", "c"], "item_id": ["x", "y", "x", "z", "alone"]})
    model = recsys.GloVe(**SMALL).fit(recsys.read_interactions(frame))
    lengths = np.linalg.norm(model.item_embeddings.vectors, axis=1)
    assert dict(zip(model.items.to_numpy(), lengths > 0, strict=True)) == {"x": True, "y": True, "z": True, "alone": False}
    assert not model.user_embeddings["c"].any()


def test_a_window_goes_by_time_and_sessions_cut():
    times = pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-01 10:10", "2024-01-02 10:00", "2024-01-02 10:01"])
    frame = pd.DataFrame({"user_id": 1, "item_id": ["d", "a", "c", "b", "e"], "timestamp": times})
    data = recsys.read_interactions(frame)
    names = data.items.to_numpy()

    def pairs(**settings):
        dealt = recsys.GloVe(**SMALL, **settings).pairs(data)
        items = names[np.argsort(dealt.numbers)]
        sums = zip(items[dealt.rows], items[dealt.columns], np.exp(dealt.logs), strict=True)
        return {"".join(sorted([one, other])): pytest.approx(total, rel=1e-6) for one, other, total in sums}

    assert pairs(window=2) == {"ad": 1.0, "cd": 0.5, "ac": 1.0, "ab": 0.5, "bc": 1.0, "ce": 0.5, "be": 1.0}
    assert pairs(window=2, session_gap="1h") == {"ad": 1.0, "cd": 0.5, "ac": 1.0, "be": 1.0}
    assert pairs(session_gap="1h") == {"ad": 1.0, "cd": 1.0, "ac": 1.0, "be": 1.0}
    assert len(pairs()) == 10


def test_of_long_histories_a_fixed_number_of_items_is_drawn():
    frame = pd.DataFrame({"user_id": ["long"] * 30 + ["short"] * 3, "item_id": [*range(30), 0, 1, 2]})
    data = recsys.read_interactions(frame)
    dealt = recsys.GloVe(**SMALL, max_history=5).pairs(data)
    assert 10 <= len(dealt.logs) <= 13
    assert len(recsys.GloVe(**SMALL).pairs(data).logs) == 30 * 29 / 2


def test_what_would_not_fit_is_refused_with_its_size(data):
    with pytest.raises(
        DataError, match=r"GloVe on [\d,]+ pairs of items needs [\d,]+ bytes of memory; max_memory_gb = 1e-06\. Hint"
    ):
        recsys.GloVe(max_memory_gb=1e-6).fit(data)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"window": 3}, DataError, "GloVe with order='time' needs timestamps"),
        ({"session_gap": "1h"}, DataError, "GloVe with session_gap needs timestamps"),
        ({"user_vectors": "sum"}, ParameterError, "must be 'least_squares', 'mean'"),
        ({"x_max": 0}, ParameterError, "`x_max` parameter of GloVe must be a finite number > 0"),
        ({"window": 0}, ParameterError, "`window` parameter of GloVe must be an int >= 1"),
        ({"max_history": 1}, ParameterError, "must be an int >= 2"),
        ({"factors": 5000}, ParameterError, "more factors than the data have"),
    ],
)
def test_what_is_wrong_is_said(data, settings, error, message):
    with pytest.raises(error, match=message):
        recsys.GloVe(**settings).fit(data)


def test_users_with_one_item_each_are_no_training_data():
    frame = pd.DataFrame({"user_id": [1, 2, 3], "item_id": ["a", "b", "a"]})
    with pytest.raises(DataError, match="GloVe learns from what users have together, and none of 3 users has two items"):
        recsys.GloVe().fit(recsys.read_interactions(frame))
