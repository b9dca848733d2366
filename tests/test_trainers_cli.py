"""`recsys trainers`: the list, one trainer's settings, JSON, and what `train` makes of them."""

import json
from dataclasses import fields

import pytest
from click.testing import CliRunner
from conftest import random_interactions

import recsys
from recsys.cli import commands
from recsys.trainers import TRAINERS, setting_descriptions


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def test_every_trainer_is_listed_with_its_advice():
    result = call("trainers")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    for name, trainer in TRAINERS.items():
        (line,) = (line for line in lines if line.split()[:1] == [name] and "needs:" not in line)
        assert trainer.advice.split()[0] in line
    assert "recsys trainers NAME shows its settings" in result.stdout


def test_a_trainer_that_needs_an_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(recsys.BPR, "extra", "word2vec")
    assert "bpr needs: pip install 'recsys[word2vec]'" in call("trainers").stdout
    assert "It needs: pip install 'recsys[word2vec]'" in call("trainers", "bpr").stdout


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_each_setting_is_shown_with_default_and_description(name):
    result = call("trainers", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{name}: {TRAINERS[name].advice}\n")
    shown = " ".join(result.stdout.split())
    for field in fields(TRAINERS[name]):
        assert f" {field.name} " in shown
        assert str(field.default) in shown
        assert setting_descriptions(TRAINERS[name])[field.name].split()[0] in shown


def test_json_holds_the_same():
    listed = json.loads(call("trainers", "--json").stdout)["trainers"]
    assert [each["name"] for each in listed] == sorted(TRAINERS)
    assert set(listed[0]) == {"name", "advice", "makes_embeddings", "predicts_ratings", "extra"}
    described = json.loads(call("trainers", "bpr", "--json").stdout)
    assert described["description"].startswith("Bayesian personalised ranking")
    setting = described["settings"][1]
    assert (setting["name"], setting["type"], setting["default"]) == ("learning_rate", "float", 0.1)
    assert setting["search"] == "0.02..0.4:log"
    assert described["settings"][-1]["type"] == "int or None"


def test_a_trainer_that_is_not_there_is_one_sentence_with_the_closest():
    result = call("trainers", "bp")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: Unknown trainer 'bp'; there are 'als', 'bpr'")
    assert result.stderr.endswith("Did you mean 'bpr'?\n")


@pytest.mark.parametrize("name", ["bpr", "logistic-mf"])
def test_training_from_the_command_line(name, tmp_path):
    random_interactions(strings=True).save(tmp_path / "data")
    options = ("--trainer", name, "--set", "factors=4", "--set", "iterations=2")
    result = call("train", tmp_path / "data", "--output", tmp_path / "model", *options)
    assert result.exit_code == 0, result.output
    assert f": {name} on 60 users × 40 items" in result.stdout
    assert recsys.load(tmp_path / "model").provenance["hyperparameters"]["factors"] == 4
    wrong = call("train", tmp_path / "data", "--output", tmp_path / "other", "--trainer", name, "--set", "epochs=2")
    assert wrong.exit_code == 2
    assert f"The trainer '{name}' has no setting 'epochs'; it has factors, learning_rate" in wrong.stderr
