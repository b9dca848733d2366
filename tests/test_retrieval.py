"""Exact search: equals sorting all scores, never leaks a filtered item, ties go to the lower position."""

from unittest import mock

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ParameterError
from recsys.kernels import screening as kernels
from recsys.kernels import topk
from recsys.retrieval import exact, screening, shortlists, top_k


def as_pairs(lists, row):
    return list(zip(lists.positions[row, : lists.counts[row]].tolist(), lists.scores[row].tolist(), strict=False))


def csr_of(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return indptr, np.array([p for row in rows for p in sorted(row)], np.int32)


@pytest.mark.parametrize("worth_arranging", [1, 1000], ids=["sorted", "as they come"])
@given(data=st.data())
def test_search_equals_sorting_all_scores_and_never_leaks(worth_arranging, data):
    n, m, dim = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 25)), data.draw(st.integers(1, 4))
    # Small integers make many ties.
    numbers = st.integers(-2, 2)
    queries = np.array(data.draw(st.lists(numbers, min_size=n * dim, max_size=n * dim)), np.float32).reshape(n, dim)
    items = np.array(data.draw(st.lists(numbers, min_size=m * dim, max_size=m * dim)), np.float32).reshape(m, dim)
    seen = data.draw(st.lists(st.sets(st.integers(0, m - 1)), min_size=n, max_size=n))
    allowed = data.draw(st.none() | st.sets(st.integers(0, m - 1)))
    k = data.draw(st.integers(1, m + 3))
    candidates = None if allowed is None else np.array(sorted(allowed), np.int64)
    with mock.patch.object(exact, "_WORTH_SORTING", worth_arranging):
        lists = top_k(queries, items, k, seen=csr_of(seen), candidates=candidates, num_threads=1)
    for row in range(n):
        expected = naive.ranked(queries[row], items, k, skip=seen[row], candidates=allowed)
        assert as_pairs(lists, row) == expected


def test_lists_over_many_blocks_equal_sorting_all_scores():
    generator = np.random.default_rng(0)
    queries = generator.standard_normal((300, 9)).astype(np.float32)
    items = generator.standard_normal((5000, 9)).astype(np.float32)
    seen = csr_of([set(generator.choice(5000, 40, replace=False).tolist()) for _ in range(300)])
    lists = top_k(queries, items, 20, seen=seen)
    scores = (queries.astype(np.float64) @ items.T.astype(np.float64)).astype(np.float32)
    for row in range(300):
        scores[row, seen[1][seen[0][row] : seen[0][row + 1]]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(lists.positions, order)
    np.testing.assert_array_equal(lists.scores, np.take_along_axis(scores, order, axis=1))


def like_trained(generator, n, dim):
    """Vectors with a decaying spectrum and skewed norms, as factorisations have them."""
    vectors = generator.standard_normal((n, dim)) * np.linspace(1, 0, dim) ** 2
    return (vectors * generator.lognormal(0, 1, (n, 1))).astype(np.float32)


def by_sorting(queries, items, k, seen=None):
    scores = (queries.astype(np.float64) @ items.T.astype(np.float64)).astype(np.float32)
    if seen is not None:
        scores[np.repeat(np.arange(len(queries)), np.diff(seen[0])), seen[1]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


@pytest.mark.compiled
@pytest.mark.parametrize("turned", [False, True], ids=["in falling axes", "in any axes"])
def test_where_most_items_are_skipped_the_lists_are_those_of_sorting_all_scores(turned):
    generator = np.random.default_rng(5)
    queries, items = like_trained(generator, 1500, 40), like_trained(generator, 4000, 40)
    if turned:
        axes = np.linalg.qr(generator.standard_normal((40, 40)))[0].astype(np.float32)
        queries, items = queries @ axes, items @ axes
    seen = csr_of([set(generator.choice(4000, 30, replace=False).tolist()) for _ in range(1500)])
    lists = top_k(queries, items, 15, seen=seen)
    positions, scores = by_sorting(queries, items, 15, seen)
    np.testing.assert_array_equal(lists.scores, scores)
    np.testing.assert_array_equal(lists.positions, positions)


@pytest.mark.compiled
def test_items_with_one_large_coordinate_are_found_as_any_other():
    generator = np.random.default_rng(11)
    queries, items = generator.standard_normal((2, 1200, 24)).astype(np.float32)
    queries[:, 3], items[:, 3] = 1, 40 * generator.lognormal(0, 1, 1200)
    queries[::2, 5] *= 1000
    lists = top_k(queries, items, 9)
    positions, scores = by_sorting(queries, items, 9)
    np.testing.assert_array_equal(lists.scores, scores)
    np.testing.assert_array_equal(lists.positions, positions)


@pytest.mark.compiled
def test_lists_for_which_the_sample_promised_too_much_are_searched_again():
    # The best items of every query are those that the sample takes: it makes the others look as good.
    generator = np.random.default_rng(12)
    items = generator.standard_normal((6000, 12)).astype(np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    queries = np.ones((70, 12), np.float32) + 0.01 * generator.standard_normal((70, 12)).astype(np.float32)
    places = np.arange(6000 // screening._SAMPLED) * screening._SAMPLED + screening._SAMPLED // 2
    items[places] = 12**-0.5
    items *= np.linspace(1.001, 1, 6000, dtype=np.float32)[:, None]  # so that places are positions
    seen = csr_of([set(generator.choice(6000, 5, replace=False).tolist()) for _ in range(70)])
    with mock.patch.object(exact, "screened", side_effect=exact.screened) as passes:
        lists = top_k(queries, items, len(places) + 40, seen=seen)
    positions, scores = by_sorting(queries, items, len(places) + 40, seen)
    np.testing.assert_array_equal(lists.scores, scores)
    np.testing.assert_array_equal(lists.positions, positions)
    assert [call.kwargs["guess"] for call in passes.call_args_list] == [True, False]


@pytest.mark.compiled
@pytest.mark.parametrize("k", [4990, 5000])
def test_lists_of_nearly_all_items_are_complete(k):
    generator = np.random.default_rng(13)
    queries, items = generator.standard_normal((66, 16)).astype(np.float32), generator.standard_normal((5000, 16))
    lists = top_k(queries, items.astype(np.float32), k, seen=csr_of([{row} for row in range(66)]))
    assert lists.counts.tolist() == [min(k, 4999)] * 66
    assert all(len(set(row[: min(k, 4999)].tolist())) == min(k, 4999) for row in lists.positions)


@pytest.mark.compiled
def test_where_bounds_are_of_no_use_the_lists_are_those_of_sorting_all_scores():
    generator = np.random.default_rng(6)
    queries, items = generator.standard_normal((2, 400, 30)).astype(np.float32)
    items = np.repeat(items / np.linalg.norm(items, axis=1, keepdims=True), 12, axis=0)[: 10 * 400]
    lists = top_k(queries, items, 50)
    positions, scores = by_sorting(queries, items, 50)
    np.testing.assert_array_equal(lists.scores, scores)
    np.testing.assert_array_equal(lists.positions, positions)


def test_more_equal_items_than_are_kept_are_told_apart_by_position():
    generator = np.random.default_rng(7)
    queries = generator.standard_normal((70, 3)).astype(np.float32)
    items = np.repeat(generator.standard_normal((3, 3)).astype(np.float32), 40, axis=0)[generator.permutation(120)]
    lists = top_k(queries, items, 5)
    np.testing.assert_array_equal(lists.positions, by_sorting(queries, items, 5)[0])


def test_scores_that_differ_by_less_than_float32_sums_can_tell_are_in_the_order_of_the_exact_ones():
    generator = np.random.default_rng(8)
    queries = generator.standard_normal((64, 50)).astype(np.float32)
    base = generator.standard_normal(50)
    items = (base + 1e-6 * generator.standard_normal((200, 50))).astype(np.float32)
    lists = top_k(queries, items, 10)
    positions, scores = by_sorting(queries, items, 10)
    np.testing.assert_array_equal(lists.positions, positions)
    np.testing.assert_array_equal(lists.scores, scores)


def test_a_query_of_zeros_gets_the_first_items():
    items = np.random.default_rng(9).standard_normal((300, 4)).astype(np.float32)
    lists = top_k(np.zeros((80, 4), np.float32), items, 3)
    np.testing.assert_array_equal(lists.positions, np.tile([0, 1, 2], (80, 1)))
    assert not lists.scores.any()


def test_a_list_does_not_depend_on_which_others_are_asked_for_or_on_threads():
    generator = np.random.default_rng(1)
    queries = generator.standard_normal((200, 33)).astype(np.float32)
    items = np.repeat(generator.standard_normal((700, 33)), 3, axis=0).astype(np.float32)  # each three times: ties
    whole = top_k(queries, items, 10, num_threads=1)
    for threads in (1, 2, 3):
        again = top_k(queries, items, 10, num_threads=threads)
        assert again.positions.tobytes() == whole.positions.tobytes()
        assert again.scores.tobytes() == whole.scores.tobytes()
    for row in (0, 57, 199):
        alone = top_k(queries[row : row + 1], items, 10)
        np.testing.assert_array_equal(alone.positions[0], whole.positions[row])
        np.testing.assert_array_equal(alone.scores[0], whole.scores[row])


def test_fewer_items_than_k_give_shorter_lists_and_none_gives_empty_ones():
    items, queries = np.eye(3, dtype=np.float32), np.ones((2, 3), np.float32)
    lists = top_k(queries, items, 10, seen=csr_of([{0, 1, 2}, {1}]))
    assert lists.counts.tolist() == [0, 2]
    assert lists.positions[1, :2].tolist() == [0, 2]
    nothing = top_k(queries, items, 10, candidates=np.empty(0, np.int64))
    assert nothing.counts.tolist() == [0, 0]
    assert nothing.positions.shape == (2, 0)


def test_no_queries_give_no_lists():
    assert len(top_k(np.empty((0, 3), np.float32), np.eye(3, dtype=np.float32), 2)) == 0


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", True, None])
def test_k_must_be_a_positive_integer(k):
    with pytest.raises(ParameterError, match="`k` must be an int >= 1"):
        top_k(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32), k)


@given(st.lists(st.lists(st.integers(0, 9), min_size=7, max_size=7), min_size=1, max_size=4), st.integers(1, 9))
def test_blocks_of_columns_in_turn_keep_what_one_block_keeps(lines, k):
    scores = np.array(lines, np.float32)
    rows, room = np.arange(len(lines)), (len(lines), k + 2)
    best, positions = np.empty(room, np.float32), np.zeros(room, np.int32)
    counts, bars = np.zeros(len(lines), np.int32), np.full(len(lines), -np.inf, np.float32)
    for columns in ([4, 6], [3], [5, 0, 2, 1]):
        labels = np.array(columns, np.int32)
        topk.keep_best(np.ascontiguousarray(scores[:, columns]), rows, labels, k, best, positions, counts, bars)
    topk.cut_to(k, best, positions, counts, bars)
    for row, line in enumerate(scores):
        count = counts[row]
        kept = sorted(zip(-best[row, :count], positions[row, :count], strict=True))
        assert kept == sorted((-score, position) for position, score in enumerate(line))[:k]


def test_memory_is_bounded_by_the_block():
    # The score buffer of a block of queries is all that is held besides the result.
    assert shortlists.QUERY_ROWS * exact._ITEM_ROWS * 4 <= 2 * 2**20
    # Of screening, what is found at a time: two places and a bound a pair.
    a_query = screening._PAIRS_A_QUERY + kernels.NEAR_PANELS * kernels.PANEL
    assert shortlists.QUERY_ROWS * a_query * 12 <= 4 * 2**20
