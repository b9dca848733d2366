"""`recsys tune` and `recsys train --config`: what they write and print, and what they say about bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions

import recsys
from recsys.cli import commands


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def succeed(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def sentence_of(*arguments):
    """The one sentence with which a command refuses."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two datasets, and a configuration that was tuned on them."""
    folder = tmp_path_factory.mktemp("tuned")
    train, valid = recsys.split.random(random_interactions(90, 40, 0.2, seed=4), test_fraction=0.3)
    train.save(folder / "train")
    valid.save(folder / "valid")
    succeed(*tuning(folder), "--trials", 3, "--output", folder / "als.toml")
    return folder


def tuning(folder):
    small = ["--set", "factors=4", "--set", "iterations=3"]
    return ["tune", folder / "train", "--valid", folder / "valid", "--metric", "ndcg@10", *small]


def test_tune_writes_a_configuration_that_train_takes(place, tmp_path):
    result = json.loads(succeed(*tuning(place), "--trials", 3, "--output", tmp_path / "als.toml", "--json").stdout)
    assert result["metric"] == "ndcg@10"
    assert result["value"] == max(trial["value"] for trial in result["trials"])
    assert [trial["number"] for trial in result["trials"]] == [0, 1, 2]
    written = tomllib.loads((tmp_path / "als.toml").read_text())["train"]
    assert written["set"].items() <= result["hyperparameters"].items()
    # The same search again, however often.
    assert written == tomllib.loads((place / "als.toml").read_text())["train"]
    succeed("train", place / "train", "--config", tmp_path / "als.toml", "--output", tmp_path / "model")
    model = recsys.load(tmp_path / "model")
    assert model.provenance["hyperparameters"] == result["hyperparameters"]
    found = recsys.evaluate(model, recsys.load(place / "valid"), "ndcg@10").summary()
    assert found["mean"][0] == result["value"]


def test_tune_shows_the_best_trials_and_what_was_written(place, tmp_path):
    arguments = ("--search", "regularization=0.003,0.05", "--search", "factors=2..6", "--trials", 4)
    shown = succeed(*tuning(place), *arguments, "--storage", tmp_path / "s.db", "--output", tmp_path / "c.toml").stdout
    assert "Best by ndcg@10" in shown
    assert re.search(r"number +stage +value +low +high +best_epoch +seconds +regularization +factors", shown)
    assert re.search(r"ndcg@10 0\.\d{4} \(95 % interval .*, 90 users\), the best of 4 trials \(4 complete\)\.", shown)
    assert "for recsys train --config" in shown
    assert "s.db keeps the study" in shown


def test_set_goes_before_the_configuration(place, tmp_path):
    succeed(
        "train", place / "train", "--config", place / "als.toml", "--set", "factors=2", "--output", tmp_path / "model",
        "--num-threads", 1,
    )  # fmt: skip
    written = tomllib.loads((place / "als.toml").read_text())["train"]["set"]
    hyperparameters = recsys.load(tmp_path / "model").provenance["hyperparameters"]
    assert hyperparameters == {**written, "factors": 2, "num_threads": 1}


def test_a_space_file_and_options_add_up(place, tmp_path):
    space = tmp_path / "space.toml"
    space.write_text('factors = [2, 3]\nregularization = "0.001..0.1:log"\n')
    options = ("--space", space, "--search", "regularization=0.5..1.5", "--trials", 2, "--json")
    result = json.loads(succeed(*tuning(place), *options, "--output", tmp_path / "c.toml").stdout)
    for trial in result["trials"]:
        assert trial["factors"] in (2, 3)
        assert 0.5 <= trial["regularization"] <= 1.5


def test_a_configuration_can_be_tuned_on_and_grown(place, tmp_path):
    options = ("--config", place / "als.toml", "--trials", 1, "--grow-to", 8, "--json", "--output", tmp_path / "c.toml")
    small = ["tune", place / "train", "--valid", place / "valid", "--metric", "ndcg@10"]
    trials = json.loads(succeed(*small, *options).stdout)["trials"]
    assert [(trial["stage"], trial["factors"]) for trial in trials] == [("searched", 4), ("grown", 8)]


def test_ratings_are_tuned_and_watched_by_their_errors(place, tmp_path):
    small = ("--trainer", "explicit-als", "--set", "factors=2", "--set", "iterations=4", "--metric", "rmse")
    tuned = succeed("tune", place / "train", "--valid", place / "valid", *small, "--trials", 2, "--output", tmp_path / "c.toml")
    assert "Best by rmse" in tuned.stdout
    succeed("train", place / "train", "--validation", place / "valid", *small, "--output", tmp_path / "model")
    refused = sentence_of(
        "train", place / "train", "--validation", place / "valid", "--metric", "mae", "--output", tmp_path / "other"
    )
    assert "'mae' judges predicted ratings, and als predicts none" in refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trainer = ", "is not a TOML file"),
        ("", "has no section [train]"),
        ("[tarin]\n", "unknown section 'tarin'; known are train. Did you mean 'train'?"),
        ("train = 3\n", "has no section [train]"),
        ("[train]\n", "[train] trainer must be the name of a trainer. Got None"),
        ("[train]\ntrainer = 3\n", "must be the name of a trainer. Got 3"),
        ('[train]\ntrainer = "asl"\n', "Unknown trainer 'asl'"),
        ('[train]\ntrainer = "als"\nfactors = 3\n', "[train] has an unknown key 'factors'; known are trainer, set"),
        ('[train]\ntrainer = "als"\nset = 3\n', "[train] set must be a table of settings. Got 3"),
        ('[train]\ntrainer = "als"\nset.factor = 3\n', "has no setting 'factor'"),
        ('[train]\ntrainer = "als"\nset.factors = 3.5\n', "must be an int >= 1. Got 3.5"),
    ],
)
def test_a_wrong_configuration_is_refused(place, tmp_path, content, message):
    (tmp_path / "c.toml").write_text(content)
    refused = sentence_of("train", place / "train", "--config", tmp_path / "c.toml", "--output", tmp_path / "model")
    assert message in refused
    assert os.listdir(tmp_path) == ["c.toml"]


def test_a_configuration_of_another_trainer_or_none_is_refused(place, tmp_path):
    arguments = ("train", place / "train", "--output", tmp_path / "model", "--config")
    assert "configures the trainer 'als'" in sentence_of(*arguments, place / "als.toml", "--trainer", "popularity")
    assert "can not be read" in sentence_of(*arguments, tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--search", "factor=1,2"], "has no setting 'factor'"),
        (["--search", "regularization=low..high"], "must be searched in LOW..HIGH, LOW..HIGH:log or a list"),
        (["--search", "regularization=1..0.1"], "from a lower to a higher number"),
        (["--search", "factors=a,b"], "The setting `factors` takes int. Got 'a'"),
        (["--search", "factors"], "is not of the form NAME=VALUE"),
        (["--trainer", "popularity"], "has no setting 'factors'"),
        (["--metric", "ndgc@10"], "Unknown metric 'ndgc@10'"),
        (["--metric", "rmse"], "als predicts none"),
        (["--grow-to", "2"], "--grow-to must be more factors than the 4 that are searched with"),
        (["--resume"], "--resume needs --storage"),
        (["--trials", "0"], "--trials"),
        (["--timeout", "-1"], "--timeout must be a number of seconds > 0"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(place, tmp_path, options, message):
    assert message in sentence_of(*tuning(place), "--output", tmp_path / "c.toml", *options)
    assert os.listdir(tmp_path) == []


def test_pairs_that_were_trained_on_may_be_left_out_of_the_judging(place, tmp_path):
    both = recsys.load(place / "valid").to_frame()
    more = recsys.load(place / "train").to_frame().head(20)
    recsys.read_interactions(pd.concat([both, more])).save(tmp_path / "valid")
    arguments = ("tune", place / "train", "--valid", tmp_path / "valid", "--set", "factors=4", "--set", "iterations=2")
    refused = sentence_of(*arguments, "--output", tmp_path / "c.toml")
    assert "Hint: --overlap drop leaves them out" in refused
    succeed(*arguments, "--trials", 1, "--overlap", "drop", "--output", tmp_path / "c.toml")
    watched = ("train", place / "train", "--set", "factors=4", "--validation", tmp_path / "valid", "--output", tmp_path / "m")
    assert "--overlap drop" in sentence_of(*watched)
    succeed(*watched, "--overlap", "keep")


def test_nothing_to_tune_and_files_that_exist_are_told_in_words_of_the_command_line(place, tmp_path):
    nothing = ("tune", place / "train", "--valid", place / "valid", "--trainer", "popularity", "--output", tmp_path / "c.toml")
    hint = "Hint: --search may name settings: by, window, half_life, group."
    assert f"nothing that is worth tuning. {hint}" in sentence_of(*nothing)
    assert "pass --overwrite" in sentence_of(*tuning(place), "--output", place / "als.toml")
    (tmp_path / "s.db").write_text("")
    refused = sentence_of(*tuning(place), "--output", tmp_path / "c.toml", "--storage", tmp_path / "s.db")
    assert "Hint: pass --resume" in refused
    assert "is what is read" in sentence_of(*tuning(place), "--output", place / "valid" / "c.toml")


def test_an_interrupted_search_says_what_is_kept_and_goes_on(place, tmp_path):
    arguments = [str(argument) for argument in tuning(place)]
    files = ["--storage", str(tmp_path / "s.db"), "--output", str(tmp_path / "c.toml")]
    command = [sys.executable, "-m", "recsys.cli", *arguments, *files, "--set", "iterations=60", "--trials", "9999"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "s.db").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)  # as a batch scheduler does
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    kept = re.fullmatch(
        r"Error: Interrupted; nothing was half written\. \S+s\.db keeps (\d+) trials?; --resume goes on from there\..*\n", error
    )
    assert kept, error
    assert os.listdir(tmp_path) == ["s.db"]
    more = ("--set", "iterations=60", "--resume", "--trials", int(kept[1]) + 1, "--json")
    assert len(json.loads(succeed(*arguments, *files, *more).stdout)["trials"]) == int(kept[1]) + 1
