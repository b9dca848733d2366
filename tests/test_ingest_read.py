"""`read_interactions`: each kind of source gives what a dictionary of pairs gives, and bad input one clear sentence."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import DataError, FormatError, InputError, ParameterError
from recsys.ingest import BadRowsWarning, read, read_interactions
from tests.naive import gather_events_naively

SHARED = Path(__file__).parents[2] / "shared" / "datasets"
HEADER = ["user_id", "item_id", "weight", "timestamp"]

numbers = st.integers(-3, 12)
texts = st.sampled_from(
    ["1", "007", "7", "a,b", 'say "no"', '"', "two\nlines", "tab\there", " spaced ", "é→𝄞", "x" * 1000, "NA"]
)
weights = st.integers(-8, 8).map(lambda n: n / 4)
events = st.sampled_from([(numbers, texts), (texts, numbers), (texts, texts), (numbers, numbers)]).flatmap(
    lambda ids: st.lists(st.tuples(ids[0], ids[1], weights, st.integers(0, 3)), min_size=1, max_size=25)
)
rules = st.sampled_from(["sum", "count", "max", "last"])
small_cases = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Blocks of 64 bytes, so that a few rows make many blocks and rounds."""
    monkeypatch.setattr(read, "_BLOCK_BYTES", 64)


def write(path: Path, rows: list[tuple]) -> Path:
    """Rows as the file that the suffix asks for."""
    suffix = path.name.split(".", 1)[1]
    if suffix.startswith("parquet"):
        pq.write_table(pa.table(dict(zip(HEADER, zip(*rows, strict=True), strict=True))), path)
        return path
    if suffix.startswith("jsonl"):
        content = "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows)
    else:
        handle = io.StringIO(newline="")
        csv.writer(handle, delimiter="\t" if suffix.startswith("tsv") else ",").writerows([HEADER, *rows])
        content = handle.getvalue()
    raw = content.encode()
    if suffix.endswith("gz"):
        raw = gzip.compress(raw)
    elif suffix.endswith("zst"):
        raw = pa.compress(raw, codec="zstd", asbytes=True)
    path.write_bytes(raw)
    return path


def content(data) -> dict:
    """{(user, item): (weight, seconds or None)}"""
    frame = data.to_frame()
    times = [None] * len(frame) if data.timestamps is None else [int(time) // 1_000_000 for time in data.timestamps]
    return {
        (user, item): (weight, time)
        for user, item, weight, time in zip(frame["user_id"], frame["item_id"], frame["weight"], times, strict=True)
    }


def as_text_file_ids(rows: list[tuple]) -> list[tuple]:
    """What a text file can tell of ids: integers if all of a column are in their shortest form, else strings."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    for place in (0, 1):
        strings = [str(value) for value in columns[place]]
        whole = all(text.lstrip("-").isdigit() and str(int(text)) == text for text in strings)
        columns[place] = [int(text) for text in strings] if whole else strings
    return list(zip(*columns, strict=True))


def check(data, rows: list[tuple], rule: str) -> None:
    assert content(data) == gather_events_naively(rows, rule)
    assert data.users.to_arrow().to_pylist() == list(dict.fromkeys(row[0] for row in rows))
    assert data.items.to_arrow().to_pylist() == list(dict.fromkeys(row[1] for row in rows))
    assert data.provenance["rows_read"] == len(rows)


@small_cases
@given(rows=events, rule=rules, suffix=st.sampled_from(["csv", "tsv", "csv.gz", "tsv.zst"]), threads=st.integers(1, 2))
def test_text_files_give_what_a_dictionary_gives(tmp_path, tiny_blocks, rows, rule, suffix, threads):
    path = write(tmp_path / f"log.{suffix}", rows)
    check(read_interactions(path, duplicates=rule, num_threads=threads), as_text_file_ids(rows), rule)


@small_cases
@given(rows=events, rule=rules, suffix=st.sampled_from(["parquet", "jsonl", "jsonl.gz"]), threads=st.integers(1, 2))
def test_typed_files_give_what_a_dictionary_gives(tmp_path, tiny_blocks, rows, rule, suffix, threads):
    path = write(tmp_path / f"log.{suffix}", rows)
    check(read_interactions(path, duplicates=rule, num_threads=threads), rows, rule)


@small_cases
@given(rows=events, rule=rules, kind=st.sampled_from(["pandas", "polars", "arrow", "batches"]))
def test_tables_give_what_a_dictionary_gives(tiny_blocks, rows, rule, kind):
    table = pa.table(dict(zip(HEADER, zip(*rows, strict=True), strict=True)))
    made = {
        "pandas": table.to_pandas,
        "polars": lambda: pl.from_arrow(table),
        "arrow": lambda: table,
        "batches": table.to_reader,
    }
    check(read_interactions(made[kind](), duplicates=rule), rows, rule)


def test_the_result_does_not_depend_on_block_size_or_threads(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [(int(u), f"i{i}", 1.0, int(t)) for u, i, t in rng.integers(0, 30, (300, 3))]
    path = write(tmp_path / "log.csv", rows)
    fingerprints = set()
    for size, threads in ((64, 1), (64, 3), (1000, 2), (1 << 20, 1)):
        monkeypatch.setattr(read, "_BLOCK_BYTES", size)
        fingerprints.add(read_interactions(path, num_threads=threads).fingerprint)
    assert len(fingerprints) == 1


# ---- ids ------------------------------------------------------------------------------------------------------------


def test_a_column_that_turns_out_textual_at_its_end_keeps_the_first_ids_as_text(tmp_path, tiny_blocks):
    rows = [(str(k), str(k), 1.0, 0) for k in range(200)] + [("007", "7", 1.0, 0)]
    data = read_interactions(write(tmp_path / "log.csv", rows))
    assert data.users.to_arrow().to_pylist() == [str(k) for k in range(200)] + ["007"]
    assert data.items.is_integer


def test_integers_and_strings_mixed_in_typed_sources_are_refused(tmp_path, tiny_blocks):
    mixed = pd.DataFrame({"user_id": [1, "a"], "item_id": [1, 2]})
    late = pd.DataFrame({"user_id": [*range(50), "a"], "item_id": 1})
    for source in (mixed, late):
        with pytest.raises(DataError, match="All user_ids must have one type"):
            read_interactions(source)


def test_float_ids_with_gaps_are_integers_and_gaps_are_bad_rows():
    frame = pd.DataFrame({"user_id": [1.0, np.nan, 3.0], "item_id": ["a", "b", None]})
    with pytest.warns(BadRowsWarning, match="2 of 3 rows were left out"):
        data = read_interactions(frame, bad_rows="skip")
    assert content(data) == {(1, "a"): (1.0, None)}
    assert data.provenance["rejected"] == {"missing user": 1, "missing item": 1}
    with pytest.raises(DataError, match=r"Got the float 1\.5"):
        read_interactions(pd.DataFrame({"user_id": [1.5], "item_id": [1]}))


def test_categories_and_string_views_are_read_as_their_values(tiny_blocks):
    users = ["b", "a", None, "b", "c", "b", "a"]
    kinds = [pl.Categorical, pl.Enum(["c", "b", "a"]), pl.String]
    frames = [pl.DataFrame({"user": pl.Series(users, dtype=kind), "item": range(7)}) for kind in kinds]
    frames.append(pd.DataFrame({"user": pd.Categorical(users), "item": range(7)}))
    frames.append(pa.table({"user": pa.array(users, pa.string_view()), "item": range(7)}))
    frames.append(pa.table({"user": pa.array(users).dictionary_encode(), "item": range(7)}))
    for frame in frames:
        with pytest.warns(BadRowsWarning, match="1 of 7 rows was left out: 1 × missing user"):
            data = read_interactions(frame, bad_rows="skip")
        assert data.users.to_arrow().to_pylist() == ["b", "a", "c"]
        assert data.to_frame()["user_id"].tolist() == ["b", "b", "b", "a", "a", "c"]


def json_lines(path: Path, users: list[str]) -> Path:
    """A log whose users are given as JSON."""
    path.write_text("".join(f'{{"user_id": {user}, "item_id": {k}}}\n' for k, user in enumerate(users)))
    return path


@pytest.mark.parametrize("block_bytes", [32, 64, 1 << 19])
@pytest.mark.parametrize(
    ("users", "ids"),
    [
        (['"a"', "5", '"5"', "-7"], ["a", "5", "-7"]),
        (["5", "-7", "5", "6", '"a"', '"5"', "6", "8"], ["5", "-7", "6", "a", "8"]),
        (["5"] * 150 + ['"a"', "7"], ["5", "a", "7"]),
        (['"a"'] * 150 + ["5", "5", "5", "5", "5"], ["a", "5"]),
        (["5", "9223372036854775808", "5"], ["5", "9223372036854775808"]),
        (["5.0", "7", "5", "-2.0"], [5, 7, -2]),
        (["7", "5.0", '"a"'], ["7", "5", "a"]),
    ],
)
def test_ids_of_json_lines_are_strings_if_any_is_whatever_the_order_and_the_block(
    tmp_path, monkeypatch, users, ids, block_bytes
):
    monkeypatch.setattr(read, "_BLOCK_BYTES", block_bytes)
    data = read_interactions(json_lines(tmp_path / "log.jsonl", users))
    assert data.users.to_arrow().to_pylist() == ids
    assert data.items.to_arrow().to_pylist() == list(range(len(users)))


def test_what_is_neither_integer_nor_string_is_a_bad_row_in_json_lines(tmp_path, tiny_blocks):
    bad = ["1.5", "true", '{"a": "é"}', '"\\ud800"', "1e300", "9007199254740992.0"]
    for first in ('"a"', "3", "3.0", "4.5"):
        path = json_lines(tmp_path / "log.jsonl", [first, *bad, "3", "4.5"])
        with pytest.warns(BadRowsWarning):
            read_interactions(path, bad_rows="skip", rejects=tmp_path / "bad.csv")
        frame = pd.read_csv(tmp_path / "bad.csv", keep_default_na=False, dtype=str)
        lines = [2, 3, 4, 5, 6, 7, 9] if first != "4.5" else [1, 2, 3, 4, 5, 6, 7, 9]
        assert frame["line"].tolist() == [str(line) for line in lines]
        assert set(frame["column"]) == {"user_id"}
        values = ["1.5", "true", '{"a": "é"}', "\\ud800", "1e+300", "9007199254740992.0", "4.5"]
        assert frame["value"].tolist()[-7:] == values
        assert set(frame["reason"]) == {"user is neither integer nor string", "user is not valid text"}
    with pytest.raises(DataError, match=r"line 1, column 'user_id': user is neither integer nor string, got '4\.5'"):
        read_interactions(path)


# ---- times ----------------------------------------------------------------------------------------------------------


def test_typed_times_are_taken_as_they_are_and_naive_ones_are_utc():
    base = {"user_id": [1], "item_id": [1]}
    noon = pd.Timestamp("2020-06-01 12:00", tz="UTC")
    for value in (noon.tz_localize(None), noon, noon.tz_convert("Asia/Tokyo"), noon.isoformat(), noon.timestamp()):
        data = read_interactions(pd.DataFrame({**base, "timestamp": [value]}))
        assert data.timestamps is not None
        assert data.timestamps.tolist() == [1_591_012_800_000_000]
    day = pa.table({**base, "date": pa.array([noon.date()])})
    assert read_interactions(day).timestamps.tolist() == [1_590_969_600_000_000]


def test_a_time_of_the_wrong_unit_is_refused_with_a_hint(tmp_path):
    path = write(tmp_path / "log.csv", [(1, 2, 1.0, 1_500_000_000_000)])
    with pytest.raises(DataError, match=r"line 2, column 'timestamp': timestamp after the year 5000.*timestamp_unit="):
        read_interactions(path)
    assert read_interactions(path, timestamp_unit="ms").timestamps.tolist() == [1_500_000_000_000_000]


# ---- bad rows -------------------------------------------------------------------------------------------------------

DIRTY = (
    "user_id,item_id,weight,timestamp\n1,2,3,2020-01-01\n"
    ',2,3,0\n1,"",3,0\n1,2,nan,0\n1,2\n\n4,5,"6\n7",0\n1,2,3,soon\n1,2,1e39,0\n'
)


def test_bad_rows_are_named_with_file_line_column_and_value(tmp_path):
    path = tmp_path / "dirty.csv"
    path.write_text(DIRTY)
    with pytest.raises(DataError) as raised:
        read_interactions(path)
    message = str(raised.value)
    for part in (
        f"{path}, line 3, column 'user_id': missing user, got ''",
        "line 4, column 'item_id': missing item",
        "line 5, column 'weight': weight is not a finite number, got 'nan'",
        "line 6: wrong number of fields, got '1,2'",
        "line 8, column 'weight': weight is not a finite number, got '6\\n7'",
    ):
        assert part in message
    assert "line 10" not in message


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_skipped_rows_are_counted_written_and_warned_of_once(tmp_path, tiny_blocks, suffix):
    path, rejects = tmp_path / "dirty.csv", tmp_path / f"rejects.{suffix}"
    path.write_text(DIRTY)
    with pytest.warns(BadRowsWarning) as caught:
        data = read_interactions(path, bad_rows="skip", rejects=rejects)
    assert len(caught) == 1
    assert str(caught[0].message).startswith("7 of 8 rows were left out: 3 × weight is not a finite number")
    assert caught[0].filename == __file__
    assert content(data) == {(1, 2): (3.0, 1_577_836_800)}
    frame = pd.read_csv(rejects, keep_default_na=False) if suffix == "csv" else pd.read_parquet(rejects)
    assert frame["line"].tolist() == [3, 4, 5, 6, 8, 10, 11]
    assert frame["value"].tolist() == ["", "", "nan", "1,2", "6\n7", "soon", "1e39"]
    assert frame["column"].tolist() == ["user_id", "item_id", "weight", "", "weight", "timestamp", "weight"]
    assert set(frame["file"]) == {str(path)}
    assert data.provenance["rejected"] == frame["reason"].value_counts().to_dict()


def test_when_every_row_is_bad_there_are_no_events_and_the_rows_are_listed(tmp_path):
    path, rejects = tmp_path / "dirty.csv", tmp_path / "rejects.csv"
    path.write_text("user_id,item_id\n,1\n")
    with pytest.raises(DataError, match=r"holds no events: all rows were left out \(1 × missing user\)"):
        read_interactions(path, bad_rows="skip", rejects=rejects)
    assert len(rejects.read_text().splitlines()) == 2


def test_a_reading_that_fails_leaves_an_earlier_file_of_rejects_as_it_was(tmp_path):
    rejects = tmp_path / "rejects.csv"
    rejects.write_text("earlier")
    (tmp_path / "a.csv").write_text("user_id,item_id\n,1\n")
    (tmp_path / "b.csv").write_text("user_id\n1\n")
    with pytest.raises(DataError, match="has no column 'item_id'"):
        read_interactions(str(tmp_path / "*.csv"), bad_rows="skip", rejects=rejects)
    assert rejects.read_text() == "earlier"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.csv", "b.csv", "rejects.csv"]


def test_lines_that_are_no_json_objects_are_bad_rows_with_their_line(tmp_path, tiny_blocks):
    path = tmp_path / "log.jsonl"
    good = [{"user_id": f"u{k}", "item_id": k} for k in range(20)]
    lines = [json.dumps(record) for record in good]
    lines[7] = '{"user_id": "u7", '
    lines[11] = '{"user_id": null, "item_id": 4}'
    lines[13] = '{"user_id": ["u"], "item_id": 4}'
    path.write_text("\n".join(lines))
    with pytest.warns(BadRowsWarning):
        data = read_interactions(path, bad_rows="skip", rejects=tmp_path / "bad.csv")
    assert len(data) == 17
    frame = pd.read_csv(tmp_path / "bad.csv", keep_default_na=False)
    assert frame[["line", "reason"]].to_numpy().tolist() == [
        [8, "not a JSON object"],
        [12, "missing user"],
        [14, "user is neither integer nor string"],
    ]


def test_invalid_utf8_in_an_id_is_a_bad_row_and_elsewhere_does_not_matter(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes(b"user_id,item_id,title\ncaf\xe9,1,x\nb,2,caf\xe9\n")
    with pytest.raises(DataError, match=r"line 2, column 'user_id': user is not valid text, got 'caf\\\\xe9'"):
        read_interactions(path)
    with pytest.warns(BadRowsWarning):
        assert content(read_interactions(path, bad_rows="skip")) == {("b", 2): (1.0, None)}


def test_negative_weights_are_kept(tmp_path):
    assert content(read_interactions(write(tmp_path / "a.csv", [(1, 2, -3.5, 0)]))) == {(1, 2): (-3.5, 0)}


# ---- columns --------------------------------------------------------------------------------------------------------


def test_aliases_are_known_and_a_named_column_wins():
    frame = pd.DataFrame({"userId": [1], "item": [2], "rating": [3.0], "score": [4.0], "datetime": ["2020-01-01"]})
    assert content(read_interactions(frame)) == {(1, 2): (3.0, 1_577_836_800)}
    assert content(read_interactions(frame, weight="score", timestamp=False)) == {(1, 2): (4.0, None)}
    assert content(read_interactions(frame, weight=False, timestamp=False)) == {(1, 2): (1.0, None)}


def test_a_missing_column_is_told_with_those_there_and_the_closest():
    frame = pd.DataFrame({"user_id": [1], "itemid_": [2]})
    with pytest.raises(DataError, match=r"It has 'user_id', 'itemid_'\. Did you mean 'itemid_'\?"):
        read_interactions(frame)
    with pytest.raises(DataError, match=r"no column 'usr_id' .*Did you mean 'user_id'\?"):
        read_interactions(frame, user="usr_id")


def test_a_column_in_use_is_not_suggested_for_a_missing_one():
    frame = pd.DataFrame({"item_id": [1], "other": [2]})
    with pytest.raises(
        DataError, match=r"no column for the item: 'item_id' is used as user, and .*'item' are not there"
    ) as raised:
        read_interactions(frame, user="item_id")
    assert "Did you mean" not in str(raised.value)
    with pytest.raises(DataError, match="no column 'item_ids'") as raised:
        read_interactions(frame, user="item_id", item="item_ids")
    assert "Did you mean" not in str(raised.value)
    with pytest.raises(DataError, match=r"no column 'item_id' .*It has 'user_id', 'x'\. Hint: name it with item="):
        read_interactions(pd.DataFrame({"user_id": [1], "x": [2]}))


def test_several_candidates_for_a_role_must_be_chosen_from():
    frame = pd.DataFrame({"user_id": [1], "item_id": [2], "rating": [3.0], "count": [4]})
    with pytest.raises(DataError, match=r"several columns that could be the weight: 'rating', 'count'\. Hint: .*weight="):
        read_interactions(frame)


# ---- sources --------------------------------------------------------------------------------------------------------


def test_several_files_and_globs_are_read_in_order(tmp_path):
    for name, user in (("b.csv", 2), ("a.csv", 1)):
        write(tmp_path / name, [(user, 5, 1.0, 0)])
    assert read_interactions(str(tmp_path / "*.csv")).users.to_arrow().to_pylist() == [1, 2]
    data = read_interactions([tmp_path / "b.csv", tmp_path / "a.csv"])
    assert data.users.to_arrow().to_pylist() == [2, 1]
    assert [one["rows"] for one in data.provenance["sources"]] == [1, 1]
    assert json.loads(json.dumps(data.provenance)) == data.provenance


@pytest.mark.parametrize(("delimiter", "suffix"), [(";", "csv"), ("|", "tsv"), ("\t", "csv"), (",", "tsv"), (" ", "csv.gz")])
def test_any_single_byte_can_stand_between_fields(tmp_path, tiny_blocks, delimiter, suffix):
    rows = [(f"u{delimiter}{k}", k % 3, k + 1.5, k) for k in range(20)]
    handle = io.StringIO(newline="")
    csv.writer(handle, delimiter=delimiter).writerows([HEADER, *rows])
    raw = handle.getvalue().encode()
    path = tmp_path / f"log.{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else raw)
    check(read_interactions(path, delimiter=delimiter), rows, "sum")


def test_a_delimiter_is_refused_for_what_has_none(tmp_path):
    for name in ("log.parquet", "log.jsonl"):
        path = write(tmp_path / name, [(1, 2, 1.0, 0)])
        with pytest.raises(ParameterError, match=f"`delimiter` is for CSV and TSV files; {path} is read as"):
            read_interactions(path, delimiter=";")
    with pytest.raises(ParameterError, match="`delimiter` is for files; the source is a table"):
        read_interactions(pd.DataFrame({"user_id": [1], "item_id": [1]}), delimiter=";")


def test_byte_order_mark_crlf_and_a_last_line_without_end_are_fine(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfuser_id,item_id\r\n1,a\r\n2,b")
    assert content(read_interactions(path)) == {(1, "a"): (1.0, None), (2, "b"): (1.0, None)}


def _bad_sources(folder: Path) -> dict[str, tuple[Path | str, str]]:
    whole = write(folder / "whole.parquet", [(1, 2, 3.0, 0)] * 100).read_bytes()
    compressed = gzip.compress(b"user_id,item_id\n" + b"1,2\n" * 5000)
    files = {
        "empty.csv": (b"", "is empty"),
        "blank.csv": (b"\n\n", "is empty"),
        "header.csv": (b"user_id,item_id\n", "holds no events"),
        "short.parquet": (whole[:-20], "is not a whole Parquet file"),
        "short.csv.gz": (compressed[: len(compressed) // 2], "is cut short"),
        "damaged.csv.gz": (compressed[:-8] + b"12345678", "is damaged"),
        "plain.csv.gz": (b"user_id,item_id\n1,2\n", "its content is not gzip"),
        "binary.csv": (b"user_id,item_id\n\0" + bytes(range(256)), "is not a text file: byte 17 of it is zero"),
        "wide.csv": ("user_id,item_id\n".encode("utf-16"), "UTF-16"),
        "semicolon.csv": (b"user_id;item_id\n1;2\n", r"separated by ';'.* Hint: delimiter=';' reads it"),
        "array.json": (b'[{"user_id": 1}]', "is a JSON array"),
        "words.jsonl": (b"hello\n", "none of its first lines is a JSON object"),
        "table.csv": (whole, "is a Parquet file"),
        "log.txt": (b"user_id,item_id\n1,2\n", "no suffix that tells its format"),
        "mac.csv": (b"user_id,item_id\r1,2\r", "carriage return"),
    }
    for name, (raw, _) in files.items():
        (folder / name).write_bytes(raw)
    made: dict[str, tuple[Path | str, str]] = {name: (folder / name, message) for name, (_, message) in files.items()}
    empty = pa.table({"user_id": pa.array([], pa.int64()), "item_id": pa.array([], pa.int64())})
    pq.write_table(empty, folder / "none.parquet")
    made["none"] = folder / "none.parquet", "holds no events"
    made["folder"] = folder, "is a directory"
    made["missing"] = folder / "headers.csv", r"does not exist\. Did you mean 'header.csv'\?"
    made["glob"] = str(folder / "*.nothing"), "No file matches"
    return made


@pytest.mark.parametrize(
    "name",
    [
        "empty.csv",
        "blank.csv",
        "header.csv",
        "short.parquet",
        "short.csv.gz",
        "damaged.csv.gz",
        "plain.csv.gz",
        "binary.csv",
        "wide.csv",
        "semicolon.csv",
        "array.json",
        "words.jsonl",
        "table.csv",
        "log.txt",
        "mac.csv",
        "none",
        "folder",
        "missing",
        "glob",
    ],
)
def test_each_unusable_source_is_refused_in_one_sentence_that_names_it(tmp_path, name):
    source, message = _bad_sources(tmp_path)[name]
    with pytest.raises((DataError, FormatError), match=message) as raised:
        read_interactions(source)
    assert str(source) in str(raised.value)


@pytest.mark.parametrize(
    "call",
    [
        {"duplicates": "mean"},
        {"bad_rows": "drop"},
        {"timestamp_unit": "minutes"},
        {"format": "xml"},
        {"rejects": "x.csv"},
        {"bad_rows": "skip", "rejects": "x.txt"},
        {"delimiter": ""},
        {"delimiter": "::"},
        {"delimiter": '"'},
        {"delimiter": "\n"},
        {"delimiter": "é"},
        {"delimiter": 59},
        {"user": 3},
        {"user": "a", "item": "a"},
        {"num_threads": 0},
    ],
)
def test_a_wrong_argument_is_refused(tmp_path, call):
    with pytest.raises(ParameterError):
        read_interactions(write(tmp_path / "log.csv", [(1, 2, 1.0, 0)]), **call)


@pytest.mark.parametrize("source", [3, None, [], [3], {"user_id": [1]}])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(InputError):
        read_interactions(source)


def test_progress_is_shown_on_standard_error(tmp_path, capsys):
    read_interactions(write(tmp_path / "log.csv", [(1, 2, 1.0, 0)]), progress=True)
    assert "Reading events" in capsys.readouterr().err


# ---- real logs ------------------------------------------------------------------------------------------------------


def test_movielens_has_its_published_counts():
    path = SHARED / "ml-latest-small" / "ratings.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    data = read_interactions(path, item="movieId")
    assert (data.n_users, data.n_items, data.n_interactions) == (671, 9066, 100_004)


def test_a_dirty_retail_log_is_read_with_its_defects_counted():
    path = SHARED / "online-retail" / "transactions.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    columns = {"user": "CustomerID", "item": "StockCode", "weight": "Quantity", "timestamp": "InvoiceDate"}
    with pytest.raises(DataError, match="row 264, column 'CustomerID': missing user"):
        read_interactions(path, **columns)
    with pytest.warns(BadRowsWarning, match="235,287 of 1,044,847 rows"):
        data = read_interactions(path, bad_rows="skip", **columns)
    frame = pd.read_parquet(path).dropna(subset="CustomerID")
    assert data.n_interactions == len(frame[["CustomerID", "StockCode"]].drop_duplicates())
    assert data.users.is_integer
    assert data.weights.sum() == frame["Quantity"].sum()
    assert data.weights.min() < 0
