"""The batch job: where rows go, resuming after a kill, locks, full disks, bad input, the record."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.datasets import make_events
from recsys.errors import ParameterError, StorageError
from recsys.jobs.batch_plan import BatchPlan
from recsys.jobs.destinations import Done
from recsys.jobs.locks import held
from recsys.jobs.partitions import CHECKPOINT, MANIFEST, partial_path

RECSYS = [sys.executable, "-m", "recsys.cli"]


def call(*arguments, stdin=None):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments], input=stdin)


def succeed(*arguments, stdin=None):
    result = call(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def result_of(*arguments):
    return json.loads(succeed(*arguments, "--json").stdout)


def sentence_of(*arguments, code=2):
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """The directory of a model with string ids, and the model."""
    folder = tmp_path_factory.mktemp("ground")
    events = make_events(users=120, items=50, events=3_000, groups=4, id_type="string", random_state=3)
    model = recsys.ALS(factors=8, iterations=3).fit(recsys.read_interactions(events))
    model.save(folder / "model")
    return folder / "model", model


def assert_same_lists(found, expected):
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=False, rtol=1e-6)


# ---- arithmetic -----------------------------------------------------------------------------------------------------


def test_the_arithmetic_holds_for_ten_million_users_of_a_hundred_thousand_items():
    plan = BatchPlan(10_000_000, 1_000, 5_000, n_reasons=3, partition_rows=50_000_000)
    assert plan.most_rows == 10_000_000_000  # beyond 32 bits
    assert (plan.users_a_part, plan.n_parts) == (50_000, 200)
    assert plan.batch_users * plan.bytes_a_user <= 2**26
    everything = list(plan.batches())
    assert everything[0][0] == 0
    assert everything[-1][1] == 10_000_000
    assert all(stop == start for (_, stop), (start, _) in itertools.pairwise(everything))
    assert all(plan.part_of(start) == plan.part_of(stop - 1) for start, stop in everything)
    ends = [stop for _, stop in everything if plan.ends_part(stop)]
    assert ends == list(range(50_000, 10_000_001, 50_000))
    assert list(plan.batches(9_950_000)) == [batch for batch in everything if batch[0] >= 9_950_000]
    assert BatchPlan(10_000_000, 20, 20).batch_users == 10_000
    assert BatchPlan(10_000_000, 100_000, 100_000).batch_users == 10


def test_parts_hold_whole_lists_and_nobody_is_one_empty_batch():
    plan = BatchPlan(7, 3, 3, partition_rows=8)
    assert (plan.users_a_part, plan.n_parts) == (2, 4)
    assert list(plan.batches()) == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert list(BatchPlan(0, 3, 3).batches()) == [(0, 0)]
    assert list(BatchPlan(7, 3, 3).batches(7)) == []
    with pytest.raises(ParameterError, match="`partition_rows` must be at least 3, a whole list"):
        BatchPlan(7, 3, 3, partition_rows=2)


# ---- the options reach the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_all_options_reach_the_model(ground, tmp_path, suffix):
    path, model = ground
    users, items = model.users.to_numpy().tolist(), model.items.to_numpy().tolist()
    allow = pd.DataFrame([(user, item) for user in users[:50] for item in items[:40]], columns=["user_id", "item_id"])
    deny, rules = allow[::7], pd.DataFrame({"item_id": items[:2], "expires": ["2024-01-01", "2026-01-01"]})
    allow.to_parquet(tmp_path / "allow.parquet")
    deny.to_csv(tmp_path / "deny.csv", index=False)
    rules.to_csv(tmp_path / "rules.csv", index=False)
    result = result_of(
        "recommend", path, "--output", tmp_path / f"x{suffix}", "--k", 4, "--allow", tmp_path / "allow.parquet",
        "--deny", tmp_path / "deny.csv", "--item-rules", tmp_path / "rules.csv", "--at", "2025-01-01", "--min-score", 0.05,
        "--diversity", 0.2, "--calibration", 0.1, "--pool", 12, "--with-reasons",
    )  # fmt: skip
    expected = model.recommend(
        k=4, allow=allow, deny=deny, item_rules=rules, at="2025-01-01", min_score=0.05, diversity=0.2, calibration=0.1,
        pool=12, with_reasons=True,
    )  # fmt: skip
    assert (result["n_rows"], result["n_users"]) == (len(expected), expected.user_id.nunique())
    assert result["n_users_without_items"] == 120 - result["n_users"]
    if suffix == ".parquet":
        found = pd.read_parquet(tmp_path / "x.parquet")
        reasons = [list(value) for value in found.reasons]
    elif suffix == ".csv":
        found = pd.read_csv(tmp_path / "x.csv")
        reasons = [json.loads(text) for text in found.reasons]
    else:
        found = pd.read_json(tmp_path / "x.jsonl", lines=True)
        reasons = found.reasons.tolist()
    assert_same_lists(found.drop(columns="reasons"), expected.drop(columns="reasons"))
    names = [[reason["item_id"] for reason in row] for row in reasons]
    assert names == [[reason["item_id"] for reason in row] for row in expected.reasons]


def test_users_come_from_standard_input(ground, tmp_path):
    path, model = ground
    some = model.users.to_numpy().tolist()[3:6]
    succeed("recommend", path, "--output", tmp_path / "x.csv", "--users", "-", stdin="\n".join(["user_id", *some]) + "\n")
    assert pd.read_csv(tmp_path / "x.csv").user_id.unique().tolist() == some
    result = call("recommend", path, "--output", tmp_path / "y.csv", "--users", "-", stdin="nobody\n")
    assert (result.exit_code, result.stderr) == (2, "Error: standard input: Unknown user_id: 'nobody'.\n")
    result = call("recommend", path, "--output", tmp_path / "y.csv", "--users", "-", stdin="")
    assert (result.exit_code, result.stderr) == (2, "Error: standard input holds no user_id.\n")


def test_what_forbids_and_is_unknown_is_warned_of_and_what_allows_is_named(ground, tmp_path):
    path, model = ground
    user, item = model.users.to_numpy()[0], model.items.to_numpy()[0]
    pd.DataFrame({"user_id": [user, "who"], "item_id": [item, "what"]}).to_csv(tmp_path / "pairs.csv", index=False)
    pd.DataFrame({"item_id": [item, "what"], "expires": ["2020-01-01"] * 2}).to_csv(tmp_path / "rules.csv", index=False)
    options = ("--deny", tmp_path / "pairs.csv", "--item-rules", tmp_path / "rules.csv", "--k", 60, "--include-seen")
    result = succeed("recommend", path, "--output", tmp_path / "x.csv", *options)
    assert f"{tmp_path / 'pairs.csv'} names 1 user that the model does not know" in result.stderr
    assert f"{tmp_path / 'rules.csv'} names 1 item that the model does not know" in result.stderr
    assert item not in set(pd.read_csv(tmp_path / "x.csv").item_id)
    call_of = ("recommend", path, "--output", tmp_path / "y.csv", "--allow", tmp_path / "pairs.csv", "--include-seen")
    assert "`--allow`: Unknown user_id: 'who'" in sentence_of(*call_of)
    said = succeed(*call_of, "--unknown", "skip").stdout
    assert "1 recommendation for 1 user" in said
    assert said.endswith("119 of 120 users have nothing left to recommend.\n")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("user,item_id\na,b\n", ["--allow"], "has no column 'user_id'; it has 'user', 'item_id'. Did you mean 'user'?"),
        ("", ["--deny"], "can not be read as a table with 'user_id', 'item_id'"),
        ("item_id,price\na,1\n", ["--item-rules"], "has neither a column 'available_from' nor 'expires'"),
        ("item_id,expires\ni,soon\n", ["--item-rules"], "Row 1 is 'soon'"),
    ],
)
def test_tables_that_can_not_be_used_are_named(ground, tmp_path, text, options, words):
    path, model = ground
    (tmp_path / "t.csv").write_text(text.replace("\ni,", f"\n{model.items.to_numpy()[0]},"))
    assert words in sentence_of("recommend", path, "--output", tmp_path / "x.csv", *options, tmp_path / "t.csv")
    assert names_in(tmp_path) == ["t.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--k", "0"], "`k` must be an int >= 1"),
        (["--k", "-2"], "`k` must be an int >= 1"),
        (["--at", "2024-01-01"], "`--at` is the time that `--item-rules`"),
        (["--diversity", "2"], "`--diversity` must be a number from 0 to 1"),
        (["--pool", "3"], "`--pool` is what `--diversity` and `--calibration`"),
        (["--table", "t"], "`--table` is for a database"),
        (["--partition-rows", "3"], "`--partition-rows` must be at least 10"),
    ],
)
def test_options_that_can_not_be_are_refused_in_the_words_of_the_command_line(ground, tmp_path, options, words):
    assert words in sentence_of("recommend", ground[0], "--output", tmp_path / "x.csv", *options)
    assert names_in(tmp_path) == []


def test_a_k_beyond_the_catalogue_gives_what_there_is(ground, tmp_path):
    path, _ = ground
    result = result_of("recommend", path, "--output", tmp_path / "x.csv", "--k", 1_000_000, "--include-seen")
    assert result["n_rows"] == 120 * 50


# ---- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_parts_hold_all_rows_in_order_and_a_manifest(ground, tmp_path, suffix):
    path, model = ground
    output = tmp_path / f"lists{suffix}"
    result = result_of("recommend", path, "--output", output, "--k", 5, "--partition-rows", 203)
    assert result["n_parts"] == 3
    names = [f"part-0000{number}{suffix}" for number in range(3)]
    assert names_in(output) == [MANIFEST, *names]
    assert names_in(tmp_path) == [output.name]
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda file: pd.read_json(file, lines=True)}[suffix]
    parts = [read(output / name) for name in names]
    assert_same_lists(pd.concat(parts, ignore_index=True), model.recommend(k=5))
    manifest = json.loads((output / MANIFEST).read_text())
    assert [part["rows"] for part in manifest["parts"]] == [len(part) for part in parts]
    assert [part["users"] for part in manifest["parts"]] == [40, 40, 40]
    assert manifest["done"] == {"users": 120, "with_rows": 120, "rows": 600}
    if suffix == ".parquet":
        assert_same_lists(pd.read_parquet(output), model.recommend(k=5))


def test_only_a_folder_of_parts_is_replaced_and_only_when_asked(ground, tmp_path):
    call_of = ("recommend", ground[0], "--output", tmp_path / "x.csv", "--partition-rows", 400)
    succeed(*call_of, "--k", 3)
    assert "already exists. Hint: pass --overwrite" in sentence_of(*call_of)
    succeed(*call_of, "--k", 2, "--overwrite")
    assert len(pd.read_csv(tmp_path / "x.csv" / "part-00000.csv")) == 240
    assert names_in(tmp_path) == ["x.csv"]
    shutil.rmtree(tmp_path / "x.csv")
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "x.csv" / "mine").touch()
    assert "not a folder of parts written by recsys" in sentence_of(*call_of, "--overwrite")


def killed_after(parts, output, *arguments):
    """Starts the job in a process of its own and kills it when so many parts are entered, or rows are in the table."""
    process = subprocess.Popen([*RECSYS, *(str(argument) for argument in arguments)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if parts(output):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def entered_parts(output):
    checkpoint = partial_path(output) / CHECKPOINT
    return checkpoint.exists() and len(json.loads(checkpoint.read_text())["parts"]) >= 3


def test_after_a_kill_the_work_goes_on_with_no_list_lost_or_doubled(ground, tmp_path):
    path, model = ground
    output = tmp_path / "x.csv"
    call_of = ("recommend", path, "--output", output, "--k", 5, "--partition-rows", 5)
    assert killed_after(entered_parts, output, *call_of)
    assert not output.exists()
    done = json.loads((partial_path(output) / CHECKPOINT).read_text())["done"]["users"]
    assert 3 <= done < 120
    result = result_of(*call_of, "--resume")
    assert (result["n_users_resumed"], result["n_users"], result["n_rows"]) == (done, 120, 600)
    together = pd.concat([pd.read_csv(file) for file in sorted(output.glob("part-*"))], ignore_index=True)
    assert_same_lists(together, model.recommend(k=5))
    assert names_in(tmp_path) == ["x.csv"]


@pytest.fixture
def interrupted(ground, tmp_path, monkeypatch):
    """A folder of parts whose writing ended by Ctrl-C after two parts."""
    from recsys.recommending import Recommender

    whole = Recommender.frame

    def until_the_third(self, start, stop):
        if start >= 80:
            raise KeyboardInterrupt
        return whole(self, start, stop)

    call_of = ("recommend", ground[0], "--output", tmp_path / "x.csv", "--k", 5, "--partition-rows", 200)
    with monkeypatch.context() as patched:
        patched.setattr(Recommender, "frame", until_the_third)
        result = call(*call_of)
    partial = partial_path(tmp_path / "x.csv")
    expected = (
        f"Error: Interrupted; nothing was half written. {partial} holds the lists of 80 users; --resume goes on from there.\n"
    )
    assert (result.exit_code, result.stderr) == (1, expected)
    return call_of, partial


def test_an_interrupted_job_says_how_it_goes_on_and_starts_anew_otherwise(interrupted, tmp_path):
    call_of, partial = interrupted
    assert names_in(tmp_path) == [partial.name]
    again = succeed(*call_of)
    assert "was left by an interrupted run with 80 users done" in again.stderr
    assert names_in(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--k", "4"], "k was 5 and is 4"), (["--include-seen"], "exclude_seen was True and is False")],
)
def test_work_begun_with_other_options_is_not_gone_on_with(interrupted, options, words):
    call_of, partial = interrupted
    sentence = sentence_of(*call_of, *options, "--resume")
    assert str(partial) in sentence
    assert words in sentence
    succeed(*call_of, "--resume")


def test_work_begun_with_another_model_is_not_gone_on_with(interrupted, ground, tmp_path):
    call_of, _ = interrupted
    other = recsys.ALS(factors=8, iterations=2).fit(ground[1].history)
    other.save(tmp_path / "other")
    assert "model was " in sentence_of("recommend", tmp_path / "other", *call_of[2:], "--resume")


def test_a_part_that_was_damaged_meanwhile_is_named(interrupted):
    call_of, partial = interrupted
    (partial / "part-00001.csv").write_text("")
    assert "part-00001.csv is missing or cut short" in sentence_of(*call_of, "--resume")
    (partial / CHECKPOINT).write_text("{")
    assert f"{partial / CHECKPOINT} can not be read" in sentence_of(*call_of, "--resume")


def test_what_somebody_else_put_in_the_way_stays(ground, tmp_path):
    place = partial_path(tmp_path / "x.csv")
    place.mkdir()
    (place / "mine").touch()
    sentence = sentence_of("recommend", ground[0], "--output", tmp_path / "x.csv", "--partition-rows", 200)
    assert f"{place} is in the way" in sentence
    assert names_in(place) == ["mine"]


# ---- locks, disks ---------------------------------------------------------------------------------------------------


HOLDER = """
import sys, time, pathlib
from recsys.jobs.locks import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("options", [(), ("--partition-rows", 100)])
def test_a_second_job_is_refused_by_name_and_a_dead_one_is_not_waited_for(ground, tmp_path, options):
    output = tmp_path / "x.csv"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(output)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        sentence = sentence_of("recommend", ground[0], "--output", output, *options, code=1)
        assert re.search(rf"x\.csv is being written by another job, process {holder.pid} on \S+ since 20\d\d-", sentence)
    finally:
        holder.kill()
        holder.communicate()
    assert names_in(tmp_path) == [".x.csv.lock"]
    succeed("recommend", ground[0], "--output", output, *options)
    assert names_in(tmp_path) == ["x.csv"]


def test_one_process_does_not_hold_a_place_twice(tmp_path):
    with held(tmp_path / "x"), pytest.raises(StorageError, match=f"process {os.getpid()} on"), held(tmp_path / "x"):
        pass
    assert names_in(tmp_path) == []


@pytest.fixture(params=["full", "read-only"])
def bad_disk(request, tmp_path):
    """A file system of 100 kB, and one that can not be written to."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    options = "size=100k" if request.param == "full" else "ro"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small file system can not be mounted here")
    yield place, "The disk is full: {} was not written" if request.param == "full" else "{} could not be written: Read-only"
    subprocess.run(["umount", place], check=True)


def test_parts_that_fit_on_a_disk_before_it_was_full_are_gone_on_with(ground, tmp_path):
    path, model = ground
    output = tmp_path / "x.csv"
    call_of = ("recommend", path, "--output", output, "--k", 5, "--partition-rows", 50, "--users", tmp_path / "users.txt")
    ids = model.users.to_numpy().tolist()
    (tmp_path / "users.txt").write_text("\n".join(ids))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The checkpoint grows with the parts: at some point it is what can not be written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500, before[1]))
    try:
        sentence = sentence_of(*call_of, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert re.search(r"x\.csv\S* could not be written: .*\.partial holds the lists of \d+ users; --resume goes on", sentence)
    assert result_of(*call_of, "--resume")["n_users_resumed"] > 0
    together = pd.concat([pd.read_csv(file) for file in sorted(output.glob("part-*"))], ignore_index=True)
    assert_same_lists(together, model.recommend(k=5))


@pytest.mark.parametrize("options", [(), ("--partition-rows", 1_000_000)])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_bad_disk_is_told_in_one_sentence_and_nothing_is_left(ground, bad_disk, suffix, options):
    place, words = bad_disk
    target = place / f"x{suffix}"
    sentence = sentence_of("recommend", ground[0], "--output", target, "--k", 50, "--with-reasons", *options, code=1)
    assert words.format(target) in sentence
    assert names_in(place) == []


def test_a_bad_disk_is_told_of_a_database_too(ground, bad_disk):
    pytest.importorskip("sqlalchemy")
    place, _ = bad_disk
    url = f"sqlite:///{place}/x.db"
    sentence = sentence_of("recommend", ground[0], "--output", url, "--table", "lists", "--k", 50, code=1)
    assert f"{url} could not be written: " in sentence or f"{place}/x.db.lists could not be written: Read-only" in sentence
    assert names_in(place) == []


# ---- the record -----------------------------------------------------------------------------------------------------


def test_the_record_says_what_went_in_and_came_out(ground, tmp_path):
    path, model = ground
    (tmp_path / "users.txt").write_text("\n".join(model.users.to_numpy()[:7]))
    succeed(
        "recommend", path, "--output", tmp_path / "x.parquet", "--users", tmp_path / "users.txt",
        "--record", tmp_path / "run.json", "--min-score", 0,
    )  # fmt: skip
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["format"], record["job"], record["versions"]["recsys"]) == ("recsys-job", "recommend", recsys.__version__)
    assert record["counts"]["n_users"] + record["counts"]["n_users_without_items"] == 7
    assert record["counts"]["n_rows"] == len(pd.read_parquet(tmp_path / "x.parquet"))
    assert record["options"]["min_score"] == 0
    assert set(record["inputs"]) == {"model", "users"}
    assert all(len(entry["sha256"]) == 64 and entry["bytes"] > 0 for entry in record["inputs"].values())
    assert record["seconds"] > 0
    assert record["peak_memory_bytes"] > 10**7
    assert record["rows_per_second"] > 0
    assert record["started"] <= record["finished"]


def test_parquet_has_a_row_group_a_batch_in_order(ground, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.jobs.batch_plan._MOST_USERS", 50)
    succeed("recommend", ground[0], "--output", tmp_path / "x.parquet", "--k", 4)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [200, 200, 80]
    assert_same_lists(pd.read_parquet(tmp_path / "x.parquet"), ground[1].recommend(k=4))


def test_progress_counts_rows_users_and_those_with_rows():
    frame = pd.DataFrame({"rank": [1, 2, 1]})
    assert Done(10, 8, 40).plus(5, frame) == Done(15, 10, 43)
