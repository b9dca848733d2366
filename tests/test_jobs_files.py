"""Files of ids, and how sizes and times are worded."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DataError, ParameterError, UnknownIdError
from recsys.ids import IdMap
from recsys.jobs.id_files import parse_id, read_id_file
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import bytes_in_words, counted, json_ready, seconds_in_words, size_of

WORDS = IdMap(["a", "b c", "d,e", "naïve", "7"], name="user_id")
NUMBERS = IdMap([7, -3, 2**62], name="user_id")


def written(tmp_path, text, name="ids.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a\nb c\n", ["a", "b c"]),
        ("user_id\na\n7\n", ["a", "7"]),
        ("d,e\nnaïve", ["d,e", "naïve"]),
        ('user_id,note\n"d,e",x\na,y\n', ["d,e", "a"]),
        ("note,user_id\r\nx,a\r\n\r\n", ["a"]),
        ("\ufeffuser_id\na\n", ["a"]),
        ("a\n\na\n", ["a"]),
    ],
)
def test_text_and_csv_are_read_with_and_without_a_header(tmp_path, text, ids):
    assert read_id_file(written(tmp_path, text), WORDS).to_pylist() == ids


def test_integer_ids_are_read_as_integers(tmp_path):
    assert (
        read_id_file(written(tmp_path, "user_id\n7\n -3 \n4611686018427387904\n"), NUMBERS).to_pylist()
        == NUMBERS.to_arrow().to_pylist()
    )


@pytest.mark.parametrize("text", ["seven", "1_000", "7.0", "٧", "0x7", ""])
def test_what_is_no_integer_is_named_with_its_line(tmp_path, text):
    with pytest.raises(DataError, match=r"ids.txt, line 3: the user_ids here are integers") as caught:
        read_id_file(written(tmp_path, f"user_id\n7\n{text or 'x'}\n"), NUMBERS)
    assert repr(text or "x") in str(caught.value)


def test_what_no_id_can_be_is_named_with_the_file(tmp_path):
    with pytest.raises(DataError, match=r"ids.txt, line 2: .* 64 bits. Got '9223372036854775808'"):
        read_id_file(written(tmp_path, f"7\n{2**63}\n"), NUMBERS)
    with pytest.raises(DataError, match="64 bits"):
        parse_id(str(-(2**63) - 1), NUMBERS, "model")
    for values in ([7, None], [7.5, 8.0], [True, False]):
        pd.DataFrame({"user_id": pd.array(values)}).to_parquet(tmp_path / "ids.parquet")
        with pytest.raises(DataError, match=r"ids.parquet: .*user_id"):
            read_id_file(tmp_path / "ids.parquet", NUMBERS)


def test_a_parquet_column_is_read_as_it_is(tmp_path):
    pd.DataFrame({"user_id": [7, -3], "x": 0}).to_parquet(tmp_path / "ids.parquet")
    assert read_id_file(tmp_path / "ids.parquet", NUMBERS).to_pylist() == [7, -3]
    pd.DataFrame({"userid": [7]}).to_parquet(tmp_path / "ids.parquet")
    with pytest.raises(DataError, match=r"no column 'user_id'; it has 'userid'\. Did you mean 'userid'"):
        read_id_file(tmp_path / "ids.parquet", NUMBERS)


def test_unknown_ids_are_named_with_the_file_or_kept(tmp_path):
    path = written(tmp_path, "a\nz\n")
    with pytest.raises(UnknownIdError, match=r"ids.txt: Unknown user_id: 'z'"):
        read_id_file(path, WORDS)
    assert read_id_file(path, WORDS, unknown="skip").to_pylist() == ["a", "z"]


@pytest.mark.parametrize("text", ["", "\n\n", "user_id\n"])
def test_a_file_without_ids_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="holds no user_id"):
        read_id_file(written(tmp_path, text), WORDS)


def test_a_row_that_is_too_short_is_named(tmp_path):
    with pytest.raises(DataError, match=r"line 3, has no column 'user_id'"):
        read_id_file(written(tmp_path, "note,user_id\nx,a\ny\n"), WORDS)


def test_files_that_can_not_be_read_are_named(tmp_path):
    (tmp_path / "ids.txt").write_bytes(gzip.compress(b"a\n"))
    (tmp_path / "ids.parquet").write_bytes(b"PAR1")
    for name in ("ids.txt", "ids.parquet", "nowhere.txt", "nowhere.parquet", "."):
        with pytest.raises(DataError, match="can not be read as a file of user_ids"):
            read_id_file(tmp_path / name, WORDS)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_id_can_be_typed(number):
    assert parse_id(str(number), NUMBERS, "model") == number


def test_sizes_and_times_are_worded():
    assert [counted(n, "user") for n in (0, 1, 1200)] == ["0 users", "1 user", "1,200 users"]
    assert [bytes_in_words(n) for n in (0, 999, 1000, 1_682_233, 999_999, 20_300_000_000, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.7 MB", "1.0 MB", "20.3 GB", "5,000.0 TB",
    ]  # fmt: skip
    assert [seconds_in_words(s) for s in (0.4, 12.34, 99.97, 250, 7500)] == [
        "0.40 s",
        "12.3 s",
        "1 min 40 s",
        "4 min 10 s",
        "2 h 5 min",
    ]


def test_no_output_shares_a_place_with_another_or_an_input(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for output in ("data", "link", "data/inside", "x/../data", "."):
        with pytest.raises(ParameterError, match="data is what is read"):
            refuse_collisions([tmp_path / output], [None, tmp_path / "data"])
        with pytest.raises(ParameterError, match="place of its own"):
            refuse_collisions([tmp_path / "data", None, tmp_path / output])
    refuse_collisions([tmp_path / "data", tmp_path / "data2"], [tmp_path / "dat", None])


def test_the_size_of_a_directory_is_that_of_its_files(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(bytes(5))
    assert (size_of(tmp_path), size_of(tmp_path / "a")) == (15, 10)


def test_numbers_that_json_does_not_know_become_null():
    assert json_ready({"a": [float("nan"), float("inf"), 1.5], 2: (True, None)}) == {"a": [None, None, 1.5], "2": [True, None]}
