"""Drawing users again and flipping signs: kernels against their naive twins, blocks and threads, distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation import intervals, permutation
from recsys.kernels.resampling import add_signed_sums, count_draws
from tests import naive


@settings(max_examples=25)
@given(n=st.integers(1, 40), spare=st.integers(0, 2), seed=st.integers(0, 9))
def test_draws_are_counted_as_the_naive_twin_counts_them(n, spare, seed):
    words = np.random.default_rng(seed).integers(0, 1 << 32, (3, n + spare), dtype=np.uint32)
    words[0, :1], words[1, :1] = 0, 0xFFFFFFFF
    counts = np.full((3, n), 7, np.uint8)
    count_draws(words, counts)
    assert counts.tolist() == naive.draw_counts(words.tolist(), n)


@settings(max_examples=25)
@given(n=st.sampled_from([1, 7, 8, 9, 63, 64, 65, 130]), n_columns=st.integers(1, 3), seed=st.integers(0, 9))
def test_signed_sums_are_those_of_the_naive_twin(n, n_columns, seed):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((n, n_columns))
    words = generator.integers(0, 1 << 64, (4, -(-n // 64)), dtype=np.uint64)
    words[0], words[1] = 0, np.uint64(0xFFFFFFFFFFFFFFFF)
    sums = np.ones((4, n_columns))
    add_signed_sums(values, words, sums)
    np.testing.assert_allclose(sums - 1, naive.signed_sums(values, words.tolist()), atol=1e-12)
    np.testing.assert_allclose(sums[0] - 1, -values.sum(axis=0), atol=1e-12)


@pytest.mark.compiled
def test_each_resample_draws_as_many_users_as_there_are_each_as_likely():
    draws = intervals.resampled_means(np.eye(40), np.random.default_rng(0), 4_000) * 40
    np.testing.assert_allclose(draws.sum(axis=1), 40)
    # 160,000 draws over 40 users: a user's count has standard deviation 62.
    np.testing.assert_allclose(draws.sum(axis=0), 4_000, atol=5 * 62)
    np.testing.assert_allclose(draws.var(axis=0), 39 / 40, atol=0.15)


@pytest.mark.compiled
def test_signs_are_plus_or_minus_one_alike_and_independent_across_blocks(monkeypatch):
    monkeypatch.setattr(permutation, "_USERS_AT_ONCE", 64)
    monkeypatch.setattr(permutation, "_RESAMPLES_AT_ONCE", 700)
    signs = permutation.flipped_sums(np.eye(150), np.random.default_rng(0), 2_000)
    assert np.isin(signs, (-1, 1)).all()
    correlations = signs.T @ signs / 2_000 - np.eye(150)
    # 11,175 pairs of standard error .0224: none as far as 5.5 of them.
    assert np.abs(correlations).max() < 5.5 * 0.0224
    assert np.abs(signs.mean(axis=0)).max() < 5 * 0.0224


@pytest.mark.compiled
@pytest.mark.parametrize("resampled", [permutation.flipped_sums, intervals.resampled_means])
def test_one_thread_and_three_give_the_same_bytes(resampled):
    values = np.random.default_rng(0).standard_normal((3_000, 2))
    alone = resampled(values, np.random.default_rng(1), 2_500, num_threads=1)
    assert len(alone) == 2_500
    assert alone.tobytes() == resampled(values, np.random.default_rng(1), 2_500, num_threads=3).tobytes()
    assert alone.tobytes() != resampled(values, np.random.default_rng(2), 2_500).tobytes()


@pytest.mark.compiled
@pytest.mark.parametrize("resampled", [permutation.flipped_sums, intervals.resampled_means])
def test_columns_see_the_same_signs_and_the_same_users(resampled):
    column = np.random.default_rng(0).standard_normal((200, 1))
    both = resampled(np.column_stack([column, 3 * column]), np.random.default_rng(1), 300)
    np.testing.assert_allclose(both[:, 1], 3 * both[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(both[:, :1], resampled(column, np.random.default_rng(1), 300), rtol=1e-9, atol=1e-12)
