"""Each command on a small log: what it writes, what it prints, and what it says about bad input."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.datasets import make_events
from recsys.jobs.terminal import in_cli_words


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def succeed(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def result_of(*arguments):
    """What a command prints with --json; standard output must hold nothing else."""
    return json.loads(succeed(*arguments, "--json").stdout)


def sentence_of(*arguments, code=2):
    """The one sentence with which a command fails."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A log with string ids, the dataset made of it, both parts of it, and a model."""
    folder = tmp_path_factory.mktemp("ground")
    events = make_events(users=120, items=50, events=3_000, groups=4, id_type="string", random_state=3)
    place = SimpleNamespace(
        folder=folder, log=folder / "log.csv", data=folder / "data", train=folder / "train", test=folder / "test",
        model=folder / "model",
    )  # fmt: skip
    events.to_csv(place.log, index=False)
    succeed("ingest", place.log, "--output", place.data)
    succeed("split", place.data, "--by", "random", "--train", place.train, "--test", place.test)
    succeed("train", place.train, "--output", place.model, "--set", "factors=8", "--set", "iterations=4")
    return place


# ---- ingest ---------------------------------------------------------------------------------------------------------


def test_ingest_writes_what_read_interactions_reads(ground):
    data = recsys.Interactions.load(ground.data)
    assert data.fingerprint == recsys.read_interactions(ground.log).fingerprint


def test_ingest_leaves_out_rare_users_and_items(ground, tmp_path):
    limits = ("--min-user-interactions", 10, "--min-item-interactions", 15)
    result = result_of("ingest", ground.log, "--output", tmp_path / "core", *limits)
    core = recsys.Interactions.load(ground.data).k_core(users=10, items=15)
    assert (result["n_users"], result["n_items"], result["n_interactions"]) == (*core.shape, len(core))
    assert recsys.load(tmp_path / "core").fingerprint == core.fingerprint == result["fingerprint"]


@pytest.mark.parametrize(("typed", "mark"), [(";", ";"), ("|", "|"), ("\\t", "\t")])
def test_ingest_says_which_delimiter_reads_a_log_and_takes_it(ground, tmp_path, typed, mark):
    pd.read_csv(ground.log).to_csv(tmp_path / "log.csv", sep=mark, index=False)
    call_of = ("ingest", tmp_path / "log.csv", "--output", tmp_path / "data")
    assert f"Hint: --delimiter '{typed}' reads it." in sentence_of(*call_of)
    succeed(*call_of, "--delimiter", typed)
    assert recsys.load(tmp_path / "data").fingerprint == recsys.load(ground.data).fingerprint


def test_ingest_says_when_limits_leave_nothing(ground, tmp_path):
    assert "Nothing is left of" in sentence_of("ingest", ground.log, "--output", tmp_path / "x", "--min-user-interactions", 999)
    assert not (tmp_path / "x").exists()


def test_ingest_names_the_columns_when_one_is_missing(ground, tmp_path):
    sentence = sentence_of("ingest", ground.log, "--output", tmp_path / "x", "--user", "userid")
    assert "'userid'" in sentence
    assert "'user_id'" in sentence
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("text", ["", "user_id,item_id,weight\n"], ids=["empty", "header only"])
def test_ingest_refuses_a_log_without_events(text, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    assert "log.csv" in sentence_of("ingest", tmp_path / "log.csv", "--output", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_ingest_refuses_a_file_that_is_not_there(tmp_path):
    assert "nowhere.csv" in sentence_of("ingest", tmp_path / "nowhere.csv", "--output", tmp_path / "x")


def test_ingest_names_bad_rows_or_skips_and_counts_them(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,weight\na,x,1\na,y,nan\nb,x,2\n")
    call_of = ("ingest", tmp_path / "log.csv", "--output", tmp_path / "data")
    assert "line 3" in sentence_of(*call_of)
    result = call(*call_of, "--bad-rows", "skip", "--rejects", tmp_path / "rejects.csv")
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(r"Warning: [^\n]+\n", result.stderr)
    assert recsys.load(tmp_path / "data").n_interactions == 2
    assert "Read 3 rows, of which 1 was left out." in result.stdout
    assert "nan" in (tmp_path / "rejects.csv").read_text()


@pytest.fixture
def returns(tmp_path):
    """A log in which more of something was sent back than bought."""
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,weight\na,x,1\na,x,-3\na,y,2\nb,x,1\nb,y,0\nc,y,1\n")
    return path


def test_ingest_leaves_out_what_weighs_too_little(returns, tmp_path):
    result = result_of("ingest", returns, "--output", tmp_path / "data", "--min-weight", 0)
    kept = recsys.read_interactions(returns).filter(min_weight=0)
    assert recsys.load(tmp_path / "data").fingerprint == kept.fingerprint
    assert (result["n_interactions"], result["underweight"], result["rows_read"]) == (4, 1, 6)
    shown = succeed("ingest", returns, "--output", tmp_path / "data", "--min-weight", 1, "--overwrite").stdout
    assert "Left out for their weight: 2 interactions." in shown
    sentence = sentence_of("ingest", returns, "--output", tmp_path / "x", "--min-weight", 7)
    assert "No interaction has a weight of at least 7; the largest is 2." in sentence


def test_a_hint_of_the_library_names_options(returns, ground, tmp_path):
    """No `name=value` and no `call(…)` of Python is left, whatever is wrong."""
    (tmp_path / "bad.csv").write_text("user_id,item_id,timestamp\na,x,never\n")
    (tmp_path / "two.csv").write_text("who,item_id\na,x\n")
    shutil.copy(tmp_path / "two.csv", tmp_path / "two.events")
    pd.DataFrame({"user_id": [1], "item_id": [2]}).to_parquet(tmp_path / "parquet.csv")
    succeed("ingest", returns, "--output", tmp_path / "returns")
    parts, to = ("--train", tmp_path / "a", "--test", tmp_path / "b"), ("--output", tmp_path / "x")
    succeed("split", ground.data, "--by", "users", "--train", tmp_path / "c", "--test", tmp_path / "d")
    succeed("train", tmp_path / "c", "--output", tmp_path / "m", "--trainer", "popularity")
    mistakes = {
        ("train", tmp_path / "returns", *to, "--set", "factors=1"): "recsys ingest --min-weight 0 leaves",
        ("ingest", tmp_path / "bad.csv", *to): "--bad-rows skip leaves",
        ("ingest", tmp_path / "two.csv", *to): "name it with --user.",
        ("ingest", tmp_path / "two.events", *to): "pass --format, one of",
        ("ingest", tmp_path / "parquet.csv", *to): "pass --format parquet.",
        ("ingest", returns, *to, "--rejects", tmp_path / "r.csv"): "with --bad-rows skip only",
        ("ingest", returns, "--output", tmp_path / "returns"): "pass --overwrite, or",
        ("split", tmp_path / "returns", "--by", "temporal", *parts): "read them with --timestamp.",
        ("evaluate", ground.model, "--test", ground.data): "--overlap drop leaves",
        ("evaluate", tmp_path / "m", "--test", tmp_path / "d"): "known by --fold-in.",
    }
    for arguments, words in mistakes.items():
        sentence = sentence_of(*arguments)
        assert words in sentence
        assert not re.search(r"[a-z_]+=|\w\([^)]*\)", sentence), sentence


@pytest.mark.parametrize(
    ("python", "cli"),
    [
        ("Hint: raise test_fraction or leave out short rows with k_core(users=5, items=1).",
         "Hint: raise --test-fraction or leave out short rows with recsys ingest --min-user-interactions 5."),
        ("too large, see Interactions.weighted('log'); a lower alpha", "too large; a lower alpha"),
        ("Hint: rejects= names a file to list them in.", "Hint: --rejects names a file to list them in."),
        ("Hint: timestamp_unit= says what", "Hint: --timestamp-unit says what"),
        ("exclude_seen=False, unknown='skip'", "--include-seen, --unknown skip"),
        ("filter(since=…) needs timestamps", "`since` needs timestamps"),
        ("Error: split.leave_last needs timestamps", "Error: recsys split --by leave-last needs timestamps"),
        ("Error: split.random leaves", "Error: recsys split --by random leaves"),
        ("a/split.random leaves", "a/split.random leaves"),
        ("Hint: train without resume.", "Hint: train without --resume."),
        ("events/user=.csv and user=7/x.csv", "events/user=.csv and user=7/x.csv"),
    ],
)  # fmt: skip
def test_python_becomes_the_words_of_the_command_line(python, cli):
    assert in_cli_words(python) == cli


def test_no_command_writes_over_what_it_reads(ground, tmp_path):
    place = SimpleNamespace(**{name: tmp_path / name for name in ("data", "train", "test", "model")})
    for name in vars(place):
        shutil.copytree(getattr(ground, name), tmp_path / name)
        shutil.copy(ground.log, tmp_path / name / "log.csv")
    shutil.copy(ground.log, tmp_path / "log.csv")
    (tmp_path / "ids.csv").write_text(recsys.load(ground.model).users.to_numpy()[0])
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "items.csv").write_text(recsys.load(ground.model).items.to_numpy()[0])
    calls = [
        ("ingest", tmp_path / "*.csv", "--output", tmp_path / "new", "--bad-rows", "skip", "--rejects", tmp_path / "log.csv"),
        ("ingest", place.data / "log.csv", "--output", place.data),
        ("split", place.data, "--by", "random", "--train", tmp_path / "link", "--test", tmp_path / "new"),
        ("split", place.data, "--by", "users", "--train", tmp_path / "new", "--test", tmp_path / "b", "--fold-in", place.data),
        ("train", place.data, "--output", tmp_path / "link"),
        ("train", place.train, "--output", place.test, "--validation", place.test),
        ("recommend", place.model, "--output", place.model / "lists.csv"),
        ("recommend", place.model, "--output", tmp_path / "ids.csv", "--users", tmp_path / "ids.csv"),
        ("recommend", place.model, "--output", tmp_path / "items.csv", "--only-items", tmp_path / "items.csv"),
        ("recommend", place.model, "--output", tmp_path / "items.csv", "--exclude-items", tmp_path / "items.csv"),
        ("evaluate", place.model, "--test", place.test, "--output", place.test / "report.json"),
    ]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for arguments in calls:
        assert "is what is read." in sentence_of(*arguments, "--overwrite")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_is_overwritten_unless_asked(ground, tmp_path):
    shutil.copytree(ground.data, tmp_path / "data")
    assert "already exists" in sentence_of("ingest", ground.log, "--output", tmp_path / "data")
    succeed("ingest", ground.log, "--output", tmp_path / "data", "--overwrite")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "not a directory written by recsys" in sentence_of(
        "ingest", ground.log, "--output", tmp_path / "mine", "--overwrite"
    )
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


# ---- split ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["random", "leave-last", "temporal"])
def test_split_writes_both_parts(ground, tmp_path, by):
    result = result_of("split", ground.data, "--by", by, "--train", tmp_path / "a", "--test", tmp_path / "b")
    train, test = recsys.load(tmp_path / "a"), recsys.load(tmp_path / "b")
    assert len(train) + len(test) == len(recsys.load(ground.data))
    assert result["test"]["n_interactions"] == len(test)
    assert result["fold_in"] is None


def test_split_says_how_much_of_the_test_part_train_has_not_seen(ground, tmp_path):
    result = succeed(
        "split", ground.data, "--by", "temporal", "--cutoff", "2024-01-20", "--train", tmp_path / "a", "--test", tmp_path / "b"
    )
    cut = recsys.load(tmp_path / "b").provenance["split"]
    assert cut["unseen_entries"] > 0
    assert f"{cut['unseen_entries']:,} interactions with {cut['unseen_users']:,} users and" in result.stdout
    assert "that train does not have: kept in the test part." in result.stdout


def test_split_by_users_says_which_items_train_does_not_have(tmp_path):
    lines = [f"u{n},{item}" for n in range(20) for item in ("tea", f"only-{n}")]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id", *lines]))
    succeed("ingest", tmp_path / "log.csv", "--output", tmp_path / "data")
    by_users = ("split", tmp_path / "data", "--by", "users", "--test-fraction", 0.2, "--fold-in-fraction", 0.5)
    kept = succeed(*by_users, "--unseen", "keep", "--train", tmp_path / "a", "--test", tmp_path / "b")
    assert "4 interactions with 4 items that train does not have: kept in the test and fold-in parts." in kept.stdout
    sentence = sentence_of(*by_users, "--test-fraction", 0.05, "--train", tmp_path / "c", "--test", tmp_path / "d")
    assert sentence.endswith("unless --unseen keep.\n")
    # One more item in common, so that both parts keep something.
    lines += [f"u{n},rice" for n in range(20)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id", *lines]))
    succeed("ingest", tmp_path / "log.csv", "--output", tmp_path / "data", "--overwrite")
    result = succeed(*by_users, "--test-fraction", 0.4, "--train", tmp_path / "c", "--test", tmp_path / "d")
    assert "8 interactions with 8 items that train does not have: left out of the test and fold-in parts." in result.stdout


def test_split_by_users_also_writes_the_fold_in_part_and_says_where(ground, tmp_path):
    result = succeed("split", ground.data, "--by", "users", "--train", tmp_path / "a", "--test", tmp_path / "b")
    assert f"--fold-in {tmp_path / 'b-fold-in'}" in result.stdout
    fold_in, test = recsys.load(tmp_path / "b-fold-in"), recsys.load(tmp_path / "b")
    assert set(fold_in.users.to_numpy()) == set(test.users.to_numpy())
    named = ("--fold-in", tmp_path / "f", "--fold-in-fraction", 0.5)
    result = result_of("split", ground.data, "--by", "users", "--train", tmp_path / "c", "--test", tmp_path / "d", *named)
    assert result["fold_in"]["output"] == str(tmp_path / "f")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "random", "--n", 2), "'test_fraction', 'random_state'. Got 'n'"),
        (("--by", "temporal", "--test-fraction", 2), "test_fraction"),
        (("--by", "temporal", "--cutoff", "soon"), "`cutoff`"),
        (("--by", "random", "--fold-in", "x"), "Only a split by users"),
    ],
)
def test_split_refuses_what_does_not_fit(ground, tmp_path, arguments, words):
    assert words in sentence_of("split", ground.data, *arguments, "--train", tmp_path / "a", "--test", tmp_path / "b")
    assert not (tmp_path / "a").exists()


def test_split_needs_a_place_for_each_part(ground, tmp_path):
    same = ("--train", tmp_path / "a", "--test", tmp_path / "a")
    assert "place of its own" in sentence_of("split", ground.data, "--by", "random", *same)


# ---- train ----------------------------------------------------------------------------------------------------------


def test_train_writes_the_model_that_the_trainer_fits(ground):
    ours = recsys.load(ground.model)
    theirs = recsys.ALS(factors=8, iterations=4).fit(recsys.load(ground.train))
    np.testing.assert_array_equal(ours.item_embeddings.vectors, theirs.item_embeddings.vectors)
    assert ours.provenance["hyperparameters"]["factors"] == 8
    assert sorted(path.name for path in ground.folder.iterdir()) == ["data", "log.csv", "model", "test", "train"]


def test_train_reports_the_settings_it_used(ground, tmp_path):
    result = result_of("train", ground.train, "--output", tmp_path / "m", "--trainer", "popularity", "--num-threads", 1)
    assert result["trainer"] == "popularity"
    assert "num_threads" not in result["hyperparameters"]
    few = ("--set", "factors=2", "--set", "iterations=1", "--num-threads", 1)
    assert result_of("train", ground.train, "--output", tmp_path / "n", *few)["hyperparameters"]["num_threads"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trainer", "asl"), "Did you mean 'als'"),
        (("--set", "factor=8"), "Did you mean 'factors'"),
        (("--set", "factors=many"), "takes int. Got 'many'"),
        (("--set", "factors=0"), "`factors`"),
        (("--set", "regularization=-1"), "`regularization`"),
    ],
)
def test_train_names_the_setting_that_is_wrong(ground, tmp_path, arguments, words):
    assert words in sentence_of("train", ground.train, "--output", tmp_path / "m", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_train_stops_early_and_keeps_the_best_model(ground, tmp_path):
    few = ("--set", "factors=8", "--set", "iterations=30", "--output", tmp_path / "m")
    succeed("train", ground.train, *few, "--validation", ground.test, "--metric", "ndcg@5", "--patience", 1)
    watch = recsys.EarlyStopping(recsys.load(ground.test), "ndcg@5", patience=1)
    theirs = recsys.ALS(factors=8, iterations=30).fit(recsys.load(ground.train), callback=watch)
    np.testing.assert_array_equal(recsys.load(tmp_path / "m").item_embeddings.vectors, theirs.item_embeddings.vectors)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metric", "ndcg@5"), "needs `validation`"),
        (("--patience", "3"), "needs `validation`"),
        (("--validation", "TEST", "--resume"), "do not go together"),
        (("--validation", "TEST", "--metric", "ndgc@5"), "ndcg"),
    ],
)
def test_train_names_what_is_wrong_with_early_stopping(ground, tmp_path, arguments, words):
    arguments = [ground.test if argument == "TEST" else argument for argument in arguments]
    assert words in sentence_of("train", ground.train, "--output", tmp_path / "m", *arguments)


def test_train_refuses_a_model_where_a_dataset_is_needed(ground, tmp_path):
    assert "holds a model; a dataset was expected" in sentence_of("train", ground.model, "--output", tmp_path / "m")


# ---- recommend ------------------------------------------------------------------------------------------------------


def read_recommendations(path):
    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda place: pd.read_json(place, lines=True)}
    return readers[path.suffix](path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_recommend_writes_what_the_model_recommends(ground, tmp_path, suffix):
    path = tmp_path / f"lists{suffix}"
    result = result_of("recommend", ground.model, "--output", path, "--k", 5)
    expected = recsys.load(ground.model).recommend(k=5)
    found = read_recommendations(path)
    assert list(found.columns) == ["user_id", "item_id", "score", "rank"]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)
    assert (result["n_rows"], result["n_users"], result["bytes"]) == (len(expected), 120, path.stat().st_size)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_recommend_keeps_to_the_files_of_ids(ground, tmp_path):
    model = recsys.load(ground.model)
    users, items = model.users.to_numpy()[:3], model.items.to_numpy()
    (tmp_path / "users.txt").write_text("\n".join(users))
    pd.DataFrame({"note": "x", "item_id": items[:20]}).to_csv(tmp_path / "only.csv", index=False)
    pd.DataFrame({"item_id": items[10:30]}).to_parquet(tmp_path / "not.parquet")
    files = (
        "--users",
        tmp_path / "users.txt",
        "--only-items",
        tmp_path / "only.csv",
        "--exclude-items",
        tmp_path / "not.parquet",
    )
    succeed("recommend", ground.model, "--output", tmp_path / "out.csv", "--k", 50, "--include-seen", *files)
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["user_id"].drop_duplicates().tolist() == list(users)
    assert set(found["item_id"]) == set(items[:10])


def test_recommend_names_ids_it_does_not_know_or_does_as_told(ground, tmp_path):
    known = recsys.load(ground.model).users.to_numpy()[0]
    (tmp_path / "users.csv").write_text(f"user_id\n{known}\nnobody\n")
    call_of = ("recommend", ground.model, "--output", tmp_path / "out.csv", "--users", tmp_path / "users.csv")
    sentence = sentence_of(*call_of)
    assert "users.csv" in sentence
    assert "'nobody'" in sentence
    assert not (tmp_path / "out.csv").exists()
    assert result_of(*call_of, "--unknown", "skip")["n_users"] == 1
    assert result_of(*call_of, "--unknown", "popular", "--overwrite")["n_users"] == 2
    (tmp_path / "items.txt").write_text("no-such-item\n")
    assert "items.txt" in sentence_of(*call_of[:4], "--overwrite", "--only-items", tmp_path / "items.txt")


def test_recommend_warns_of_items_to_exclude_that_it_does_not_know(ground, tmp_path):
    model = recsys.load(ground.model)
    item = model.items.to_numpy()[0]
    for known in ([], [item]):
        (tmp_path / "sold-out.txt").write_text("\n".join([*known, *(f"gone-{n}" for n in range(7))]))
        result = succeed(
            "recommend", ground.model, "--output", tmp_path / "out.parquet", "--overwrite",
            "--exclude-items", tmp_path / "sold-out.txt",
        )  # fmt: skip
        assert re.fullmatch(r"Warning: \S+sold-out.txt names 7 items [^\n]*'gone-4' and 2 more\.\n", result.stderr)
        expected = model.recommend(exclude_items=known or None)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), expected, check_dtype=False)


def test_recommend_says_who_has_nothing_left(ground, tmp_path):
    model = recsys.load(ground.model)
    history, item = model.history, model.items.to_numpy()[0]
    (tmp_path / "item.txt").write_text(item)
    call_of = ("recommend", ground.model, "--output", tmp_path / "out.csv", "--only-items", tmp_path / "item.txt")
    without = int((history.indices == 0).sum())
    assert 1 < without < 120
    assert result_of(*call_of)["n_users_without_items"] == without
    said = succeed(*call_of, "--overwrite").stdout
    assert said.endswith(f"{without} of 120 users have nothing left to recommend.\n")
    assert "nothing left" not in succeed(*call_of, "--overwrite", "--include-seen").stdout
    has_it = model.users.to_numpy()[history.row_positions()[history.indices == 0][0]]
    (tmp_path / "user.txt").write_text(f"{has_it}\nnobody\n")
    only = ("--overwrite", "--unknown", "skip", "--users", tmp_path / "user.txt")
    assert "0 recommendations for 0 users" in succeed(*call_of, *only).stdout
    assert succeed(*call_of, *only).stdout.endswith("1 of 1 user has nothing left to recommend.\n")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_recommend_writes_a_whole_file_when_nobody_has_anything_left(ground, tmp_path, suffix):
    history = recsys.load(ground.model).history
    (tmp_path / "item.txt").write_text(history.items.to_numpy()[history.indices[0]])
    (tmp_path / "user.txt").write_text(history.users.to_numpy()[0])
    files = ("--users", tmp_path / "user.txt", "--only-items", tmp_path / "item.txt")
    path = tmp_path / f"x{suffix}"
    assert result_of("recommend", ground.model, "--output", path, *files)["n_users_without_items"] == 1
    assert path.read_bytes() == b"" if suffix == ".jsonl" else read_recommendations(path).columns[0] == "user_id"


def test_recommend_refuses_an_index_that_is_not_there(ground, tmp_path):
    assert "'hnsw'" in sentence_of("recommend", ground.model, "--output", tmp_path / "x.csv", "--index", "hnsw")
    assert list(tmp_path.iterdir()) == []


def test_recommend_does_not_overwrite_a_file_unless_asked(ground, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    assert "already exists" in sentence_of("recommend", ground.model, "--output", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "mine"
    succeed("recommend", ground.model, "--output", tmp_path / "x.csv", "--overwrite")


# ---- similar, evaluate, info ----------------------------------------------------------------------------------------


def test_similar_lists_what_the_model_finds(ground):
    model = recsys.load(ground.model)
    item = model.items.to_numpy()[4]
    expected = model.similar_items([item], k=3)["similar_item_id"].tolist()
    result = result_of("similar", ground.model, item, "--k", 3)
    assert [each["item_id"] for each in result["similar"]] == expected
    table = succeed("similar", ground.model, item, "--k", 3).stdout
    assert all(each in table for each in expected)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_similar_writes_those_of_all_items(ground, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("recsys.jobs.batch_plan._MOST_USERS", 7)
    path = tmp_path / f"alike{suffix}"
    result = result_of("similar", ground.model, "--all", "--output", path, "--k", 4)
    expected = recsys.load(ground.model).similar_items(k=4)
    assert (result["n_items"], result["n_rows"]) == (expected.item_id.nunique(), len(expected))
    pd.testing.assert_frame_equal(read_recommendations(path), expected, check_dtype=False, rtol=1e-6)


def test_similar_takes_one_item_or_all(ground, tmp_path):
    for call_of in ((), ("item", "--all", "--output", "x.csv"), ("--all",), ("item", "--output", "x.csv")):
        assert "Give ITEM, or --all with --output FILE" in sentence_of("similar", ground.model, *call_of)
    assert "must end in" in sentence_of("similar", ground.model, "--all", "--output", tmp_path / "x.txt")


def test_similar_names_the_closest_id(ground):
    item = recsys.load(ground.model).items.to_numpy()[4]
    assert "Did you mean" in sentence_of("similar", ground.model, item[:-1])


def test_ids_are_read_as_the_type_of_the_model(tmp_path):
    make_events(users=30, items=12, events=400, random_state=1).to_csv(tmp_path / "log.csv", index=False)
    succeed("ingest", tmp_path / "log.csv", "--output", tmp_path / "data")
    succeed("train", tmp_path / "data", "--output", tmp_path / "model", "--set", "factors=3", "--set", "iterations=2")
    item = int(recsys.load(tmp_path / "data").items.to_numpy()[0])
    assert result_of("similar", tmp_path / "model", item)["item_id"] == item
    assert "item_ids here are integers. Got 'seven'" in sentence_of("similar", tmp_path / "model", "seven")


def test_evaluate_prints_and_writes_what_the_library_finds(ground, tmp_path):
    metrics = ("--metrics", "ndcg@10,recall@5")
    result = result_of("evaluate", ground.model, "--test", ground.test, *metrics, "--output", tmp_path / "report.json")
    expected = recsys.evaluate(recsys.load(ground.model), recsys.load(ground.test), metrics=["ndcg@10", "recall@5"])
    assert [row["mean"] for row in result["metrics"]] == expected.summary()["mean"].tolist()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == result["report"]
    assert report["metrics"] == expected.to_dict()["metrics"]
    assert report["model"]["hyperparameters"]["factors"] == 8
    table = succeed("evaluate", ground.model, "--test", ground.test, *metrics).stdout
    assert f"{expected.summary()['mean'][0]:.4f}" in table


def test_evaluate_folds_held_out_users_in_first(ground, tmp_path):
    succeed("split", ground.data, "--by", "users", "--train", tmp_path / "a", "--test", tmp_path / "b")
    succeed("train", tmp_path / "a", "--output", tmp_path / "m", "--set", "factors=8", "--set", "iterations=4")
    call_of = ("evaluate", tmp_path / "m", "--test", tmp_path / "b")
    sentence_of(*call_of)  # none of the test's users is known
    result = result_of(*call_of, "--fold-in", tmp_path / "b-fold-in")
    assert result["report"]["counts"]["users_evaluated"] == recsys.load(tmp_path / "b").n_users


def test_evaluate_warns_when_most_of_the_users_are_unknown(ground, tmp_path):
    data = recsys.load(ground.test)
    known, stranger = data.to_frame().head(3), data.to_frame().assign(user_id="stranger-" + data.to_frame()["user_id"])
    recsys.read_interactions(pd.concat([known, stranger])).save(tmp_path / "test")
    result = succeed("evaluate", ground.model, "--test", tmp_path / "test")
    assert re.fullmatch(r"Warning: \d+ of \d+ test users are unknown to the model [^\n]+\n", result.stderr)
    assert succeed("evaluate", ground.model, "--test", ground.test).stderr == ""


@pytest.mark.parametrize("metrics", ["ncdg@10", "ndcg", "ndcg@0", ""])
def test_evaluate_names_the_metric_that_is_wrong(ground, metrics, tmp_path):
    call_of = ("evaluate", ground.model, "--test", ground.test, "--metrics", metrics)
    assert "metric" in sentence_of(*call_of, "--output", tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_evaluate_refuses_to_judge_on_what_was_learnt_unless_told_how(ground):
    call_of = ("evaluate", ground.model, "--test", ground.data)
    assert "overlap" in sentence_of(*call_of)
    assert result_of(*call_of, "--overlap", "drop")["report"]["counts"]["pairs_dropped"] > 0


def test_info_tells_what_is_there(ground):
    result = result_of("info", ground.model)
    assert (result["kind"], result["intact"]) == ("model", True)
    assert result["attributes"]["factors"] == 8
    assert result["provenance"]["trainer"] == "als"
    shown = succeed("info", ground.data).stdout
    assert "holds a dataset" in shown
    assert "Intact: all" in shown


# ---- damaged and foreign directories --------------------------------------------------------------------------------


@pytest.fixture
def model(ground, tmp_path):
    shutil.copytree(ground.model, tmp_path / "model")
    return tmp_path / "model"


def damage_cut(model):
    path = model / "item_vectors.npy"
    path.write_bytes(path.read_bytes()[:-5])


def damage_change(model):
    path = model / "item_vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_remove(model):
    (model / "users.parquet").unlink()


def damage_manifest(model):
    path = model / "manifest.json"
    path.write_text(path.read_text().replace('"factors": 8', '"factors": 9'))


def damage_no_manifest(model):
    (model / "manifest.json").unlink()


def damage_version(model):
    path = model / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 99'))


DAMAGES = {
    damage_cut: "cut short",
    damage_change: "was changed after it was written",
    damage_remove: "users.parquet is missing",
    damage_manifest: "was changed after it was written",
    damage_no_manifest: "without a manifest.json",
    damage_version: "newer version",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_model_is_refused_with_what_is_wrong(model, damage, ground, tmp_path):
    damage(model)
    calls = [
        ("info", model),
        ("recommend", model, "--output", tmp_path / "x.csv"),
        ("similar", model, "a"),
        ("evaluate", model, "--test", ground.test, "--output", tmp_path / "report.json"),
    ]
    for arguments in calls:
        assert DAMAGES[damage] in sentence_of(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_not_a_model_is_refused(ground, tmp_path):
    for path in (ground.log, ground.folder, tmp_path / "nowhere"):
        assert str(path) in sentence_of("recommend", path, "--output", tmp_path / "x.csv")
        assert str(path) in sentence_of("info", path)
    assert "a model was expected" in sentence_of("recommend", ground.data, "--output", tmp_path / "x.csv")


# ---- datasets -------------------------------------------------------------------------------------------------------


def test_public_sets_are_listed_with_size_sum_and_licence():
    listed = result_of("datasets", "list")["datasets"]
    assert {"name", "url", "sha256", "bytes", "licence"} <= set(listed[0])
    assert listed[0]["name"] in succeed("datasets", "list").stdout


def test_a_download_is_shown_and_has_to_be_agreed_to():
    result = call("datasets", "fetch", "ml-1m")
    assert result.exit_code == 2
    for shown in ("https://", "5.9 MB", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", "licence"):
        assert shown in result.stderr
    assert result.stderr.splitlines()[-1].endswith("Hint: pass --yes.")


def test_an_unknown_set_is_named_with_the_closest():
    assert "Did you mean 'ml-1m'" in sentence_of("datasets", "fetch", "ml-1mm", "--yes")


def test_a_fetched_set_becomes_a_dataset(tmp_path, monkeypatch):
    from recsys.datasets import public

    archive = tmp_path / "datasets" / "small.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("small/ratings.csv", "userId,movieId,rating,timestamp\n1,7,4.5,1500000000\n2,7,3,1500000001\n")
    known = replace(
        public.public_dataset("ml-latest-small"),
        name="small",
        url="http://localhost/small.zip",
        member="small/ratings.csv",
        bytes=archive.stat().st_size,
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
    )
    monkeypatch.setattr(public, "_DATASETS", (known,))
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path))
    for place in (archive, archive.parent):
        sentence_of("datasets", "fetch", "small", "--yes", "--overwrite", "--output", place)
    result = result_of("datasets", "fetch", "small", "--yes", "--output", tmp_path / "data")
    assert result["archive"] == str(archive)
    assert recsys.load(tmp_path / "data").users.to_numpy().tolist() == [1, 2]
