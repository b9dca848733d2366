"""The kernels that bound products from codes, beside products in float64."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.kernels import screening, topk

# Below, at and above a tile's rows, a panel's width and a step of depth, and more than one of each.
SHAPES = [
    (1, 1, 1),
    (3, 5, 7),
    (screening.TILE_ROWS, screening.PANEL, screening.DEPTH),
    (screening.TILE_ROWS + 1, 3 * screening.PANEL + 1, 2 * screening.DEPTH + 1),
    (30, 12 * screening.PANEL, 40),
]


def whole(n, unit):
    return -(-n // unit) * unit


def coded_rows(vectors):
    codes = np.empty((whole(len(vectors), screening.TILE_ROWS), whole(vectors.shape[1], screening.DEPTH)), np.uint8)
    about = np.empty((len(vectors), 4), np.float32)
    screening.code_rows(vectors, codes, about)
    return codes, about


def coded_columns(vectors):
    panels = whole(len(vectors), screening.PANEL) // screening.PANEL
    codes = np.empty((panels, whole(vectors.shape[1], screening.DEPTH) // 4, screening.PANEL, 4), np.int8)
    starts, about = np.empty((panels, screening.PANEL), np.int32), np.empty((panels, 3), np.float32)
    screening.code_columns(vectors, codes, starts, about)
    return codes, starts, about


def vectors_of(n, dim, seed=0):
    generator = np.random.default_rng(seed)
    return (generator.standard_normal((n, dim)) * generator.lognormal(0, 1, (n, 1))).astype(np.float32)


def decoded(rows, columns):
    """What the codes of rows and columns stand for, float64."""
    row_codes, row_about = rows
    column_codes, _, column_about = columns
    steps = np.repeat(column_about[:, 0], screening.PANEL).astype(np.float64)
    return (
        (row_codes[: len(row_about)].astype(np.float64) - 64) * row_about[:, :1],
        column_codes.transpose(0, 2, 1, 3).reshape(len(steps), -1) * steps[:, None],
    )


@pytest.mark.parametrize(("n_rows", "n_columns", "dim"), SHAPES)
def test_codes_stand_for_vectors_but_for_what_they_say_they_leave_out(n_rows, n_columns, dim):
    users, items = vectors_of(n_rows, dim), vectors_of(n_columns, dim, seed=1)
    rows, columns = coded_rows(users), coded_columns(items)
    for found, vectors, left, step in (
        (decoded(rows, columns)[0][:, :dim], users, rows[1][:, 2], rows[1][:, 0]),
        (
            decoded(rows, columns)[1][:n_columns, :dim],
            items,
            np.repeat(columns[2][:, 2], screening.PANEL)[:n_columns],
            np.repeat(columns[2][:, 0], screening.PANEL)[:n_columns],
        ),
    ):
        assert (np.linalg.norm(found - vectors, axis=1) <= left).all()
        # Rounding to the nearest step leaves at most half of one of each coordinate.
        assert (left <= 0.5001 * np.sqrt(dim) * step).all()
    longest = np.repeat(columns[2][:, 1], screening.PANEL)[:n_columns]
    assert (np.linalg.norm(items.astype(np.float64), axis=1) <= longest).all()


@pytest.mark.parametrize(("n_rows", "n_columns", "dim"), SHAPES)
def test_products_of_codes_are_those_of_what_they_stand_for(n_rows, n_columns, dim):
    users, items = vectors_of(n_rows, dim), vectors_of(n_columns, dim, seed=1)
    (codes, about), (column_codes, starts, column_about) = rows, columns = coded_rows(users), coded_columns(items)
    found = np.empty((n_rows, n_columns), np.float32)
    panels = column_codes.view(np.int32)[..., 0]
    screening.products_of_codes(codes.view(np.int32), about, panels, starts, column_about, found)
    ours, theirs = decoded(rows, columns)
    np.testing.assert_allclose(found, ours @ theirs[:n_columns].T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_the_largest_codes_do_not_overflow(sign):
    users, items = np.ones((2, 64), np.float32), np.full((3, 64), sign, np.float32)
    items[2, 1::2] = -sign
    rows, (column_codes, starts, about) = coded_rows(users), coded_columns(items)
    found = np.empty((2, 3), np.float32)
    screening.products_of_codes(rows[0].view(np.int32), rows[1], column_codes.view(np.int32)[..., 0], starts, about, found)
    np.testing.assert_allclose(found, users @ items.T, rtol=0.01, atol=1e-5)


def falling(vectors):
    return vectors[np.argsort(-np.linalg.norm(vectors, axis=1), kind="stable")]


def possible(users, items, bars, enough=10):
    """The pairs that are found, and their bounds. The items are sorted by falling length."""
    (codes, about), (column_codes, starts, column_about) = coded_rows(users), coded_columns(items)
    panels, taking_part = column_codes.view(np.int32)[..., 0], np.arange(len(users))
    room = enough + len(users) * screening.NEAR_PANELS * screening.PANEL
    rows, columns, bounds = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    parts, panel, left = [], 0, len(users)
    while left:
        n, panel, left = screening.possible_pairs(
            codes.view(np.int32), taking_part, left, about, bars, panels, starts, column_about, len(items), panel, enough,
            rows, columns, bounds,
        )  # fmt: skip
        parts.append((rows[:n].copy(), columns[:n].copy(), bounds[:n].copy()))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


@pytest.mark.parametrize(("n_rows", "n_columns", "dim"), SHAPES)
def test_every_pair_that_reaches_its_bar_is_found_with_a_bound_above_its_product(n_rows, n_columns, dim):
    users, items = vectors_of(n_rows, dim), falling(vectors_of(n_columns, dim, seed=1))
    products = users.astype(np.float64) @ items.T.astype(np.float64)
    bars = np.sort(products, axis=1)[:, -max(1, n_columns // 10)].astype(np.float32)
    rows, columns, bounds = possible(users, items, bars)
    found = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(set(found)) == len(found)
    slack = 1e-5 * np.abs(products).max()
    assert set(zip(*(part.tolist() for part in np.nonzero(products > bars[:, None] + slack)), strict=True)) <= set(found)
    assert (bounds >= products[rows, columns] - slack).all()
    assert (bounds >= bars[rows]).all()
    # Columns rise within a row.
    for row in set(rows.tolist()):
        assert (np.diff(columns[rows == row]) > 0).all()


def test_without_a_bar_all_pairs_are_found():
    users, items = vectors_of(5, 9), falling(vectors_of(37, 9, seed=1))
    users[2], items[-1] = 0, 0
    rows, _, _ = possible(users, items, np.full(5, -np.inf, np.float32))
    assert np.bincount(rows).tolist() == [37] * 5


def test_few_pairs_are_found_that_do_not_reach_the_bar():
    users, items = np.random.default_rng(3).standard_normal((2, 200, 64)).astype(np.float32)
    items = falling(items)
    products = users @ items.T
    bars = np.sort(products, axis=1)[:, -5].copy()
    assert len(possible(users, items, bars)[0]) <= 2.5 * 5 * 200


def test_the_nth_largest_counts_equals_each_and_is_none_where_there_are_fewer():
    scores = np.array([[3, 1, 3, 2], [-np.inf, 5, -np.inf, 4]], np.float32)
    for n, expected in ((1, [3, 5]), (2, [3, 4]), (3, [2, -np.inf]), (4, [1, -np.inf])):
        found = np.empty(2, np.float32)
        topk.nth_largest(scores, n, found)
        assert found.tolist() == expected


def test_only_what_is_sampled_and_seen_is_masked():
    scores = np.zeros((2, 2), np.float32)
    sampled = np.array([-1, 0, -1, 1, -1], np.int32)
    # The first row has seen the places 1 and 2, the second 0 and 3.
    topk.mask_sampled(scores, np.array([1, 2, 0, 3], np.int32), np.array([0, 2]), np.array([2, 4]), sampled)
    assert scores.tolist() == [[-np.inf, 0], [0, -np.inf]]
