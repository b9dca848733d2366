"""Fetching public sets: from a server of our own on 127.0.0.1 that can cut, change, refuse and ignore ranges."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import socket
import struct
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from recsys.datasets import PublicDataset, cache_directory, fetch, public_dataset, public_datasets, read_public
from recsys.errors import FormatError, ParameterError, StorageError

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.5,946684800\n1,20,3.0,946684801\n2,10,0.5,1000000000\n"


def zipped(member: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(member), text)
        archive.writestr(zipfile.ZipInfo("padding"), np.random.default_rng(0).bytes(700_000))
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one body and remembers the Range header of each request."""

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.ranges: list[str | None] = []
        self.honours_range = True
        self.announces_length = True
        self.cut_after: int | None = None
        self.resets = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.status: int | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is part of these tests, no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/sets/tiny.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        server.goes_on.wait()
        if server.status is not None:
            self.send_error(server.status)
            return
        begin = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked and server.honours_range else 0
        if begin >= len(server.body):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(server.body) - 1}/{len(server.body)}")
        if server.announces_length:
            self.send_header("Content-Length", str(len(server.body) - begin))
        self.end_headers()
        self.wfile.write(server.body[begin : server.cut_after])
        if server.resets:
            # Closing with nothing left to wait for makes the system send a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(zipped("tiny/ratings.csv", RATINGS)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.goes_on.set()
        running.shutdown()
        thread.join()


def described(server: Server, **changes: object) -> PublicDataset:
    known = PublicDataset(
        name="tiny",
        description="Three ratings.",
        url=server.url,
        sha256=hashlib.sha256(server.body).hexdigest(),
        bytes=len(server.body),
        licence="None needed.",
        citation="",
        member="tiny/ratings.csv",
        columns=("userId", "movieId", "rating", "timestamp"),
    )
    return dataclasses.replace(known, **changes)


def test_a_set_is_downloaded_whole_under_its_own_name(server, tmp_path):
    path = fetch(described(server), cache=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "tiny.zip"
    assert path.read_bytes() == server.body
    assert [file.name for file in path.parent.iterdir()] == ["tiny.zip"]


def test_what_is_in_the_cache_is_not_asked_for_again(server, tmp_path):
    first = fetch(described(server), cache=tmp_path)
    assert fetch(described(server), cache=tmp_path) == first
    assert server.ranges == [None]


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, tmp_path):
    path = fetch(described(server), cache=tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    server.cut_after = 300_000
    with pytest.raises(StorageError, match=r"after 300,000 of 7\d\d,\d\d\d bytes.*Hint: the next attempt goes on"):
        fetch(described(server), cache=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.zip.part"]
    server.cut_after = None
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body
    assert server.ranges == [None, "bytes=300000-"]


def test_a_broken_connection_is_not_taken_for_a_failure_of_the_disk(server, tmp_path):
    server.cut_after, server.resets = 300_000, True
    with pytest.raises(StorageError, match=r"could not be downloaded: the connection (broke|ended)"):
        fetch(described(server), cache=tmp_path)
    server.cut_after, server.resets = None, False
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body


def test_a_server_that_never_answers_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.datasets.download._TIMEOUT_SECONDS", 0.1)
    server.goes_on.clear()
    with pytest.raises(StorageError, match=r"could not be downloaded: the connection broke \(timed out\)"):
        fetch(described(server), cache=tmp_path)


def test_a_server_that_ignores_ranges_is_asked_for_everything(server, tmp_path):
    (tmp_path / "tiny.zip.part").write_bytes(server.body[:1_000])
    server.honours_range = False
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body
    assert server.ranges == ["bytes=1000-", None]


def test_a_part_that_was_complete_needs_no_request(server, tmp_path):
    (tmp_path / "tiny.zip.part").write_bytes(server.body)
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body
    assert server.ranges == []


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "tiny.zip.part").write_bytes(server.body + b"more")
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body
    assert server.ranges == [None]


def test_a_part_of_another_file_is_noticed_and_the_download_begins_anew(server, tmp_path):
    (tmp_path / "tiny.zip.part").write_bytes(b"\0" * 1_000)
    assert fetch(described(server), cache=tmp_path).read_bytes() == server.body
    assert server.ranges == ["bytes=1000-", None]


def test_changed_content_is_refused_with_both_sums_and_nothing_is_kept(server, tmp_path):
    known = described(server)
    server.body = server.body[:-1] + b"!"
    with pytest.raises(StorageError) as caught:
        fetch(known, cache=tmp_path)
    assert known.sha256 in str(caught.value)
    assert hashlib.sha256(server.body).hexdigest() in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("announced", [True, False], ids=["length announced", "length not announced"])
def test_a_file_of_another_size_is_refused_and_nothing_is_kept(server, tmp_path, announced):
    known = described(server)
    server.body += b"more"
    server.announces_length = announced
    with pytest.raises(StorageError, match="no longer holds the file known"):
        fetch(known, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_part_goes_when_the_server_now_has_a_shorter_file(server, tmp_path):
    known = described(server)
    (tmp_path / "tiny.zip.part").write_bytes(server.body[:5_000])
    server.body = server.body[:2_000]
    with pytest.raises(StorageError, match=r"it has 2,000 bytes, the known file"):
        fetch(known, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_of_the_server_is_told_in_one_sentence(server, tmp_path, status):
    server.status = status
    with pytest.raises(StorageError, match=rf"tiny\.zip could not be downloaded: the server answered {status} "):
        fetch(described(server), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_connection_is_told_in_one_sentence_with_a_way_out(server, tmp_path):
    known = described(server)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free_port = unused.getsockname()[1]
    nowhere = dataclasses.replace(known, url=f"http://127.0.0.1:{free_port}/tiny.zip")
    with pytest.raises(StorageError, match=r"could not be downloaded: Connection refused\. Hint: .*tiny\.zip$"):
        fetch(nowhere, cache=tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to meet a full disk")
def test_a_full_disk_is_told_in_one_sentence(server, tmp_path):
    (tmp_path / "tiny.zip.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"The disk is full: .*tiny\.zip\.part.* 0\.7 MB"):
        fetch(described(server), cache=tmp_path)


def test_too_little_space_is_told_before_anything_is_asked_for(server, tmp_path):
    with pytest.raises(StorageError, match="too little free space"):
        fetch(described(server, bytes=10**18), cache=tmp_path)
    assert server.ranges == []


def test_a_cache_that_can_not_be_a_folder_is_told(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        fetch(described(server), cache=tmp_path / "file" / "cache")


def test_progress_goes_to_standard_error_alone(server, tmp_path, capsys):
    fetch(described(server), cache=tmp_path, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "tiny.zip (MB)" in shown.err


def test_an_unknown_name_is_answered_with_those_there_are_and_the_closest():
    with pytest.raises(ParameterError, match=r"'ml-20mm'.*'ml-1m'.*Did you mean 'ml-20m'\?"):
        fetch("ml-20mm")


def test_the_cache_folder_follows_the_argument_then_the_environment(monkeypatch, tmp_path):
    for variable in ("RECSYS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "recsys" / "datasets"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "recsys" / "datasets"
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own" / "datasets"
    assert cache_directory("here") == Path("here")


def test_the_environment_decides_where_a_set_is_put(server, monkeypatch, tmp_path):
    monkeypatch.setenv("RECSYS_CACHE", os.fspath(tmp_path))
    assert fetch(described(server)) == tmp_path / "datasets" / "tiny.zip"


def test_a_set_is_read_with_its_ids_ratings_and_times(server, tmp_path):
    data = read_public(described(server), cache=tmp_path)
    frame = data.to_frame()
    assert frame["user_id"].tolist() == [1, 1, 2]
    assert frame["item_id"].tolist() == [10, 20, 10]
    assert frame["weight"].tolist() == [4.5, 3.0, 0.5]
    assert [str(time) for time in frame["timestamp"]] == ["2000-01-01 00:00:00", "2000-01-01 00:00:01", "2001-09-09 01:46:40"]
    assert data.provenance["dataset"] == "tiny"


@pytest.mark.parametrize(
    ("text", "separator", "has_header"),
    [
        ("1::10::4\n2::20::5\n", "::", False),
        ("1\t10\t4\n2\t20\t5\n", "\t", False),
        ("u\ti\tw\n1\t10\t4\n2\t20\t5\n", "\t", True),
    ],
    ids=["double colons", "tabs", "tabs and header"],
)
def test_each_format_of_the_archives_is_read(server, tmp_path, text, separator, has_header):
    server.body = zipped("events.dat", text)
    known = described(
        server, member="events.dat", columns=("user", "item", "weight"), separator=separator, has_header=has_header
    )
    data = read_public(known, cache=tmp_path)
    assert data.to_frame().to_numpy().tolist() == [[1, 10, 4], [2, 20, 5]]
    assert data.timestamps is None


def test_an_archive_without_the_file_of_events_is_told(server, tmp_path):
    with pytest.raises(FormatError, match=r"has no readable other\.csv"):
        read_public(described(server, member="other.csv"), cache=tmp_path)


def test_each_listed_set_says_what_a_person_needs_before_the_download():
    listed = public_datasets()
    assert len({known.name for known in listed}) == len(listed) >= 8
    assert len({known.url.rsplit("/", 1)[-1] for known in listed}) == len(listed)
    for known in listed:
        assert public_dataset(known.name) is known
        assert known.url.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
        assert known.bytes > 100_000
        assert known.licence
        assert known.description
        assert known.citation
        assert 3 <= len(known.columns) <= 4
