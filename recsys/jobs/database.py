"""A table of a database, by SQLAlchemy URL (extra `sql`): SQLite and PostgreSQL, where a table is replaced in one transaction.

Rows go into `NAME__staging`; `NAME__progress` says which task they belong to and how far it has come, and changes in the
same transaction as the rows. So after a kill at any moment the staging table holds each list once. At the end the old table
goes and the staging table takes its name, in one transaction: readers see the old lists or the new ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from recsys.errors import InputError, ParameterError, StorageError, quote_some, require_extra
from recsys.jobs.destinations import Destination, Done, Sink, Task, as_done, refuse_other_task
from recsys.jobs.list_files import plain_table
from recsys.jobs.locks import held, holder_in_words, myself

__all__ = ["database_destination", "hidden_password", "is_database", "require_table"]

_SUPPORTED = ("sqlite", "postgresql")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")


def is_database(output: str) -> bool:
    """Whether an output is a URL of a database and not a path."""
    return re.match(r"[a-z][a-z0-9]*(\+[a-z0-9_]+)?://", output) is not None


def hidden_password(output: str) -> str:
    """The URL as it may be shown and recorded."""
    return re.sub(r"(://[^/@:]*:)[^@]*@", r"\1***@", output)


def require_table(table: str | None) -> str:
    """The name of a table. Raises `ParameterError` for none, or one that is not plain."""
    if table is None:
        raise ParameterError("A database needs `table`, the name of the table to write.")
    if _NAME.fullmatch(table) is None:
        raise ParameterError(
            f"`table` must be letters, digits and underscores, at most 48, and not begin with a digit. Got {table!r}."
        )
    return table


@contextmanager
def database_destination(url: str, table: str, *, overwrite: bool) -> Iterator[Destination]:
    """The table `table` of the database at `url`."""
    require_extra("sqlalchemy", "sql", "Writing to a database")
    engine = _engine(url)
    try:
        with _failures_named(url), _claimed(engine, url, table):
            yield _Table(engine, url, table, overwrite=overwrite)
    finally:
        engine.dispose()


def _engine(url: str) -> Any:
    import sqlalchemy

    try:
        parsed = sqlalchemy.make_url(url)
        dialect = parsed.get_backend_name()
    except sqlalchemy.exc.ArgumentError as error:
        raise ParameterError(f"{hidden_password(url)} is not a URL of a database, such as sqlite:///lists.db.") from error
    if dialect not in _SUPPORTED:
        raise ParameterError(
            f"{hidden_password(url)}: tables are replaced in one transaction, which is known to hold for "
            f"{quote_some(_SUPPORTED)} only. Got {dialect!r}."
        )
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ParameterError(f"{url} names no file: the lists would be gone with the job. Hint: sqlite:///lists.db.")
    try:
        engine = sqlalchemy.create_engine(parsed)
    except ModuleNotFoundError as error:
        raise InputError(f"{hidden_password(url)} needs the Python package {error.name!r}, which is not installed.") from error
    if dialect == "sqlite":
        _begin_explicitly(engine)
    return engine


def _begin_explicitly(engine: Any) -> None:
    """Python's sqlite3 commits before it changes a table; with its own transactions off, ours cover tables too."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def no_transactions_of_its_own(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def _failures_named(url: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
        raise StorageError(
            f"{hidden_password(url)} could not be written: {reason}. What was there before is unchanged."
        ) from error


@contextmanager
def _claimed(engine: Any, url: str, table: str) -> Iterator[None]:
    """Holds the table for this process: by a file beside that of SQLite, by an advisory lock of PostgreSQL, which both end
    with the process."""
    if engine.dialect.name == "sqlite":
        file = Path(engine.url.database)
        if not file.parent.is_dir():
            raise ParameterError(f"{file.parent} is not a folder to write a database to.")
        with held(file.with_name(f"{file.name}.{table}")), _no_empty_file(engine, file):
            yield
        return
    key = int.from_bytes(hashlib.sha256(f"recsys {table}".encode()).digest()[:8], "big", signed=True)
    with engine.connect() as connection:
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({key})").scalar():
            raise StorageError(
                f"{table} of {hidden_password(url)} is being written by {holder_in_words(_holder(connection, table))}. "
                "Hint: wait until that has ended, or choose another table."
            )
        # The lock is the session's, not the transaction's.
        connection.commit()
        yield


@contextmanager
def _no_empty_file(engine: Any, file: Path) -> Iterator[None]:
    """SQLite makes the file when it is first looked into: after a failure it goes if it was not there and holds nothing."""
    from sqlalchemy import inspect

    existed = file.exists()
    try:
        yield
    except BaseException:
        if not existed and file.exists() and not inspect(engine).get_table_names():
            engine.dispose()
            file.unlink()
        raise


def _holder(connection: Any, table: str) -> dict[str, Any]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        saved = connection.exec_driver_sql(f'SELECT holder FROM "{table}__progress"').scalar()
    except SQLAlchemyError:  # it has not written it yet
        return {}
    return dict(json.loads(saved)) if saved else {}


class _Table:
    def __init__(self, engine: Any, url: str, name: str, *, overwrite: bool) -> None:
        from sqlalchemy import inspect

        self._engine, self._url, self._name = engine, url, name
        self._place = f"{name} of {hidden_password(url)}"
        there = inspect(engine)
        if there.has_table(name):
            self._refuse_existing([column["name"] for column in there.get_columns(name)], overwrite)
        self._saved = self._read() if self._has_progress() else None

    def _refuse_existing(self, columns: list[str], overwrite: bool) -> None:
        if not overwrite:
            raise ParameterError(f"{self._place} already exists. Hint: ask to overwrite it, or choose another table.")
        if columns[:4] != ["user_id", "item_id", "score", "rank"]:
            raise ParameterError(
                f"{self._place} holds no recommendations, so it is not overwritten: its columns are {quote_some(columns)}."
            )

    def _read(self) -> Mapping[str, Any] | None:
        with self._engine.connect() as connection:
            saved = connection.exec_driver_sql(f'SELECT task, done FROM "{self._name}__progress"').first()
        return None if saved is None else {"task": json.loads(saved[0]), "done": json.loads(saved[1])}

    @property
    def left(self) -> Mapping[str, Any] | None:
        return None if self._saved is None else self._saved["task"]

    @contextmanager
    def open(self, task: Task, *, resume: bool) -> Iterator[Sink]:
        going_on = resume and self._saved is not None
        if going_on and self._saved is not None:
            refuse_other_task(self._saved["task"], task.key, f"{self._name}__staging of {hidden_password(self._url)}")
        sink = _TableSink(self._engine, self._name, task, self._done() if going_on else None)
        try:
            yield sink
            sink.finish()
        except BaseException:
            sink.give_up()
            raise

    def _done(self) -> Done:
        return as_done(self._saved["done"] if self._saved else None, f"{self._name}__progress")

    def what_is_left(self) -> str:
        saved = self._read() if self._has_progress() else None
        if saved is None:
            return ""
        done = as_done(saved["done"], f"{self._name}__progress")
        return f"{self._name}__staging holds the lists of {done.users:,} users; --resume goes on from there."

    def _has_progress(self) -> bool:
        from sqlalchemy import inspect

        return bool(inspect(self._engine).has_table(f"{self._name}__progress"))

    def size(self) -> int | None:
        return None


class _TableSink:
    """Rows into the staging table, with how far the work has come, in one transaction a frame."""

    def __init__(self, engine: Any, name: str, task: Task, done: Done | None) -> None:
        self._engine, self._name, self._schema = engine, name, task.schema
        self._staging = _table(f"{name}__staging", task.schema)
        self._progress = _progress_table(name)
        self.done = done or Done()
        self._written = self.done
        with engine.begin() as connection:
            if done is None:
                self._staging.drop(connection, checkfirst=True)
                self._progress.drop(connection, checkfirst=True)
                self._staging.create(connection)
                self._progress.create(connection)
                connection.execute(self._progress.insert(), {"task": json.dumps(dict(task.key)), "done": "{}", "holder": ""})
            values = {"done": json.dumps(asdict(self.done)), "holder": json.dumps(myself())}
            connection.execute(self._progress.update(), values)

    def write(self, frame: pd.DataFrame, done: Done) -> None:
        with self._engine.begin() as connection:
            if len(frame):
                self._insert(connection, plain_table(frame, self._schema))
            connection.execute(self._progress.update(), {"done": json.dumps(asdict(done))})
        self._written = done

    def _insert(self, connection: Any, table: pa.Table) -> None:
        columns = [column.to_pylist() for column in table.columns]
        if connection.dialect.driver == "psycopg":
            names = ", ".join(f'"{name}"' for name in table.column_names)
            with connection.connection.cursor().copy(f'COPY "{self._staging.name}" ({names}) FROM STDIN') as copy:
                for row in zip(*columns, strict=True):
                    copy.write_row(row)
            return
        rows = [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
        connection.execute(self._staging.insert(), rows)

    def finish(self) -> None:
        """The staging table takes the name of the old one, which goes, in one transaction."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{self._name}"')
            connection.exec_driver_sql(f'ALTER TABLE "{self._staging.name}" RENAME TO "{self._name}"')
            self._progress.drop(connection)

    def give_up(self) -> None:
        """Leaves what is done to be gone on with; nothing where there is nothing."""
        from sqlalchemy.exc import SQLAlchemyError

        if self._written.users:
            return
        # Where the database itself has failed, what it holds of this run is gone on with or replaced by the next.
        with contextlib.suppress(SQLAlchemyError), self._engine.begin() as connection:
            self._staging.drop(connection, checkfirst=True)
            self._progress.drop(connection, checkfirst=True)


def _table(name: str, schema: pa.Schema) -> Any:
    from sqlalchemy import REAL, BigInteger, Column, Integer, MetaData, Table, Text

    kinds = {pa.int64(): BigInteger, pa.int32(): Integer, pa.float32(): REAL}
    columns = [
        Column(
            field.name,
            kinds.get(field.type, Text),
            nullable=False,
            primary_key=field.name in ("user_id", "rank"),
            autoincrement=False,
        )
        for field in schema
    ]
    return Table(name, MetaData(), *columns)


def _progress_table(name: str) -> Any:
    from sqlalchemy import Column, MetaData, Table, Text

    return Table(
        f"{name}__progress", MetaData(), *(Column(column, Text, nullable=False) for column in ("task", "done", "holder"))
    )
