"""The kernels of coded vectors against their naive twins."""

import naive
import numpy as np
import pytest

from recsys.kernels import quantised

N, QUERIES = 11, 3


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def floats(generator, *shape):
    return generator.standard_normal(shape).astype(np.float32)


def of_pairs(score, queries, codes):
    return [[score(q, i) for i in range(codes)] for q in range(queries)]


@pytest.mark.parametrize("dim", [1, 5, 33])
def test_bytes_score_as_their_sum_is_written(generator, dim):
    weights, offsets, factors = floats(generator, QUERIES, dim), floats(generator, QUERIES), floats(generator, N)
    codes = generator.integers(-127, 128, (N, dim)).astype(np.int8)
    scores = np.empty((QUERIES, N), np.float32)
    quantised.score_bytes(weights, offsets, codes, factors, scores)
    expected = of_pairs(lambda q, i: naive.scored_bytes(weights[q], offsets[q], codes[i], factors[i]), QUERIES, N)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width", [1, 3, 20])
def test_nibbles_score_as_their_sum_is_written(generator, width):
    weights, offsets, factors = floats(generator, QUERIES, 2 * width), floats(generator, QUERIES), floats(generator, N)
    codes = generator.integers(0, 256, (N, width)).astype(np.uint8)
    scores = np.empty((QUERIES, N), np.float32)
    quantised.score_nibbles(weights, offsets, codes, 0.01, factors, scores)
    expected = of_pairs(lambda q, i: naive.scored_nibbles(weights[q], offsets[q], codes[i], 0.01, factors[i]), QUERIES, N)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("subspaces", [1, 7])
def test_tables_are_looked_up_and_summed(generator, subspaces):
    tables, factors = floats(generator, QUERIES, subspaces, 256), floats(generator, N)
    codes = generator.integers(0, 256, (N, subspaces)).astype(np.uint8)
    scores = np.empty((QUERIES, N), np.float32)
    quantised.score_tables(tables, codes, factors, scores)
    expected = of_pairs(lambda q, i: naive.scored_tables(tables[q], codes[i], factors[i]), QUERIES, N)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 64, 100])
def test_signs_score_exactly_by_how_many_bits_differ(generator, dim):
    words = -(-dim // 64)
    bits = generator.integers(0, 2, (QUERIES + N, 64 * words)).astype(np.uint8)
    bits[:, dim:] = 0
    packed = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    factors, scores = floats(generator, N), np.empty((QUERIES, N), np.float32)
    quantised.score_signs(packed[:QUERIES], packed[QUERIES:], dim, factors, scores)
    expected = of_pairs(lambda q, i: naive.scored_signs(packed[q], packed[QUERIES + i], dim, factors[i]), QUERIES, N)
    np.testing.assert_array_equal(scores, np.array(expected, np.float32))


@pytest.mark.parametrize("width", [1, 4])
def test_the_nearest_centre_is_found_and_of_equals_the_first(generator, width):
    # Whole numbers: sums are exact, and many centres are equally far.
    points = generator.integers(-3, 4, (40, width)).astype(np.float32)
    centres = generator.integers(-3, 4, (width, 30)).astype(np.float32)
    labels = np.empty(len(points), np.uint8)
    quantised.nearest_centres(points, centres, labels)
    assert labels.tolist() == [naive.nearest_centre(point, centres) for point in points]
