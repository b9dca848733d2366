"""Maps of embeddings: coordinates that can be repeated and compared, columns joined by id, pages and pictures of them."""

import base64
import json
import re
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions
from scipy.linalg import orthogonal_procrustes

from recsys import Embeddings
from recsys.cli import commands
from recsys.embeddings.mapping import EmbeddingMap
from recsys.embeddings.mapping.joined import Categories, Numbers, Texts, as_column
from recsys.errors import DataError, MissingExtraError, ParameterError, UnknownIdError
from recsys.trainers import ALS


def groups_of_points(n_groups=4, each=40, dim=12, seed=0):
    """Embeddings of well separated groups, the group of each id."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_groups, dim)) * 3
    vectors = np.repeat(centres, each, axis=0) + rng.normal(size=(n_groups * each, dim)) * 0.3
    ids = [f"i{number}" for number in range(n_groups * each)]
    return Embeddings.from_arrays(ids, vectors.astype(np.float32), name="item_id"), np.repeat(np.arange(n_groups), each)


def rotated(embeddings, seed=1):
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(embeddings.dim, embeddings.dim)))[0]
    return Embeddings(embeddings.ids, (embeddings.vectors @ axes).astype(np.float32))


@pytest.fixture(scope="module")
def embeddings():
    return groups_of_points()[0]


@pytest.fixture(scope="module")
def umap_map(embeddings):
    return embeddings.map("umap", n_neighbors=8)


def packed(path):
    """The header of a page's data, and a function that gives a section."""
    text = re.search(r'id="data">([^<]*)<', path.read_text(encoding="utf-8")).group(1)
    content = zlib.decompress(base64.b64decode(text))
    length = int.from_bytes(content[:4], "little")
    types = {"u8": "<u1", "u16": "<u2", "u32": "<u4", "f32": "<f4", "f64": "<f8"}

    def section(place):
        offset, count, kind = place
        return np.frombuffer(content, types[kind], count, 4 + length + offset)

    return json.loads(content[4 : 4 + length]), section


# ---- coordinates ----------------------------------------------------------------------------------------------------------


def test_pca_gives_the_projection_with_the_largest_variance(embeddings):
    flat = embeddings.map("pca", metric="euclidean")
    centred = embeddings.vectors.astype(np.float64) - embeddings.vectors.mean(axis=0, dtype=np.float64)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    for column in range(2):
        expected = centred @ axes[column]
        expected *= np.sign((expected**3).sum())
        np.testing.assert_allclose(flat.coordinates[:, column], expected, atol=1e-3)
    np.testing.assert_allclose(flat.provenance["variance_shares"], (values**2 / (values**2).sum())[:2], atol=1e-4)


def test_pca_of_rotated_vectors_is_the_same_map(embeddings):
    flat, turned = embeddings.map("pca"), rotated(embeddings).map("pca")
    np.testing.assert_allclose(turned.coordinates, flat.coordinates, atol=1e-4)


def test_pca_of_one_dimension_lies_on_a_line():
    flat = Embeddings.from_arrays([1, 2, 3], [[1.0], [2.0], [5.0]]).map("pca", metric="euclidean")
    assert (flat.coordinates[:, 1] == 0).all()
    np.testing.assert_allclose(np.diff(flat.coordinates[:, 0]), [1, 3], atol=1e-6)


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(embeddings, umap_map, method):
    maps = [embeddings.map(method, n_neighbors=8, num_threads=threads) for threads in (1, 2)]
    assert maps[0].coordinates.tobytes() == maps[1].coordinates.tobytes()
    if method == "umap":
        assert maps[0].coordinates.tobytes() == umap_map.coordinates.tobytes()
        assert embeddings.map("umap", n_neighbors=8, random_state=1).coordinates.tobytes() != umap_map.coordinates.tobytes()


def test_umap_keeps_groups_together(umap_map):
    labels, points = groups_of_points()[1], umap_map.coordinates.astype(np.float64)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.99
    assert umap_map.provenance["neighbours_kept"] > 0.3


def test_the_neighbours_of_a_map_are_those_of_the_embedding(embeddings, umap_map):
    table = embeddings.neighbours(["i7"], 8)["similar_item_id"].tolist()
    found = umap_map.neighbours[umap_map.ids.position("i7")]
    assert umap_map.ids.ids_at(found).to_pylist() == table


def test_a_map_like_another_lies_where_that_one_does(embeddings, umap_map):
    other = rotated(embeddings).map("umap", n_neighbors=8, like=umap_map)
    before, after = umap_map.coordinates, other.coordinates
    spread = np.linalg.norm(before - before.mean(axis=0), axis=1).mean()
    assert np.median(np.linalg.norm(before - after, axis=1)) < 0.5 * spread
    middles = before - before.mean(axis=0), after - after.mean(axis=0)
    rotation, _ = orthogonal_procrustes(middles[1].astype(float), middles[0].astype(float))
    np.testing.assert_allclose(rotation, np.eye(2), atol=1e-3)


def test_ids_that_the_other_map_lacks_are_placed_too(embeddings, umap_map):
    part = embeddings.map("pca", ids=[f"i{number}" for number in range(0, 160, 2)])
    whole = embeddings.map("umap", n_neighbors=8, like=part)
    assert len(whole) == 160
    assert np.isfinite(whole.coordinates).all()
    with pytest.raises(DataError, match="share no item_id"):
        embeddings.map("pca", like=Embeddings.from_arrays(["x", "y"], np.eye(2), name="item_id").map("pca"))


def test_only_the_ids_asked_for_are_mapped(embeddings):
    assert embeddings.map("pca", ids=["i3", "i1"]).ids.to_arrow().to_pylist() == ["i3", "i1"]
    with pytest.raises(UnknownIdError, match="i999"):
        embeddings.map("pca", ids=["i999"])


def test_zero_vectors_are_left_out_under_cosine_and_named():
    vectors = np.random.default_rng(0).normal(size=(12, 3))
    vectors[5] = 0
    embeddings = Embeddings.from_arrays(list(range(12)), vectors, name="item_id")
    with pytest.warns(UserWarning, match=r"1 of 12 item_ids.*: 5"):
        flat = embeddings.map("pca")
    assert (len(flat), flat.provenance["n_left_out"]) == (11, 1)
    assert len(embeddings.map("pca", metric="euclidean")) == 12


@pytest.mark.parametrize("n", [4, 5, 16])
def test_few_vectors_can_be_mapped(n):
    flat = Embeddings.from_arrays(np.arange(n), np.random.default_rng(0).normal(size=(n, 3))).map()
    assert np.isfinite(flat.coordinates).all()
    assert flat.neighbours.shape == (n, min(n - 1, 8))


def test_equal_vectors_can_be_mapped():
    vectors = np.repeat(np.eye(4), 10, axis=0)
    assert np.isfinite(Embeddings.from_arrays(np.arange(40), vectors).map("umap", n_neighbors=5).coordinates).all()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"method": "tsne"}, "`method` must be one of 'umap', 'pca'. Got 'tsne'"),
        ({"metric": "dot"}, "`metric` must be one of 'cosine', 'euclidean'"),
        ({"n_neighbors": 1}, "`n_neighbors` must be an int >= 2"),
        ({"min_dist": 2}, "`min_dist` must be a number from 0 to 1"),
        ({"like": "a map"}, "`like` must be an EmbeddingMap"),
    ],
)
def test_wrong_arguments_are_told(embeddings, wrong, says):
    with pytest.raises(ParameterError, match=re.escape(says)):
        embeddings.map(**{"method": "pca", **wrong})


def test_too_few_vectors_are_told():
    few = Embeddings.from_arrays([1, 2], np.eye(2))
    assert len(few.map("pca")) == 2
    with pytest.raises(DataError, match=r"at least 4 vectors.*Got 2. Hint: method='pca'"):
        few.map("umap")
    with pytest.raises(DataError, match="Got 0"):
        Embeddings.from_arrays([], np.empty((0, 2))).map("pca")


def test_without_umap_its_extra_is_named(embeddings, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"recsys\[map\]"):
        embeddings.map()


# ---- columns --------------------------------------------------------------------------------------------------------------


def test_a_frame_has_the_coordinates_and_the_columns_by_id(embeddings):
    flat = embeddings.map("pca")
    table = pd.DataFrame({"kind": ["a", "b", "c"], "item_id": ["i2", "i0", "unknown"]})
    frame = flat.to_frame(table)
    assert frame.columns.tolist() == ["item_id", "x", "y", "kind"]
    np.testing.assert_array_equal(frame[["x", "y"]].to_numpy(), flat.coordinates)
    assert frame["kind"].head(3).fillna("-").tolist() == ["b", "-", "a"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pd.DataFrame({"item": ["i1"]}), "`table` must be a DataFrame with a column item_id. Got 'item'"),
        (pd.DataFrame({"item_id": ["i1", "i1"]}), "`table` must have one row for each item_id"),
        (pd.DataFrame({"item_id": ["a"]}), "`table` names nothing on the map"),
        (pd.DataFrame({"item_id": ["i1"], "x": [1]}), "`table` must not have columns called 'x'"),
    ],
)
def test_a_table_that_does_not_fit_is_told(embeddings, table, says):
    with pytest.raises((ParameterError, DataError), match=re.escape(says)):
        embeddings.map("pca").to_frame(table)


def test_columns_are_taken_for_what_they_are():
    few = as_column("c", pd.Series(["b", "a", "b", None]))
    assert isinstance(few, Categories)
    assert (few.values, few.counts, few.codes.tolist()) == (["b", "a"], [2, 1], [0, 1, 0, -1])
    assert isinstance(as_column("t", pd.Series([f"name {n}" for n in range(100)])), Texts)
    assert isinstance(as_column("b", pd.Series([True, False])), Categories)
    numbers = as_column("n", pd.Series([1.0, np.inf, None, 1000.0, 1.0, 1.0]))
    assert isinstance(numbers, Numbers)
    assert numbers.is_skewed
    assert np.isnan(numbers.values).tolist() == [False, True, True, False, False, False]
    times = as_column("d", pd.to_datetime(pd.Series(["2026-01-02", None])))
    assert isinstance(times, Numbers)
    assert times.values[0] == pd.Timestamp("2026-01-02").timestamp() * 1000


# ---- the page -------------------------------------------------------------------------------------------------------------


def test_a_page_holds_places_columns_and_neighbours(embeddings, umap_map, tmp_path):
    table = pd.DataFrame({"item_id": umap_map.ids.to_numpy(), "title": "T", "kind": "k", "n": np.arange(160)})
    header, section = packed(umap_map.save_html(tmp_path / "map.html", table=table))
    assert header["ids"] == umap_map.ids.to_arrow().to_pylist()
    assert header["labels"] == ["T"] * 160
    assert [(column["name"], column["kind"]) for column in header["columns"]] == [("kind", "category"), ("n", "number")]
    np.testing.assert_array_equal(section(header["columns"][1]["numbers"]), np.arange(160))
    view = header["views"][0]
    x, y = (section(view[name]).astype(float) for name in "xy")
    side = np.ptp(umap_map.coordinates, axis=0).max()
    np.testing.assert_allclose(np.diff(x) * side / 65535, np.diff(umap_map.coordinates[:, 0]), atol=side / 60000)
    np.testing.assert_allclose(-np.diff(y) * side / 65535, np.diff(umap_map.coordinates[:, 1]), atol=side / 60000)
    np.testing.assert_array_equal(section(view["near"]).reshape(160, -1), umap_map.neighbours)


def test_pages_are_small(tmp_path):
    rng = np.random.default_rng(0)
    for n, most in ((10_000, 1e6), (100_000, 6e6)):
        ids = Embeddings.from_arrays(np.arange(n), np.zeros((n, 1)), name="item_id").ids
        map_ = EmbeddingMap(ids, rng.normal(size=(n, 2)).astype(np.float32), "umap", {}, rng.integers(0, n, (n, 8)))
        table = pd.DataFrame({"item_id": np.arange(n), "title": [f"A title of thing {i}" for i in range(n)], "group": "g"})
        assert map_.save_html(tmp_path / "map.html", table=table, overwrite=True).stat().st_size < most


def test_a_page_may_load_nothing_and_runs_one_script(umap_map, tmp_path):
    text = umap_map.save_html(tmp_path / "map.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    assert text.count("<script>") == 1
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|import\(|\beval\(|innerHTML", text)


def test_an_existing_page_is_not_overwritten(umap_map, tmp_path):
    umap_map.save_html(tmp_path / "map.html")
    with pytest.raises(ParameterError, match="already exists"):
        umap_map.save_html(tmp_path / "map.html")


def test_unknown_columns_are_told_with_those_that_are_there(umap_map, tmp_path):
    table = pd.DataFrame({"item_id": ["i1"], "genre": ["x"]})
    for argument in ("colour", "label"):
        with pytest.raises(ParameterError, match=rf"`{argument}` must be a column.*'genre'.*Got 'gendre'.*Did you mean"):
            umap_map.save_html(tmp_path / "map.html", table=table, **{argument: "gendre"})
    assert list(tmp_path.iterdir()) == []


def test_two_maps_share_their_ids_and_tell_which_has_what(embeddings, umap_map, tmp_path):
    other = embeddings.take([f"i{number}" for number in range(10, 160)]).map("pca", like=umap_map)
    header, section = packed(umap_map.save_html(tmp_path / "map.html", beside=other, names=("old", "new")))
    assert header["aligned"]
    assert [view["name"] for view in header["views"]] == ["old", "new"]
    np.testing.assert_array_equal(section(header["views"][1]["rows"]), np.arange(10, 160))
    assert header["columns"][-1]["counts"] == [150, 10]
    assert header["columns"][-1]["values"] == ["both", "only old"]
    with pytest.raises(DataError, match="no common type"):
        umap_map.save_html(tmp_path / "no.html", beside=Embeddings.from_arrays([1, 2], np.eye(2)).map("pca"))
    with pytest.raises(ParameterError, match="need beside="):
        umap_map.save_html(tmp_path / "no.html", names=("a", "b"))


# ---- the picture ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_the_same_each_time(umap_map, tmp_path, suffix):
    table = pd.DataFrame({"item_id": umap_map.ids.to_numpy(), "kind": groups_of_points()[1].astype(str), "n": range(160)})
    asked = {"table": table, "label": "item_id", "title": "Groups", "dpi": 60}
    paths = [umap_map.save_image(tmp_path / f"{n}{suffix}", colour="kind", **asked) for n in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    if suffix == ".svg":
        text = paths[0].read_text(encoding="utf-8")
        assert ">Groups<" in text
        assert len(re.findall(r">i\d+<", text)) > 4
    umap_map.save_image(tmp_path / f"two{suffix}", colour="n", beside=umap_map, **asked)


def test_a_picture_of_another_kind_is_refused(umap_map, tmp_path):
    with pytest.raises(ParameterError, match=r"'.png', '.svg', '.pdf'. Got '.gif'"):
        umap_map.save_image(tmp_path / "map.gif")
    assert list(tmp_path.iterdir()) == []


# ---- the command ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "model"
    ALS(factors=4, iterations=2).fit(random_interactions(strings=True)).save(path)
    return path


def run(*arguments):
    return CliRunner().invoke(commands, ["embeddings", "map", *map(str, arguments)], catch_exceptions=False)


def test_the_command_writes_pages_pictures_and_tables(model_path, tmp_path):
    for name in ("map.html", "map.png", "map.csv", "map.parquet"):
        done = run(model_path, "--output", tmp_path / name, "--method", "pca", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["bytes"] == (tmp_path / name).stat().st_size
    table, frame = pd.read_parquet(tmp_path / "map.parquet"), pd.read_csv(tmp_path / "map.csv")
    assert table.columns.tolist() == frame.columns.tolist() == ["item_id", "x", "y", "interactions"]
    header, _ = packed(tmp_path / "map.html")
    assert header["ids"] == table["item_id"].tolist()
    done = run(model_path, "--output", tmp_path / "users.html", "--method", "pca", "--side", "users", "--beside", model_path)
    assert done.exit_code == 0, done.output


def test_the_command_says_what_is_wrong_in_its_own_words(model_path, tmp_path):
    titles = tmp_path / "titles.csv"
    titles.write_text("item_id,genre\nnobody,x\n")
    pca = ("--method", "pca")
    for arguments, says in [
        (("--output", tmp_path / "map.txt", *pca), "--output must end in one of '.html'"),
        (("--output", tmp_path / "map.csv", *pca, "--colour", "genre"), "can not show --colour"),
        (("--output", tmp_path / "map.html", *pca, "--titles", titles), "--titles names nothing on the map"),
        (("--output", tmp_path / "map.html", *pca, "--colour", "genre"), "--colour must be a column of --titles"),
        (("--output", model_path, *pca), "--output must end"),
    ]:
        done = run(model_path, *arguments)
        assert done.exit_code == 2, done.output
        assert says in done.stderr
        assert not list(tmp_path.glob("map.*"))
