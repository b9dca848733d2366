"""`recsys demo`: what it prints and writes, and what it replaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

import recsys

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the bundled log is too large for kernels in plain Python"
)


def demo(*options):
    command = [sys.executable, "-m", "recsys.cli", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A demo in a folder: the folder and what was printed."""
    folder = tmp_path_factory.mktemp("demo") / "recsys-demo"
    done = demo("--output", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def test_it_prints_plain_text_with_sizes_quality_and_lists(shown):
    folder, text = shown
    assert "16,660 users × 5,222 items, 160,547 interactions" in text
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())
    for words in ("ndcg@20", "most popular [95 % interval]", "More like libgtk-3-0:", "What else belongs", "Done in"):
        assert words in text
    assert str(folder / "recommendations.csv") in text


def test_it_writes_whole_files_that_agree_with_each_other(shown):
    folder, _ = shown
    model = recsys.load(folder / "model")
    lists = pd.read_parquet(folder / "recommendations.parquet")
    assert len(lists) == len(pd.read_csv(folder / "recommendations.csv", keep_default_na=False)) == 10 * 16_660
    first = model.users.to_numpy()[:2].tolist()
    pd.testing.assert_frame_equal(lists.head(20), model.recommend(first, k=10), check_dtype=False)
    ours, theirs = (json.loads((folder / name).read_text()) for name in ("metrics.json", "metrics-popularity.json"))
    assert ours["metrics"]["ndcg@20"]["low"] > 1.5 * theirs["metrics"]["ndcg@20"]["high"]


def test_it_shows_lists_that_a_person_can_judge(shown):
    folder, _ = shown
    record = json.loads((folder / "demo.json").read_text())
    assert "python3-scipy" in record["similar"]["python3-numpy"]
    ((user, belongs),) = record["belongs"].items()
    assert belongs == recsys.load(folder / "model").recommend([user], k=len(belongs))["item_id"].tolist()


def test_a_second_run_replaces_the_first_and_json_stands_alone(shown):
    folder, _ = shown
    done = demo("--output", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"]["train"]["trainer"] == "als"


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    done = demo("--output", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "was not written by this demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
