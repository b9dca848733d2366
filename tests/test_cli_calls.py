"""The command line as a language: names, options, help, mistakes in the call. Nothing is computed here."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from recsys.cli import commands
from recsys.errors import DataError, StorageError

CONTRACT = {
    "demo": ["--output"],
    "ingest": [
        "--output",
        "--user",
        "--item",
        "--weight",
        "--timestamp",
        "--duplicates",
        "--bad-rows",
        "--rejects",
        "--min-weight",
        "--delimiter",
        "--min-user-interactions",
        "--min-item-interactions",
    ],
    "split": ["--by", "--test-fraction", "--train", "--test"],
    "trainers": [],
    "train": ["--output", "--trainer", "--set", "--config", "--resume", "--align-to"],
    "tune": ["--valid", "--output", "--trainer", "--set", "--search", "--space", "--trials", "--metric", "--storage"],
    "blend": ["--valid", "--output", "--metric", "--allow-no-gain", "--shares-of", "--random-state"],
    "index": ["--kind", "--name", "--target-recall", "--k", "--n-queries", "--random-state"],
    "recommend": ["--output", "--k", "--users", "--only-items", "--exclude-items", "--include-seen", "--index"],
    "similar": ["--k"],
    "evaluate": ["--test", "--metrics", "--output"],
    "compare": ["--test", "--baseline", "--metrics", "--on", "--output", "--fail-if-worse", "--margin"],
    "embeddings": [],
    "info": [],
    "run": [],
    "datasets": [],
}


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def assert_one_sentence(result, code=2):
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr


@pytest.mark.parametrize("command", CONTRACT)
def test_every_command_of_the_contract_has_its_options(command):
    options = {option for parameter in commands.commands[command].params for option in parameter.opts}
    assert set(CONTRACT[command]) <= options
    assert isinstance(commands.commands[command], click.Group) or "--json" in options


def test_help_names_every_command_in_the_order_of_the_work():
    result = call("--help")
    assert result.exit_code == 0
    listed = re.findall(r"^  ([a-z]+)  ", result.stdout.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(CONTRACT)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [*CONTRACT, "datasets list", "datasets fetch"])
def test_each_command_explains_itself(command, option):
    result = call(*command.split(), option)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert result.stderr == ""


def test_version_is_that_of_the_package():
    assert re.fullmatch(r"\S+ \d+\.\d+\.\d+\n", call("--version").stdout)


def test_defaults_told_in_help_are_those_of_the_library():
    from recsys.evaluation import compare, evaluate
    from recsys.jobs import split as split_job
    from recsys.jobs.recommend import recommend
    from recsys.jobs.train import DEFAULT_TRAINER
    from recsys.tuning import tune

    def told(command, option):
        for parameter in commands.commands[command].params:
            if option in parameter.opts:
                return re.search(r"\[default: (.*)\]", parameter.help).group(1)
        raise LookupError(option)

    def default(function, name):
        return inspect.signature(function).parameters[name].default

    assert told("recommend", "--k") == str(default(recommend, "k"))
    assert told("recommend", "--index") == default(recommend, "index")
    assert told("recommend", "--unknown") == default(recommend, "unknown")
    assert told("train", "--trainer") == told("tune", "--trainer") == DEFAULT_TRAINER
    options = {"n_trials": "--trials", "metric": "--metric", "n_jobs": "--jobs", "random_state": "--random-state"}
    assert {name: told("tune", option) for name, option in options.items()} == {
        name: str(default(tune, name)) for name in options
    }
    assert told("evaluate", "--metrics") == ",".join(default(evaluate, "metrics"))
    assert told("evaluate", "--overlap") == default(evaluate, "overlap")
    assert told("compare", "--metrics") == ",".join(default(evaluate, "metrics"))
    assert told("compare", "--overlap") == default(evaluate, "overlap")
    options = ("on", "confidence", "resamples", "random_state")
    assert [told("compare", f"--{option.replace('_', '-')}") for option in options] == [
        str(default(compare, option)) for option in options
    ]
    fractions = {
        name: default(function, "test_fraction") for name, function in split_job.SPLITS.items() if name != "leave-last"
    }
    assert told("split", "--test-fraction") == f"{fractions['temporal']}; random {fractions['random']}"
    assert fractions["users"] == fractions["temporal"]
    assert told("split", "--fold-in-fraction") == str(default(split_job.SPLITS["users"], "fold_in_fraction"))
    assert told("split", "--n") == str(default(split_job.SPLITS["leave-last"], "n"))
    unseen = {name: default(split_job.SPLITS[name], "unseen") for name in ("temporal", "users")}
    assert told("split", "--unseen") == f"{unseen['temporal']}; users {unseen['users']}"
    assert told("split", "--random-state") == str(default(split_job.SPLITS["random"], "random_state"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recomend", "x"], "Did you mean 'recommend'"),
        (["train", "data", "--ouput", "model"], "Did you mean '--output'"),
        (["train", "data"], "Missing option '--output'"),
        (["recommend"], "Missing argument 'MODEL'"),
        (["ingest", "--output", "x"], "Missing argument"),
        (["split", "data", "--by", "tempral", "--train", "a", "--test", "b"], "'temporal'"),
        (["train", "data", "--output", "m", "--set", "factors"], "NAME=VALUE"),
        (["train", "data", "--output", "m", "--num-threads", "0"], "--num-threads"),
        (["recommend", "model", "--output", "x.csv", "--k", "ten"], "'ten' is not a valid integer"),
        (["recommend", "model", "--output", "x.xlsx"], "'.parquet', '.csv', '.jsonl'"),
        (["info", "a", "b"], "unexpected extra argument"),
        (["datasets", "fech", "ml-1m"], "Did you mean 'fetch'"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(arguments, words):
    result = call(*arguments)
    assert_one_sentence(result)
    assert words in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (DataError("The log\nis  empty."), 2, "Error: The log is empty."),
        (StorageError("The disk is full."), 1, "Error: The disk is full."),
        (KeyboardInterrupt(), 1, "Error: Interrupted; nothing was half written."),
        (MemoryError("Unable to allocate 9 TiB"), 1, "Error: The memory is not enough: Unable to allocate 9 TiB"),
        (PermissionError(13, "Permission denied", "log.csv"), 1, "Error: Permission denied: log.csv."),
        (ZeroDivisionError("no."), 1, "Error: ZeroDivisionError: no. Hint: set RECSYS_TRACEBACK=1 to see where."),
    ],
)  # fmt: skip
def test_each_kind_of_failure_is_one_sentence_with_its_exit_code(error, code, sentence, monkeypatch):
    def fail():
        raise error

    monkeypatch.setitem(commands.commands, "fail", click.Command("fail", callback=fail))
    result = call("fail")
    assert_one_sentence(result, code)
    assert result.stderr == sentence + "\n"


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_an_import_that_was_interrupted_is_an_interruption(link, monkeypatch):
    def fail():
        error = ImportError("a core module failed to import")
        setattr(error, link, KeyboardInterrupt())
        raise error

    monkeypatch.setitem(commands.commands, "fail", click.Command("fail", callback=fail))
    result = call("fail")
    assert_one_sentence(result, 1)
    assert result.stderr == "Error: Interrupted; nothing was half written.\n"


def test_the_traceback_is_shown_when_asked_for(monkeypatch):
    def fail():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setenv("RECSYS_TRACEBACK", "1")
    monkeypatch.setitem(commands.commands, "fail", click.Command("fail", callback=fail))
    result = call("fail")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "in fail" in result.stderr


def test_help_imports_nothing_that_is_slow_to_import():
    code = """
import contextlib, io, json, sys
from recsys.cli import main
sys.argv = ["recsys", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"numba", "numpy", "pandas", "scipy", "pyarrow", "rich"}
    assert slow.isdisjoint(json.loads(done.stdout))
