"""Open formats: every bit and every id comes back, others can read what is written, and what is wrong is named."""

import gzip
import importlib.util
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import recsys
from recsys.errors import DataError, FormatError, ParameterError

FILES = ["v.parquet", "v.safetensors", "v.npy", "v.vec", "v.vec.gz", "v.bin", "v.bin.gz", "v.glove", "v.tsv", "v.tsv.gz"]
TYPED = ["v.parquet", "v.safetensors", "v.npy"]
NAMED = ["v.parquet", "v.safetensors"]
if importlib.util.find_spec("lance") is not None:  # the extra store
    FILES, TYPED, NAMED = ([*names, "v.lance"] for names in (FILES, TYPED, NAMED))

WORDS = recsys.Embeddings.from_arrays(
    ["king", "Zürich", '"quoted"', "a,b", "nan", "123"],
    np.float32([[1, -0.0, 1e-45], [0.1, 1 / 3, 3e38], [1e-7, 2, 3], [0, 0, 0], [-1, -2, 16777217], [5, 6, 7]]),
    name="word",
)


@pytest.mark.parametrize("name", FILES)
def test_every_bit_and_id_comes_back(name, tmp_path):
    WORDS.to_file(tmp_path / name)
    again = recsys.Embeddings.from_file(tmp_path / name)
    assert again.ids == WORDS.ids
    np.testing.assert_array_equal(again.vectors, WORDS.vectors)
    assert again.ids.name == ("word" if name in NAMED else "id")
    assert recsys.Embeddings.from_file(tmp_path / name, name="word").ids.name == "word"


@pytest.mark.parametrize("name", FILES)
def test_integer_ids_stay_integers_where_the_format_can_say_so(name, tmp_path):
    numbers = recsys.Embeddings.from_arrays([7, -3, 2**62], np.eye(3, 2), name="item_id")
    numbers.to_file(tmp_path / name)
    assert recsys.Embeddings.from_file(tmp_path / name).ids.is_integer == (name in TYPED)
    again = recsys.Embeddings.from_file(tmp_path / name, integer_ids=True)
    assert again.ids.to_numpy().tolist() == [7, -3, 2**62]


@pytest.mark.parametrize("name", ["v.vec", "v.parquet", "v.safetensors", "v.bin"])
def test_many_rows_come_back_over_several_blocks(name, tmp_path):
    generator = np.random.default_rng(0)
    many = recsys.Embeddings.from_arrays(np.arange(70_001), generator.standard_normal((70_001, 3)))
    many.to_file(tmp_path / name)
    again = recsys.Embeddings.from_file(tmp_path / name, integer_ids=True)
    assert again.fingerprint == many.fingerprint


@given(
    vectors=hnp.arrays(np.float32, (3, 2), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
    ids=st.lists(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1), min_size=3, max_size=3, unique=True
    ),
    name=st.sampled_from(["v.parquet", "v.safetensors", "v.npy", "v.vec", "v.bin", "v.glove", "v.tsv"]),
)
def test_any_vectors_and_ids_come_back(vectors, ids, name, tmp_path_factory):
    place = tmp_path_factory.mktemp("any") / name
    given_ = recsys.Embeddings.from_arrays(ids, vectors)
    given_.to_file(place)
    again = recsys.Embeddings.from_file(place)
    assert again.ids == given_.ids
    np.testing.assert_array_equal(again.vectors, vectors)


def test_provenance_goes_with_formats_that_hold_it(tmp_path):
    known = recsys.Embeddings(WORDS.ids, WORDS.vectors, {"trainer": "als"})
    for name in NAMED:
        known.to_file(tmp_path / name)
        assert recsys.Embeddings.from_file(tmp_path / name).provenance == {"trainer": "als"}


def test_what_is_written_is_what_the_formats_are(tmp_path):
    small = recsys.Embeddings.from_arrays(["a", "b"], np.float32([[1, 0.5], [-2, 3]]))
    for name in ("v.vec", "v.glove", "v.bin", "v.tsv", "v.npy", "v.parquet"):
        small.to_file(tmp_path / name)
    assert (tmp_path / "v.vec").read_text() == "2 2\na 1 0.5\nb -2 3\n"
    assert (tmp_path / "v.glove").read_text() == "a 1 0.5\nb -2 3\n"
    assert (tmp_path / "v.bin").read_bytes() == b"2 2\na " + struct.pack("<2f", 1, 0.5) + b"\nb " + struct.pack(
        "<2f", -2, 3
    ) + b"\n"
    assert (tmp_path / "v.tsv").read_text() == "1\t0.5\n-2\t3\n"
    assert (tmp_path / "v.metadata.tsv").read_text() == "a\nb\n"
    assert np.load(tmp_path / "v.ids.npy").tolist() == ["a", "b"]
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 2)
    assert table.to_pydict() == {"id": ["a", "b"], "vector": [[1, 0.5], [-2, 3]]}


def test_the_package_safetensors_reads_ours_and_we_read_its(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the package safetensors")
    WORDS.to_file(tmp_path / "ours.safetensors")
    tensors = safetensors.load_file(tmp_path / "ours.safetensors")
    np.testing.assert_array_equal(tensors["vectors"], WORDS.vectors)
    theirs = {"weight": np.eye(3, 2, dtype=np.float16), "ids": np.array([3, 1, 2])}
    safetensors.save_file(theirs, tmp_path / "theirs.safetensors")
    again = recsys.Embeddings.from_file(tmp_path / "theirs.safetensors")
    assert again.ids.to_numpy().tolist() == [3, 1, 2]
    np.testing.assert_array_equal(again.vectors, np.eye(3, 2))


def safetensors_file(path, header, raw=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw)
    return path


@pytest.mark.parametrize(
    ("header", "raw", "message"),
    [
        (b"{", b"", "must begin with the length|can not be read"),
        (b"[1, 2]", b"", "can not be read"),
        ({"v": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}, b"1234", "may be cut short"),
        ({"v": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 4]}}, b"1234", "does not lie where"),
        ({"v": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}, b"1234", "holds no ids; its arrays are 'v'"),
        ({"v": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, b"12345678", "one array of two dimensions.*Got none"),
        ({"v": {"dtype": "F32"}}, b"", "can not be read"),
    ],
)
def test_safetensors_that_can_not_be_read_are_told(header, raw, message, tmp_path):
    path = safetensors_file(tmp_path / "x.safetensors", header, raw)
    with pytest.raises((DataError, FormatError), match=message):
        recsys.Embeddings.from_file(path)


def test_bfloat16_is_read(tmp_path):
    header = {
        "v": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]},
        "ids": {"dtype": "I64", "shape": [2], "data_offsets": [4, 20]},
    }
    raw = (np.float32([1.5, -2]).view(np.uint32) >> 16).astype("<u2").tobytes() + np.array([5, 6], "<i8").tobytes()
    path = safetensors_file(tmp_path / "x.safetensors", header, raw)
    assert recsys.Embeddings.from_file(path)[5].tolist() == [1.5]


def test_text_as_others_write_it_is_read(tmp_path):
    (tmp_path / "c.txt").write_text("2 2\nking 1.5 -2 \nnew_york 1e-3 4 \n")
    (tmp_path / "windows.txt").write_bytes(b"2 2\r\nking 1.5 -2\r\nnew_york 1e-3 4\r\n")
    (tmp_path / "blanks.txt").write_text("king 1.5 -2\n. . . 1e-3 4\n")
    for name, second in (("c.txt", "new_york"), ("windows.txt", "new_york"), ("blanks.txt", ". . .")):
        again = recsys.Embeddings.from_file(tmp_path / name)
        assert again.ids.to_numpy().tolist() == ["king", second]
        np.testing.assert_array_equal(again.vectors, np.float32([[1.5, -2], [1e-3, 4]]))
    (tmp_path / "g.bin").write_bytes(b"1 2\nking " + struct.pack("<2f", 1, 2))
    assert recsys.Embeddings.from_file(tmp_path / "g.bin")["king"].tolist() == [1, 2]
    (tmp_path / "m.tsv").write_text("1\t2\n3\t4\n")
    (tmp_path / "m.metadata.tsv").write_text("word\tcount\nking\t5\nqueen\t6\n")
    many = recsys.Embeddings.from_file(tmp_path / "m.tsv")
    assert (many.ids.to_numpy().tolist(), many.ids.name) == (["king", "queen"], "word")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.vec", "king 1 2\n", r"line 1: a word2vec file begins with two numbers.*Got 'king 1 2'. Hint: .*GloVe"),
        ("v.vec", "3 2\nking 1 2\nman 3 4\n", r"line 1, says 3 vectors. 2 follow"),
        ("v.vec", "1 2\nking 1 2\nman 3 4\n", r"line 1, says 1 vectors. 2 follow"),
        ("v.vec", "2 2\nking 1 2\nman 3\n", r"line 3: expected 2 numbers. Got 1"),
        ("v.vec", "2 2\nking 1 2\nman 3 x\n", r"line 3: expected 2 numbers. Could not convert string to float: 'x'"),
        ("v.vec", "999999999 300\nking 1 2\n", "says 999,999,999 vectors of 300 numbers"),
        ("v.vec", "1 0\nking\n", "line 1: a word2vec file"),
        ("v.vec", "", "is empty"),
        ("v.vec", "2 1\nking 1\nking 2\n", "v.vec: Each id must be unique. Found more than once: 'king'"),
        ("v.vec", "1 2\nking nan 1\n", "Every vector must be finite. Not so: 'king'"),
        ("v.glove", "king\n", "line 1: expected an id and its numbers"),
        ("v.glove", "king 1 2\nman 1 2 3\nboy 1\n", "line 3: expected 2 numbers. Got 1"),
        ("v.bin", "2 2\nking 12345678\n", "breaks off in vector 2|take 20 bytes or more"),
        ("v.bin", "1 1\nking 1234man 1234", "says 1 vectors, and more follows"),
        ("v.tsv", "1\t2\n", "v.metadata.tsv does not exist"),
        ("v.npy", "no array", "v.ids.npy does not exist"),
        ("v.parquet", "no table", "can not be read as Parquet"),
        ("v.safetensors", "short", "not a safetensors file"),
        ("v.vec.gz", "no gzip", "can not be read"),
        ("v.xyz", "a", "told by its suffix"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_line(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises((DataError, FormatError, ParameterError), match=message) as caught:
        recsys.Embeddings.from_file(tmp_path / name)
    assert name.split(".")[0] in str(caught.value) or "finite" in message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"id": ["a", "b"], "vector": [[1.0, 2.0], [3.0]]},
            "same length, most have 2. Not so: 'b', the first with 1 numbers",
        ),
        ({"id": ["a", "b"], "vector": [[1.0, 2.0], None]}, "Not so: 'b', the first with nothing"),
        ({"id": ["a"], "vector": [[1.0, None]]}, "numbers are missing"),
        ({"id": ["a", "a"], "vector": [[1.0], [2.0]]}, "must be unique"),
        ({"id": ["a", None], "vector": [[1.0], [2.0]]}, "must not be missing"),
        ({"id": ["a"], "x": [1.0]}, "one column of lists of numbers.*Got none among 'id', 'x'"),
        ({"vector": [[1.0]]}, "no column of integers or texts for ids"),
    ],
)
def test_a_table_that_is_wrong_names_the_id(columns, message, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        recsys.Embeddings.from_file(tmp_path / "t.parquet")


def test_tables_of_others_are_read(tmp_path):
    table = pa.table({"n": [1, 2], "sku": pa.array(["x", "y"]).dictionary_encode(), "text_embedding": [[1, 2], [3, 4]]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert recsys.Embeddings.from_file(tmp_path / "t.parquet", name="sku")["y"].tolist() == [3, 4]
    assert recsys.Embeddings.from_file(tmp_path / "t.parquet")[2].tolist() == [3, 4]
    with pytest.raises(DataError, match="no column 'item'"):
        recsys.Embeddings.from_file(tmp_path / "t.parquet", name="item")


def test_ids_that_a_format_can_not_hold_are_refused_and_nothing_is_left(tmp_path):
    spaced = recsys.Embeddings.from_arrays(["New York", "Rome"], np.eye(2))
    for name in ("v.vec", "v.glove", "v.bin"):
        with pytest.raises(DataError, match=r"can not hold ids with blanks. Got 'New York'. Hint: Parquet"):
            spaced.to_file(tmp_path / name)
    with pytest.raises(DataError, match="tabs and ends of line"):
        recsys.Embeddings.from_arrays(["a\tb"], np.eye(1)).to_file(tmp_path / "v.tsv")
    with pytest.raises(DataError, match="null character"):
        recsys.Embeddings.from_arrays(["a\0"], np.eye(1)).to_file(tmp_path / "v.npy")
    assert list(tmp_path.iterdir()) == []
    spaced.to_file(tmp_path / "v.tsv")
    assert recsys.Embeddings.from_file(tmp_path / "v.tsv").ids == spaced.ids


def test_no_vectors_at_all_come_back_as_none(tmp_path):
    none = recsys.Embeddings.from_arrays([], np.empty((0, 4)))
    for name in [*TYPED, "v.bin"]:
        none.to_file(tmp_path / name)
        again = recsys.Embeddings.from_file(tmp_path / name)
        assert again.vectors.shape == (0, 4)


def test_a_wrong_call_is_told(tmp_path):
    with pytest.raises(ParameterError, match=r"'word2vec' or 'glove'; name it"):
        WORDS.to_file(tmp_path / "v.txt")
    with pytest.raises(ParameterError, match="Did you mean 'word2vec'"):
        WORDS.to_file(tmp_path / "v.txt", "word2vc")
    with pytest.raises(ParameterError, match=r"not compressed as a whole. Hint: leave .gz away"):
        WORDS.to_file(tmp_path / "v.parquet.gz")
    WORDS.to_file(tmp_path / "v.vec")
    with pytest.raises(ParameterError, match="already exists"):
        WORDS.to_file(tmp_path / "v.vec")
    with pytest.raises(DataError, match="read as integers. Got 'king'"):
        recsys.Embeddings.from_file(tmp_path / "v.vec", integer_ids=True)
    with pytest.raises(FormatError, match="does not exist"):
        recsys.Embeddings.from_file(tmp_path / "none.vec")
    with gzip.open(tmp_path / "cut.vec.gz", "wb") as handle:
        handle.write(b"2 2\nking 1 2\nman 3 4\n" * 50)
    whole = (tmp_path / "cut.vec.gz").read_bytes()
    (tmp_path / "cut.vec.gz").write_bytes(whole[:-12])
    with pytest.raises(FormatError, match="can not be read"):
        recsys.Embeddings.from_file(tmp_path / "cut.vec.gz")
