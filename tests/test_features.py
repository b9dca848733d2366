"""Features: what tables become, what is kept beside interactions, how they are saved, what is wrong with a table."""

import json

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys.cli import commands
from recsys.errors import DataError, FormatError, ParameterError, UnknownIdError
from recsys.features import Column, Features
from recsys.ids import IdMap

TABLE = pd.DataFrame(
    {
        "item_id": [7, 9, 11, 12],
        "genres": ["Drama|Action", "Comedy", None, "Drama|Drama| "],
        "year": [1994, 2001, None, 2010],
        "colour": [True, False, None, True],
        "maker": pd.Categorical(["x", "y", "x", None]),
    }
)
READ = {"multi_valued": {"genres": "|"}, "bins": {"year": 2}}


@pytest.fixture
def features():
    return Features.from_table(TABLE, **READ)


def test_each_kind_of_column_makes_its_features(features):
    assert features.names == [
        "genres=Action", "genres=Comedy", "genres=Drama", "year=below 2001", "year=from 2001", "colour=false", "colour=true",
        "maker=x", "maker=y",
    ]  # fmt: skip
    assert features.to_csr().toarray().tolist() == [
        [1, 0, 1, 1, 0, 0, 1, 1, 0],
        [0, 1, 0, 0, 1, 1, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 1, 0, 1, 0, 0],
    ]
    assert features.ids.to_numpy().tolist() == [7, 9, 11, 12]
    assert [column.kind for column in features.columns] == ["set", "bins", "category", "category"]
    assert features.of_column("year").toarray().tolist() == [[1, 0], [0, 1], [0, 0], [0, 1]]
    assert repr(features).startswith("Features(4 item_ids × 9 features of genres (3), year (2), colour (2), maker (2))")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_files_are_read_as_frames_are(features, suffix, tmp_path):
    path = tmp_path / f"items.{suffix}"
    if suffix == "parquet":
        TABLE.to_parquet(path)
    elif suffix == "jsonl":
        TABLE.to_json(path, orient="records", lines=True)
    else:
        TABLE.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    assert Features.from_table(path, **READ).to_csr().toarray().tolist() == features.to_csr().toarray().tolist()


def test_arrow_and_polars_tables_with_lists_are_read():
    table = pa.table({"item_id": ["a", "b", "c"], "tags": [["x", "y", "x"], [], None], "n": [3, 1, 2]})
    for given_as in (table, polars.from_arrow(table)):
        found = Features.from_table(given_as, categories=["n"])
        assert found.names == ["tags=x", "tags=y", "n=1", "n=2", "n=3"]
        assert found.to_csr().toarray().tolist() == [[1, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_the_frame_back_has_the_categories_and_bins(features):
    frame = features.to_frame()
    assert frame.genres.fillna("").tolist() == ["Action|Drama", "Comedy", "", "Drama"]
    assert frame.year.fillna("").tolist() == ["below 2001", "from 2001", "", "from 2001"]


def test_numbers_of_few_values_have_a_bin_each_and_edges_can_be_given():
    table = pd.DataFrame({"item_id": range(5), "stars": [1, 2, 2, 3, 3], "price": [0.5, 10, 20, 30, 99.5]})
    found = Features.from_table(table, bins={"price": [10, 30]})
    assert found.names == ["stars=below 2", "stars=2 to 3", "stars=from 3", "price=below 10", "price=10 to 30", "price=from 30"]
    assert found.of_column("price").toarray().argmax(axis=1).tolist() == [0, 1, 1, 2, 2]
    with pytest.raises(ParameterError, match="edges of the column 'price' must be finite and rising"):
        Features.from_table(table, bins={"price": [3, 2]})
    with pytest.raises(ParameterError, match="an int >= 1 or a rising list"):
        Features.from_table(table, bins={"price": 0})


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 12))
def test_bins_are_at_most_as_many_as_asked_and_every_number_lies_in_its_own(numbers, bins):
    table = pd.DataFrame({"item_id": range(len(numbers)), "x": numbers})
    found = Features.from_table(table, bins=bins)
    column = found.column("x")
    assert column.n_features <= bins
    assert (found.counts == 1).all()
    low, high = (-np.inf, *column.edges), (*column.edges, np.inf)
    for number, place in zip(numbers, found.indices, strict=True):
        assert low[place] <= number < high[place]
    # Every bin holds something where the edges were learnt.
    assert len(np.unique(found.indices)) == column.n_features


def test_a_later_table_is_read_in_the_same_columns_and_unseen_categories_are_named(features):
    new = pd.DataFrame({"item_id": [100], "genres": ["Horror|Drama"], "year": [1800], "colour": [True], "maker": ["z"]})
    with pytest.warns(UserWarning, match=r"2 values are of categories .* 'genres=Horror', 'maker=z'"):
        found = features.like(new)
    assert found.columns == features.columns
    assert found.to_csr().toarray().tolist() == [[0, 0, 1, 1, 0, 0, 1, 0, 0]]
    with pytest.raises(DataError, match="no column 'maker'"):
        features.like(new.drop(columns="maker"))
    with pytest.raises(DataError, match="'year' must hold numbers"):
        features.like(new.assign(year="old"))


def test_rows_are_taken_and_put_together_by_id(features):
    both = features.take(np.array([2, 0])).followed_by(features.take(np.array([0, 3])))
    assert both.ids.to_numpy().tolist() == [11, 7, 12]
    wanted = features.to_csr().toarray()
    assert both.to_csr().toarray().tolist() == wanted[[2, 0, 3]].tolist()
    ids = IdMap([12, 500, 7], name="item_id")
    assert features.for_ids(ids, missing="zero").to_csr().toarray().tolist() == [
        wanted[3].tolist(),
        [0.0] * 9,
        wanted[0].tolist(),
    ]
    assert features.for_ids(ids, missing="zero").without.to_numpy().tolist() == [500]
    with pytest.raises(UnknownIdError, match=r"no features of 1 of 3 item_ids: 500. Hint: missing='zero'"):
        features.for_ids(ids)
    with pytest.raises(UnknownIdError, match="the ids wanted are strings, those of the features integers"):
        features.for_ids(IdMap(["7"], name="item_id"))
    other = Features.from_table(TABLE[["item_id", "maker"]])
    with pytest.raises(DataError, match="other columns can not be put together"):
        features.followed_by(other)


def test_ids_that_are_wanted_decide_the_type_the_order_and_the_categories(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,kind\n007,spy\n10,minister\n11,cat\n")
    found = Features.from_table(path, ids=IdMap(["11", "007"], name="item_id"))
    assert found.ids.to_numpy().tolist() == ["11", "007"]
    assert found.names == ["kind=cat", "kind=spy"]
    assert Features.from_table(path).ids.is_integer


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (TABLE.head(0), {}, "The table has no rows"),
        (TABLE[["item_id"]], {}, "no column beside 'item_id'"),
        (pd.concat([TABLE, TABLE.head(1)]), {}, r"can not be read by its column 'item_id': .*Found more than once: 7"),
        (TABLE.assign(item_id=[7, None, 11, 12]), {}, "must not be missing"),
        (TABLE.rename(columns={"item_id": "id"}), {}, r"neither a column 'item_id' nor .* Hint: name that of the ids by id="),
        (TABLE, {"id": "movie"}, "no column 'movie'"),
        (TABLE, {"columns": ["genre"]}, r"no column 'genre'.* Did you mean 'genres'"),
        (TABLE, {"columns": "genres"}, "must be lists of names"),
        (TABLE, {"bins": {"genres": 3}}, "holds .*string and no numbers"),
        (TABLE, {"columns": ["year"], "multi_valued": {"genres": "|"}}, "names the column 'genres', which is not read"),
        (TABLE, {"multi_valued": {"genres": ""}}, "must give the separator"),
        (TABLE, {"multi_valued": {"colour": "|"}}, "must hold lists or text"),
        (TABLE.assign(empty=None), {}, "'empty' has no value in any of 4 rows"),
        (TABLE.assign(when=pd.Timestamp(0)), {}, "'when' holds timestamp"),
        (TABLE.assign(year=[1, 2, 3, np.inf]), {}, "must hold finite numbers. Row 4 is inf"),
        (TABLE.assign(mixed=[1, "a", 2, "b"]), {}, "column of mixed values"),
        (3, {}, "a path, a DataFrame or an Arrow table. Got int"),
        ("items.xlsx", {}, "ends in '.csv'"),
        ("nowhere.csv", {}, "nowhere.csv can not be read as a table of features"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(table, options, message):
    with pytest.raises((DataError, ParameterError), match=message):
        Features.from_table(table, **options)


def test_a_column_of_titles_is_warned_of():
    table = pd.DataFrame({"item_id": range(30), "title": [f"t{n}" for n in range(30)]})
    with pytest.warns(UserWarning, match="'title' has another value in each of 30 rows"):
        Features.from_table(table)


def test_parts_that_do_not_fit_together_are_refused():
    ids, columns = IdMap([1, 2], name="item_id"), (Column("x", "category", ("a", "b")),)
    good = [np.array([0, 1, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32)]
    assert Features(ids, columns, *good).n_features == 2
    for place, bad in (
        (0, np.array([0, 2, 1])),
        (0, np.array([0, 1])),
        (1, np.array([0, 2], np.int32)),
        (2, np.full(2, np.nan, "f4")),
    ):
        with pytest.raises(DataError, match=r"Features\."):
            Features(ids, columns, *[bad if n == place else part for n, part in enumerate(good)])


# ---- beside interactions ---------------------------------------------------------------------------------------------


@pytest.fixture
def data():
    plain = random_interactions(timestamps=True)
    items = pd.DataFrame({"item_id": plain.items.to_numpy(), "kind": [f"k{n % 5}" for n in range(40)]})
    users = pd.DataFrame({"user_id": plain.users.to_numpy(), "country": [f"c{n % 3}" for n in range(60)]})
    return plain.with_features(items=Features.from_table(items), users=Features.from_table(users))


def names_of(features, ids):
    frame = features.to_frame().set_index(features.ids.name)
    return frame.loc[ids.to_numpy()].iloc[:, 0].tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.k_core(users=6, items=8),
        lambda data: data.filter(min_weight=3),
        lambda data: data.select(np.arange(len(data)) % 3 == 0),
        lambda data: data.drop(users=[1003, 1010], items=[12]),
        lambda data: data.weighted("log"),
        lambda data: data.decayed(half_life="30D"),
        lambda data: data.binarize(threshold=2),
        lambda data: data.merge(data.filter(min_weight=4)),
        lambda data: recsys.split.random(data, random_state=0).train,
        lambda data: recsys.split.users(data, random_state=0).test,
        lambda data: recsys.split.items(data, random_state=0).test,
        lambda data: recsys.split.temporal(data).test,
    ],
)
def test_whatever_makes_new_interactions_keeps_each_id_with_its_features(data, change):
    new = change(data)
    assert (new.item_features.ids, new.user_features.ids) == (new.items, new.users)
    assert names_of(new.item_features, new.items) == names_of(data.item_features, new.items)
    assert names_of(new.user_features, new.users) == names_of(data.user_features, new.users)


def test_merged_and_added_ids_have_their_own_features_or_none(data):
    events = pd.DataFrame({"user_id": [1000, 5], "item_id": [5, 9999], "timestamp": [1.6e9, 1.6e9]})
    new = recsys.read_interactions(events)
    merged = data.merge(new)
    assert merged.item_features.without.to_numpy().tolist() == [9999]
    assert merged.user_features.without.to_numpy().tolist() == [5]
    known = new.with_features(items=data.item_features.like(pd.DataFrame({"item_id": [5, 9999], "kind": ["k1", "k2"]})))
    merged = data.merge(known)
    assert names_of(merged.item_features, merged.items)[-1] == "k2"
    assert names_of(merged.item_features, merged.items)[0] == "k0"
    grown = data.with_ids(items=data.items.extended([77_777]))
    assert (grown.shape, len(grown)) == ((60, 41), len(data))
    assert grown.item_features.without.to_numpy().tolist() == [77_777]
    with pytest.raises(DataError, match="must begin with those that are here"):
        data.with_ids(items=IdMap([1, 2], name="item_id"))


def test_features_count_in_the_fingerprint_and_can_be_left_out(data):
    plain = data.without_features()
    assert plain.fingerprint == random_interactions(timestamps=True).fingerprint != data.fingerprint
    assert (plain.item_features, plain.user_features) == (None, None)
    assert "5 item features" in repr(data)
    assert "features" not in repr(plain)


def test_only_features_of_all_ids_are_taken(data):
    plain, some = data.without_features(), data.item_features.take(np.arange(39))
    with pytest.raises(UnknownIdError, match="no features of 1 of 40 item_ids"):
        plain.with_features(items=some)
    assert len(plain.with_features(items=some, missing="zero").item_features.without) == 1
    with pytest.raises(ParameterError, match=r"takes recsys.Features. Got DataFrame. Hint: recsys.Features.from_table"):
        plain.with_features(items=TABLE)
    with pytest.raises(DataError, match="one row for each id, in the same order"):
        recsys.Interactions(
            plain.users,
            plain.items,
            plain.indptr,
            plain.indices,
            plain.weights,
            item_features=data.item_features.take(np.arange(39)),
        )


def test_a_dataset_keeps_its_features_on_disk_and_one_without_is_as_it_was(data, tmp_path):
    data.save(tmp_path / "data")
    back = recsys.load(tmp_path / "data")
    assert back.fingerprint == data.fingerprint
    assert back.item_features.columns == data.item_features.columns
    data.without_features().save(tmp_path / "plain")
    manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())
    assert set(manifest["attributes"]) == {"n_users", "n_items", "n_interactions", "fingerprint"}
    assert {path.name for path in (tmp_path / "plain").iterdir()} == {*manifest["files"], "manifest.json"}
    model = recsys.ALS(factors=4, iterations=1).fit(data)
    model.save(tmp_path / "model")
    assert recsys.load(tmp_path / "model").history.fingerprint == data.fingerprint


def test_features_that_are_damaged_gone_or_of_something_else_are_noticed(data, tmp_path):
    data.save(tmp_path / "data")
    other = Features.from_table(pd.DataFrame({"item_id": data.items.to_numpy(), "kind": "k0"}))
    other.save(tmp_path / "data" / "item_features", overwrite=True)
    with pytest.raises(FormatError, match="holds other features than"):
        recsys.load(tmp_path / "data")
    values = tmp_path / "data" / "user_features" / "values.npy"
    values.write_bytes(values.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(FormatError, match="changed after it was written"):
        recsys.load(tmp_path / "data")


def test_saved_features_are_the_same_when_opened(features, tmp_path):
    features.save(tmp_path / "features")
    back = recsys.load(tmp_path / "features")
    assert (back.fingerprint, back.columns) == (features.fingerprint, features.columns)
    only = Features.from_table(pd.DataFrame({"item_id": [1], "x": [2.5]}))
    only.save(tmp_path / "only")
    assert Features.load(tmp_path / "only").names == ["x=any"]


def test_evaluation_takes_them_for_slices_and_diversity(data):
    train, test = recsys.split.random(data, random_state=0)
    model = recsys.Popularity().fit(train)
    result = recsys.evaluate(
        model, test, ["ndcg@5", "feature_diversity@5"], item_features=data.item_features, user_features=data.user_features
    )
    assert set(result.by("country")["slice"].astype(str)) >= {"c0", "c1", "c2"}
    assert 0 < result.summary().set_index("metric")["mean"]["feature_diversity@5"] <= 1


# ---- splitting whole items ----------------------------------------------------------------------------------------------


def test_whole_items_are_held_out_with_all_that_was_done_with_them(data):
    parts = recsys.split.items(data, test_fraction=0.25, random_state=1)
    assert parts.test.n_items == 10
    assert len(parts.train) + len(parts.test) == len(data)
    assert not set(parts.train.items.to_numpy()) & set(parts.test.items.to_numpy())
    again = recsys.split.items(data, test_fraction=0.25, random_state=1)
    assert again.test.fingerprint == parts.test.fingerprint
    assert recsys.split.items(data, test_fraction=0.25, random_state=2).test.items != parts.test.items
    alone = random_interactions(n_users=30, n_items=4, density=0.4)
    strict = recsys.split.items(alone, test_fraction=0.5, unseen="drop", random_state=0)
    assert set(strict.test.users.to_numpy()) <= set(strict.train.users.to_numpy())
    assert strict.test.provenance["split"]["unseen_users"] > 0
    with pytest.raises(DataError, match="leaves the part `train` without entries"):
        recsys.split.items(recsys.Interactions.from_csr(np.ones((3, 1))))


# ---- command line ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id\nu1,7\nu1,9\nu2,7\nu3,11\nu2,9\n")
    TABLE.to_csv("items.csv", index=False)
    (tmp_path / "users.csv").write_text("who,country\nu1,de\nu2,fr\n")
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == code, result.output
    return result.output


def test_ingest_reads_files_of_features_and_info_shows_them(folder):
    words = run(
        "ingest", "log.csv", "--output", "data", "--item-features", "items.csv", "--multi-valued", "genres=|",
        "--bins", "year=2", "--user-features", "users.csv", "--user-features-id", "who", "--missing-features", "zero",
    )  # fmt: skip
    assert "Read 9 features of items." in words
    assert "Read 2 features of users, 1 user without any." in words
    data = recsys.load("data")
    assert data.item_features.names[:3] == ["genres=Action", "genres=Comedy", "genres=Drama"]
    assert data.user_features.without.to_numpy().tolist() == ["u3"]
    shown = run("info", "data")
    assert "Action, Comedy, Drama" in shown
    assert "and those of its features match" in shown
    assert json.loads(run("info", "data", "--json"))["features"]["user_features"][0]["column"] == "country"
    run("train", "data", "--output", "model", "--trainer", "lightfm", "--set", "factors=3")
    assert len(recsys.load("model").add_items(TABLE.assign(item_id=TABLE.item_id + 100), unknown="skip").items) > 3


def test_separators_may_be_blanks_and_columns_may_be_chosen(folder):
    pd.DataFrame({"item_id": [7, 9, 11], "tags": ["a b", "b", "c"], "title": ["x", "y", "z"]}).to_csv("tagged.csv", index=False)
    run(
        "ingest",
        "log.csv",
        "--output",
        "data",
        "--item-features",
        "tagged.csv",
        "--multi-valued",
        "tags= ",
        "--feature-columns",
        "tags",
    )
    assert recsys.load("data").item_features.names == ["tags=a", "tags=b", "tags=c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--item-features", "nope.csv"], "nope.csv can not be read"),
        (["--user-features", "users.csv"], "no column 'user_id'"),
        (["--user-features", "users.csv", "--user-features-id", "who"], "'u3'. Hint: --missing-features zero"),
        (["--item-features", "items.csv", "--bins", "genres=3"], "--bins names the column 'genres'"),
        (["--item-features", "items.csv", "--bins", "yeer=3"], "Did you mean 'year'?"),
        (["--item-features", "items.csv", "--bins", "year=some"], "--bins of 'year' must be a number of bins"),
        (["--item-features", "items.csv", "--multi-valued", "genres"], "not of the form COL=SEP"),
        (["--multi-valued", "genres=|"], "need --item-features or --user-features"),
    ],
)
def test_wrong_options_of_features_are_told_and_nothing_is_written(folder, options, message):
    assert message in " ".join(run("ingest", "log.csv", "--output", "data", *options, code=2).split())
    assert not (folder / "data").exists()


def test_a_pipeline_reads_features_and_notices_when_they_change(folder):
    (folder / "job.toml").write_text(
        '[ingest]\nsource = "log.csv"\nitem-features = "items.csv"\nmulti-valued = { genres = "|" }\n'
        'bins = { year = [2000.0] }\nfeature-columns = ["genres", "year"]\n[train]\ntrainer = "popularity"\n'
    )
    run("run", "job.toml")
    assert "2 skipped" in run("run", "job.toml")
    TABLE.assign(year=1999).to_csv("items.csv", index=False)
    assert "2 of 2 steps done" in run("run", "job.toml")
    assert recsys.load("job-output/model").history.item_features.names[-1] == "year=from 2000"
    assert pq.read_table(folder / "job-output" / "dataset" / "item_features" / "ids.parquet").num_rows == 3
