"""Exact search: equals sorting all scores, never leaks a filtered item, ties go to the lower position."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ParameterError
from recsys.kernels import topk
from recsys.retrieval import exact, top_k


def as_pairs(lists, row):
    return list(zip(lists.positions[row, : lists.counts[row]].tolist(), lists.scores[row].tolist(), strict=False))


def csr_of(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return indptr, np.array([p for row in rows for p in sorted(row)], np.int32)


@given(st.data())
def test_search_equals_sorting_all_scores_and_never_leaks(data):
    n, m, dim = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 25)), data.draw(st.integers(1, 4))
    # Small integers make many ties.
    numbers = st.integers(-2, 2)
    queries = np.array(data.draw(st.lists(numbers, min_size=n * dim, max_size=n * dim)), np.float32).reshape(n, dim)
    items = np.array(data.draw(st.lists(numbers, min_size=m * dim, max_size=m * dim)), np.float32).reshape(m, dim)
    seen = data.draw(st.lists(st.sets(st.integers(0, m - 1)), min_size=n, max_size=n))
    allowed = data.draw(st.none() | st.sets(st.integers(0, m - 1)))
    k = data.draw(st.integers(1, m + 3))
    candidates = None if allowed is None else np.array(sorted(allowed), np.int64)
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
    heaps = np.empty((len(lines), k), np.float32), np.zeros((len(lines), k), np.int32), np.zeros(len(lines), np.int32)
    for start, stop in ((0, 3), (3, 4), (4, 7)):
        topk.keep_best(np.ascontiguousarray(scores[:, start:stop]), start, *heaps)
    for row, line in enumerate(scores):
        count = heaps[2][row]
        kept = sorted(zip(-heaps[0][row, :count], heaps[1][row, :count], strict=True))
        assert kept == sorted((-score, position) for position, score in enumerate(line))[:k]


def test_memory_is_bounded_by_the_block():
    # The score buffer of a block of queries is all that is held besides the result.
    assert exact._QUERY_ROWS * exact._ITEM_ROWS * 4 <= 2 * 2**20
