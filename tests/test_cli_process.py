"""The command line as a process: exit codes, what goes to which stream, interruption, a full disk."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.datasets import make_events

RECSYS = [sys.executable, "-m", "recsys.cli"]
ONE_SENTENCE = re.compile(r"Error: [^\n]+\n")


def start(*arguments, **options):
    command = [*RECSYS, *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def call(*arguments):
    """The same in this process, where no process of its own is needed."""
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def finish(process, seconds=60):
    stdout, stderr = process.communicate(timeout=seconds)
    return process.returncode, stdout, stderr


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("process")
    data = recsys.read_interactions(make_events(users=300, items=100, events=8_000, random_state=5))
    data.save(folder / "data")
    return folder / "data"


@pytest.fixture(scope="module")
def model(dataset):
    path = dataset.parent / "model"
    recsys.ALS(factors=4, iterations=2).fit(recsys.load(dataset)).save(path)
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_job_done_ends_with_0_and_json_alone_on_standard_output(dataset, tmp_path):
    few = ("--set", "factors=4", "--set", "iterations=3")
    code, stdout, stderr = finish(start("train", dataset, "--output", tmp_path / "model", *few, "--json", "--progress"))
    assert code == 0, stderr
    assert json.loads(stdout)["output"] == str(tmp_path / "model")
    assert "Training als" in stderr


def test_no_progress_is_shown_where_nobody_watches(model, tmp_path):
    code, stdout, stderr = finish(start("recommend", model, "--output", tmp_path / "x.csv"))
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"Wrote {tmp_path / 'x.csv'}: 3,000 recommendations for 300 users")


def test_a_wrong_call_ends_with_2_and_one_sentence(tmp_path):
    for arguments in (["info", tmp_path / "nowhere"], ["inof"]):
        code, stdout, stderr = finish(start(*arguments))
        assert (code, stdout) == (2, "")
        assert ONE_SENTENCE.fullmatch(stderr)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_leaves_only_its_checkpoint(dataset, tmp_path, sent):
    process = start("train", dataset, "--output", tmp_path / "model", "--set", "factors=4", "--set", "iterations=1000000")
    checkpoint = tmp_path / "model.checkpoint"
    until = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(sent)
    code, stdout, stderr = finish(process)
    hint = f"{checkpoint} holds what was learnt so far; --resume goes on from it."
    assert (code, stdout, stderr) == (1, "", f"Error: Interrupted; nothing was half written. {hint}\n")
    assert names_in(tmp_path) == ["model.checkpoint"]
    assert recsys.storage.open_stored(checkpoint).attributes["epochs_done"] >= 1


def test_an_interrupted_training_goes_on_when_asked_to(dataset, tmp_path):
    class Stop(Exception):
        pass

    def stop_after_two(epoch):
        if epoch.number == 2:
            raise Stop

    trainer = recsys.ALS(factors=4, iterations=5)
    with pytest.raises(Stop):
        trainer.fit(recsys.load(dataset), checkpoint=tmp_path / "model.checkpoint", callback=stop_after_two)
    few = ("--set", "factors=4", "--set", "iterations=5", "--output", tmp_path / "model", "--resume")
    assert call("train", dataset, *few).exit_code == 0
    assert names_in(tmp_path) == ["model"]
    whole = trainer.fit(recsys.load(dataset))
    assert recsys.load(tmp_path / "model").user_embeddings.vectors.tobytes() == whole.user_embeddings.vectors.tobytes()


def test_a_training_that_does_not_go_on_from_a_checkpoint_says_so(dataset, tmp_path):
    recsys.storage.write_stored(
        tmp_path / "model.checkpoint", "checkpoint", arrays={}, tables={}, provenance={}, attributes={}
    )  # fmt: skip
    result = call("train", dataset, "--output", tmp_path / "model", "--set", "factors=4", "--set", "iterations=1")
    assert result.exit_code == 0
    assert re.fullmatch(r"Warning: \S+model\.checkpoint was left by [^\n]* --resume [^\n]* starts anew\.\n", result.stderr)
    assert names_in(tmp_path) == ["model"]


def test_what_is_no_checkpoint_is_not_removed_as_one(dataset, tmp_path):
    recsys.load(dataset).save(tmp_path / "model.checkpoint")
    result = call("train", dataset, "--output", tmp_path / "model", "--trainer", "popularity")
    assert (result.exit_code, names_in(tmp_path)) == (2, ["model.checkpoint"])
    assert "holds a dataset" in result.stderr


def test_a_checkpoint_of_other_settings_is_not_resumed(dataset, tmp_path):
    recsys.storage.write_stored(
        tmp_path / "model.checkpoint", "checkpoint", arrays={}, tables={}, provenance={},
        attributes={"settings": {"trainer": "als", "factors": 64}, "fingerprint": "", "epochs_done": 1},
    )  # fmt: skip
    result = call("train", dataset, "--output", tmp_path / "model", "--set", "factors=4", "--resume")
    assert result.exit_code == 2
    assert "can not be resumed" in result.stderr


@contextmanager
def files_limited_to(size_bytes):
    """Inside, no file of this process can grow beyond `size_bytes`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_file_that_can_not_grow_is_not_left_half_written(model, tmp_path, suffix):
    target = tmp_path / f"x{suffix}"
    target.write_text("old")
    with files_limited_to(4_000):
        result = call("recommend", model, "--output", target, "--k", 90, "--overwrite")
    assert (result.exit_code, result.stdout) == (1, "")
    assert ONE_SENTENCE.fullmatch(result.stderr)
    assert target.name in result.stderr
    assert names_in(tmp_path) == [target.name]
    assert target.read_text() == "old"


def test_a_split_whose_second_part_can_not_be_written_leaves_nothing_in_the_way(dataset, tmp_path):
    (tmp_path / "file").write_text("no directory")
    parts = ("--by", "random", "--train", tmp_path / "a")
    result = call("split", dataset, *parts, "--test", tmp_path / "file" / "b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert ONE_SENTENCE.fullmatch(result.stderr)
    assert names_in(tmp_path) == ["file"]
    assert call("split", dataset, *parts, "--test", tmp_path / "b").exit_code == 0


def test_a_model_that_can_not_be_written_leaves_nothing(dataset, tmp_path):
    with files_limited_to(2_000):
        result = call("train", dataset, "--output", tmp_path / "model", "--set", "factors=4", "--set", "iterations=1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert ONE_SENTENCE.fullmatch(result.stderr)
    assert names_in(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small file system can not be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_full_disk_is_named_and_nothing_is_left(model, small_disk, suffix):
    target = small_disk / f"x{suffix}"
    target.write_text("old")
    (small_disk / "ballast").write_bytes(bytes(150_000))
    result = call("recommend", model, "--output", target, "--k", 90, "--overwrite")
    expected = f"Error: The disk is full: {target} was not written, and what was there before is unchanged.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", expected)
    assert names_in(small_disk) == ["ballast", target.name]
    assert target.read_text() == "old"


def test_a_model_does_not_fit_on_a_full_disk(dataset, small_disk):
    result = call("train", dataset, "--output", small_disk / "model", "--set", "factors=128")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The disk is full: ")
    assert names_in(small_disk) == []


def test_a_reader_that_goes_away_is_no_error_worth_a_word(model):
    pipe = " ".join([*RECSYS, "info", str(model)]) + " | true; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("after", [0.02, 0.1, 0.2, 0.4, 0.8])
def test_an_interruption_while_modules_are_imported_is_one_sentence(model, tmp_path, after):
    # As early as the command line can know of it: when its own module has been imported.
    code = "import recsys.cli; print(flush=True); recsys.cli.main()"
    command = [sys.executable, "-c", code, "recommend", str(model), "--output", str(tmp_path / "x.csv"), "--k", "90"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    code, _, stderr = finish(process)
    # click ends the line of the terminal's ^C first when it is the one that was interrupted.
    assert (code, stderr.lstrip("\n")) in [
        (1, "Error: Interrupted; nothing was half written.\n"),
        (0, ""),
        (-signal.SIGINT, ""),
    ]
