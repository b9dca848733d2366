"""Kernels that make and turn compressed rows, against slow obvious twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import Interactions
from recsys.ids import IdMap
from recsys.kernels import csr, gather
from recsys.parallel import Workers
from tests.naive import gather_events_naively

N_USERS, N_ITEMS = 4, 5
RULES = {"sum": gather.SUM, "count": gather.COUNT, "max": gather.MAX, "last": gather.LAST}
event = st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.integers(-3, 3), st.integers(0, 2))


def _columns(events: list[tuple[int, int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(events, dtype=np.int64).reshape(len(events), 4)
    return table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.float32), table[:, 3].copy()


def test_rows_are_sorted_stably_whether_they_are_short_or_long():
    longest = 2 * gather._FEW if not _is_plain_python() else 40
    rng = np.random.default_rng(0)
    lengths = np.array([0, 1, 2, 15, 16, 17, 33, longest // 2 - 1, longest // 2, longest // 2 + 1, longest])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    columns = rng.integers(0, 20, indptr[-1]).astype(np.int32)
    columns[rng.integers(0, len(columns), 9)] = 2**31 - 1
    for timed in (False, True):
        found, weights = columns.copy(), np.arange(len(columns), dtype=np.float32)
        times = np.arange(len(columns) if timed else 0)
        gather.sort_rows(indptr, 0, len(lengths), found, weights, times)
        wanted = np.concatenate([b + np.argsort(columns[b:e], kind="stable") for b, e in itertools.pairwise(indptr)])
        assert weights.tolist() == wanted.tolist()
        assert found.tolist() == columns[wanted].tolist()
        assert times.tolist() == (wanted.tolist() if timed else [])


@settings(max_examples=40, deadline=None)
@given(st.lists(event, max_size=30), st.sampled_from(sorted(RULES)), st.booleans(), st.integers(1, 3), st.integers(1, 40))
def test_gathered_events_equal_a_dictionary_of_pairs(events, rule, timed, threads, cut):
    users, items, weights, times = _columns(events)
    blocks = [
        (users[part], items[part], weights[part], times[part] if timed else None)
        for part in (slice(start, start + cut) for start in range(0, len(events), cut))
    ]
    with Workers(threads) as workers:
        indptr, indices, found, found_times = gather.gather_events(blocks, N_USERS, RULES[rule], threads, workers.map)
    assert blocks == []
    wanted = gather_events_naively([(u, i, w, t if timed else None) for u, i, w, t in events], rule)
    rows = np.repeat(np.arange(N_USERS), np.diff(indptr))
    got = {
        (int(row), int(column)): (float(weight), int(found_times[k]) if timed else None)
        for k, (row, column, weight) in enumerate(zip(rows, indices, found, strict=True))
    }
    assert got == wanted
    assert csr.rows_are_sorted(indptr, indices, N_ITEMS)


def test_many_events_over_several_pieces_keep_the_order_of_the_log():
    rng = np.random.default_rng(0)
    n = 2 * gather._ENTRIES_A_PIECE + 1000 if not _is_plain_python() else 100
    users, items = rng.integers(0, 50, n).astype(np.int32), rng.integers(0, 40, n).astype(np.int32)
    weights = np.arange(n, dtype=np.float32)
    maps = IdMap(np.arange(50), name="user_id"), IdMap(np.arange(40), name="item_id")
    data = Interactions.from_events(*maps, users, items, weights, duplicates="last")
    last = {(int(u), int(i)): float(w) for u, i, w in zip(users, items, weights, strict=True)}
    rows = data.row_positions()
    assert {(int(u), int(i)): float(w) for u, i, w in zip(rows, data.indices, data.weights, strict=True)} == last


def test_events_without_weights_weigh_one_each():
    maps = IdMap([7], name="user_id"), IdMap(["a", "b"], name="item_id")
    data = Interactions.from_events(*maps, np.array([0, 0, 0]), np.array([1, 0, 1]))
    np.testing.assert_array_equal(data.weights, [1, 2])
    assert data.timestamps is None


@pytest.mark.parametrize("rule", sorted(RULES))
def test_no_events_give_empty_rows(rule):
    maps = IdMap([], name="user_id"), IdMap([], name="item_id")
    data = Interactions.from_events(*maps, np.empty(0, np.int32), np.empty(0, np.int32), duplicates=rule)
    assert data.shape == (0, 0)
    assert len(data) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=30))
def test_counting_order_is_a_stable_argsort(keys):
    array = np.array(keys, dtype=np.int32)
    np.testing.assert_array_equal(csr.counting_order(array, 7, np.empty(0, np.int64)), np.argsort(array, kind="stable"))
    np.testing.assert_array_equal(csr.row_pointers(array, 7), np.searchsorted(np.sort(array), np.arange(8)))


def test_transpose_gives_the_entries_by_column():
    indptr, indices = np.array([0, 2, 2, 4]), np.array([0, 2, 0, 1], dtype=np.int32)
    by_column, rows, order = csr.transpose(indptr, indices, 3)
    assert (by_column.tolist(), rows.tolist(), order.tolist()) == ([0, 2, 3, 4], [0, 2, 2, 0], [0, 2, 3, 1])


def test_rows_that_fall_repeat_or_leave_the_items_are_not_sorted():
    indptr = np.array([0, 2])
    for indices in ([1, 0], [1, 1], [1, 3], [-1, 0]):
        assert not csr.rows_are_sorted(indptr, np.array(indices, dtype=np.int32), 3)


def _is_plain_python() -> bool:
    return not hasattr(gather.scatter, "py_func")
