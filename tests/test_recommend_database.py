"""Lists in a table of a database: SQLite always, PostgreSQL with a server that is started here where one is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
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

sqlalchemy = pytest.importorskip("sqlalchemy")
RECSYS = [sys.executable, "-m", "recsys.cli"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """The directory of a model with integer ids, and the model."""
    folder = tmp_path_factory.mktemp("ground")
    model = recsys.ALS(factors=8, iterations=3).fit(
        recsys.read_interactions(make_events(users=120, items=50, events=3_000, random_state=3))
    )
    model.save(folder / "model")
    return folder / "model", model


def server_programs():
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    for folder in folders:
        if (Path(folder) / "initdb").exists() and (Path(folder) / "postgres").exists():
            return Path(folder)
    return None


def as_server_user(folder):
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None or subprocess.run(["id", "postgres"], capture_output=True).returncode:
        pytest.skip("PostgreSQL does not run as root, and there is no user for it")
    shutil.chown(folder, "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture(scope="module")
def postgresql():
    """The URL of a server of our own in a folder of its own."""
    pytest.importorskip("psycopg")
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed")
    import tempfile

    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        before = as_server_user(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = f"{name}/data"
        made = [*before, programs / "initdb", "-D", data, "-U", "recsys", "--auth=trust", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(made, capture_output=True, text=True, cwd="/")
        if done.returncode:
            pytest.skip(f"a PostgreSQL server can not be set up here: {done.stderr.strip()}")
        options = ["-c", "listen_addresses=127.0.0.1", "-p", str(port), "-k", name, "-c", "fsync=off"]
        server = subprocess.Popen([*before, programs / "postgres", "-D", data, *options], stderr=subprocess.DEVNULL, cwd="/")
        try:
            url = f"postgresql+psycopg://recsys@127.0.0.1:{port}/postgres"
            wait_for(url)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def wait_for(url):
    for _ in range(200):
        engine = sqlalchemy.create_engine(url)
        try:
            engine.connect().close()
        except sqlalchemy.exc.OperationalError:
            time.sleep(0.05)
        else:
            return
        finally:
            engine.dispose()
    pytest.fail("the PostgreSQL server does not answer")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/lists.db"
    return request.getfixturevalue("postgresql")


@pytest.fixture
def engine(url):
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for table in sqlalchemy.inspect(connection).get_table_names():
            connection.exec_driver_sql(f'DROP TABLE "{table}"')
    yield engine
    engine.dispose()


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def succeed(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def sentence_of(*arguments, code=2):
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def tables(engine):
    return sorted(sqlalchemy.inspect(engine).get_table_names())


def read(engine, table="lists"):
    with engine.connect() as connection:
        return pd.read_sql(sqlalchemy.text(f'SELECT * FROM {table} ORDER BY "user_id", "rank"'), connection)


def in_order(frame):
    return frame.sort_values(["user_id", "rank"], ignore_index=True)


def test_a_table_holds_the_lists_and_is_replaced_when_asked(ground, url, engine):
    path, model = ground
    call_of = ("recommend", path, "--output", url, "--table", "lists")
    said = json.loads(succeed(*call_of, "--k", 4, "--json").stdout)
    assert (said["n_rows"], said["bytes"], said["n_parts"]) == (480, None, None)
    pd.testing.assert_frame_equal(read(engine), in_order(model.recommend(k=4)), check_dtype=False, rtol=1e-6)
    assert "lists of " in sentence_of(*call_of)
    assert "already exists. Hint: pass --overwrite" in sentence_of(*call_of)
    for k in (3, 2):
        succeed(*call_of, "--k", k, "--overwrite")
        assert len(read(engine)) == 120 * k
    assert tables(engine) == ["lists"]


def test_reasons_are_json_in_a_table(ground, url, engine):
    path, model = ground
    succeed("recommend", path, "--output", url, "--table", "lists", "--k", 2, "--with-reasons")
    expected = in_order(model.recommend(k=2, with_reasons=True))
    found = [[reason["item_id"] for reason in json.loads(text)] for text in read(engine).reasons]
    assert found == [[reason["item_id"] for reason in row] for row in expected.reasons]


def test_strings_are_texts(tmp_path, url, engine):
    events = make_events(users=30, items=20, events=400, id_type="string", random_state=3)
    events["item_id"] = events["item_id"] + "\t'ü\\"
    recsys.ALS(factors=4, iterations=1).fit(recsys.read_interactions(events)).save(tmp_path / "model")
    succeed("recommend", tmp_path / "model", "--output", url, "--table", "lists", "--k", 2)
    model = recsys.load(tmp_path / "model")
    found = read(engine).sort_values(["user_id", "rank"], ignore_index=True)
    pd.testing.assert_frame_equal(found, in_order(model.recommend(k=2)), check_dtype=False, rtol=1e-6)


def test_a_table_that_holds_something_else_is_not_replaced(ground, url, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE lists (name TEXT)")
    sentence = sentence_of("recommend", ground[0], "--output", url, "--table", "lists", "--overwrite")
    assert "holds no recommendations, so it is not overwritten: its columns are 'name'" in sentence
    assert tables(engine) == ["lists"]


def rows_in_staging(engine):
    try:
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM lists__staging").scalar()
    except sqlalchemy.exc.DBAPIError:
        return 0


SLOWLY = """
import sys
import recsys.jobs.batch_plan as plan
plan._MOST_USERS = 1
from recsys.cli import main
sys.argv = ["recsys", *sys.argv[1:]]
main()
"""


def test_after_a_kill_the_work_goes_on_and_the_old_table_is_there_meanwhile(ground, url, engine, monkeypatch):
    path, model = ground
    call_of = [str(word) for word in ("recommend", path, "--output", url, "--table", "lists", "--overwrite")]
    succeed(*call_of, "--k", 1)
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, *call_of, "--k", "4"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while rows_in_staging(engine) < 20 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(read(engine)) == 120
    half = rows_in_staging(engine)
    assert 20 <= half < 480
    wait_until_let_go(engine)
    assert "k was 4 and is 3" in sentence_of(*call_of, "--k", 3, "--resume")
    said = json.loads(succeed(*call_of, "--k", 4, "--resume", "--json").stdout)
    assert said["n_users_resumed"] * 4 >= half
    assert said["n_rows"] == 480
    pd.testing.assert_frame_equal(read(engine), in_order(model.recommend(k=4)), check_dtype=False, rtol=1e-6)
    assert tables(engine) == ["lists"]


def wait_until_let_go(engine):
    """The server notices in its own time that a client is gone."""
    if engine.dialect.name == "sqlite":
        return
    for _ in range(200):
        with engine.connect() as connection:
            if not connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar():
                return
        time.sleep(0.05)


def test_a_second_job_is_refused_by_name(ground, url, engine):
    from recsys.jobs.database import database_destination

    with database_destination(url, "lists", overwrite=False):
        sentence = sentence_of("recommend", ground[0], "--output", url, "--table", "lists", code=1)
    assert "is being written by another job" in sentence
    succeed("recommend", ground[0], "--output", url, "--table", "lists")


@pytest.mark.parametrize(
    ("output", "options", "words"),
    [
        ("sqlite:///x.db", [], "A database needs `--table`"),
        ("sqlite:///x.db", ["--table", "a b"], "`--table` must be letters, digits and underscores"),
        ("sqlite:///x.db", ["--table", "t", "--partition-rows", "50"], "`--partition-rows` is for files"),
        ("sqlite://", ["--table", "t"], "names no file"),
        ("mysql://me:secret@host/db", ["--table", "t"], "mysql://me:***@host/db"),
        ("sqlite:///no/such/folder/x.db", ["--table", "t"], "no/such/folder"),
        ("what://x", ["--table", "t"], "what://x"),
    ],
)
def test_databases_that_can_not_be_written_are_named_without_their_passwords(
    ground, output, options, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sentence = sentence_of("recommend", ground[0], "--output", output, *options)
    assert words in sentence
    assert "secret" not in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_named(ground):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/db"
    sentence = sentence_of("recommend", ground[0], "--output", url, "--table", "t", code=1)
    assert "postgresql+psycopg://me:***@127.0.0.1:1/db could not be written" in sentence


def test_a_failure_leaves_no_empty_database(tmp_path):
    sentence_of("recommend", tmp_path / "no-model", "--output", f"sqlite:///{tmp_path}/x.db", "--table", "t")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_named(ground, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    sentence = sentence_of("recommend", ground[0], "--output", f"sqlite:///{tmp_path}/x.db", "--table", "t")
    assert "pip install 'recsys[sql]'" in sentence
