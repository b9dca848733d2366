"""`recsys.tradeoff`: every size is judged as `recsys.evaluate` judges it, and the smallest within the loss is picked."""

import json
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation.intervals import ratio_intervals
from recsys.sizing import Tradeoff
from recsys.sizing.stands_for import sizes_of_data

# Groups of users with a taste each, so that there is something to lose with every dimension.
EVENTS = recsys.datasets.make_events(400, 300, 16_000, groups=20, timestamps=False, random_state=0)
DATA = recsys.read_interactions(EVENTS, weight=False, duplicates="max")
SPLIT = recsys.split.random(DATA, test_fraction=0.2, random_state=0)


@pytest.fixture(scope="module")
def model():
    return recsys.ALS(factors=12, iterations=3).fit(SPLIT.train)


@pytest.fixture(scope="module")
def found(model):
    return recsys.tradeoff(model, SPLIT.test, dimensions=[4, 12], max_loss=0.1)


def row_of(found, dimensions, storage):
    return next(row for row in found.rows if (row.dimensions, row.storage) == (dimensions, storage))


def test_the_whole_model_comes_first_and_loses_nothing(found, model):
    whole = found.whole
    assert (whole.dimensions, whole.storage, whole.share, whole.recall) == (12, "float32", 1, 1)
    assert (whole.loss, whole.loss_low, whole.loss_high) == (0, 0, 0)
    assert whole.bytes_per_id == 48
    summary = recsys.evaluate(model, SPLIT.test, "ndcg@20").summary()
    assert whole.value == pytest.approx(summary["mean"][0])


def test_there_is_one_row_a_size_by_falling_bytes(found):
    sizes = {(row.dimensions, row.storage) for row in found.rows}
    assert len(sizes) == len(found.rows) == 12
    numbers = [row.bytes_per_id for row in found.rows[1:]]
    assert numbers == sorted(numbers, reverse=True)
    assert row_of(found, 4, "float16").bytes_per_id == 8


def test_a_row_says_what_evaluating_that_size_says(found, model):
    row = row_of(found, 12, "int4")
    small = model.compress(12, "int4")
    values, whole = (recsys.evaluate(which, SPLIT.test, "ndcg@20").values[:, 0] for which in (small, model))
    assert row.value == pytest.approx(values.mean())
    assert row.loss == pytest.approx(1 - values.mean() / whole.mean())
    low, high = ratio_intervals((whole - values)[:, None], whole, 0.95, np.random.default_rng(0))
    # Drawn for all sizes at once, or for this alone: the users are the same.
    assert (row.loss_low, row.loss_high) == (pytest.approx(float(low[0])), pytest.approx(float(high[0])))
    sides = small.user_embeddings.n_bytes + small.item_embeddings.n_bytes
    assert row.bytes_per_id == pytest.approx(sides / (len(model.users) + len(model.items)))
    users = np.flatnonzero(np.isin(model.users.to_numpy(), SPLIT.test.users.to_numpy()))
    lists, others = (which.rank(users, 20).positions for which in (model, small))
    shares = [len(set(a) & set(b)) / 20 for a, b in zip(lists.tolist(), others.tolist(), strict=True)]
    assert row.recall == pytest.approx(np.mean(shares))


def test_the_smallest_within_the_loss_is_picked_by_the_upper_end(found, model):
    within = [row for row in found.rows if row.loss_high <= 0.1]
    assert all(row.within == (row in within) for row in found.rows)
    assert found.picked.bytes_per_id == min(row.bytes_per_id for row in within)
    # Some size loses little on average, and is not surely within.
    narrow = recsys.tradeoff(model, SPLIT.test, dimensions=[12], storages=["binary"], max_loss=row_of(found, 12, "binary").loss)
    assert narrow.picked is narrow.whole


def test_what_was_picked_can_be_made(found, model):
    small = found.apply(model)
    assert small.item_embeddings.storage == found.picked.storage
    value = recsys.evaluate(small, SPLIT.test, "ndcg@20").values.mean()
    assert value == pytest.approx(found.picked.value)
    assert found.settings_of(found.whole).describe() == {"dimensions": 12, "storage": "float32", "random_state": 0}


def test_with_no_loss_at_all_allowed_the_whole_model_is_picked(model):
    found = recsys.tradeoff(model, SPLIT.test, dimensions=[2], storages=["binary"], max_loss=0)
    assert found.picked is found.whole
    assert found.sentence().startswith("No size is within the loss")


def test_sizes_lie_near_the_end_where_good_models_differ(model):
    from recsys.sizing.measuring import _ladder

    assert _ladder(12) == [8, 12]
    assert _ladder(128) == [8, 16, 32, 64, 96, 112, 124, 128]


def test_codes_that_are_scored_again_are_measured_so(model):
    found = recsys.tradeoff(model, SPLIT.test, dimensions=[12], storages=["binary"], rescore="float32", oversample=20)
    row = row_of(found, 12, "binary")
    # 20 · 20 items are all there are.
    assert (row.recall, row.loss) == (1, 0)
    # Users are kept whole: 48 bytes.
    assert row.bytes_per_id > 48 * len(model.users) / (len(model.users) + len(model.items))
    assert (found.picked, found.settings.rescore) == (row, "float32")


def test_a_sample_judges_by_fewer_users(model):
    found = recsys.tradeoff(model, SPLIT.test, dimensions=[12], storages=["int8"], sample=50)
    assert found.n_users == 50


def test_threads_change_no_number_but_speeds(model):
    asked = {"dimensions": [8], "storages": ["int4", "pq"]}
    one, two = (recsys.tradeoff(model, SPLIT.test, **asked, num_threads=threads).table() for threads in (1, 2))
    pd.testing.assert_frame_equal(one.drop(columns="queries_per_second"), two.drop(columns="queries_per_second"))
    assert (one["queries_per_second"] > 0).all()


def test_few_users_leave_product_quantisation_out():
    split = recsys.split.random(random_interactions(60, 40, 0.3), test_fraction=0.2, random_state=0)
    few = recsys.ALS(factors=4, iterations=2).fit(split.train)
    table = recsys.tradeoff(few, split.test, dimensions=[4], metric="recall@5").table()
    assert "pq" not in set(table["storage"])
    with pytest.raises(DataError, match="256 centres"):
        recsys.tradeoff(few, split.test, dimensions=[4], storages=["pq"])


# ---- what vectors stand for -------------------------------------------------------------------------------------------


def test_sizes_of_the_data_are_those_of_its_files(tmp_path):
    frame = pd.DataFrame({"user_id": ["ann", "bob", "ann"], "item_id": [10, 200, 200], "weight": [4.0, 3.5, 1.0]})
    frame["timestamp"] = 1_600_000_000
    estimated = sizes_of_data(recsys.read_interactions(frame))
    text = frame.to_csv(index=False, header=False, float_format="%g")
    assert estimated["event log, as CSV (estimated)"] == len(text)
    assert estimated["dense matrix, float32"] == 2 * 2 * 4
    assert estimated["sparse matrix (position and weight of each pair)"] == 3 * 8 + 3 * 8
    frame.to_csv(tmp_path / "log.csv", index=False)
    read = sizes_of_data(recsys.read_interactions(tmp_path / "log.csv"))
    assert read["event log, as read"] == (tmp_path / "log.csv").stat().st_size


def test_sizes_stand_beside_those_of_the_vectors(found):
    names = list(found.sizes)
    assert names[0].startswith("event log")
    assert names[-2:] == ["vectors, float32", f"vectors, {found.picked.storage} of {found.picked.dimensions} dimensions"]
    assert found.sizes["vectors, float32"] == 48 * (SPLIT.train.n_users + SPLIT.train.n_items)


# ---- files ------------------------------------------------------------------------------------------------------------


def test_the_table_and_everything_are_written(found, tmp_path):
    table = pd.read_csv(found.save(tmp_path / "sizes.csv"))
    assert table["picked"].sum() == 1
    assert len(table) == len(found.rows)
    content = json.loads(found.save(tmp_path / "sizes.json").read_text())
    assert content["settings"]["storage"] == found.picked.storage
    assert content["rows"][0]["share"] == 1
    with pytest.raises(ParameterError, match=r"\.csv or \.json"):
        found.save(tmp_path / "sizes.txt")
    with pytest.raises(ParameterError, match="already exists"):
        found.save(tmp_path / "sizes.csv")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_plot_is_the_same_bytes_again(found, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    one, two = (found.plot(tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert one == two
    assert len(one) > 5000
    if suffix == ".svg":
        text = one.decode()
        assert [word for word in ("float16", "binary", "picked", "ndcg@20 lost") if word not in text] == []


def test_a_plot_without_matplotlib_names_the_extra(found, tmp_path):
    with (
        mock.patch.dict("sys.modules", {"matplotlib": None}),
        pytest.raises(recsys.errors.MissingExtraError, match=r"recsys\[map\]"),
    ):
        found.plot(tmp_path / "sizes.png")
    with pytest.raises(ParameterError, match="must end in one of"):
        found.plot(tmp_path / "sizes.jpg")
    assert list(tmp_path.iterdir()) == []


def test_it_shows_itself(found):
    assert isinstance(found, Tradeoff)
    assert "Picked" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found.rows)


# ---- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metric": "auc"}, "`metric` must be one of .*cut-off"),
        ({"metric": "coverage@20"}, "`metric` must be one of"),
        ({"max_loss": 1}, "`max_loss` must be a number from 0 to below 1. Got 1. Hint"),
        ({"max_loss": "little"}, "`max_loss` must be"),
        ({"storages": ["int7"]}, "`storage` must be one of .*Did you mean"),
        ({"dimensions": [13]}, "from 1 to the 12 that there are. Got 13"),
        ({"dimensions": []}, "at least one entry"),
        ({"sample": 1}, "`sample` must be an int >= 2"),
        ({"confidence": 95}, "Hint: 95 % is written 0.95"),
        ({"rescore": "int8"}, "`rescore` must be"),
    ],
)
def test_wrong_arguments_are_named(model, arguments, sentence):
    with pytest.raises(ParameterError, match=sentence):
        recsys.tradeoff(model, SPLIT.test, **arguments)


def test_models_without_embeddings_and_tests_without_hits_are_refused(model):
    with pytest.raises(ParameterError, match="Model with embeddings"):
        recsys.tradeoff(model.item_embeddings, SPLIT.test)
    last = model.recommend(k=300).groupby("user_id").tail(1).head(20)[["user_id", "item_id"]]
    misses = recsys.read_interactions(last, weight=False, timestamp=False)
    with pytest.raises(DataError, match="no share of it can be lost"):
        recsys.tradeoff(model, misses)
    popularity = recsys.Popularity().fit(SPLIT.train)
    assert recsys.tradeoff(popularity, SPLIT.test, storages=["float16"]).whole.dimensions == 1
