"""Kernels of ingestion: records and fields, numbers, times, UTF-8 and ids, against the standard library."""

from __future__ import annotations

import csv
import datetime
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import DataError
from recsys.ingest.blocks import Defects, Ids, Text
from recsys.ingest.encode import IdEncoder
from recsys.ingest.values import ids_from_text, numbers_from_text, times_from_numbers, times_from_text
from recsys.kernels import delimited

field = st.text(st.sampled_from('ab,"\n\t 0é'), max_size=6)


def text_of(*fields: str | bytes) -> Text:
    encoded = [one if isinstance(one, bytes) else one.encode() for one in fields]
    ends = np.cumsum([len(one) for one in encoded], dtype=np.int32) if encoded else np.empty(0, np.int32)
    starts = ends - np.array([len(one) for one in encoded], dtype=np.int32)
    return Text(np.frombuffer(b"".join(encoded), dtype=np.uint8), starts, ends)


def split(raw: bytes, n_fields: int) -> tuple[list[list[str]], list[int]]:
    data = np.frombuffer(raw, dtype=np.uint8)
    room = delimited.count_byte(data, 10)
    text, begins, codes = data.copy(), np.empty(room, np.int32), np.empty(room, np.uint8)
    starts, ends = np.empty((2, n_fields, room), np.int32)
    n = delimited.split_records(data, text, ord(","), np.arange(n_fields), begins, starts, ends, codes)
    columns = [Text(text, starts[slot, :n], ends[slot, :n]) for slot in range(n_fields)]
    return [[column[row] for column in columns] for row in range(n)], codes[:n].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(field, min_size=2, max_size=2), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_records_are_those_that_the_standard_library_wrote(records, line_end, quote_all):
    handle = io.StringIO(newline="")
    csv.writer(handle, lineterminator=line_end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerows(records)
    raw = handle.getvalue().encode()
    assert split(raw, 2) == (records, [0] * len(records))
    assert delimited.complete_records(np.frombuffer(raw, dtype=np.uint8), ord(",")) == len(raw)


@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        (b"a,b,c\na\n,\n", [delimited.WRONG_FIELDS, delimited.WRONG_FIELDS, 0]),
        (b'"a"x,b\nc,d\n', [delimited.MISPLACED_QUOTE, 0]),
        (b'"a,b\nc,d\n', [delimited.MISPLACED_QUOTE, 0]),
        (b'a"b,c"d\n', [0]),
        (b"\n\r\na,b\n\n", [0]),
    ],
)
def test_malformed_records_are_marked_and_reading_goes_on_after_them(raw, codes):
    assert split(raw, 2)[1] == codes


def test_a_record_that_is_not_complete_is_left_for_the_next_block():
    for raw, complete in ((b'a,b\nc,"d\n', 4), (b"a,b\nc", 4), (b'"a""\n', 0), (b'"a\n"\nb', 5)):
        assert delimited.complete_records(np.frombuffer(raw, dtype=np.uint8), ord(",")) == complete


@settings(max_examples=60, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_in_its_shortest_form_is_an_integer_id(number):
    found = ids_from_text(text_of(str(number))).integers
    assert found is not None
    assert found.tolist() == [number]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 19),
    st.sampled_from(["", "9", "x", "\xff", "-", "77777777"]),
    st.sampled_from([None, "/", ":", "x", "é", "\0"]),
)
def test_only_the_bytes_of_a_field_count_and_each_must_be_a_digit(n_digits, before, wrong):
    digits = "1234567890123456789"[:n_digits]
    for place in range(n_digits) if wrong else [0]:
        field = digits if wrong is None else digits[:place] + wrong + digits[place + 1 :]
        raw = (before.encode("latin-1"), field.encode(), b"5")
        text = Text(np.frombuffer(b"".join(raw), np.uint8), *np.array([[len(raw[0])], [len(raw[0]) + len(raw[1])]], np.int32))
        found = ids_from_text(text).integers
        assert (None if found is None else found.tolist()) == (None if wrong else [int(digits)])


@pytest.mark.parametrize(
    "field", ["007", "+7", "-0", "7.0", " 7", "7 ", "-", "1e3", "9223372036854775808", "-9223372036854775809", "١"]
)
def test_any_other_form_makes_the_ids_text(field):
    assert ids_from_text(text_of("1", field)).integers is None


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-1000, 1000, places=3).map(float))
def test_numbers_are_read_as_python_reads_them(number):
    assert numbers_from_text(text_of(repr(number), f" {number:+} ")).tolist() == [number, number]


@pytest.mark.parametrize("field", ["", "nan", "inf", "-inf", "1_0", "1,5", ".", "-", "1e", "0x1", "1.2.3", "1 2"])
def test_what_is_no_decimal_number_is_not_a_number(field):
    assert np.isnan(numbers_from_text(text_of(field))).all()


def times(*fields: str, unit: str = "s") -> tuple[list[int], list[int]]:
    defects = Defects(np.zeros(len(fields), dtype=np.uint8))
    found = times_from_text(text_of(*fields), unit, defects)
    codes = defects.codes()
    return found.tolist(), [0] * len(fields) if codes is None else codes.tolist()


@settings(max_examples=60, deadline=None)
@given(st.datetimes(), st.sampled_from(["T", " "]), st.integers(-1439, 1439) | st.none())
def test_iso_times_are_read_as_python_reads_them(moment, separator, minutes_east):
    zone = datetime.UTC if minutes_east is None else datetime.timezone(datetime.timedelta(minutes=minutes_east))
    aware = moment.replace(tzinfo=zone)
    text = (moment if minutes_east is None else aware).isoformat(sep=separator)
    wanted = (aware - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    assert times(text) == ([wanted], [0])


@pytest.mark.parametrize(
    ("field", "iso"),
    [
        ("2020-02-29", "2020-02-29T00:00"),
        (" 2020-01-01T10:00Z ", "2020-01-01T10:00"),
        ("2020-01-01 10:00:00 +0200", "2020-01-01T08:00"),
        ("2020-01-01T10:00:00.1234567-01", "2020-01-01T11:00:00.123456"),
        ("2010/12/01 08:26", "2010-12-01T08:26"),
        ("1 Dec 2010 08:26", "2010-12-01T08:26"),
        ("1e9", "2001-09-09T01:46:40"),
    ],
)
def test_times_in_forms_with_one_meaning_are_read(field, iso):
    assert times(field) == ([int(np.datetime64(iso, "us").astype(np.int64))], [0])


@pytest.mark.parametrize(
    "field",
    ["", "x", "01/02/2020", "2019-02-29", "2020-13-01", "2020-01-01T25:00", "2020-01-01T10:60", "2020-1", "nan", "12:30"],
)
def test_times_that_can_not_be_read_in_one_way_only_are_refused(field):
    assert times(field)[1] == [9]


def test_unix_times_are_read_in_their_unit_and_refused_after_the_year_5000():
    for unit, field in (
        ("s", "1500000000.25"),
        ("ms", "1500000000250"),
        ("us", "1500000000250000"),
        ("ns", "1500000000250000000"),
    ):
        assert times(field, unit=unit) == ([1_500_000_000_250_000], [0])
        column = np.array([float(field)]) if unit == "s" else np.array([int(field)])
        assert times_from_numbers(column, unit, Defects(np.zeros(1, np.uint8))).tolist() == [1_500_000_000_250_000]
    assert times("1500000000250")[1] == [10]
    assert times("-1.5") == ([-1_500_000], [0])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=5), max_size=5))
def test_invalid_utf8_is_what_python_can_not_decode(fields):
    def decodes(one: bytes) -> bool:
        try:
            one.decode()
        except UnicodeDecodeError:
            return False
        return True

    marks = text_of(*fields).invalid
    assert (marks.tolist() if marks is not None else [False] * len(fields)) == [not decodes(one) for one in fields]


def encode(encoder: IdEncoder, ids: Ids) -> list[int]:
    codes = encoder.find(ids)
    encoder.add(ids, codes, "here")
    return codes.tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["1", "2", "-3", "a", "é" * 30, "abcd", "abce"]), max_size=6), max_size=5))
def test_texts_get_positions_by_first_appearance_whatever_the_blocks(blocks):
    encoder = IdEncoder("user_id")
    found = [encode(encoder, ids_from_text(text_of(*block))) for block in blocks]
    flat = [one for block in blocks for one in block]
    distinct = list(dict.fromkeys(flat))
    assert [code for codes in found for code in codes] == [distinct.index(one) for one in flat]
    assert [str(one) for one in encoder.ids().to_arrow().to_pylist()] == distinct


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2000), min_size=600, max_size=1500))
def test_tables_of_ids_grow_without_losing_any(keys):
    encoder, strings = IdEncoder("user_id"), IdEncoder("user_id")
    distinct = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    assert encode(encoder, Ids(np.array(keys), None)) == [distinct[key] for key in keys]
    assert encode(strings, Ids(None, text_of(*map(str, keys)))) == [distinct[key] for key in keys]
    assert encoder.find(Ids(np.array(keys), None)).tolist() == [distinct[key] for key in keys]
    assert strings.find(Ids(None, text_of(*map(str, keys)))).tolist() == [distinct[key] for key in keys]
    assert strings.ids().to_arrow().to_pylist() == [str(key) for key in distinct]


@pytest.mark.parametrize("length", [1, 3, 4, 7, 8, 9, 12, 15, 16, 21])
def test_texts_that_differ_in_one_byte_are_different_ids(length):
    texts = ["a" * length] + ["a" * place + "b" + "a" * (length - place - 1) for place in range(length)]
    encoder = IdEncoder("user_id")
    assert encode(encoder, Ids(None, text_of(*texts, *texts))) == [*range(length + 1)] * 2
    assert encoder.find(Ids(None, text_of(*reversed(texts)))).tolist() == [*range(length, -1, -1)]


def test_dense_and_sparse_integers_live_in_one_table():
    keys = np.array([0, -1, 2047, 2048, 4096, 10**12, -(10**12), 2**31, 2**63 - 1, -(2**63), *range(100, 1500)])
    encoder = IdEncoder("user_id")
    for first in range(0, len(keys), 100):  # the direct table grows over keys that a hash had found before
        assert encode(encoder, Ids(keys[first : first + 100], None)) == [*range(first, min(first + 100, len(keys)))]
    assert encoder.find(Ids(keys, None)).tolist() == [*range(len(keys))]
    assert encoder.find(Ids(np.array([1, 99, 1500, 10**6, -2, 10**13]), None)).tolist() == [-1] * 6
    assert encoder.ids().to_arrow().to_pylist() == keys.tolist()


def test_loose_integers_become_text_beside_text_and_typed_ones_do_not():
    numbers, text = Ids(np.array([5, -7, 5]), None, loose=True), Ids(None, text_of("a", "5"))
    encoder = IdEncoder("user_id")
    assert [encode(encoder, ids) for ids in (numbers, text, numbers.take(np.array([1])))] == [[0, 1, 0], [2, 0], [1]]
    assert encoder.ids().to_arrow().to_pylist() == ["5", "-7", "a"]
    with pytest.raises(DataError, match="All user_ids must have one type"):
        encode(encoder, Ids(np.array([5]), None))
