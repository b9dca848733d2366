"""Files on disk: whole or not at all, whatever happens while writing."""

import errno
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest

from recsys import storage
from recsys.errors import FormatError, ParameterError, StorageError
from recsys.storage import open_stored, write_file, write_stored

ARRAYS = {"numbers": np.arange(12, dtype=np.float32).reshape(3, 4)}
TABLES = {"names": pa.table({"name": ["a", "b"]})}


def write(path, **options):
    return write_stored(
        path, "thing", arrays=ARRAYS, tables=TABLES, attributes={"n": 3}, provenance={"from": "here"}, **options
    )


def test_what_is_written_comes_back_and_arrays_are_memory_mapped(tmp_path):
    write(tmp_path / "x")
    stored = open_stored(tmp_path / "x", "thing")
    np.testing.assert_array_equal(stored.array("numbers"), ARRAYS["numbers"])
    assert isinstance(stored.array("numbers").base, np.memmap)
    assert stored.table("names").equals(TABLES["names"])
    assert (stored.attributes, stored.provenance) == ({"n": 3}, {"from": "here"})
    assert stored.total_bytes == sum(p.stat().st_size for p in (tmp_path / "x").glob("n*"))
    with pytest.raises(FormatError, match=r"has no other\.npy; it holds 'numbers\.npy', 'names\.parquet'"):
        stored.array("other")


def test_parent_folders_are_made_and_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    write(tmp_path / "a" / "b")
    write(tmp_path / "c" / "d")
    assert open_stored(tmp_path / "a" / "b").kind == open_stored(tmp_path / "c" / "d").kind == "thing"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_failure_while_writing_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch, error):
    write(tmp_path / "x")
    before = (tmp_path / "x" / "manifest.json").read_bytes()

    class Breaking(dict):
        def items(self):
            yield from ARRAYS.items()
            raise error

    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else StorageError
    with pytest.raises(expected):
        write_stored(
            tmp_path / "x", "thing", arrays=Breaking(), tables={}, attributes={}, provenance={}, overwrite=True
        )  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "manifest.json").read_bytes() == before


def test_a_file_size_limit_reached_while_writing_is_one_sentence_and_nothing_is_left(tmp_path):
    # A limit on file size stops a write in the kernel as a full disk does, without needing one.
    program = textwrap.dedent(
        """
        import resource, signal, sys
        import numpy as np
        from recsys.errors import StorageError
        from recsys.storage import write_stored
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write_stored(sys.argv[1], "thing", arrays={"big": np.zeros(100_000)}, tables={}, attributes={}, provenance={})
        except StorageError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x")], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "x could not be written: File too large. What was there before is unchanged." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        with pytest.raises(StorageError, match="The disk is full: .*x was not written"):
            write_stored(
                tmp_path / "x", "thing", arrays={"big": np.ones(100_000)}, tables={}, attributes={}, provenance={}
            )  # fmt: skip
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_place_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="could not be written: (Not a directory|File exists)"):
        write(tmp_path / "file" / "x")
    with pytest.raises(ParameterError, match="not a path to write to"):
        write("")


def test_a_single_file_takes_its_place_only_when_whole(tmp_path):
    path = tmp_path / "list.csv"
    with write_file(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
        assert temporary.suffix == ".csv"
    with pytest.raises(RuntimeError), write_file(path) as temporary:
        temporary.write_text("second")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["list.csv"]
    with pytest.raises(ParameterError, match="already exists"), write_file(path, overwrite=False):
        pass
    with pytest.raises(ParameterError, match="is a directory"), write_file(tmp_path):
        pass


def test_files_get_the_permissions_of_any_other_file(tmp_path):
    mask = os.umask(0)
    os.umask(mask)
    write(tmp_path / "x")
    with write_file(tmp_path / "y") as temporary:
        temporary.write_text("y")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o777 & ~mask
    assert (tmp_path / "y").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_a_killed_process_left_is_removed_by_the_next_write_and_nothing_else(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from recsys.storage import write_file\n"
        "with write_file(sys.argv[1]) as temporary: os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], check=False)
    assert killed.returncode == -9
    (left,) = tmp_path.iterdir()
    (tmp_path / ".y.something.tmp").touch()
    with write_file(tmp_path / "x") as ours:
        assert ours.exists()
        assert not left.exists()
        with write_file(tmp_path / "x") as another:
            assert ours.exists()
            another.write_text("of a process that lives")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".y.something.tmp", "x"]


def test_an_interrupt_while_cleaning_up_still_leaves_nothing(tmp_path, monkeypatch):
    write(tmp_path / "x")
    whole, calls = storage.shutil.rmtree, []

    def interrupted(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        whole(path, **options)

    monkeypatch.setattr(storage.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert open_stored(tmp_path / "x").kind == "thing"


@pytest.mark.parametrize("key", ["kind", "files", "attributes", "provenance", "created"])
def test_a_manifest_that_lacks_a_part_is_refused_by_name(tmp_path, key):
    write(tmp_path / "x")
    path = tmp_path / "x" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest[key]
    manifest["manifest_sha256"] = storage._manifest_sum(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=f"lacks '{key}'"):
        open_stored(tmp_path / "x")


def test_what_is_no_path_is_refused():
    with pytest.raises(ParameterError, match=r"Expected the path of a directory written by recsys\. Got 3"):
        open_stored(3)
