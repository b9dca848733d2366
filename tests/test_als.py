"""ALS: the objective in the docstring is the one that is minimised, rows are solved exactly, bytes do not depend on threads."""

import itertools
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import naive
import numpy as np
import pytest
from conftest import random_interactions
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

import recsys
from recsys.errors import DataError, ParameterError
from recsys.fold_in import Rows
from recsys.kernels import als as kernels
from recsys.parallel import Workers

OBJECTIVES = [
    {"weighting": "rendle2022", "regularization": 0.01, "regularization_exponent": 1.0, "unobserved_weight": 0.1},
    {"weighting": "rendle2022", "regularization": 0.3, "regularization_exponent": 0.5, "unobserved_weight": 0.5, "alpha": 2.0},
    {"weighting": "hu2008", "regularization": 0.5, "regularization_exponent": 0.0, "unobserved_weight": 1.0, "alpha": 3.0},
    # Observed pairs with less confidence than unobserved ones are among these.
    {"weighting": "implicit", "regularization": 0.5, "regularization_exponent": 0.0, "unobserved_weight": 1.0, "alpha": 0.4},
]


def dense_weights(data):
    dense = np.full(data.shape, np.nan)
    dense[data.row_positions(), data.indices] = data.weights
    return dense


def naive_options(trainer):
    return {
        "alpha": trainer.alpha,
        "unobserved_weight": trainer.unobserved_weight,
        "regularization": trainer.regularization,
        "exponent": trainer.regularization_exponent,
        "weighting": trainer.weighting,
    }


@pytest.mark.parametrize("options", OBJECTIVES)
def test_the_tracked_loss_is_the_dense_objective_of_the_docstring(data, options):
    trainer = recsys.ALS(factors=6, iterations=3, track_loss=True, **options)
    run = trainer.start(data)
    for _ in range(3):
        tracked = run.train_epoch()["loss"]
        state = run.state()
        expected = naive.dense_loss(dense_weights(data), state["users"], state["items"], **naive_options(trainer))
        assert tracked == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("options", OBJECTIVES)
def test_the_loss_falls_with_every_sweep(data, options):
    losses = []
    recsys.ALS(factors=6, iterations=8, track_loss=True, **options).fit(
        data, callback=lambda epoch: losses.append(epoch.measured["loss"])
    )
    assert len(losses) == 8
    assert (np.diff(losses) <= 1e-4 * losses[0]).all()


@pytest.mark.parametrize("options", OBJECTIVES)
def test_going_past_the_minimum_reaches_a_loss_in_fewer_sweeps_than_plain_alternation(data, options):
    def losses(relaxation):
        seen = []
        trainer = recsys.ALS(factors=6, iterations=20, track_loss=True, relaxation=relaxation, **options)
        trainer.fit(data, callback=lambda epoch: seen.append(epoch.measured["loss"]))
        return seen

    assert losses(1.4)[14] <= losses(1.0)[19]


@pytest.mark.parametrize("options", OBJECTIVES)
def test_users_end_at_the_exact_minimum_and_any_move_from_it_is_worse(data, options):
    trainer = recsys.ALS(factors=6, iterations=4, **options)
    model = trainer.fit(data)
    users, items = (e.vectors.astype(np.float64) for e in (model.user_embeddings, model.item_embeddings))
    dense = dense_weights(data)
    exact = np.array([naive.best_user(row, items, **naive_options(trainer)) for row in dense])
    np.testing.assert_allclose(users, exact, atol=1e-4)
    best = naive.dense_loss(dense, exact, items, **naive_options(trainer))
    generator = np.random.default_rng(0)
    for _ in range(20):
        moved = exact + 1e-3 * generator.standard_normal(exact.shape)
        assert naive.dense_loss(dense, moved, items, **naive_options(trainer)) > best


@pytest.mark.parametrize("options", OBJECTIVES)
@pytest.mark.compiled
def test_two_conjugate_gradient_steps_come_within_a_few_thousandths_of_the_loss_of_many(options):
    data = random_interactions(300, 200, 0.1)

    def final_loss(steps):
        losses = []
        trainer = recsys.ALS(factors=16, iterations=20, cg_steps=steps, track_loss=True, **options)
        trainer.fit(data, callback=lambda epoch: losses.append(epoch.measured["loss"]))
        return losses[-1]

    assert final_loss(2) == pytest.approx(final_loss(30), rel=5e-3)


@pytest.mark.compiled
def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads():
    data = random_interactions(400, 300, 0.1, seed=3)
    models = [recsys.ALS(factors=20, iterations=3, num_threads=threads).fit(data) for threads in (1, 2, 5, 1)]
    for model in models[1:]:
        assert model.user_embeddings.vectors.tobytes() == models[0].user_embeddings.vectors.tobytes()
        assert model.item_embeddings.vectors.tobytes() == models[0].item_embeddings.vectors.tobytes()
    other = recsys.ALS(factors=20, iterations=3, random_state=1).fit(data)
    assert other.item_embeddings.vectors.tobytes() != models[0].item_embeddings.vectors.tobytes()


def test_short_and_long_rows_are_solved_alike_and_exactly():
    generator = np.random.default_rng(0)
    fixed = generator.standard_normal((3000, 20)).astype(np.float32) * np.float32(0.2)
    rows = [np.sort(generator.choice(3000, n, replace=False)).astype(np.int32) for n in (2500, 3, 400)]
    indptr = np.array([0, 2500, 2503, 2903], np.int64)
    indices, weights = np.concatenate(rows), generator.random(2903).astype(np.float32)
    dense, ridge = generator.random(20).astype(np.float32), np.array([1.0, 2.0, 3.0], np.float32)
    given = indptr, indices, weights, np.array([2, 0, 2, 0.5], np.float32), fixed, dense, ridge, 400, np.float32(1e-6)
    there, past = (*given, np.float32(1)), (*given, np.float32(1.5))
    short, long = np.ones((3, 20), np.float32), np.ones((3, 20), np.float32)
    kernels.solve_short_rows(np.arange(3), *there, short)
    kernels.solve_long_rows(np.arange(3), *there, 700, long)
    beyond = np.ones((2, 3, 20), np.float32)
    kernels.solve_short_rows(np.arange(3), *past, beyond[0])
    kernels.solve_long_rows(np.arange(3), *past, 700, beyond[1])
    for row, entries in enumerate(rows):
        y, a = fixed[entries].astype(np.float64), 2.0 * weights[indptr[row] : indptr[row + 1]]
        expected = np.linalg.solve(np.diag(dense + ridge[row]) + (y.T * a) @ y, (a + 0.5) @ y)
        np.testing.assert_allclose(short[row], expected, atol=1e-4)
        np.testing.assert_allclose(long[row], expected, atol=1e-4)
        np.testing.assert_allclose(beyond[:, row], np.array([1 + 1.5 * (expected - 1)] * 2), atol=2e-4)


@pytest.mark.compiled
def test_bytes_do_not_depend_on_threads_where_long_rows_are_solved_together():
    data = random_interactions(3000, 30, 0.9)
    limit = kernels.short_row_entries(256)
    assert (data.item_counts > limit).all()
    first, second = (recsys.ALS(factors=256, iterations=1, num_threads=n).fit(data) for n in (1, 3))
    assert first.item_embeddings.vectors.tobytes() == second.item_embeddings.vectors.tobytes()


def test_blocks_cover_every_row_once_and_do_not_depend_on_threads():
    data = random_interactions(500, 60, 0.5)
    rows = Rows(np.arange(0, 5_000_001, 1000), np.empty(0, np.int32), np.empty(0, np.float32))
    for blocks in (Rows(*data.by_item).blocks(), rows.blocks()):
        assert blocks[0][0] == 0
        assert all(before[1] == after[0] for before, after in itertools.pairwise(blocks))
    assert rows.blocks()[-1][1] == 5000


def test_the_axes_carry_less_and_less_and_item_vectors_are_orthogonal_in_them(data):
    items = recsys.ALS(factors=8).fit(data).item_embeddings.vectors.astype(np.float64)
    gram = items.T @ items
    assert (np.diff(np.diag(gram)) <= 1e-6).all()
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-4 * gram.max())
    assert (items[np.abs(items).argmax(axis=0), np.arange(8)] > 0).all()


@pytest.mark.parametrize(
    "data",
    [
        random_interactions(1, 30, 1.0),
        random_interactions(30, 1, 1.0),
        random_interactions(5, 4, 0.9),
    ],
    ids=["one user", "one item", "fewer items than factors"],
)
def test_small_data_train_and_recommend(data):
    model = recsys.ALS(factors=16, iterations=3).fit(data)
    assert np.isfinite(model.user_embeddings.vectors).all()
    assert len(model.recommend(k=5, exclude_seen=False)) == data.n_users * min(5, data.n_items)


def test_an_interaction_of_weight_zero_pulls_nothing():
    data = random_interactions()
    zeroed = replace(data, weights=np.where(data.row_positions() == 0, 0, data.weights).astype(np.float32))
    model = recsys.ALS(factors=4, iterations=3).fit(zeroed)
    np.testing.assert_allclose(model.user_embeddings.vectors[0], 0, atol=1e-12)


@pytest.mark.compiled
def test_regularization_that_leaves_nothing_of_the_vectors_is_told_and_gives_zeros_not_nan():
    data = random_interactions(200, 150, 0.05)
    with pytest.warns(UserWarning, match="the regularization is too strong"):
        model = recsys.ALS(factors=8, regularization=50.0, iterations=40).fit(data)
    assert np.isfinite(model.user_embeddings.vectors).all()


@pytest.mark.filterwarnings("ignore:The weights are heavy-tailed:UserWarning")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")  # uncompiled only
def test_weights_too_large_to_train_on_are_named_with_what_to_change(data):
    weights = data.weights.copy()
    weights[5] = 1e38
    with pytest.raises(DataError, match=r"The training diverged: the vector of (user|item)_id \d+ is not finite\. Hint: "):
        recsys.ALS(factors=4, alpha=100.0).fit(replace(data, weights=weights))


def test_negative_weights_are_refused_by_name(data):
    with pytest.raises(DataError, match=r"ALS needs weights >= 0\. That of user 1000 and item \d+ is negative"):
        recsys.ALS().fit(replace(data, weights=-data.weights))


@pytest.mark.compiled
def test_absurdly_many_factors_are_refused_and_a_few_too_many_are_not(data):
    with pytest.raises(ParameterError, match=r"factors = 20,000 has more factors than the data have users \(60\)"):
        recsys.ALS(factors=20_000).fit(data)
    assert np.isfinite(recsys.ALS(factors=100, iterations=1).fit(data).item_embeddings.vectors).all()


def test_nothing_to_train_on_is_refused(data):
    with pytest.raises(DataError, match="no interactions to train on"):
        recsys.ALS().fit(data.filter(min_weight=99))
    with pytest.raises(ParameterError, match="fit takes Interactions. Got DataFrame"):
        recsys.ALS().fit(data.to_frame())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": 0}, r"The `factors` parameter of ALS must be an int >= 1\. Got 0\."),
        ({"factors": 2.5}, "`factors`"),
        ({"factors": True}, "`factors`"),
        ({"iterations": -1}, "`iterations`"),
        ({"cg_steps": 0}, "`cg_steps`"),
        ({"regularization": 0}, "must be a finite number > 0"),
        ({"alpha": float("nan")}, "`alpha`"),
        ({"unobserved_weight": "much"}, "`unobserved_weight`"),
        ({"regularization_exponent": -1}, "must be a finite number >= 0"),
        ({"relaxation": 0}, "must be a finite number > 0"),
        ({"relaxation": 2.0}, "must be below 2"),
        ({"weighting": "hu"}, r"must be 'rendle2022', 'hu2008', 'implicit'\. Got 'hu'"),
        ({"random_state": -1}, "`random_state`"),
        ({"num_threads": 0}, "`num_threads`"),
    ],
)
def test_settings_that_can_not_be_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        recsys.ALS(**options)


def test_a_trainer_never_changes_and_fits_twice_to_the_same_model(data):
    trainer = recsys.ALS(factors=4, iterations=2)
    with pytest.raises(FrozenInstanceError):
        trainer.factors = 8
    first, second = trainer.fit(data), trainer.fit(data)
    assert first.user_embeddings.vectors.tobytes() == second.user_embeddings.vectors.tobytes()


def test_blas_threads_are_put_back_after_training(data):
    from threadpoolctl import threadpool_info

    def blas():
        return [(pool["prefix"], pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas()
    with Workers(2):
        assert all(threads == 1 for _, threads in blas())
    assert blas() == before


@pytest.mark.compiled
def test_bytes_do_not_depend_on_whether_kernels_come_from_the_compiler_or_from_its_cache(tmp_path):
    program = (
        "import sys, hashlib, recsys; sys.path.insert(0, sys.argv[1]); from conftest import random_interactions\n"
        "model = recsys.ALS(factors=5, iterations=3).fit(random_interactions())\n"
        "lists = model.recommend(k=5).score.to_numpy().tobytes()\n"
        "print(hashlib.sha256(model.item_embeddings.vectors.tobytes() + lists).hexdigest())"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    cold, warm = (subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in "ab")
    assert len(cold) == 65
    assert cold == warm


def test_hyperparameters_of_implicit_give_the_loss_that_implicit_computes(data):
    from implicit.als import AlternatingLeastSquares

    found = {}
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = AlternatingLeastSquares(
            factors=6, regularization=0.3, alpha=0.7, iterations=30, calculate_training_loss=True, random_state=0, num_threads=1
        )
        theirs.fit(csr_matrix(data.to_csr()), show_progress=False, callback=lambda *values: found.update(loss=values[-1]))
    trainer = recsys.ALS.like_implicit(factors=6, regularization=0.3, alpha=0.7, iterations=30, track_loss=True)
    run = trainer.start(data)
    for _ in range(30):
        ours = run.train_epoch()["loss"]
    # It divides by the confidences of all pairs; both have settled in the same minimum, or ours in a better one.
    observed = 0.7 * data.weights.sum() + np.prod(data.shape) - len(data)
    assert found["loss"] * observed == pytest.approx(ours, rel=2e-2)
    mine = naive.dense_loss(
        dense_weights(data), theirs.user_factors, theirs.item_factors, alpha=0.7, unobserved_weight=1.0, regularization=0.3,
        exponent=0.0, weighting="implicit",
    )  # fmt: skip
    assert found["loss"] * observed == pytest.approx(mine, rel=1e-4)
