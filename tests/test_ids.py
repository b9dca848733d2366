"""IdMap: ids come back as they went in, positions stay, and what is wrong is named."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DataError, UnknownIdError
from recsys.ids import IdMap

integers = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True)
strings = st.lists(st.text(min_size=1).filter(lambda text: text.isprintable()), unique=True)


@given(st.one_of(integers, strings))
def test_ids_come_back_as_they_went_in_and_in_order(ids):
    ids_map = IdMap(ids)
    assert ids_map.to_arrow().to_pylist() == ids
    assert ids_map.positions(ids).tolist() == list(range(len(ids)))
    assert ids_map.series(np.arange(len(ids))).tolist() == ids


@given(integers, integers)
def test_extending_keeps_old_positions_and_appends_only_new_ids(old, new):
    extended = IdMap(old).extended(new)
    assert extended.to_arrow().to_pylist() == old + [id_ for id_ in new if id_ not in set(old)]


@given(strings, st.data())
def test_a_subset_holds_the_ids_at_the_positions(ids, data):
    positions = data.draw(st.lists(st.integers(0, len(ids) - 1), unique=True) if ids else st.just([]))
    assert IdMap(ids).subset(positions).to_arrow().to_pylist() == [ids[p] for p in positions]


@pytest.mark.parametrize(
    "values",
    [
        [3, 1, 2],
        (3, 1, 2),
        np.array([3, 1, 2], np.uint8),
        pd.Series([3, 1, 2]),
        pd.Index([3, 1, 2]),
        pl.Series([3, 1, 2]),
        pa.array([3, 1, 2], pa.int16()),
        pa.chunked_array([[3], [1, 2]]),
        pd.Series([3.0, 1.0, 2.0]),
        pd.Categorical([3, 1, 2]),
    ],
)
def test_every_kind_of_integer_array_becomes_int64(values):
    ids = IdMap(values)
    assert ids.to_numpy().tolist() == [3, 1, 2]
    assert ids.to_numpy().dtype == np.int64


@pytest.mark.parametrize(
    "values", [["b", "a"], pd.Series(["b", "a"]), pl.Series(["b", "a"]), pd.Categorical(["b", "a"]), np.array(["b", "a"])]
)
def test_every_kind_of_string_array_becomes_str(values):
    assert IdMap(values).to_numpy().tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 1], r"All item_ids must have one type, integer or string\. Got str \(such as 'a'\), integer \(such as 1\)"),
        ([1, "a"], "must have one type"),
        (["a", "b", "a"], r"Each item_id must be unique\. Found more than once: 'a'"),
        ([1.5], "Got the float 1.5"),
        ([float("nan")], "must not be missing"),
        ([2.0**60], "Got the float"),
        (["a", ""], r"must not be an empty string\. Position 1 of 2 is"),
        ([1, None], r"must not be missing\. Position 1 of 2 is"),
        ([True, False], "must be an integer or a string"),
        ([2**63], "signed 64-bit integer"),
        ("abc", r"Expected a list or array of item_ids\. Got 'abc'"),
        (7, r"Hint: one id is given as \[7\]"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "must be an integer or a string"),
    ],
)
def test_ids_that_can_not_be_are_refused_with_the_reason(values, message):
    with pytest.raises(DataError, match=message):
        IdMap(values, name="item_id")


def test_unknown_ids_are_named_up_to_five_of_them():
    with pytest.raises(UnknownIdError, match=r"Unknown user_id: 11, 12, 13, 14, 15 and 2 more\."):
        IdMap(range(11), name="user_id").positions([0, *range(11, 18)])


def test_an_unknown_string_id_names_the_closest():
    with pytest.raises(UnknownIdError, match=r"Did you mean 'apple'\?"):
        IdMap(["apple", "pear"]).position("aple")


def test_ids_of_the_other_type_are_unknown_and_the_hint_says_why():
    with pytest.raises(UnknownIdError, match=r"ids of this data are strings, these are integers"):
        IdMap(["1", "2"]).positions([1])


def test_unknown_ids_can_be_ignored():
    assert IdMap(["a", "b"]).positions(["b", "x", "a"], unknown="ignore").tolist() == [1, -1, 0]


def test_adding_ids_of_the_other_type_is_refused():
    with pytest.raises(DataError, match="one map holds one type"):
        IdMap([1]).extended(["a"])


@given(strings, strings)
def test_content_differs_exactly_when_the_ids_do(first, second):
    def content(ids):
        return b"|".join(bytes(part) for part in IdMap(ids).content())

    assert (content(first) == content(second)) == (first == second)


def test_content_does_not_depend_on_how_the_array_was_cut():
    whole = IdMap(["a", "bc", "d"])
    assert [bytes(p) for p in whole.subset([1, 2]).content()] == [bytes(p) for p in IdMap(["bc", "d"]).content()]
    sliced = IdMap(pa.array(["a", "bc", "d"], pa.large_string()).slice(1))
    assert [bytes(p) for p in sliced.content()] == [bytes(p) for p in IdMap(["bc", "d"]).content()]
