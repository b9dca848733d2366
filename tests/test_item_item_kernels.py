"""Kernels of weighted sums over what rows have, and of learning the weights, against their naive twins."""

import naive
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, ParameterError
from recsys.fold_in import Rows
from recsys.interactions import Interactions
from recsys.kernels import inverse, item_item
from recsys.parallel import Workers
from recsys.retrieval import RankedLists
from recsys.retrieval.item_item import DenseWeights, SparseWeights


def made_up(seed, n_rows=9, n_items=12, *, ties=False):
    """(rows, dense B, offsets): a third of B is 0, and scores of every sign."""
    generator = np.random.default_rng(seed)
    draw = (lambda size: generator.integers(-2, 3, size)) if ties else generator.standard_normal
    dense = (draw((n_items, n_items)) * (generator.random((n_items, n_items)) < 0.6)).astype(np.float32)
    np.fill_diagonal(dense, 0)
    matrix = scipy.sparse.random_array((n_rows, n_items), density=0.4, rng=generator, format="csr")
    weights = draw(matrix.nnz).astype(np.float32)
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), weights)
    return rows, dense, draw(n_items).astype(np.float32)


def both(dense, offsets):
    sparse = scipy.sparse.csr_array(dense)
    return DenseWeights(offsets, dense), SparseWeights(offsets, sparse.indptr, sparse.indices, sparse.data)


def entries_of(rows, row):
    stretch = slice(rows.indptr[row], rows.indptr[row + 1])
    return list(zip(rows.indices[stretch].tolist(), rows.weights[stretch].tolist(), strict=True))


def as_pairs(lists, row):
    count = lists.counts[row]
    return list(zip(lists.positions[row, :count].tolist(), lists.scores[row, :count].tolist(), strict=True))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for name, size in {
        "_ROWS": 4,
        "_DENSE_ROWS": 5,
        "_COPIED_ROWS": 3,
        "_REASON_ROWS": 3,
        "_PAIRS": 5,
        "_TILE_BYTES": 64,
    }.items():
        monkeypatch.setattr(f"recsys.retrieval.item_item.{name}", size)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 14),
    ties=st.booleans(),
    hide=st.booleans(),
    wanted=st.none() | st.sets(st.integers(0, 11)),
)
def test_lists_are_the_naive_ones_bit_for_bit(seed, k, ties, hide, wanted):
    rows, dense, offsets = made_up(seed, ties=ties)
    seen = (rows.indptr, rows.indices) if hide else None
    candidates = None if wanted is None else np.array(sorted(wanted), np.int64)
    for weights in both(dense, offsets):
        lists = weights.search(rows, k, seen=seen, candidates=candidates, num_threads=1)
        for row in range(len(rows)):
            own = entries_of(rows, row)
            skip = [item for item, _ in own] if hide else []
            assert as_pairs(lists, row) == naive.item_item_list(own, dense, offsets, k, skip, candidates)


@pytest.mark.parametrize("wanted", [None, np.arange(1, 70, 2)])
def test_lists_over_several_tiles_are_the_naive_ones(wanted):
    rows, dense, offsets = made_up(2, n_rows=7, n_items=70, ties=True)
    for weights in both(dense, offsets):
        lists = weights.search(rows, 20, seen=(rows.indptr, rows.indices), candidates=wanted, num_threads=1)
        for row in range(len(rows)):
            own = entries_of(rows, row)
            expected = naive.item_item_list(own, dense, offsets, 20, [item for item, _ in own], wanted)
            assert as_pairs(lists, row) == expected


def test_pairs_and_whole_rows_score_as_lists_do():
    rows, dense, offsets = made_up(3)
    pairs = np.repeat(np.arange(len(rows)), 12), np.tile(np.arange(12), len(rows))
    for weights in both(dense, offsets):
        whole = weights.rows(rows)
        assert weights.pairs(rows, *pairs).tolist() == whole.ravel().tolist()
        lists = weights.search(rows, 12)
        assert np.take_along_axis(whole, lists.positions, axis=1).tolist() == lists.scores.tolist()
        assert whole[2, 5] == naive.item_item_score(entries_of(rows, 2), dense, offsets, 5)


def test_a_row_of_many_entries_is_summed_in_their_order():
    rows, dense, offsets = made_up(5, n_rows=3, n_items=40)
    for weights in both(dense, offsets):
        expected = [naive.item_item_score(entries_of(rows, 1), dense, offsets, item) for item in range(40)]
        assert weights.rows(rows)[1].tolist() == expected


def test_reasons_are_the_largest_positive_parts():
    rows, dense, offsets = made_up(4, ties=True)
    for weights in both(dense, offsets):
        lists = weights.search(rows, 6, num_threads=1)
        positions, amounts, counts = weights.carried(rows, lists, 2, num_threads=1)
        for row in range(len(rows)):
            own = entries_of(rows, row)
            for place, (item, _) in enumerate(as_pairs(lists, row)):
                expected = naive.carried([weight * float(dense[other, item]) for other, weight in own], 2)
                found = list(zip(positions[row, place].tolist(), amounts[row, place].tolist(), strict=True))
                assert found[: counts[row, place]] == [(own[entry][0], amount) for entry, amount in expected]


def test_nearest_are_the_largest_weights_of_a_column():
    _, dense, offsets = made_up(6, ties=True)
    for weights in both(dense, offsets):
        lists = weights.nearest(np.array([4, 0, 11]), 5)
        for place, item in enumerate((4, 0, 11)):
            column = [(float(dense[other, item]), other) for other in range(12) if dense[other, item] > 0]
            expected = [(other, value) for value, other in sorted(column, key=lambda pair: (-pair[0], pair[1]))[:5]]
            assert as_pairs(lists, place) == expected


def test_taking_items_keeps_the_weights_among_them():
    _, dense, offsets = made_up(7)
    kept = np.array([0, 3, 4, 10])
    for weights in both(dense, offsets):
        few = weights.take(kept)
        alone = Rows(np.array([0, 1]), np.array([2], np.int32), np.ones(1, np.float32))
        assert (
            few.rows(alone)[0].tolist()
            == (dense[np.ix_(kept, kept)][2].astype(float) + offsets[kept]).astype(np.float32).tolist()
        )


def test_one_thread_and_three_give_the_same_bytes():
    rows, dense, offsets = made_up(8, n_rows=50)
    for weights in both(dense, offsets):
        one, three = (weights.search(rows, 5, num_threads=threads) for threads in (1, 3))
        assert one.scores.tobytes() == three.scores.tobytes()
        assert one.positions.tobytes() == three.positions.tobytes()


def test_what_is_no_weights_is_refused():
    rows, dense, offsets = made_up(9)
    with pytest.raises(DataError, match=r"must be float32 of shape \(12, 12\).*Got float64"):
        DenseWeights(offsets, dense.astype(float))
    with pytest.raises(DataError, match="as many rows"):
        SparseWeights(offsets, np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    indptr = np.array([0, 2, *([2] * 11)])
    with pytest.raises(DataError, match="strictly rise"):
        SparseWeights(offsets, indptr, np.array([3, 1]), np.ones(2))
    with pytest.raises(ParameterError, match="`k` must be"):
        DenseWeights(offsets, dense).search(rows, 0)


# ---- learning -----------------------------------------------------------------------------------------------------


def log_of(seed, n_users=30, n_items=14, *, weighted=False):
    generator = np.random.default_rng(seed)
    matrix = (generator.random((n_users, n_items)) < 0.3) * (generator.integers(1, 4, (n_users, n_items)) if weighted else 1)
    return Interactions.from_csr(scipy.sparse.csr_array(matrix.astype(np.float32))), matrix


@pytest.mark.parametrize("similarity", ["cosine", "jaccard"])
@pytest.mark.parametrize("shrink", [0.0, 2.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_neighbours_are_the_naive_ones(similarity, shrink, weighted):
    data, matrix = log_of(1, weighted=weighted)
    trainer = recsys.ItemKNN(neighbours=4, similarity=similarity, shrink=shrink, use_weights=weighted)
    lists = trainer.fit(data).weights.nearest(np.arange(14), 14)
    expected = naive.nearest_items(matrix, 4, similarity=similarity, shrink=shrink)
    for item in range(14):
        assert [other for other, _ in as_pairs(lists, item)] == [other for other, _ in expected[item]]
        np.testing.assert_allclose(lists.scores[item, : lists.counts[item]], [value for _, value in expected[item]], rtol=1e-6)


def test_the_product_of_a_matrix_with_itself():
    data, matrix = log_of(2, weighted=True)
    product = np.empty((14, 14), np.float32)
    for block in (slice(0, 5), slice(5, 14)):
        item_item.multiply_by_item(block.start, block.stop, *data.by_item, data.indptr, data.indices, data.weights, product)
    np.testing.assert_array_equal(product, matrix.T @ matrix)


@pytest.mark.parametrize("n", [1, 5, 32, 70])
def test_the_inverse_in_place_is_the_inverse(n, monkeypatch):
    monkeypatch.setattr(inverse, "PIVOT_ROWS", 16)
    monkeypatch.setattr(inverse, "_ROWS", 8)
    monkeypatch.setattr(inverse, "_PANELS", 1)
    generator = np.random.default_rng(0)
    half = generator.standard_normal((2 * n, n))
    matrix = half.T @ half + np.eye(n)
    done, results = [], []
    for threads in (1, 2):
        inverted = matrix.astype(np.float32)
        with Workers(threads) as workers:
            inverse.invert(inverted, workers, lambda: done.append(1))
        results.append(inverted)
    assert len(done) == 2 * -(-n // 16)
    assert results[0].tobytes() == results[1].tobytes()
    np.testing.assert_allclose(results[0], np.linalg.inv(matrix), atol=1e-5)
    assert (results[0] == results[0].T).all()


def test_empty_lists_stay_empty():
    nothing = RankedLists(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), np.zeros(0, np.int32))
    rows, dense, offsets = made_up(1)
    for weights in both(dense, offsets):
        none = rows.take(np.empty(0, np.int64))
        assert len(weights.search(none, 3)) == 0
        assert weights.carried(none, nothing, 2)[0].shape == (0, 3, 2)
        assert weights.search(rows, 3, candidates=np.empty(0, np.int64)).counts.tolist() == [0] * len(rows)
