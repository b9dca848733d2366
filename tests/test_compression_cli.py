"""`recsys embeddings compress` and `tradeoff`: from files to files, sentences and exit codes."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions

import recsys
from recsys.cli import commands
from recsys.cli_embeddings import embeddings as group

NAMES = ["compress", "tradeoff"]


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def done(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compression")
    cut = recsys.split.random(random_interactions(120, 80, 0.3, strings=True), test_fraction=0.2, random_state=0)
    cut.train.save(folder / "train")
    cut.test.save(folder / "test")
    recsys.ALS(factors=10, iterations=2).fit(cut.train).save(folder / "model")
    recsys.load(folder / "model").item_embeddings.save(folder / "items")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself(name):
    assert set(NAMES) <= set(group.commands)
    assert done("embeddings", name, "--help").startswith(f"Usage: commands embeddings {name}")


def test_a_model_is_compressed_and_used_as_any_other(place, tmp_path):
    small = tmp_path / "small"
    asked = ("embeddings", "compress", place / "model", "--output", small, "--storage", "int4", "--dimensions", 8)
    written = json.loads(done(*asked, "--json"))
    assert (written["kind"], written["settings"]["storage"], written["float32_bytes_per_id"]) == ("model", "int4", 40)
    assert written["bytes"] == sum(path.stat().st_size for path in small.rglob("*"))
    assert "int4" in done("info", small)
    done("recommend", small, "--output", tmp_path / "lists.csv", "--k", 3)
    expected = recsys.load(place / "model").compress(8, "int4").recommend(k=3)
    assert pd.read_csv(tmp_path / "lists.csv")["item_id"].tolist() == expected["item_id"].tolist()
    assert "ndcg" in done("evaluate", small, "--test", place / "test")
    assert "already exists. Hint: pass --overwrite" in call(*asked).stderr
    assert "1/5." in done(*asked, "--overwrite")


def test_embeddings_and_one_side_of_a_model_are_compressed(place, tmp_path):
    done("embeddings", "compress", place / "items", "--output", tmp_path / "a", "--storage", "binary", "--rescore", "float16")
    assert "Nearest to i3" in done("embeddings", "nearest", tmp_path / "a", "i3")
    done("embeddings", "compress", place / "model", "--side", "items", "--output", tmp_path / "b")
    assert recsys.load(tmp_path / "b").fingerprint == recsys.load(place / "items").compress().fingerprint
    done("embeddings", "export", tmp_path / "b", "--output", tmp_path / "b.parquet")
    assert recsys.Embeddings.from_file(tmp_path / "b.parquet").dim == 10


def test_the_trade_off_is_shown_written_and_drawn(place, tmp_path):
    asked = ("embeddings", "tradeoff", place / "model", "--test", place / "test", "--dimensions", "4,10")
    files = ("--output", tmp_path / "sizes.json", "--plot", tmp_path / "sizes.svg")
    text = done(*asked, *files, "--storages", "float32,int8", "--max-loss", 0.2)
    assert "event log" in text
    assert "1/3." in text
    content = json.loads((tmp_path / "sizes.json").read_text())
    assert [row["storage"] for row in content["rows"]].count("int8") == 2
    assert (tmp_path / "sizes.svg").read_text().startswith("<?xml")
    as_json = json.loads(done(*asked, "--storages", "int8", "--metric", "recall@5", "--json"))
    assert as_json["report"]["metric"] == "recall@5"
    assert as_json["report"]["sentence"] in done(*asked, "--storages", "int8", "--metric", "recall@5")


def test_the_size_is_picked_by_its_loss(place, tmp_path):
    small = tmp_path / "small"
    said = done("embeddings", "compress", place / "model", "--output", small, "--max-loss", 0.3, "--test", place / "test")
    found = recsys.tradeoff(recsys.load(place / "model"), recsys.load(place / "test"), max_loss=0.3)
    assert found.sentence() in said
    assert recsys.load(small).fingerprint == found.apply(recsys.load(place / "model")).fingerprint


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("compress", "model", "--max-loss", "0.1"), "--max-loss and --test go together"),
        (("compress", "model", "--max-loss", "0.1", "--test", "test", "--storage", "int8"), "--storage does not go with it"),
        (("compress", "items", "--max-loss", "0.1", "--test", "test"), "holds embeddings"),
        (("compress", "model", "--storage", "pq"), "needs as many rows. Got 120. Hint: --storage int4"),
        (("compress", "model", "--storage", "in8"), "is not one of"),
        (("compress", "model", "--dimensions", "11"), "--dimensions must be an int from 1 to the 10 that there are"),
        (("compress", "test"), "holds a dataset; a model, embeddings or a file of them was expected"),
        (("tradeoff", "model", "--test", "test", "--max-loss", "2"), "--max-loss must be a number from 0 to below 1"),
        (("tradeoff", "model", "--test", "test", "--storages", "in8"), "--storages must be one of"),
        (("tradeoff", "model", "--test", "test", "--dimensions", "8;4"), "whole numbers with commas between"),
        (("tradeoff", "model", "--test", "test", "--metric", "auc"), "--metric must be one of"),
        (("tradeoff", "model", "--test", "test", "--plot", "x.jpg"), "must end in one of"),
        (("tradeoff", "model", "--test", "test", "--output", "x.txt"), "--output must end in .csv or .json"),
        (("tradeoff", "items", "--test", "test"), "holds embeddings"),
    ],
)
def test_wrong_calls_are_one_sentence_and_write_nothing(arguments, sentence, place, tmp_path):
    parts = [place / part if part in ("model", "items", "test") else part for part in arguments]
    output = ["--output", tmp_path / "out"] if arguments[0] == "compress" else []
    result = call("embeddings", *parts, *output)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
