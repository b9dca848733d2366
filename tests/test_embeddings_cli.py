"""`recsys embeddings …` and `recsys train --align-to`: from files to files, sentences and exit codes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import random_interactions

import recsys
from recsys.cli import commands
from recsys.cli_embeddings import embeddings as group

COMMANDS = ["export", "import", "nearest", "analogy", "align", "bridge", "compare"]


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def done(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    data = random_interactions(80, 40, 0.3, strings=True)
    data.save(folder / "data")
    random_interactions(5, 5, 0.9).save(folder / "other-data")
    for seed in (0, 1):
        recsys.ALS(factors=6, iterations=2, random_state=seed).fit(data).save(folder / f"model{seed}")
    recsys.load(folder / "model0").item_embeddings.save(folder / "items")
    (folder / "groups.csv").write_text("item_id,kind,price\ni0,new,1\ni1,old,2\n")
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name):
    assert set(COMMANDS) <= set(group.commands)
    assert done("embeddings", name, "--help").startswith(f"Usage: commands embeddings {name}")


@pytest.mark.parametrize("name", ["v.parquet", "v.vec", "v.bin.gz", "v.safetensors", "v.tsv"])
def test_export_and_import_go_there_and_back(name, place, tmp_path):
    written = json.loads(done("embeddings", "export", place / "model0", "--output", tmp_path / name, "--json"))
    assert (written["n"], written["dim"], written["integer_ids"]) == (40, 6, False)
    done("embeddings", "import", tmp_path / name, "--output", tmp_path / "back", "--id-name", "item_id")
    items = recsys.load(place / "model0").item_embeddings
    assert recsys.load(tmp_path / "back").fingerprint == items.fingerprint


def test_one_side_of_a_model_is_exported(place, tmp_path):
    done("embeddings", "export", place / "model0", "--side", "users", "--output", tmp_path / "u.parquet")
    assert recsys.Embeddings.from_file(tmp_path / "u.parquet").ids.name == "user_id"


def test_nearest_and_analogy_say_what_the_library_says(place, tmp_path):
    items = recsys.load(place / "items")
    for source in ("model0", "items"):
        found = json.loads(done("embeddings", "nearest", place / source, "i3", "i5", "--k", 4, "--metric", "dot", "--json"))
        assert [entry["id"] for entry in found["nearest"]] == items.nearest(["i3", "i5"], 4, metric="dot").item_id.tolist()
    text = done("embeddings", "analogy", place / "items", "--positive", "i1", "--positive", "i2", "--negative", "i3", "--k", 2)
    assert text.startswith("Nearest to i1 + i2 - i3\n")
    assert items.analogy(positive=["i1", "i2"], negative=["i3"], k=2).item_id[0] in text
    items.to_file(tmp_path / "items.vec")
    assert done("embeddings", "nearest", tmp_path / "items.vec", "i3") == done("embeddings", "nearest", place / "items", "i3")


def test_align_writes_a_model_or_embeddings_in_the_space_of_the_reference(place, tmp_path):
    text = done(
        "embeddings", "align", place / "model1", "--to", place / "model0", "--output", tmp_path / "m", "--weights", "popularity"
    )
    assert "by 40 shared ids, weighted: what no rotation brings together is " in text
    assert recsys.load(tmp_path / "m").provenance["aligned_to"]["weighted"]
    done("embeddings", "align", place / "items", "--to", place / "items", "--output", tmp_path / "e")
    np.testing.assert_allclose(recsys.load(tmp_path / "e").vectors, recsys.load(place / "items").vectors, atol=1e-5)


def test_training_aligns_with_an_earlier_model(place, tmp_path):
    arguments = ("train", place / "data", "--output", tmp_path / "m", "--set", "factors=6", "--set", "iterations=2")
    written = json.loads(done(*arguments, "--set", "random_state=1", "--align-to", place / "model0", "--json"))
    assert written["aligned_to"] == str(place / "model0")
    model, plain = recsys.load(tmp_path / "m"), recsys.load(place / "model1")
    np.testing.assert_allclose(
        model.item_embeddings.vectors, plain.align_to(recsys.load(place / "model0")).item_embeddings.vectors, atol=1e-5
    )
    assert "Aligned with" in done(*arguments, "--align-to", place / "items", "--overwrite")


def test_training_starts_from_an_earlier_model(place, tmp_path):
    arguments = ("train", place / "data", "--output", tmp_path / "m", "--set", "factors=6", "--set", "iterations=1")
    text = done(*arguments, "--warm-start", place / "model0", "--align-to", place / "model0")
    assert f", started from {place / 'model0'}." in text
    assert "Aligned with" in text
    earlier, data = recsys.load(place / "model0"), recsys.load(place / "data")
    same = recsys.ALS(factors=6, iterations=1).fit(data, warm_start=earlier).align_to(earlier)
    assert recsys.load(tmp_path / "m").item_embeddings.fingerprint == same.item_embeddings.fingerprint
    for wrong, message in (
        (("--warm-start", place / "items"), "holds embeddings; a model was expected"),
        (("--warm-start", place / "model0", "--set", "factors=5"), "factors = 5, the model to start from 6"),
        (("--warm-start", place / "model0", "--trainer", "popularity", "--overwrite"), "can not start from a model"),
    ):
        result = call("train", place / "data", "--output", tmp_path / "n", *wrong)
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_training_refuses_a_strange_reference_before_the_work(place, tmp_path):
    for reference, message in (("model0", "share no item_id"), ("other-data", "holds a dataset"), ("none", "does not exist")):
        result = call("train", place / "other-data", "--output", tmp_path / "m", "--align-to", place / reference)
        assert result.exit_code == 2
        assert message in result.stderr
    result = call("train", place / "data", "--output", place / "model0", "--align-to", place / "model0", "--overwrite")
    assert (result.exit_code, "is what is read" in result.stderr) == (2, True)


def foreign_vectors(place, tmp_path, *, noise=0.0):
    """Linear in those of model0 but for noise, with two items that it does not know."""
    items = recsys.load(place / "model0").item_embeddings
    generator = np.random.default_rng(0)
    vectors = np.vstack([items.vectors, items.vectors[:2] + 0.01]) @ generator.standard_normal((6, 9))
    ids = [*items.ids.to_numpy(), "new1", "new2"]
    foreign = recsys.Embeddings.from_arrays(ids, (1 - noise) * vectors + noise * generator.standard_normal(vectors.shape))
    foreign.to_file(tmp_path / "texts.vec", overwrite=True)
    return tmp_path / "texts.vec"


def test_a_bridge_adds_new_items_and_says_what_it_is_worth(place, tmp_path):
    foreign = foreign_vectors(place, tmp_path)
    arguments = ("embeddings", "bridge", foreign, place / "model0", "--metric", "ndcg@10")
    text = done(*arguments, "--output", tmp_path / "m", "--report", tmp_path / "report.json")
    assert "From 9 foreign dimensions to 6 by 40 shared items, held out in 5 parts in turn." in text
    assert "popularity baseline and " in text
    assert f"Wrote {tmp_path / 'm'}: the model and 2 new items" in text
    lists = recsys.load(tmp_path / "m").recommend(k=20)
    assert {"new1", "new2"} & set(lists.item_id)
    judged = json.loads(done(*arguments, "--json"))
    written = json.loads((tmp_path / "report.json").read_text())
    assert judged["quality"] == written["quality"]
    assert (judged["output"], judged["n_new"], judged["explained"] > 0.99) == (None, 2, True)
    found = recsys.bridge(recsys.Embeddings.from_file(foreign), recsys.load(place / "model0"), metric="ndcg@10")
    assert [row["mean"] for row in judged["quality"]] == found.quality["mean"].tolist()


def test_a_bridge_without_meaning_is_called_so(place, tmp_path):
    foreign = foreign_vectors(place, tmp_path, noise=1.0)
    text = done("embeddings", "bridge", foreign, place / "model0")
    assert "That is not shown to be better than popularity" in text
    assert "Wrote" not in text


def test_a_bridge_that_can_not_be_is_one_sentence(place, tmp_path):
    known = foreign_vectors(place, tmp_path)
    recsys.Embeddings.from_file(known).take(["i1", "i2", "i3", "new1"]).to_file(tmp_path / "few.vec")
    calls = {
        (place / "items", place / "model0", "--output", tmp_path / "n"): "knows all items of",
        (known, place / "items"): "holds embeddings; a model was expected",
        (tmp_path / "few.vec", place / "model0"): "needs at least 10 shared items. Got 3.",
        (known, place / "model0", "--output", place / "model0", "--overwrite"): "is what is read",
        (known, place / "model0", "--metric", "ndgc@10"): "Did you mean",
        (known, place / "model0", "--output", place / "model1"): "pass --overwrite",
    }
    for arguments, words in calls.items():
        result = call("embeddings", "bridge", *arguments)
        assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_compare_shows_tables_and_writes_the_report(place, tmp_path):
    report = tmp_path / "report.json"
    arguments = (
        "embeddings",
        "compare",
        place / "model0",
        place / "model1",
        "--groups",
        place / "groups.csv",
        "--group-by",
        "kind",
    )
    text = done(*arguments, "--output", report)
    assert "list_overlap" in text
    assert "What moved most" in text
    content = json.loads(report.read_text())
    assert {row["group"] for row in content["groups"]} == {"new", "old", None}
    assert content["gate"] == {"passed": None, "limits": {}, "failures": []}
    side = json.loads(done(*arguments[:4], "--side", "users", "--all", "--json"))
    assert side["report"]["measures"]["n_shared"] == 80
    assert side["report"]["measures"].get("list_overlap") is None


def test_compare_is_a_gate(place):
    arguments = ("embeddings", "compare", place / "model0", place / "model1")
    passed = call(*arguments, "--max-gone", 0, "--min-overlap", 0.01)
    assert passed.exit_code == 0
    failed = call(*arguments, "--min-list-overlap", 1, "--min-cka", 0.9999, "--json")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("Failed: list_overlap is 0.")
    assert failed.stderr.count("Failed: ") == 2
    assert json.loads(failed.stdout)["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nearest", "{}/model0", "i99x"], "Unknown item_id: 'i99x'"),
        (["nearest", "{}/items", "i1", "--side", "users"], "--side is for models"),
        (["nearest", "{}/data", "i1"], "holds a dataset; a model, embeddings or a file of them was expected"),
        (["nearest", "{}/nowhere", "i1"], "does not exist"),
        (["export", "{}/model0", "--output", "{}/new.txt"], "pass --format"),
        (["export", "{}/model0", "--output", "{}/new.xlsx"], "pass --format"),
        (["export", "{}/model0", "--output", "{}/model0/v.vec"], "is what is read"),
        (["import", "{}/groups.csv", "--output", "{}/new"], "pass --format"),
        (["import", "{}/groups.csv", "--format", "word2vec", "--output", "{}/new"], "line 1: a word2vec file begins with"),
        (["align", "{}/items", "--to", "{}/model0", "--output", "{}/new"], "recsys embeddings export"),
        (["align", "{}/items", "--to", "{}/items", "--output", "{}/new", "--weights", "popularity"], "--weights goes by"),
        (["align", "{}/model0", "--to", "{}/model1", "--output", "{}/items", "--overwrite"], "holds embeddings"),
        (["compare", "{}/model0", "{}/items", "--min-list-overlap", "1"], "--min-list-overlap is about users' lists"),
        (["compare", "{}/items", "{}/items", "--min-list-overlap", "1"], "--min-list-overlap is about users' lists"),
        (["compare", "{}/model0", "{}/model1", "--all", "--sample", "5"], "--sample and --all"),
        (["compare", "{}/model0", "{}/model1", "--groups", "{}/groups.csv"], "Hint: --group-by names one"),
        (["compare", "{}/model0", "{}/model1", "--group-by", "kind"], "--group-by names a column of --groups"),
        (["compare", "{}/model0", "{}/model1", "--groups", "{}/groups.csv", "--group-by", "knd"], "Did you mean 'kind'?"),
        (["compare", "{}/model0", "{}/model1", "--min-cka", "-1"], "--min-cka must be a number >= 0"),
        (["nearst"], "Did you mean 'nearest'"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_sentence_and_exit_code_2(arguments, message, place):
    result = call("embeddings", *[argument.format(place) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not (place / "new").exists()
