"""`recsys run`: what is done, what is skipped, what is refused before it begins."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.datasets import make_events
from recsys.jobs.run_record import only_run_in

PIPELINE = """
work = "out"

[ingest]
source = "logs/*.csv"
min-user-interactions = 2

[split]
by = "temporal"
test_fraction = 0.2
unseen = "drop"

[train]
trainer = "als"
[train.set]
factors = 4
iterations = 3

[evaluate]
metrics = ["ndcg@10", "recall@5"]

[recommend]
k = 5
"""
STEPS = ["ingest", "split", "train", "evaluate", "recommend"]


def write_log(path, random_state=1):
    path.parent.mkdir(exist_ok=True)
    make_events(users=60, items=25, events=1_500, random_state=random_state).to_csv(path, index=False)


@pytest.fixture
def folder(tmp_path):
    write_log(tmp_path / "logs" / "monday.csv")
    (tmp_path / "nightly.toml").write_text(PIPELINE)
    return tmp_path


def change(folder, old, new):
    text = (folder / "nightly.toml").read_text()
    assert old in text
    (folder / "nightly.toml").write_text(text.replace(old, new))


def run(folder, *options):
    return CliRunner().invoke(commands, ["run", str(folder / "nightly.toml"), *options])


def done_and_skipped(folder, *options):
    """The steps that a run does, and those it skips."""
    result = run(folder, *options, "--json")
    assert result.exit_code == 0, result.stderr
    steps = json.loads(result.stdout)["steps"]
    return [s["name"] for s in steps if not s["skipped"]], [s["name"] for s in steps if s["skipped"]]


def sentence_of(folder, *options):
    result = run(folder, *options)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def test_a_run_writes_what_the_library_makes_step_by_step(folder):
    assert run(folder).exit_code == 0
    data = recsys.read_interactions(folder / "logs" / "monday.csv").k_core(users=2, items=0)
    train, test = recsys.split.temporal(data, test_fraction=0.2, unseen="drop")
    model = recsys.ALS(factors=4, iterations=3).fit(train)
    report = json.loads((folder / "out" / "report.json").read_text())
    expected = recsys.evaluate(model, test, metrics=["ndcg@10", "recall@5"])
    assert report["metrics"] == expected.to_dict()["metrics"]
    written = pd.read_parquet(folder / "out" / "recommendations.parquet")
    pd.testing.assert_frame_equal(written, model.recommend(k=5), check_dtype=False)


def test_the_record_holds_settings_inputs_outputs_counts_seconds_and_versions(folder):
    run(folder)
    record = json.loads((folder / "out" / "run.json").read_text())
    assert list(record["steps"]) == STEPS
    assert {"recsys", "numpy", "python"} <= set(record["versions"])
    ingest, train = record["steps"]["ingest"], record["steps"]["train"]
    assert ingest["inputs"]["../logs/monday.csv"]["bytes"] == (folder / "logs" / "monday.csv").stat().st_size
    assert ingest["result"]["n_users"] == 60
    assert train["settings"]["set"] == {"factors": 4, "iterations": 3}
    assert train["state"] == "done"
    assert train["seconds"] > 0


def test_a_second_run_has_nothing_to_do_and_says_so(folder):
    assert done_and_skipped(folder) == (STEPS, [])
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    assert done_and_skipped(folder) == ([], STEPS)
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before
    assert run(folder).stdout.count("skipped: nothing has changed") == len(STEPS)


def test_force_does_everything_again(folder):
    run(folder)
    assert done_and_skipped(folder, "--force") == (STEPS, [])


@pytest.mark.parametrize(
    ("old", "new", "redone"),
    [
        ("k = 5", "k = 6", ["recommend"]),
        ("ndcg@10", "ndcg@20", ["evaluate"]),
        ("factors = 4", "factors = 5", ["train", "evaluate", "recommend"]),
        ("test_fraction = 0.2", "test_fraction = 0.3", ["split", "train", "evaluate", "recommend"]),
        ("interactions = 2", "interactions = 5", STEPS),
    ],
)
def test_a_changed_setting_redoes_its_step_and_those_after(folder, old, new, redone):
    run(folder)
    change(folder, old, new)
    assert done_and_skipped(folder)[0] == redone


def test_new_events_in_the_log_retrain_and_replace_the_outputs(folder):
    run(folder)
    old = pd.read_parquet(folder / "out" / "recommendations.parquet")
    with open(folder / "logs" / "monday.csv", "a") as log:
        log.write("".join(f"newcomer,{item},1,2025-06-01\n" for item in (3, 5, 7)).replace("newcomer", "4711"))
    assert done_and_skipped(folder) == (STEPS, [])
    new = pd.read_parquet(folder / "out" / "recommendations.parquet")
    assert not new.equals(old)
    assert 4711 in recsys.load(folder / "out" / "dataset").users


def test_a_new_file_that_fits_the_glob_is_new_data(folder):
    run(folder)
    write_log(folder / "logs" / "tuesday.csv", random_state=2)
    assert done_and_skipped(folder) == (STEPS, [])


def test_a_log_that_was_touched_is_read_again_and_as_it_says_the_same_nothing_else_is_done(folder):
    run(folder)
    os.utime(folder / "logs" / "monday.csv", (1, 1))
    assert done_and_skipped(folder) == (["ingest"], STEPS[1:])


def test_the_same_work_done_again_gives_the_same_bytes(folder):
    run(folder)
    first = (folder / "out" / "recommendations.parquet").read_bytes()
    run(folder, "--force")
    assert (folder / "out" / "recommendations.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("damaged", "redone"),
    [
        ("recommendations.parquet", ["recommend"]),
        ("report.json", ["evaluate"]),
        ("model/item_vectors.npy", ["train"]),
        ("test/indices.npy", ["split"]),
    ],
)
def test_a_damaged_output_is_made_again(folder, damaged, redone):
    run(folder)
    path = folder / "out" / damaged
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert done_and_skipped(folder)[0] == redone
    assert done_and_skipped(folder)[0] == []


def test_a_missing_output_is_made_again(folder):
    run(folder)
    shutil.rmtree(folder / "out" / "model")
    assert done_and_skipped(folder)[0] == ["train"]


def test_a_run_that_was_interrupted_goes_on_where_it_stopped(folder):
    change(folder, "iterations = 3", "iterations = 1000000")
    command = [sys.executable, "-m", "recsys.cli", "run", str(folder / "nightly.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (folder / "out" / "model.checkpoint").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (
        1,
        "Error: Interrupted; nothing was half written. The next run goes on from there.\n",
    )
    left = sorted(path.name for path in (folder / "out").iterdir())
    assert left == [".run.lock", "dataset", "model.checkpoint", "run.json", "test", "train"]
    # Other settings: the checkpoint is of no use, and not in the way.
    change(folder, "iterations = 1000000", "iterations = 3")
    assert done_and_skipped(folder) == (STEPS[2:], STEPS[:2])
    assert not (folder / "out" / "model.checkpoint").exists()


def test_a_step_that_was_interrupted_is_seen_as_such(folder):
    run(folder)
    path = folder / "out" / "run.json"
    record = json.loads(path.read_text())
    record["steps"]["train"]["state"] = "started"
    path.write_text(json.dumps(record))
    assert done_and_skipped(folder)[0] == ["train"]


def test_retrain_recommends_from_a_model_of_all_data(folder):
    change(folder, "[recommend]", '[retrain]\n\n[[recommend]]\noutput = "out/a.csv"\n\n[[recommend]]')
    assert done_and_skipped(folder) == ([*STEPS[:4], "retrain", "recommend", "recommend-2"], [])
    assert (
        recsys.load(folder / "out" / "model-all").history.n_interactions
        == recsys.load(folder / "out" / "dataset").n_interactions
    )
    written = pd.read_parquet(folder / "out" / "recommendations.parquet")
    pd.testing.assert_frame_equal(written, recsys.load(folder / "out" / "model-all").recommend(k=5), check_dtype=False)
    change(folder, "factors = 4", "factors = 5")
    assert "retrain" in done_and_skipped(folder)[0]


def test_filter_keeps_the_events_that_count(folder):
    change(folder, "[split]", "[filter]\nsince = 2024-06-01\nmin_item_interactions = 3\n\n[split]")
    assert done_and_skipped(folder)[0] == ["ingest", "filter", *STEPS[1:]]
    expected = recsys.load(folder / "out" / "dataset").filter(since="2024-06-01").k_core(users=0, items=3)
    assert recsys.load(folder / "out" / "filtered").fingerprint == expected.fingerprint
    assert done_and_skipped(folder)[0] == []


def test_ingest_leaves_out_what_weighs_too_little(folder):
    change(folder, "min-user-interactions = 2", "min-weight = 2\nmin-user-interactions = 2")
    assert run(folder).exit_code == 0
    data = recsys.read_interactions(folder / "logs" / "monday.csv")
    expected = data.filter(min_weight=2).k_core(users=2, items=0)
    assert 0 < len(expected) < len(data)
    assert recsys.load(folder / "out" / "dataset").fingerprint == expected.fingerprint


def test_a_split_by_users_says_which_items_train_lacks(folder):
    change(folder, 'by = "temporal"\ntest_fraction = 0.2\nunseen = "drop"', 'by = "users"\ntest_fraction = 0.5')
    rare = pd.DataFrame({"user_id": range(60), "item_id": range(1000, 1060), "weight": 1.0, "timestamp": 1_600_000_000})
    rare.to_csv(folder / "logs" / "tuesday.csv", index=False)
    result = run(folder)
    assert result.exit_code == 0, result.stderr
    assert "30 interactions with 30 items that train does not have: left out of the test and fold-in parts." in result.stdout


def test_a_split_by_users_is_evaluated_with_its_fold_in_part(folder):
    change(folder, 'by = "temporal"\ntest_fraction = 0.2\nunseen = "drop"', 'by = "users"')
    assert done_and_skipped(folder)[0] == STEPS
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["counts"]["users_evaluated"] == recsys.load(folder / "out" / "test").n_users


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('trainer = "als"', 'trainer = "asl"', "Did you mean 'als'"),
        ("factors = 4", "factor = 4", "Did you mean 'factors'"),
        ("factors = 4", "factors = 0", "`factors`"),
        ("ndcg@10", "ncdg@10", "Did you mean 'ndcg'"),
        ("k = 5", 'output = "out/lists.xlsx"', "'.parquet', '.csv', '.jsonl'"),
        ("k = 5", "k = 0", "[recommend] k must be an integer >= 1. Got 0"),
        ("k = 5", 'users = "nobody.txt"', "nobody.txt"),
        ("k = 5", "unknwon = 'skip'", "Did you mean 'unknown'"),
        ('by = "temporal"', 'by = "tempral"', "[split] by must be one of 'random', 'leave-last', 'temporal', 'users'"),
        ('by = "temporal"', 'by = "random"', "Got 'unseen'"),
        ("test_fraction = 0.2", "test_fraction = 2", "[split] test_fraction must be a number between 0 and 1. Got 2"),
        (
            "test_fraction = 0.2",
            "cutoff = 'soon'",
            "[split] cutoff must be a date, a date as text, or Unix seconds. Got 'soon'",
        ),
        ("[evaluate]", "[evalute]", "Did you mean 'evaluate'"),
        ("[ingest]", "[ingset]", "Did you mean 'ingest'"),
        ("logs/*.csv", "longs/*.csv", "No file matches"),
        ("logs/*.csv", "", "[ingest] source must be a path"),
        ("source =", "source = 3 #", "[ingest] source must be a path or a list of paths. Got 3"),
        ("min-user-interactions = 2", 'min-user-interactions = "2"', "[ingest] min-user-interactions must be an integer >= 0"),
        ("k = 5", 'output = "out/report.json.csv"\nk = true', "[recommend] k must be an integer >= 1. Got True"),
        ("k = 5", 'output = "logs/monday.csv"', "is an input of the pipeline"),
        ("[evaluate]", '[evaluate]\noutput = "out/recommendations.parquet"', "would both write"),
        ('work = "out"', "work = 3", "work must be a path"),
        ('work = "out"', "work = ", "is not a TOML file"),
    ],
)
def test_what_is_wrong_anywhere_is_refused_before_the_first_step(folder, old, new, words):
    change(folder, old, new)
    assert words in sentence_of(folder)
    assert not (folder / "out").exists()


@pytest.mark.parametrize("section", ["ingest", "train"])
def test_a_section_that_must_be_there_is_named(folder, section):
    (folder / "nightly.toml").write_text("[train]\n" if section == "ingest" else "[ingest]\nsource = 'logs/*.csv'\n")
    assert f"no section [{section}]" in sentence_of(folder)


def test_evaluate_needs_something_to_judge_on(folder):
    text = re.sub(r"\[split\].*?\n\n", "", PIPELINE, flags=re.DOTALL)
    (folder / "nightly.toml").write_text(text)
    assert "[evaluate] needs" in sentence_of(folder)


def test_a_pipeline_file_that_is_not_there_is_named(tmp_path):
    assert "nightly.toml" in sentence_of(tmp_path)


def test_what_the_pipeline_did_not_write_is_not_replaced_unless_forced(folder):
    (folder / "out").mkdir()
    (folder / "out" / "recommendations.parquet").write_text("mine")
    assert "was not written by this pipeline" in sentence_of(folder)
    assert (folder / "out" / "recommendations.parquet").read_text() == "mine"
    assert done_and_skipped(folder, "--force")[0] == STEPS


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "recsys-run", "format_version": 99}', '{"format": "x"}'])
def test_a_record_that_can_not_be_understood_is_named(folder, text):
    (folder / "out").mkdir()
    (folder / "out" / "run.json").write_text(text)
    assert "run.json" in sentence_of(folder)


def test_paths_are_relative_to_the_file_whatever_the_working_directory(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run(folder).exit_code == 0
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(commands, ["run", "nightly.toml"]).stdout.count("skipped") == len(STEPS) + 1
    assert sorted(path.name for path in folder.iterdir()) == ["logs", "nightly.toml", "out"]


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the bundled log is too large for kernels in plain Python"
)
def test_the_example_runs_on_the_bundled_log(tmp_path):
    bundled = Path(__file__).parents[1] / "data"
    for name in ("pipeline.toml", "debian-dependencies.csv.gz"):
        shutil.copy(bundled / name, tmp_path / name)
    text = (tmp_path / "pipeline.toml").read_text()
    (tmp_path / "nightly.toml").write_text(
        text.replace("iterations = 16", "iterations = 2").replace("factors = 128", "factors = 8")
    )
    result = run(tmp_path)
    assert result.exit_code == 0, result.stderr
    assert len(pd.read_csv(tmp_path / "pipeline-output" / "recommendations.csv")) == 10 * 16_660


def test_only_one_run_at_a_time_works_in_a_folder(folder):
    with only_run_in(folder / "out"):
        result = run(folder)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Another run is at work in ")
    assert run(folder).exit_code == 0


def test_recommend_takes_the_options_of_its_command(folder):
    model_items = recsys.read_interactions(folder / "logs" / "monday.csv").items.to_numpy().tolist()
    rules = pd.DataFrame({"item_id": model_items[:5], "expires": ["2020-01-01"] * 5})
    rules.to_csv(folder / "rules.csv", index=False)
    options = 'item_rules = "rules.csv"\nat = 2021-01-01\ndiversity = 0.3\nmin_score = 0.01\nwith_reasons = true'
    change(folder, "k = 5", f'k = 3\n{options}\npartition_rows = 60\nrecord = "out/lists.json"')
    assert done_and_skipped(folder) == (STEPS, [])
    lists = folder / "out" / "recommendations.parquet"
    model = recsys.load(folder / "out" / "model")
    expected = model.recommend(k=3, item_rules=rules, at="2021-01-01", diversity=0.3, min_score=0.01, with_reasons=True)
    written = pd.read_parquet(lists)
    pd.testing.assert_frame_equal(written.drop(columns="reasons"), expected.drop(columns="reasons"), check_dtype=False)
    assert json.loads((folder / "out" / "lists.json").read_text())["counts"]["n_rows"] == len(expected)
    assert done_and_skipped(folder) == ([], STEPS)
    (lists / "part-00001.parquet").write_bytes(b"")
    assert done_and_skipped(folder)[0] == ["recommend"]
    rules[:1].to_csv(folder / "rules.csv", index=False)
    assert done_and_skipped(folder)[0] == ["recommend"]


def test_recommend_writes_a_table_of_a_database(folder):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{folder}/lists.db"
    change(folder, "k = 5", f'k = 3\noutput = "{url}"\ntable = "lists"')
    assert done_and_skipped(folder) == (STEPS, [])
    engine = sqlalchemy.create_engine(url)
    assert len(pd.read_sql("SELECT * FROM lists", engine)) == len(recsys.load(folder / "out" / "model").recommend(k=3))
    engine.dispose()
    assert done_and_skipped(folder) == ([], STEPS)
    change(folder, "k = 3", "k = 2")
    assert done_and_skipped(folder)[0] == ["recommend"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('output = "sqlite:///x.db"', "A database needs `--table`"),
        ('table = "lists"', "`--table` is for a database"),
        ("pool = 3", "`--pool` is what"),
        ("diversity = 7", "`--diversity` must be a number from 0 to 1"),
        ('deny = "no.csv"', "names a file of ids that does not exist"),
        ('at = "soon"', "[recommend] at must be a date"),
        ("partition_rows = 0", "[recommend] partition_rows must be an integer >= 1"),
    ],
)
def test_wrong_options_of_recommend_are_refused_before_the_first_step(folder, options, words):
    change(folder, "k = 5", options)
    assert words in sentence_of(folder)
    assert not (folder / "out").exists()


def test_a_trainer_is_configured_by_a_file_whose_change_counts(folder):
    (folder / "tuned.toml").write_text('[train]\ntrainer = "als"\n[train.set]\nfactors = 4\niterations = 2\n')
    change(folder, 'trainer = "als"\n[train.set]\nfactors = 4\niterations = 3', 'config = "tuned.toml"')
    assert done_and_skipped(folder) == (STEPS, [])
    assert recsys.load(folder / "out" / "model").item_embeddings.dim == 4
    (folder / "tuned.toml").write_text('[train]\ntrainer = "als"\n[train.set]\nfactors = 3\niterations = 2\n')
    assert done_and_skipped(folder)[0] == ["train", "evaluate", "recommend"]
    (folder / "tuned.toml").unlink()
    assert "tuned.toml" in sentence_of(folder)


def earlier_model(folder, name, **settings):
    """A model of Sunday's log, beside the pipeline's folder."""
    write_log(folder / "sunday" / "log.csv", random_state=2)
    data = recsys.read_interactions(folder / "sunday" / "log.csv")
    model = recsys.ALS(**{"factors": 4, "iterations": 3, **settings}).fit(data)
    model.save(folder / name, overwrite=True)
    return model


def test_train_and_retrain_are_aligned_with_an_earlier_model(folder):
    earlier = earlier_model(folder, "published")
    change(folder, '[train]\ntrainer = "als"', '[train]\ntrainer = "als"\nalign-to = "published"')
    change(folder, "[recommend]", "[retrain]\n[recommend]")
    assert done_and_skipped(folder)[1] == []
    for name in ("model", "model-all"):
        model = recsys.load(folder / "out" / name)
        assert model.provenance["aligned_to"]["fingerprint"] == earlier.fingerprint
    plain = recsys.ALS(factors=4, iterations=3).fit(recsys.load(folder / "out" / "train"))
    aligned = recsys.load(folder / "out" / "model").item_embeddings.vectors
    assert aligned == pytest.approx(plain.align_to(earlier).item_embeddings.vectors, abs=1e-5)
    assert done_and_skipped(folder)[0] == []
    earlier_model(folder, "published", random_state=3)
    assert done_and_skipped(folder)[0] == ["train", "evaluate", "retrain", "recommend"]


def test_retrain_starts_from_an_earlier_model_with_settings_of_its_own(folder):
    earlier = earlier_model(folder, "published")
    change(folder, "[recommend]", '[retrain]\nwarm_start = "published"\nset = { iterations = 1 }\n[recommend]')
    assert done_and_skipped(folder)[1] == []
    cold, warm = (recsys.load(folder / "out" / name) for name in ("model", "model-all"))
    assert "warm_start" not in cold.provenance["training"]
    assert warm.provenance["training"]["warm_start"] == earlier.fingerprint
    assert (warm.provenance["hyperparameters"]["iterations"], warm.provenance["hyperparameters"]["factors"]) == (1, 4)
    same = recsys.ALS(factors=4, iterations=1).fit(recsys.load(folder / "out" / "dataset"), warm_start=earlier)
    assert warm.fingerprint == same.fingerprint
    change(folder, "iterations = 1", "iterations = 2")
    assert done_and_skipped(folder)[0] == ["retrain", "recommend"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('[train]\ntrainer = "als"', '[train]\ntrainer = "als"\nalign_to = "gone"', "[train] names an earlier model that does"),
        ("[recommend]", '[retrain]\nwarm_start = "gone"\n[recommend]', "[retrain] names an earlier model that does not exist"),
        ("[recommend]", "[retrain]\nset = { factor = 3 }\n[recommend]", "Did you mean 'factors'?"),
        ('[train]\ntrainer = "als"', '[train]\ntrainer = "als"\nwarm_start = "out/model"', "out/model"),
    ],
)
def test_earlier_models_that_can_not_be_are_refused_before_the_first_step(folder, old, new, words):
    change(folder, old, new)
    assert words in sentence_of(folder)
    assert not (folder / "out" / "dataset").exists()


def test_a_pipeline_does_not_start_from_what_it_replaces(folder):
    assert run(folder).exit_code == 0
    change(folder, '[train]\ntrainer = "als"', '[train]\ntrainer = "als"\nwarm_start = "out/model"')
    assert "is an input of the pipeline" in sentence_of(folder)
