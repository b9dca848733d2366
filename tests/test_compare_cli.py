"""`recsys compare`: what it prints and writes, names of models, the gate and its exit codes, bad input."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.datasets import make_events
from recsys.errors import ParameterError
from recsys.evaluation import EvaluationResult
from recsys.ids import IdMap
from recsys.jobs.compare import gate_failures, model_names

pytestmark = pytest.mark.compiled


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def sentence_of(*arguments):
    """The one sentence with which a wrong call fails."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A test dataset and three models: a good one, the same from another day, and one that hardly learned."""
    folder = tmp_path_factory.mktemp("ground")
    events = make_events(users=300, items=80, events=8_000, groups=4, id_type="string", random_state=3)
    train, test = recsys.split.random(recsys.read_interactions(events), test_fraction=0.2)
    place = SimpleNamespace(
        folder=folder, test=folder / "test", monday=folder / "monday" / "model", tuesday=folder / "tuesday" / "model",
        poor=folder / "poor",
    )  # fmt: skip
    test.save(place.test)
    for path in (place.monday, place.tuesday):
        path.parent.mkdir()
        recsys.ALS(factors=8, iterations=5).fit(train).save(path)
    recsys.ALS(factors=2, iterations=1, regularization=50.0).fit(train).save(place.poor)
    return place


def test_the_table_and_the_words_of_every_pair(ground):
    result = call("compare", ground.monday, ground.poor, "--test", ground.test)
    assert result.exit_code == 0, result.stderr
    for words in ("recall@20", "ndcg@20", "p_adjusted", "model, poor on", "- poor is worse than model on ndcg@20 by", "(Holm)"):
        assert words in result.stdout
    assert "Compared in" in result.stdout
    assert result.stderr == ""


def test_the_json_is_what_compare_finds(ground, tmp_path):
    result = call("compare", ground.monday, ground.poor, "--test", ground.test, "--metrics", "ndcg@5", "--json",
                  "--output", tmp_path / "report.json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    test = recsys.Interactions.load(ground.test)
    results = {path.name: recsys.evaluate(recsys.load(path), test, "ndcg@5") for path in (ground.monday, ground.poor)}
    wanted = recsys.compare(results).to_dict()
    assert printed["report"] == json.loads((tmp_path / "report.json").read_text())
    assert printed["report"]["differences"] == wanted["differences"]
    assert printed["report"]["counts"]["poor"]["users_evaluated"] == wanted["n_users"]
    assert printed["models"] == {"model": str(ground.monday), "poor": str(ground.poor)}
    assert (printed["passed"], printed["failures"]) == (None, [])


def test_models_of_one_name_are_told_apart_by_their_parents(ground):
    result = call("compare", ground.monday, ground.tuesday, "--test", ground.test)
    assert "- monday/model and tuesday/model have the same ndcg@20 for every user" in result.stdout


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/model", "b/model", "c"], ["a/model", "b/model", "c"]),
        (["x/1/model", "y/1/model", "x/2/model"], ["x/1/model", "y/1/model", "2/model"]),
        (["model", "old/model"], None),
        (["/model", "/a/model"], ["//model", "a/model"]),
        (["a/", "b//"], ["a", "b"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(paths, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_names(paths) == (names or [f"{tmp_path.name}/model", "old/model"])


# ---- the gate -------------------------------------------------------------------------------------------------------


def test_the_gate_passes_an_equal_model_and_fails_a_worse_one(ground, tmp_path):
    passed = call("compare", ground.tuesday, "--baseline", ground.monday, "--test", ground.test, "--fail-if-worse")
    assert (passed.exit_code, passed.stderr) == (0, "")
    output = tmp_path / "report.json"
    failed = call("compare", ground.monday, ground.poor, "--test", ground.test, "--fail-if-worse", "--output", output)
    assert failed.exit_code == 1
    assert re.search(r"^Failed: poor is worse than model on ndcg@20 by 0\.\d+ \[.*\], p = .* \(Holm\)\.$", failed.stderr, re.M)
    assert "Error" not in failed.stderr
    gate = json.loads(output.read_text())["gate"]
    assert gate["passed"] is False
    assert len(gate["failures"]) == 2


def test_without_a_baseline_the_gate_takes_the_first_model_for_it(ground):
    result = call("compare", ground.poor, ground.monday, "--test", ground.test, "--fail-if-worse", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["baseline"] == "poor"
    assert json.loads(result.stdout)["passed"] is True


@pytest.mark.parametrize("how", ["path", "name"])
def test_the_baseline_may_be_one_of_the_models(ground, how):
    baseline = {"path": ground.folder / "x" / ".." / "poor", "name": "poor"}[how]
    result = call("compare", ground.monday, ground.poor, "--baseline", baseline, "--test", ground.test, "--json")
    assert result.exit_code == 0, result.stderr
    assert {row["a"] for row in json.loads(result.stdout)["report"]["differences"]} == {"poor"}


def compared(shift, *, noise=0.3, metric="ndcg@10", n_users=100):
    generator = np.random.default_rng(0)
    old, change = generator.random((n_users, 1)), generator.standard_normal((n_users, 1)) * noise
    users = IdMap(np.arange(n_users))
    values = {"old": old, "new": old + change - change.mean() + shift}
    results = {name: EvaluationResult(users, (metric,), found, {}, {}) for name, found in values.items()}
    return recsys.compare(results, baseline="old")


def test_without_a_margin_what_the_test_set_can_not_show_passes():
    assert list(gate_failures(compared(-0.05))) == []
    (reason,) = gate_failures(compared(-0.15))
    assert reason.startswith("new is worse than old on ndcg@10 by 0.1500 [")


def test_with_a_margin_a_model_has_to_prove_that_it_loses_less():
    (reason,) = gate_failures(compared(0), 0.03)
    assert re.fullmatch(r"new may lose 0\.03 or more to old on ndcg@10: .0\.0000 \[-0\.0\d+, \+0\.0\d+\]", reason)
    assert list(gate_failures(compared(0), 0.1)) == []
    assert list(gate_failures(compared(0, noise=0), 0)) == []


def test_with_a_margin_a_smaller_loss_passes_also_where_it_is_shown():
    found = compared(-0.01, noise=0.001)
    assert list(gate_failures(found)) == [found.sentence(found.differences[0])]
    assert list(gate_failures(found, 0.02)) == []
    assert len(list(gate_failures(found, 0.009))) == 1


def test_metrics_that_do_not_judge_have_no_say():
    assert list(gate_failures(compared(-5, metric="novelty@10"), 0.1)) == []


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_wrong_calls_say_what_is_wrong(ground, tmp_path):
    both = (ground.monday, ground.poor, "--test", ground.test)
    assert "at least 2 models. Got 1: " in sentence_of("compare", ground.monday, "--test", ground.test)
    assert "are the same model. Hint: name each once." in sentence_of(
        "compare", ground.poor, ground.folder / "monday" / ".." / "poor", "--test", ground.test
    )
    assert "nowhere" in sentence_of("compare", ground.poor, tmp_path / "nowhere", "--test", ground.test)
    assert "--margin must be a number from 0 on, and needs --fail-if-worse. Got 0.1" in sentence_of(
        "compare", *both, "--margin", 0.1
    )
    assert "Hint: take --resamples 400 or more" in sentence_of("compare", *both, "--resamples", 10)
    assert "95 % is written 0.95" in sentence_of("compare", *both, "--confidence", 95)
    assert "Did you mean 'ndcg'?" in sentence_of("compare", *both, "--metrics", "ndgc@10")
    assert "is what is read" in sentence_of("compare", *both, "--output", ground.test / "report.json")
    assert "Known: recall" in sentence_of("compare", *both, "--metrics", "nothing")


def test_other_users_are_refused_with_the_option_that_helps(ground, tmp_path):
    test = recsys.Interactions.load(ground.test)
    known = recsys.load(ground.poor).history
    recsys.Popularity().fit(known.filter(users=known.users.to_numpy()[20:])).save(tmp_path / "narrow")
    arguments = ("compare", ground.poor, tmp_path / "narrow", "--test", ground.test)
    assert "only in 'poor'" in sentence_of(*arguments)
    assert "Hint: --on common compares them" in sentence_of(*arguments)
    result = call(*arguments, "--on", "common")
    assert result.exit_code == 0, result.stderr
    assert "Left out, since not all models know them: " in result.stdout
    assert " by narrow." in result.stdout
    assert test.n_users > 0


def test_a_margin_is_refused_in_python_by_its_own_name(ground):
    from recsys.jobs.compare import compare

    with pytest.raises(ParameterError, match="needs fail_if_worse=True"):
        compare([str(ground.poor), str(ground.monday)], test=str(ground.test), margin=0.1)
