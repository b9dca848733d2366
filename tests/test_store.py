"""The versioned store: what is published, refused, read, tagged, compared and cleared away; who can read it without us."""

import json
import shutil
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.cli import commands
from recsys.embeddings import Embeddings, EmbeddingStore, open_store, publish_model
from recsys.embeddings.store.lance_table import LanceTable
from recsys.embeddings.store.snapshots import Versions
from recsys.embeddings.store.versions import KEY
from recsys.errors import DataError, FormatError, MissingExtraError, ParameterError, UnknownIdError
from recsys.jobs.terminal import in_cli_words

lance = pytest.importorskip("lance", reason="needs the extra store (pylance)")


def drawn(n=40, dim=6, seed=0, *, strings=False, name="item_id"):
    generator = np.random.default_rng(seed)
    ids = generator.permutation(n)
    return Embeddings.from_arrays(
        [f"i{id_}" for id_ in ids] if strings else ids * 3 - 7,
        generator.standard_normal((n, dim)).astype("f4"),
        name=name,
    )


def moved(embeddings, amount=0.1, seed=1):
    noise = np.random.default_rng(seed).standard_normal(embeddings.vectors.shape).astype("f4")
    return Embeddings(embeddings.ids, embeddings.vectors + amount * noise)


def turned(embeddings, seed=2):
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((embeddings.dim,) * 2))[0]
    return Embeddings(embeddings.ids, embeddings.vectors @ rotation.astype("f4"))


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "items.lance")


@pytest.fixture
def filled(store):
    """Three versions: 1 production, 3 candidate."""
    first = drawn()
    store.publish(first, tag="production")
    store.publish(moved(first, 0.1))
    store.publish(moved(first, 0.2), tag="candidate")
    return store


# ---- publishing and reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strings", [False, True])
def test_what_was_published_comes_back_in_the_order_of_ids(store, strings, capfd):
    given_, version = drawn(strings=strings), None
    version = store.publish(given_, metric="cosine", note="first")
    back = store.get(1)
    assert back.ids.name == "item_id"
    assert back.ids.to_arrow().to_pylist() == sorted(given_.ids.to_arrow().to_pylist())
    np.testing.assert_array_equal(back.take(given_.ids.to_arrow()).vectors, given_.vectors)
    assert back.fingerprint == version.fingerprint == store.verify().fingerprint
    assert back.provenance["store"] | {"version": 1, "metric": "cosine", "parent": None} == back.provenance["store"]
    assert (version.version, version.n, version.dim, version.note) == (1, 40, 6, "first")
    assert capfd.readouterr() == ("", "")


def test_the_same_is_found_by_number_by_tag_and_as_the_latest(filled):
    three = [filled.get(which).fingerprint for which in (3, "3", "candidate", "latest")]
    assert len(set(three)) == 1
    assert filled.get("production").fingerprint == filled.version(1).fingerprint != three[0]


def test_lineage_says_trainer_data_parent_alignment_and_drift(store):
    data = random_interactions(60, 30, 0.3)
    model = recsys.ALS(factors=4, iterations=2).fit(data)
    store.publish(model.item_embeddings)
    other = recsys.ALS(factors=4, iterations=2, random_state=3).fit(data)
    with pytest.warns(UserWarning, match="another rotation.*align=True"):
        version = store.publish(turned(other.item_embeddings), parent=1)
    assert (store.version(1).trainer, store.version(1).data_fingerprint) == ("als", data.fingerprint)
    assert (version.parent, version.gone_share, version.new_share) == (1, 0, 0)
    assert version.drift["n_shared"] == 30
    assert version.alignment["residual"] < version.alignment["residual_as_published"]
    table = store.versions()
    assert table["version"].tolist() == [2, 1]
    assert table.loc[0, "displacement"] == version.drift["displacement"]
    assert table.loc[1, "data"] == data.fingerprint


def test_aligning_makes_vectors_comparable_and_keeps_their_products(store):
    first = drawn()
    store.publish(first)
    version = store.publish(turned(first), align=True)
    np.testing.assert_allclose(store.get().vectors, store.get(1).vectors, atol=1e-5)
    assert version.alignment["aligned"]
    assert version.alignment["residual_as_published"] < 1e-3


def test_columns_of_biases_are_not_turned(store):
    first = drawn()
    store.publish(first, biases=1)
    other = turned(Embeddings(first.ids, first.vectors[:, :-1]))
    version = store.publish(Embeddings(first.ids, np.hstack([other.vectors, first.vectors[:, -1:]])), align=True)
    assert version.biases == 1
    np.testing.assert_allclose(store.get().vectors, store.get(1).vectors, atol=1e-5)


@settings(max_examples=15)
@given(st.data())
def test_rows_of_some_ids_are_those_of_the_whole(looked_into, data):
    path, embeddings = looked_into
    some = st.lists(st.sampled_from(embeddings.ids.to_arrow().to_pylist()), max_size=12, unique=True)
    other = st.lists(st.integers(-(2**40), 2**40).map(str if not embeddings.ids.is_integer else int), max_size=3)
    wanted = data.draw(data.draw(st.permutations(range(2))) and some) + data.draw(other)
    wanted = list(dict.fromkeys(wanted))
    known = [id_ for id_ in wanted if id_ in embeddings]
    found = open_store(path).get(ids=np.array(wanted) if wanted else [], unknown="skip")
    assert found.ids.to_arrow().to_pylist() == known
    np.testing.assert_array_equal(found.vectors, embeddings.vectors[embeddings.ids.positions(known)])


@pytest.fixture(scope="module", params=[False, True], ids=["integers", "strings"])
def looked_into(request, tmp_path_factory):
    """A store of several stretches of rows, and what was published to it."""
    path = tmp_path_factory.mktemp("store") / "s.lance"
    embeddings = drawn(9000, 3, strings=request.param)
    open_store(path).publish(embeddings)
    return path, embeddings


def test_only_the_rows_that_are_asked_for_are_read(tmp_path):
    embeddings = drawn(200_000, 64)
    open_store(tmp_path / "s.lance").publish(embeddings)
    snapshot = Versions(LanceTable(tmp_path / "s.lance")).of(1)
    snapshot.dataset.io_stats_incremental()
    wanted = embeddings.ids.to_arrow().to_pylist()[100:105]
    assert snapshot.take(wanted, "raise").ids.to_arrow().to_pylist() == wanted
    few = snapshot.dataset.io_stats_incremental().read_bytes
    assert snapshot.embeddings().vectors.nbytes == 51_200_000
    assert snapshot.dataset.io_stats_incremental().read_bytes > 51_200_000
    # Five stretches of the ids and five rows: a thousandth of the table and a bit.
    assert few < 200_000


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([2, 5000, 5001], "does not have the item_id 5000, 5001"),
        (["2"], "Hint: the item_ids here are integers, these are strings"),
        ([[1]], "integer or a string"),
    ],
)
def test_ids_that_are_not_there_are_named(filled, ids, sentence):
    with pytest.raises((UnknownIdError, DataError), match=sentence):
        filled.get(1, ids=ids)


def test_an_id_is_taken_once_only(filled):
    with pytest.raises(DataError, match="once only"):
        filled.get(1, ids=[2, 2, 5])
    assert filled.get(1, ids=[]).vectors.shape == (0, 6)
    with pytest.raises(ParameterError, match="`unknown`"):
        filled.get(1, ids=[2], unknown="ignore")


# ---- what is refused ----------------------------------------------------------------------------------------------


def with_nan():
    values = np.ones((3, 6), "f4")
    embeddings = Embeddings.from_arrays([1, 2, 3], values, name="item_id")
    values[1, 2] = np.nan
    return embeddings


BROKEN = {
    "dimensions: 6 before, 5 now": (drawn(dim=5), {}),
    "metric: dot before, cosine now": (drawn(), {"metric": "cosine"}),
    "ids are: integers before, strings now": (drawn(strings=True), {}),
    "ids name: item_id before, user_id now": (drawn(name="user_id"), {}),
    "columns of biases: 0 before, 1 now": (drawn(), {"biases": 1}),
    "30 of the 40 item_ids of version 1 are missing.*max_missing=0.75": (drawn().take(drawn().ids.to_arrow()[:10]), {}),
    "must be finite.*Not so: 2": (with_nan(), {"new_contract": True}),
    "no vector may be zero.*Not so: 5": (
        Embeddings.from_arrays([4, 5], [[1.0], [0.0]], name="item_id"),
        {"metric": "cosine", "new_contract": True},
    ),
    "without vectors": (Embeddings.from_arrays([], np.empty((0, 6)), name="item_id"), {}),
    "must be Embeddings. Got list": ([[1.0]], {}),
    "`metric` must be one of": (drawn(), {"metric": "cosin"}),
    "`max_missing` must be a share": (drawn(), {"max_missing": 2}),
    "`drift_sample` must be": (drawn(), {"drift_sample": -1}),
    "`biases` must be": (drawn(), {"biases": 9}),
    "A tag's name must": (drawn(), {"tag": "a b"}),
    "'latest' is the name": (drawn(), {"tag": "latest"}),
    "no tag 'prod'": (drawn(), {"parent": "prod"}),
}


@pytest.mark.parametrize("sentence", list(BROKEN))
def test_what_breaks_the_contract_is_refused_in_one_sentence(store, sentence):
    store.publish(drawn())
    embeddings, options = BROKEN[sentence]
    with pytest.raises((DataError, ParameterError), match=sentence):
        store.publish(embeddings, **options)
    assert store.versions()["version"].tolist() == [1]


def test_a_contract_may_be_changed_on_purpose(store):
    store.publish(drawn())
    with pytest.warns(UserWarning, match="Aligned in the larger space"):
        version = store.publish(drawn(n=20, dim=5), new_contract=True, metric="euclidean", align=True)
    assert (version.dim, version.metric, store.get(1).dim) == (6, "euclidean", 6)
    assert store.publish(drawn(strings=True), new_contract=True, metric="dot").drift is None


def test_aligning_needs_something_to_align_with(store):
    with pytest.raises(ParameterError, match="`align` needs an earlier version"):
        store.publish(drawn(), align=True)
    store.publish(drawn())
    with pytest.raises(DataError, match="in common"):
        store.publish(drawn(strings=True), new_contract=True, align=True)


def test_few_missing_ids_are_let_go_and_counted(store):
    first = drawn()
    store.publish(first)
    version = store.publish(first.take(first.ids.to_arrow()[:-2]))
    assert (version.gone_share, version.n) == (0.05, 38)


def test_another_folder_is_not_taken_for_a_store(tmp_path):
    drawn().save(tmp_path / "embeddings")
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "embeddings", tmp_path / "file"):
        with pytest.raises(FormatError, match="neither a store nor empty"):
            open_store(place)
    drawn().to_file(tmp_path / "table.lance")
    with pytest.raises(FormatError, match="that no store published"):
        open_store(tmp_path / "table.lance")
    with pytest.raises(FormatError, match="nothing was published there"):
        open_store(tmp_path / "nothing").get()
    with pytest.raises(ParameterError, match="A store is"):
        open_store(3)


def test_a_newer_format_is_refused(filled):
    schema = lance.dataset(filled.uri).schema
    content = json.loads(schema.metadata[KEY]) | {"format_version": 2}
    lance.dataset(filled.uri).update_schema_metadata({"recsys": json.dumps(content)})
    with pytest.raises(FormatError, match="format version 2; this recsys reads up to 1.*newer version of recsys"):
        open_store(filled.uri)


def test_what_lance_itself_made_is_no_version_of_ours(filled):
    lance.dataset(filled.uri).update_config({"some": "thing"})
    lance.dataset(filled.uri).delete("item_id = 2")
    lance.dataset(filled.uri, version=1).restore()
    assert filled.versions()["version"].tolist() == [3, 2, 1]
    assert filled.get().fingerprint == filled.version(3).fingerprint
    with pytest.raises(ParameterError, match="no version 5; it has 1, 2, 3"):
        filled.get(5)
    assert filled.publish(drawn()).parent == 3


def test_damage_is_named(filled, tmp_path):
    files = sorted((tmp_path / "items.lance" / "data").iterdir(), key=lambda file: file.stat().st_mtime)
    content = bytearray(files[0].read_bytes())
    place = content.find(filled.get(1).vectors[5].tobytes())
    content[place] ^= 1
    files[0].write_bytes(content)
    with pytest.raises(FormatError, match="Version 1 .* was changed after it was published"):
        filled.verify(1)
    files[0].unlink()
    with pytest.raises(FormatError, match="Version 1 of the store .* is damaged"):
        filled.get(1)
    assert filled.verify(2).version == 2


def test_without_lance_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lance", None)
    for call in (lambda: open_store(tmp_path / "s.lance"), lambda: drawn().to_file(tmp_path / "t.lance")):
        with pytest.raises(MissingExtraError, match=r"recsys\[store\]"):
            call()


# ---- tags and what is left -----------------------------------------------------------------------------------------


def test_tags_move_and_roll_back_and_keep_where_they_were(filled):
    filled.tag("production", "candidate")
    filled.tag("production", 2)
    assert filled.tags() == {"candidate": 3, "production": 2}
    assert filled.rollback("production").version == 3
    assert filled.rollback("production").version == 1
    with pytest.raises(ParameterError, match="at no other version before"):
        filled.rollback("production")
    history = filled.tag_history("production")
    assert history["version"].tolist() == [1, 3, 2, 3, 1]
    assert history["how"].tolist() == ["tag", "tag", "tag", "rollback", "rollback"]
    filled.tag("production", 2)
    assert filled.rollback("production").version == 1


def test_a_tag_that_lance_moved_is_where_lance_has_it(filled):
    lance.dataset(filled.uri).tags.update("production", 2)
    assert filled.tag_history("production")["how"].tolist() == ["tag", "elsewhere"]
    assert filled.rollback("production").version == 1


def test_tags_that_are_not_there_are_answered_with_the_closest(filled):
    for call in (filled.get, filled.rollback, filled.tag_history, filled.untag, filled.verify):
        with pytest.raises(ParameterError, match="no tag 'producton'; it has 'candidate', 'production'. Did you mean 'produ"):
            call("producton")
    for name in ("7", "", "a/b", ".x", "a..b", None):
        with pytest.raises(ParameterError, match="A tag's name"):
            filled.tag(name, 1)
    with pytest.raises(ParameterError, match="A version is a number"):
        filled.get(None)
    filled.untag("candidate")
    assert filled.tags() == {"production": 1}


def test_pruning_spares_tags_where_they_go_back_to_and_the_newest(filled):
    for seed in range(4):
        filled.publish(moved(drawn(), seed=seed), drift_sample=0)
    filled.tag("production", 5)
    assert filled.prune(keep=2) == [2, 4]
    assert filled.versions()["version"].tolist() == [7, 6, 5, 3, 1]
    assert filled.rollback("production").version == 1
    assert filled.prune(keep=1) == [5, 6]
    assert filled.prune(keep=1) == []
    for version in (1, 3, 7):
        assert filled.verify(version).version == version
    with pytest.raises(ParameterError, match="`keep`"):
        filled.prune(0)


def test_a_difference_names_ids_that_came_went_and_moved(store):
    first = drawn()
    ids = first.ids.to_arrow()
    store.publish(first.take(ids[:-2]))
    vectors = first.vectors.copy()
    vectors[5] *= -1
    store.publish(Embeddings(first.ids, vectors).take(ids[1:]), drift_sample=0)
    found = store.diff(1, "latest", k=3)
    assert found.gone.to_arrow().to_pylist() == ids[:1].to_pylist()
    assert sorted(found.new.to_arrow().to_pylist()) == sorted(ids[-2:].to_pylist())
    assert found.moved(1)["item_id"].tolist() == [ids[5].as_py()]
    assert found.gate(max_gone=0.01, max_new=0.5)[0].startswith("gone_share")


# ---- both sides of a model -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trainer", [recsys.ALS, recsys.ExplicitALS])
def test_both_sides_of_a_model_stay_together(tmp_path, trainer):
    data = random_interactions(50, 30, 0.4)
    items, users = open_store(tmp_path / "items.lance"), open_store(tmp_path / "users.lance")
    models = [trainer(factors=4, iterations=2, random_state=seed).fit(data) for seed in (0, 1)]
    publish_model(models[0], items=items, users=users, tag="production")
    done = publish_model(models[1], items=items, users=users, tag="production", align=True, weights="popularity")
    assert done["items"].model == done["users"].model
    found = items.get("production")
    theirs = users.get(users.version_of(found.provenance["store"]["model"]).version)
    scores = theirs.take(data.users.to_arrow()).vectors @ found.take(data.items.to_arrow()).vectors.T
    np.testing.assert_allclose(
        scores, models[1].user_embeddings.vectors @ models[1].item_embeddings.vectors.T, rtol=1e-3, atol=1e-4
    )
    assert users.tags() == items.tags() == {"production": 2}
    assert items.version().alignment["by"]["weighted"]


def test_neither_side_is_published_when_one_is_refused(tmp_path):
    items, users = open_store(tmp_path / "items.lance"), open_store(tmp_path / "users.lance")
    one, other = (recsys.ALS(factors=4, iterations=1).fit(random_interactions(50, n, 0.4)) for n in (30, 10))
    publish_model(one, items=items, users=users)
    with pytest.raises(DataError, match="item_ids of version 1 are missing"):
        publish_model(other, items=items, users=users, align=True)
    assert len(users.versions()) == len(items.versions()) == 1
    with pytest.raises(ParameterError, match="a store each"):
        publish_model(one, items=items, users=open_store(items.uri))
    with pytest.raises(ParameterError, match="`align` goes by items"):
        publish_model(one, users=users, align=True)
    with pytest.raises(ParameterError, match="`items` or `users`"):
        publish_model(one)
    with pytest.raises(ParameterError, match="no version of the model 'x'"):
        users.version_of("x")


# ---- others read it without us -------------------------------------------------------------------------------------


def test_lance_pandas_and_pyarrow_read_a_tag(filled):
    dataset = lance.dataset(filled.uri, version="production")
    want = filled.get("production")
    frame = dataset.to_table().to_pandas()
    assert frame["item_id"].tolist() == want.ids.to_arrow().to_pylist()
    np.testing.assert_array_equal(np.stack(frame["vector"]), want.vectors)
    batch = next(iter(dataset.to_batches()))  # it is a dataset of pyarrow
    assert batch.schema.names == ["item_id", "vector"]
    assert json.loads(dataset.schema.metadata[KEY])["metric"] == "dot"


def test_duckdb_reads_rows_by_id(filled):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    connection = duckdb.connect()
    connection.register("items", lance.dataset(filled.uri, version=2))
    [(id_, vector)] = connection.sql("select item_id, vector from items where item_id = 2").fetchall()
    np.testing.assert_array_equal(np.array(vector, "f4"), filled.get(2)[id_])


def test_polars_reads_rows_by_id(filled):
    polars = pytest.importorskip("polars", reason="Polars is not installed")
    lazy = polars.scan_pyarrow_dataset(lance.dataset(filled.uri, version=2))
    found = lazy.filter(polars.col("item_id") == 2).collect()
    np.testing.assert_array_equal(found["vector"].to_numpy()[0], filled.get(2)[2])


def test_a_uri_of_files_is_the_same_place(filled):
    assert open_store(f"file://{filled.uri}").get("candidate").fingerprint == filled.get("candidate").fingerprint
    assert repr(filled) == f"EmbeddingStore('{filled.uri}', latest version 3)"
    assert isinstance(filled, EmbeddingStore)


# ---- the format, and the command line -------------------------------------------------------------------------------


def test_a_lance_table_keeps_order_and_provenance_and_stores_are_not_overwritten(filled, tmp_path):
    given_ = Embeddings(drawn().ids, drawn().vectors, {"trainer": "als"})
    given_.to_file(tmp_path / "t.lance")
    assert lance.dataset(tmp_path / "t.lance").to_table()["item_id"].to_pylist() == given_.ids.to_arrow().to_pylist()
    with pytest.raises(ParameterError, match="already exists"):
        given_.to_file(tmp_path / "t.lance")
    given_.to_file(tmp_path / "t.lance", overwrite=True)
    assert Embeddings.from_file(tmp_path / "t.lance").provenance == {"trainer": "als"}
    one = open_store(tmp_path / "one.lance")
    one.publish(given_)
    for place in (filled.uri, one.uri):
        with pytest.raises(ParameterError, match="is a store.*not overwritten"):
            given_.to_file(place, overwrite=True)
    (tmp_path / "other.lance").mkdir()
    (tmp_path / "other.lance" / "x").write_text("x")
    with pytest.raises(ParameterError, match="is not a Lance table"):
        given_.to_file(tmp_path / "other.lance", overwrite=True)
    with pytest.raises(FormatError, match="not a folder"):
        Embeddings.from_file(tmp_path / "nothing.lance")
    with pytest.raises(FormatError, match="can not be read as a Lance table"):
        Embeddings.from_file(tmp_path / "other.lance")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.lance", "one.lance", "other.lance", "t.lance"]


def call(*arguments):
    return CliRunner().invoke(commands, ["embeddings", *map(str, arguments)])


def done(*arguments):
    result = call(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two models, and stores of items and users with both."""
    folder, data = tmp_path_factory.mktemp("cli"), random_interactions(80, 40, 0.3, strings=True)
    for seed in (0, 1):
        recsys.ALS(factors=6, iterations=2, random_state=seed).fit(data).save(folder / f"model{seed}")
    both = (folder / "items.lance", "--users-store", folder / "users.lance")
    done("publish", folder / "model0", *both, "--tag", "production")
    published = done("publish", folder / "model1", *both, "--tag", "candidate", "--align", "--note", "nightly")
    assert {side: found["version"] for side, found in published["versions"].items()} == {"users": 2, "items": 2}
    return folder


def test_the_command_line_lists_and_describes_a_store(place):
    listed = done("list", place / "items.lance")
    assert [(row["version"], row["tags"], row["parent"]) for row in listed["versions"]] == [
        (2, ["candidate"], 1),
        (1, ["production"], None),
    ]
    assert listed["latest"]["note"] == "nightly"
    text = CliRunner().invoke(commands, ["info", str(place / "users.lance")]).stdout
    assert "is a store of 2 versions of user_ids; the latest has 80 × 6 for dot" in text
    assert "matches its fingerprint" in text


@pytest.mark.parametrize("name", ["v.parquet", "v.vec", "v.lance", "directory"])
def test_the_command_line_gets_a_version_or_some_ids(place, tmp_path, name):
    written = done("get", place / "items.lance", "candidate", "--output", tmp_path / name)
    assert (written["n"], written["dim"]) == (40, 6)
    (tmp_path / "ids.txt").write_text("i7\ni3\nnobody\n")
    some = ("get", place / "items.lance", "1", "--ids", tmp_path / "ids.txt", "--output", tmp_path / f"some{name}")
    assert "does not have the item_id 'nobody'" in call(*some).stderr
    assert done(*some, "--unknown", "skip")["n"] == 2
    opened = recsys.load if name == "directory" else Embeddings.from_file
    want = recsys.load(place / "model0").item_embeddings
    np.testing.assert_array_equal(opened(tmp_path / f"some{name}")["i7"], want["i7"])


def test_the_command_line_moves_tags_and_prunes(place, tmp_path):
    store = tmp_path / "s.lance"
    for model in ("model0", "model1", "model0"):
        done("publish", place / model, store, "--drift-sample", 0, "--align" if store.exists() else "--no-progress")
    assert done("tag", store, "production", "1")["before"] is None
    assert done("tag", store, "production", "3") == {"store": str(store), "tag": "production", "version": 3, "before": 1}
    assert done("rollback", store, "production")["version"] == 1
    assert done("prune", store, "--keep", 1) == {"store": str(store), "removed": [2], "left": 2}
    for command in (("tag", store, "x", "latest"), ("rollback", store, "x"), ("prune", store), ("list", store)):
        result = call(*command)
        assert result.exit_code == (2 if command[0] == "rollback" else 0), result.output


def test_a_difference_is_a_gate(place):
    store = place / "items.lance"
    assert done("diff", store, "production", "candidate", "--max-gone", 0.5)["passed"]
    failed = call("diff", store, "production", "candidate", "--min-overlap", 1.0)
    assert failed.exit_code == 1
    assert "Failed: overlap is" in failed.stderr
    assert call("diff", store, "1", "3").exit_code == 2


def test_a_version_is_a_source_for_other_commands(place, tmp_path):
    at = f"{place / 'items.lance'}@production"
    assert len(done("nearest", at, "i3", "--k", 2)["nearest"]) == 2
    assert done("compare", at, place / "model0")["report"]["measures"]["displacement"] < 1e-5
    assert done("compare", place / "items.lance", place / "model1")["report"]["measures"]["displacement"] < 1e-5
    assert done("align", place / "model1", "--to", at, "--output", tmp_path / "m")["alignment"]["n_shared"] == 40
    assert done("export", at, "--output", tmp_path / "v.parquet")["n"] == 40
    drawn(strings=True).to_file(tmp_path / "t.lance")
    assert done("import", tmp_path / "t.lance", "--output", tmp_path / "t")["n"] == 40
    assert done("nearest", tmp_path / "t.lance", "i3")["nearest"]
    assert done("publish", tmp_path / "t", tmp_path / "new.lance")["versions"]["embeddings"]["version"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("publish", "model1", "items.lance"), "Hint: --align turns them"),
        (("publish", "model1", "users.lance"), "Hint: --new-contract publishes it all the same"),
        (("publish", "model1", "users.lance", "--side", "users", "--align"), "--align goes by items"),
        (("publish", "model1", "items.lance", "--side", "users", "--users-store", "x"), "--side names the one side"),
        (("publish", "items.lance@1", "x.lance", "--side", "users"), "--side is for models"),
        (("publish", "model1", "items.lance", "--max-missing", "2"), "--max-missing must be a share"),
        (("get", "items.lance", "candidat", "--output", "x.vec"), "Did you mean 'candidate'?"),
        (("get", "items.lance", "1", "--output", "x.wrong"), "told by its suffix"),
        (("list", "model0"), "neither a store nor empty"),
        (("list", "nothing"), "nothing was published there"),
        (("nearest", "items.lance@production2", "i1"), "Did you mean 'production'?"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_command_line(place, monkeypatch, tmp_path, arguments, sentence):
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    result = said_by(arguments)
    assert sentence in result


def said_by(arguments):
    """What the command line says on standard error."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        said = call(*arguments).stderr
    return said + "".join(in_cli_words(str(warning.message)) for warning in warned)
