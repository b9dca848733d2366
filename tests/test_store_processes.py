"""The store under several real processes: who publishes at the same time, and who is killed while publishing."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

import recsys
from recsys.embeddings import open_store

pytest.importorskip("lance", reason="needs the extra store (pylance)")

# Publishes `count` versions of `n` vectors, each drawn by its seed; says what came of each. It begins when it is told to.
PUBLISHER = """
import sys
import numpy as np
import recsys
from recsys.embeddings import open_store
place, seed, count, n, dim = sys.argv[1], *map(int, sys.argv[2:])
store = open_store(place)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    vectors = np.random.default_rng(seed + number).standard_normal((n, dim)).astype("f4")
    embeddings = recsys.Embeddings.from_arrays(np.arange(n), vectors, name="item_id")
    try:
        done = store.publish(embeddings, note=str(seed + number), drift_sample=0, align=False, tag="candidate")
    except recsys.errors.DataError as error:
        print("refused", error, flush=True)
    else:
        print("landed", done.version, flush=True)
"""

DYING = """
import os
from recsys.embeddings.store.lance_table import LanceTable
LanceTable.commit = lambda *_: os.kill(os.getpid(), 9)
"""


def drawn(seed, n, dim):
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype("f4")
    return recsys.Embeddings.from_arrays(np.arange(n), vectors, name="item_id")


def publisher(place, seed, count, n, dim):
    command = [sys.executable, "-W", "ignore", "-c", PUBLISHER, *map(str, (place, seed, count, n, dim))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def started(processes):
    """Lets all begin at the same time."""
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def answers(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return [line.split(" ", 1) for line in out.splitlines()]


def all_intact(store, n, dim):
    """Each version that can be seen is there as a whole, and is what its publisher drew."""
    table = store.versions()
    for version, note in zip(table["version"], table["note"], strict=True):
        assert store.verify(int(version)).fingerprint == drawn(int(note), n, dim).fingerprint
    return table


def test_of_two_first_publishers_with_other_dimensions_one_lands_and_one_is_told(tmp_path):
    processes = [publisher(tmp_path / "s.lance", seed, 1, 50, dim) for seed, dim in ((10, 4), (20, 5))]
    started(processes)
    said = sorted((words for process in processes for words in answers(process)), key=lambda words: words[0])
    assert [words[0] for words in said] == ["landed", "refused"]
    assert "contract" in said[1][1]
    assert "dimensions" in said[1][1]
    assert len(open_store(tmp_path / "s.lance").versions()) == 1


def test_all_versions_of_two_publishers_land(tmp_path):
    store = open_store(tmp_path / "s.lance")
    store.publish(drawn(1, 2000, 8), note="1")
    processes = [publisher(tmp_path / "s.lance", seed, 6, 2000, 8) for seed in (100, 200)]
    started(processes)
    landed = [int(words[1]) for process in processes for words in answers(process) if words[0] == "landed"]
    assert len(landed) == len(set(landed)) == 12
    table = all_intact(store, 2000, 8)
    assert sorted(table["version"]) == [1, *sorted(landed)]
    assert sorted(map(int, table["note"])) == [1, *range(100, 106), *range(200, 206)]
    assert store.tags()["candidate"] in landed


def test_killed_publishers_leave_whole_versions_alone(tmp_path):
    n, dim, chance = 20_000, 16, random.Random(0)
    store = open_store(tmp_path / "s.lance")
    first = store.publish(drawn(1, n, dim), note="1", tag="production")
    said = 0
    # Each is killed while the others are at any point of their work.
    processes = [publisher(tmp_path / "s.lance", seed, 400, n, dim) for seed in (1000, 2000, 3000)]
    started(processes)
    for process in processes:
        time.sleep(chance.uniform(0.05, 0.3))
        process.kill()
        assert process.wait() == -9
        said += process.stdout.read().count("landed")
        process.communicate()
        assert store.get("production").fingerprint == first.fingerprint
    table = all_intact(store, n, dim)
    # What was said to have landed is there; a publisher may have died between the commit and saying so.
    assert said + 1 <= len(table) <= said + 4
    again = store.publish(drawn(5, n, dim), note="5", drift_sample=0, tag="candidate")
    assert store.get("candidate").fingerprint == again.fingerprint
    store.prune(keep=1)
    assert sorted(store.versions()["version"])[0] == first.version
    assert store.get("production").fingerprint == first.fingerprint


def test_nothing_is_published_by_one_who_dies_before_the_commit(tmp_path):
    place = tmp_path / "s.lance"
    command = [sys.executable, "-c", DYING + PUBLISHER, str(place), "7", "1", "100", "4"]
    done = subprocess.run(command, input="go\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    assert list((place / "data").iterdir())
    store = open_store(place)
    assert store.is_empty
    assert store.publish(drawn(1, 50, 3)).version == 1
