"""BPR and LogisticMF: kernels against their twins, gradients against the objective, bytes against threads, quality, new ids."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, InputError, ParameterError
from recsys.kernels import sgd
from recsys.trainers import sampled

compiled = pytest.mark.compiled
TRAINERS = [recsys.BPR, recsys.LogisticMF]


def small(kind, **settings):
    return kind(**({"factors": 8, "iterations": 30, "num_threads": 1} | settings))


@pytest.fixture
def bucket(data):
    """The arguments of a pass over a bucket: every third entry, the even items and the vectors of both sides."""
    generator = np.random.default_rng(3)
    entries = np.flatnonzero(data.indices % 2 == 0)[::3]
    members = np.arange(0, data.n_items, 2, dtype=np.int32)
    users, items = (generator.standard_normal((n, 6), dtype=np.float32) for n in data.shape)
    return entries, members, np.uint64(12345678901234567890), users, items


def squares_of(vectors, square=1.0):
    return np.full(len(vectors), square, np.float32)


# ---- kernels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_blocks", [1, 3, 7])
def test_entries_are_dealt_by_block_in_a_stable_order(data, n_blocks):
    block_of_item = np.random.default_rng(0).integers(0, n_blocks, data.n_items).astype(np.int32)
    order, edges = np.full(len(data), -1), np.empty(n_blocks + 1, np.int64)
    first, last = 10, 47
    sgd.deal_entries(data.indptr, data.indices, block_of_item, n_blocks, first, last, order, edges)
    begin, end = data.indptr[first], data.indptr[last]
    blocks = block_of_item[data.indices[begin:end]]
    np.testing.assert_array_equal(order[begin:end], begin + np.argsort(blocks, kind="stable"))
    assert (order[:begin] == -1).all()
    assert (order[end:] == -1).all()
    np.testing.assert_array_equal(np.diff(edges), np.bincount(blocks, minlength=n_blocks))
    assert (edges[0], edges[-1]) == (begin, end)


@pytest.mark.parametrize("by_popularity", [False, True])
@pytest.mark.parametrize("verify", [False, True])
def test_a_pass_of_bpr_is_that_of_its_twin(data, bucket, by_popularity, verify):
    entries, members, seed, users, items = bucket
    users[:, -1] = 1
    rows, rest = data.row_positions(), (np.float32(0.1), np.float32(0.02))
    arguments = (members, seed, by_popularity, verify, rows, data.indptr, data.indices)
    tables = users, items, squares_of(users, 0.5), squares_of(items, 0.3)
    wanted = naive.train_bpr(entries.copy(), *arguments, *tables, *rest)
    dealt = entries.copy()
    counts = sgd.train_bpr(dealt, *arguments, *tables, *rest)
    for table, twin in zip(tables, wanted, strict=False):
        np.testing.assert_allclose(table, twin, atol=5e-5)
    assert counts == wanted[4:]
    assert sorted(dealt) == entries.tolist()
    assert (users[:, -1] == 1).all()


@pytest.mark.parametrize("by_popularity", [False, True])
@pytest.mark.parametrize("most", [0.8, 20])
def test_a_pass_of_logistic_mf_is_that_of_its_twin(data, bucket, by_popularity, most):
    entries, members, seed, users, items = bucket
    users[:, -2] = items[:, -1] = 1
    arguments = (members, seed, by_popularity, 3, np.float32(0.5), data.row_positions(), data.indices, data.weights)
    rest = (np.float32(0.05), np.float32(most), np.float32(0.02))
    tables = users, items, squares_of(users, 0.5), squares_of(items, 0.3)
    wanted = naive.train_logistic(entries.copy(), *arguments, *tables, *rest)
    loss = sgd.train_logistic(entries.copy(), *arguments, *tables, *rest)
    for table, twin in zip(tables, wanted, strict=False):
        np.testing.assert_allclose(table, twin, atol=5e-5, rtol=1e-5)
    assert loss == pytest.approx(wanted[4], rel=1e-4)
    assert (users[:, -2] == 1).all()
    assert (items[:, -1] == 1).all()


def bpr_loss(users, items, u, i, j, penalty):
    x, y, z = users[u], items[i], items[j]
    squares = (x[:-1] ** 2).sum() + (y**2).sum() + (z**2).sum()
    return np.log1p(np.exp(-x @ (y - z))) + penalty / 2 * squares


def test_a_step_of_bpr_goes_down_the_gradient_of_its_objective():
    generator = np.random.default_rng(1)
    users, items = generator.standard_normal((1, 5)), generator.standard_normal((2, 5))
    users[:, -1] = 1
    rate, penalty, tiny = 1e2, 0.3, 1e-6
    moved = users.astype(np.float32), items.astype(np.float32)
    # So large that a single gradient changes them by less than can be seen.
    squares = squares_of(users, 1e8), squares_of(items, 4e8)
    arrays = np.array([0], np.int32), np.array([0, 1]), np.array([0], np.int32)
    sgd.train_bpr(
        np.array([0]),
        np.array([1], np.int32),
        np.uint64(7),
        False,
        True,
        *arrays,
        *moved,
        *squares,
        np.float32(rate),
        np.float32(penalty),
    )
    for before, after in zip((users, items), moved, strict=True):
        for place in np.ndindex(before.shape):
            if before is users and place[1] == 4:
                continue  # stays 1
            there, back = before.copy(), before.copy()
            there[place] += tiny
            back[place] -= tiny
            losses = [bpr_loss(*((one, items) if before is users else (users, one)), 0, 0, 1, penalty) for one in (there, back)]
            slope = (losses[0] - losses[1]) / (2 * tiny)
            step = rate / 1e4 if before is users else rate / 2e4
            assert after[place] - before[place] == pytest.approx(-step * slope, abs=2e-6)


def test_verified_negatives_are_items_that_the_user_has_not():
    """A user with all items of the block but one: only that one is ever pushed down."""
    indices, rows = np.arange(5, dtype=np.int32), np.zeros(5, np.int32)
    users, items = np.ones((1, 2), np.float32), np.zeros((6, 2), np.float32)
    arguments = (np.arange(6, dtype=np.int32), np.uint64(11), False, True, rows, np.array([0, 5]), indices, users, items)
    arguments += squares_of(users), squares_of(items)
    found, _ = sgd.train_bpr(np.arange(5), *arguments, np.float32(0.1), np.float32(0))
    assert 0 < found <= 5
    assert items[5, 1] < 0
    assert (items[:5, 1] >= 0).all()


def test_a_user_who_has_everything_moves_nothing():
    indices, rows = np.arange(4, dtype=np.int32), np.zeros(4, np.int32)
    users, items = np.ones((1, 2), np.float32), np.zeros((4, 2), np.float32)
    arguments = (np.arange(4, dtype=np.int32), np.uint64(11), False, True, rows, np.array([0, 4]), indices, users, items)
    arguments += squares_of(users), squares_of(items)
    assert sgd.train_bpr(np.arange(4), *arguments, np.float32(0.1), np.float32(0)) == (0, 0)
    assert not items.any()


def test_rows_that_are_seen_seldom_move_further_than_those_seen_often():
    """Two users of one item each: the second has a hundred times the squares of the first, and moves a tenth as far."""
    users, items = np.ones((2, 4), np.float32), np.zeros((4, 4), np.float32)
    items[0], items[1, :3] = 1, -1
    squares = np.array([1, 100], np.float32), np.full(4, 1e12, np.float32)
    rows, indptr, indices = np.array([0, 1], np.int32), np.array([0, 1, 2]), np.array([0, 0], np.int32)
    before = users.copy()
    members = np.array([1], np.int32)
    for entry in (0, 1):
        bucket = np.array([entry])
        sgd.train_bpr(
            bucket,
            members,
            np.uint64(5),
            False,
            True,
            rows,
            indptr,
            indices,
            users,
            items,
            *squares,
            np.float32(1),
            np.float32(0),
        )
    moved = np.abs(users - before)[:, :3].mean(axis=1)
    assert moved[0] > 0
    assert moved[1] == pytest.approx(moved[0] / 10, rel=1e-2)


# ---- trainers -------------------------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_any_number_of_threads_gives_the_same_bytes(kind, monkeypatch):
    monkeypatch.setattr(sampled, "_ITEMS_OF_A_BLOCK", 5)
    monkeypatch.setattr(sampled, "_ENTRIES_OF_A_BUCKET", 5)
    data = random_interactions(n_users=200, n_items=90, density=0.2)
    models = [small(kind, num_threads=threads, iterations=5).fit(data) for threads in (1, 2, 5)]
    assert len({model.fingerprint for model in models}) == 1
    assert len({model.user_embeddings.vectors.tobytes() for model in models}) == 1


def test_in_a_round_no_two_buckets_share_a_user_or_an_item(monkeypatch, data):
    monkeypatch.setattr(sampled, "_ITEMS_OF_A_BLOCK", 5)
    monkeypatch.setattr(sampled, "_ENTRIES_OF_A_BUCKET", 5)
    run = small(recsys.BPR).start(data)
    rounds = []

    def record(bucket):
        rounds.append((set(run._rows[bucket.entries]), set(run._indices[bucket.entries]) | set(bucket.members)))
        return np.zeros(2)

    monkeypatch.setattr(run, "_pass", record)
    run.train_epoch()
    n_blocks = run._n_blocks
    assert n_blocks == 8
    assert len(rounds) == n_blocks**2
    for begin in range(0, len(rounds), n_blocks):
        for side in (0, 1):
            parts = [part[side] for part in rounds[begin : begin + n_blocks]]
            assert len(set.union(*parts)) == sum(len(part) for part in parts)
    assert sum(len(run._rows[run._order == entry]) for entry in range(len(data))) == len(data)


def test_over_the_epochs_negatives_of_an_item_come_evenly_from_all_others(monkeypatch, data):
    monkeypatch.setattr(sampled, "_ITEMS_OF_A_BLOCK", 5)
    monkeypatch.setattr(sampled, "_ENTRIES_OF_A_BUCKET", 5)
    run, epochs = small(recsys.BPR).start(data), 2000
    beside = np.zeros(data.n_items)
    for epoch in range(epochs):
        _, block_of_item = run._drawn_blocks(np.random.default_rng([0, epoch]))
        beside += block_of_item == block_of_item[0]
    share = (data.n_items / run._n_blocks - 1) / (data.n_items - 1)
    assert beside[0] == epochs
    assert np.abs(beside[1:] / epochs - share).max() < 5 * (share * (1 - share) / epochs) ** 0.5


@pytest.mark.parametrize(
    ("shape", "blocks"),
    [
        ((10**6, 10**6, 10**8), 32),
        ((10, 10**6, 10**8), 10),
        ((10**6, 1000, 10**8), 15),
        ((5000, 5000, 50_000), 7),
        ((1, 1, 1), 1),
    ],
)
def test_blocks_are_as_many_as_the_data_carry(shape, blocks):
    assert sampled._number_of_blocks(*shape) == blocks


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_lists_are_far_better_than_popularity(kind):
    data = random_interactions(n_users=150, n_items=60, density=0.3)
    parts = recsys.split.random(data, test_fraction=0.2, random_state=0)
    recalls = [
        float(recsys.evaluate(trainer.fit(parts.train), parts.test, metrics=["recall@10"]).summary()["mean"].iloc[0])
        for trainer in (small(kind, iterations=60), recsys.Popularity())
    ]
    assert recalls[0] > 1.3 * recalls[1]


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_what_is_measured_gets_better(kind, data):
    measured = []
    small(kind).fit(data, callback=lambda epoch: measured.append(dict(epoch.measured)))
    (name,) = measured[0]
    first, last = measured[0][name], measured[-1][name]
    assert name == ("train_auc" if kind is recsys.BPR else "loss")
    assert last > first + 0.1 if kind is recsys.BPR else last < 0.8 * first


@pytest.mark.parametrize("kind", TRAINERS)
def test_steps_shorten_evenly_towards_the_last_epoch(kind, data):
    run = small(kind, iterations=4, learning_rate=0.2).start(data)
    rates = []
    for _ in range(4):
        rates.append(run._rate())
        run.train_epoch()
    np.testing.assert_allclose(rates, [0.2, 0.15, 0.1, 0.05], rtol=1e-6)


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_pairs_of_weight_0_were_not_observed(kind, data):
    weights = data.weights.copy()
    weights[::4] = 0
    with_zeros = replace(data, weights=weights)
    model = small(kind).fit(with_zeros)
    keep = weights > 0
    indptr = np.concatenate([[0], np.cumsum(np.bincount(data.row_positions()[keep], minlength=data.n_users))])
    without = recsys.Interactions(data.users, data.items, indptr, data.indices[keep], weights[keep])
    assert model.item_embeddings.vectors.tobytes() == small(kind).fit(without).item_embeddings.vectors.tobytes()


@pytest.mark.parametrize("kind", TRAINERS)
def test_data_that_can_not_be_used_are_refused(kind, data):
    with pytest.raises(DataError, match=r"no interactions of a weight > 0"):
        small(kind).fit(replace(data, weights=np.zeros(len(data), np.float32)))
    with pytest.raises(DataError, match=rf"{kind.__name__} needs weights >= 0\. That of user 1000"):
        small(kind).fit(replace(data, weights=-data.weights))
    with pytest.raises(ParameterError, match="more factors than the data have"):
        small(kind, factors=5000).fit(data)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (recsys.BPR, {"negatives": "popular"}, "`negatives` parameter of BPR must be 'uniform', 'popularity'"),
        (recsys.BPR, {"verify_negative_samples": 1}, "must be True or False"),
        (recsys.BPR, {"learning_rate": 0}, "finite number > 0"),
        (recsys.LogisticMF, {"neg_prop": 0}, "`neg_prop` parameter of LogisticMF must be an int >= 1"),
        (recsys.LogisticMF, {"alpha": -1.0}, "finite number > 0"),
        (recsys.LogisticMF, {"regularization": -0.1}, "finite number >= 0"),
    ],
)
def test_settings_that_can_not_be_are_named(kind, settings, message):
    with pytest.raises(ParameterError, match=message):
        kind(**settings)


@compiled
def test_a_training_that_diverges_says_so(data):
    with pytest.raises(DataError, match="The training diverged"), np.errstate(all="ignore"):
        recsys.BPR(factors=4, learning_rate=1e20, iterations=3).fit(data)


@compiled
def test_weights_count_for_logistic_mf_and_not_for_bpr(data):
    heavier = replace(data, weights=data.weights * 3)
    assert small(recsys.BPR).fit(heavier).user_embeddings.fingerprint == small(recsys.BPR).fit(data).user_embeddings.fingerprint
    lighter, three = small(recsys.LogisticMF, alpha=0.5), small(recsys.LogisticMF, alpha=1.5)
    # Products of a weight and alpha may differ in the last bit.
    np.testing.assert_allclose(
        lighter.fit(heavier).user_embeddings.vectors, three.fit(data).user_embeddings.vectors, rtol=1e-3, atol=1e-3
    )
    pairs = data.to_frame()
    means = [trainer.fit(data).score(pairs["user_id"], pairs["item_id"]).mean() for trainer in (lighter, three)]
    assert means[0] < means[1]


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_likeness_leaves_biases_out(kind, data):
    model = small(kind).fit(data)
    n_biases = model.fold_in_method.bias_columns
    assert n_biases == (1 if kind is recsys.BPR else 2)
    assert model.item_embeddings.dim == 8 + n_biases
    vectors = model.item_embeddings.vectors[:, :8].astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first = (vectors @ vectors[0])[1:]
    table = model.similar_items(data.items.to_numpy()[:1], k=1)
    assert table["similar_item_id"].iloc[0] == data.items.to_numpy()[1 + first.argmax()]


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_users_who_are_folded_in_get_better_lists_than_popular_items(kind):
    data = random_interactions(n_users=200, n_items=60, density=0.3)
    parts = recsys.split.users(data, test_fraction=0.3, random_state=0)
    trained = small(kind, iterations=60).fit(parts.train)
    popular = recsys.Popularity().fit(parts.train.merge(parts.fold_in))
    recalls = [
        float(recsys.evaluate(model, parts.test, metrics=["recall@10"]).summary()["mean"].iloc[0])
        for model in (trained.fold_in(parts.fold_in), popular)
    ]
    assert recalls[0] > 1.2 * recalls[1]


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_rows_that_are_folded_in_are_as_long_as_trained_ones_and_biased_like_their_equals(kind, data):
    model = small(kind).fit(data)
    method, n = model.fold_in_method, model.fold_in_method.bias_columns
    for of, trained, fixed in (
        ("users", model.user_embeddings.vectors, model.item_embeddings.vectors),
        ("items", model.item_embeddings.vectors, model.user_embeddings.vectors),
    ):
        rows = recsys.fold_in.Rows.of(data, of)
        solved = method.solve(rows, fixed, of=of)
        assert np.linalg.norm(solved[:, :-n]) == pytest.approx(np.linalg.norm(trained[:, :-n]), rel=1e-3)
        likeness = (solved[:, :-n] * trained[:, :-n]).sum() / np.linalg.norm(trained[:, :-n]) ** 2
        assert likeness > 0.5
        if of == "items":
            assert solved[:, -n].mean() == pytest.approx(trained[:, -n].mean(), abs=1e-4)
            assert np.corrcoef(solved[:, -n], np.log1p(rows.counts))[0, 1] == pytest.approx(1, abs=1e-4)
    assert (solved[:, -1] == 1).all() or n == 1


@compiled
def test_reasons_are_refused_since_scores_are_no_sums(data):
    model = small(recsys.BPR, iterations=2).fit(data)
    with pytest.raises(InputError, match="can not give reasons: its vectors were trained step by step"):
        model.explain(1000, 5)
    with pytest.raises(InputError, match="can not give reasons"):
        model.recommend([1000], with_reasons=True)


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_training_goes_on_from_a_model_with_new_ids(kind, data):
    model = small(kind).fit(data)
    events = random_interactions(n_users=70, n_items=50, seed=5)
    grown = small(kind, iterations=1, learning_rate=1e-7).partial_fit(model, events)
    assert grown.users.to_numpy()[: data.n_users].tolist() == data.users.to_numpy().tolist()
    np.testing.assert_allclose(grown.user_embeddings.vectors[:60], model.user_embeddings.vectors, atol=1e-4)
    assert len(grown.items) == 50
    with pytest.raises(ParameterError, match="factors = 4, the model to start from 8"):
        small(kind, factors=4).partial_fit(model, events)
    with pytest.raises(ParameterError, match="can start from a model of its own only"):
        small(kind).partial_fit(recsys.Popularity().fit(data), events)


@compiled
@pytest.mark.parametrize("kind", TRAINERS)
def test_one_pass_over_new_events_does_not_undo_a_training(kind, data):
    parts = recsys.split.random(data, test_fraction=0.1, random_state=0)
    model = small(kind, iterations=60).fit(parts.train)
    for of in ("user", "item"):
        earlier = getattr(model, f"{of}_embeddings")
        later = getattr(small(kind, iterations=1).partial_fit(model, parts.test), f"{of}_embeddings")
        moved = np.linalg.norm(later.vectors[: len(earlier)] - earlier.vectors, axis=1)
        assert np.median(moved / np.linalg.norm(earlier.vectors, axis=1)) < 0.1
