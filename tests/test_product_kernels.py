"""The products' kernels beside NumPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.kernels import product
from recsys.kernels.dense import cross, gram, largest_entries, principal_axes, rotate
from recsys.parallel import Workers

# Below, at and above a tile's rows and a panel's width, and more than one of each.
SHAPES = [(1, 1), (3, 5), (product.TILE_ROWS, product.PANEL), (70, product.PANEL + 1), (131, 2 * product.PANEL - 1)]


def matrix(n_rows: int, n_columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_rows, n_columns), dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_gram_is_the_product_of_the_transposed_matrix_with_itself(shape):
    rows = matrix(*shape)
    with Workers(2) as workers:
        found = gram(rows, workers)
    np.testing.assert_allclose(found, rows.T.astype(np.float64) @ rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("shape", SHAPES)
def test_rotate_is_the_product_with_the_axes_in_place(shape):
    rows = matrix(*shape)
    axes = np.linalg.qr(matrix(shape[1], shape[1], seed=1).astype(np.float64))[0]
    expected = rows.astype(np.float64) @ axes
    with Workers(2) as workers:
        rotate(rows, axes, workers)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)


def test_rotate_writes_elsewhere_and_leaves_further_columns_alone():
    rows, axes = matrix(70, 13), matrix(9, 11, seed=1)
    out = np.full((70, 14), 7, np.float32)
    with Workers(2) as workers:
        rotate(rows, axes, workers, out=out)
    np.testing.assert_allclose(out[:, :11], rows[:, :9].astype(np.float64) @ axes, rtol=1e-5, atol=1e-5)
    assert (out[:, 11:] == 7).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_is_the_product_of_pairs_of_rows_and_their_squares(shape, weighted):
    a, b = matrix(*shape), matrix(shape[0], shape[1] + 2, seed=1)
    generator = np.random.default_rng(2)
    pairs = generator.integers(0, shape[0], (2 * shape[0], 2))
    weights = generator.random(len(pairs), dtype=np.float32) if weighted else None
    with Workers(2) as workers:
        found, a_squares, b_squares = cross(a, b, pairs, weights, workers)
    factors = np.ones((len(pairs), 1)) if weights is None else weights[:, None].astype(np.float64)
    ours, theirs = a[pairs[:, 0]].astype(np.float64), b[pairs[:, 1]].astype(np.float64)
    np.testing.assert_allclose(found, (factors * ours).T @ theirs, rtol=1e-5, atol=1e-4)
    assert a_squares == pytest.approx((factors * ours**2).sum(), rel=1e-6)
    assert b_squares == pytest.approx((factors * theirs**2).sum(), rel=1e-6)


@pytest.mark.parametrize("n", [1, 5, 20_000])
def test_the_largest_entries_of_columns_keep_their_sign_and_of_equals_the_first(n):
    rows = np.round(matrix(n, 4), 1)
    found = largest_entries(rows)
    assert found.tolist() == rows[np.abs(rows).argmax(axis=0), np.arange(4)].tolist()


def test_in_the_principal_axes_the_gram_matrix_is_diagonal_and_falls():
    rows = matrix(200, 12)
    with Workers(1) as workers:
        eigenvalues, axes = principal_axes(gram(rows, workers))
        rotate(rows, axes, workers)
        found = gram(rows, workers)
    np.testing.assert_allclose(found, np.diag(eigenvalues), atol=1e-3)
    assert (np.diff(eigenvalues) <= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_multiply_is_the_product_with_the_rows_that_were_packed(shape):
    columns = matrix(*shape, seed=2)
    rows = matrix(product.padded_rows(5), shape[1], seed=3)
    panels = product.scratch_panels(*shape)
    product.pack_rows(columns, np.arange(len(columns)), panels)
    scores = np.empty((len(rows), panels.shape[0] * product.PANEL), np.float32)
    product.multiply(rows, panels, 0, shape[1], scores)
    expected = rows.astype(np.float64) @ columns.T
    np.testing.assert_allclose(scores[:, : len(columns)], expected, rtol=1e-5, atol=1e-5)
    assert not scores[:, len(columns) :].any()


def test_a_product_over_leading_dimensions_is_completed_by_the_others():
    columns, rows = matrix(40, 21), matrix(product.TILE_ROWS, 21, seed=1)
    panels = product.scratch_panels(*columns.shape)
    product.pack_rows(columns, np.arange(len(columns)), panels)
    scores = np.empty((len(rows), panels.shape[0] * product.PANEL), np.float32)
    product.multiply(rows, panels, 0, 13, scores)
    expected = rows[:, :13].astype(np.float64) @ columns[:, :13].T
    np.testing.assert_allclose(scores[:, : len(columns)], expected, rtol=1e-5, atol=1e-5)
    product.multiply(rows, panels, 13, 21, scores)
    expected = rows.astype(np.float64) @ columns.T
    np.testing.assert_allclose(scores[:, : len(columns)], expected, rtol=1e-5, atol=1e-5)


def test_a_product_does_not_depend_on_what_else_is_multiplied():
    columns, rows = matrix(3 * product.PANEL, 40), matrix(4 * product.TILE_ROWS, 40, seed=1)
    everything = product.scratch_panels(*columns.shape)
    product.pack_rows(columns, np.arange(len(columns)), everything)
    scores = np.empty((len(rows), len(columns)), np.float32)
    product.multiply(rows, everything, 0, 40, scores)
    moved = product.scratch_panels(product.PANEL, 40)
    product.pack_rows(columns, np.arange(7, 7 + product.PANEL), moved)
    part = np.empty((product.TILE_ROWS, product.PANEL), np.float32)
    product.multiply(rows[product.TILE_ROWS : 2 * product.TILE_ROWS], moved, 0, 40, part)
    np.testing.assert_array_equal(part, scores[product.TILE_ROWS : 2 * product.TILE_ROWS, 7 : 7 + product.PANEL])


def test_one_thread_and_two_give_the_same_bytes():
    rows = matrix(20_000, 6)
    axes = np.linalg.qr(matrix(6, 6, seed=1).astype(np.float64))[0]
    found = []
    for num_threads in (1, 2):
        turned = rows.copy()
        with Workers(num_threads) as workers:
            rotate(turned, axes, workers)
            pairs = np.repeat(np.arange(20_000)[::-1, None], 2, axis=1)
            found.append(
                (turned.tobytes(), gram(rows, workers).tobytes(), cross(rows, turned, pairs, None, workers)[0].tobytes())
            )
    assert found[0] == found[1]
