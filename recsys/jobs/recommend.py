"""`recsys recommend`: a model's lists for all of its users, or some, as a file, a folder of parts or a table of a database.

The lists are made and written a batch of users at a time: the memory needed does not grow with the number of users.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys import __version__
from recsys.errors import ParameterError
from recsys.ids import IdMap
from recsys.jobs.batch_plan import BatchPlan
from recsys.jobs.database import database_destination, hidden_password, is_database, require_table
from recsys.jobs.destinations import Destination, Done, Task, file_destination
from recsys.jobs.id_files import STANDARD_INPUT, read_id_file
from recsys.jobs.job_record import input_sums, now, write_job_record
from recsys.jobs.list_files import require_suffix
from recsys.jobs.partitions import partition_destination
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words
from recsys.jobs.table_files import known_rows, read_pairs, read_rules
from recsys.jobs.terminal import Interrupted, say
from recsys.model import RankingModel, load_model
from recsys.progress import show_progress
from recsys.recommending import Recommender
from recsys.recommending.reasons import reason_type
from recsys.storage import sha256_of_file

__all__ = ["TABLE_FILES", "RecommendationsWritten", "check_output", "recommend"]

TABLE_FILES = ("allow", "deny", "item_rules")
"""The options that name files of tables."""


@dataclass(frozen=True)
class RecommendationsWritten:
    """Recommendations that were written: columns user_id, item_id, score, rank (and reasons).

    n_users : users in the output.
    n_users_without_items : users that are not in it, since no item is left to recommend to them.
    n_users_resumed : users whose lists an interrupted run had written already.
    bytes : None for a table of a database.
    """

    output: str
    n_users: int
    n_users_without_items: int
    n_users_resumed: int
    n_rows: int
    k: int
    n_parts: int | None
    bytes: int | None
    seconds: float

    def show(self) -> None:
        """What was written, and how many users got nothing, on standard output."""
        size = "" if self.bytes is None else f", {bytes_in_words(self.bytes)}"
        parts = "" if self.n_parts is None else f" in {counted(self.n_parts, 'part')}"
        say(
            f"Wrote {self.output}: {counted(self.n_rows, 'recommendation')} for {counted(self.n_users, 'user')}"
            f"{parts}{size}, in {seconds_in_words(self.seconds)}."
        )
        if self.n_users_resumed:
            say(f"{counted(self.n_users_resumed, 'user')} of them had been done by an interrupted run.")
        if without := self.n_users_without_items:
            verb = "has" if without == 1 else "have"
            say(f"{without:,} of {counted(self.n_users + without, 'user')} {verb} nothing left to recommend.")


def recommend(
    model: str,
    *,
    output: str,
    table: str | None = None,
    partition_rows: int | None = None,
    resume: bool = False,
    record: str | None = None,
    k: int = 10,
    users: str | None = None,
    only_items: str | None = None,
    exclude_items: str | None = None,
    allow: str | None = None,
    deny: str | None = None,
    item_rules: str | None = None,
    at: Any = None,
    include_seen: bool = False,
    unknown: str = "raise",
    index: str = "exact",
    num_threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> RecommendationsWritten:
    """Writes up to `k` items a user, best first.

    output : a file, whose suffix decides the format; with `partition_rows` a folder of that name with parts of at most so many
        rows; or the SQLAlchemy URL of a database, whose `table` is written.
    resume : go on from what an interrupted run left of a folder of parts or of a table. A single file is written anew.
    record : a JSON file about the run (see `recsys.jobs.job_record`).
    users, only_items, exclude_items : files of ids (see `recsys.jobs.id_files`); "-" reads `users` from standard input.
    allow, deny, item_rules : files of the tables that `Model.recommend` takes. What forbids and names something that the model
        does not know is warned of: no list has it anyway.
    options : min_score, diversity, calibration, pool and with_reasons as `Model.recommend` takes them, and its defaults.
    """
    clock, started = Clock(), now()
    paths = {"model": model, "users": users, "only_items": only_items, "exclude_items": exclude_items}
    paths |= {"allow": allow, "deny": deny, "item_rules": item_rules}
    places = [None if is_database(output) else output, record]
    refuse_collisions(places, [path for path in paths.values() if path != STANDARD_INPUT])
    check_output(output, table, partition_rows)
    with _destination(output, table, partition_rows, overwrite=overwrite) as place:
        loaded = load_model(model)
        moment = _moment(at, item_rules, place.left if resume else None)
        settings = {"k": k, "exclude_seen": not include_seen, "unknown": unknown, "index": index, "at": moment, **options}
        lists = _lists(loaded, paths, unknown)
        recommender = loaded.recommender(**lists, **settings, num_threads=num_threads)
        plan = BatchPlan(
            len(recommender), recommender.rows_a_user, recommender.pool_a_user, recommender.reasons_a_row, partition_rows
        )
        key = _key(loaded, recommender, paths, settings | {"partition_rows": partition_rows})
        schema = _schema(loaded.users, loaded.items, with_reasons=recommender.reasons_a_row > 0)
        before, done = _write_all(recommender, place, Task(schema, plan, key), resume=resume, progress=progress)
    n_parts = None if partition_rows is None else plan.n_parts
    counts = (done.with_rows, done.users - done.with_rows, before.users, done.rows, k, n_parts, place.size())
    result = RecommendationsWritten(hidden_password(output), *counts, seconds=clock.seconds)
    if record is not None:
        options = settings | {"partition_rows": partition_rows, "table": table}
        _write_record(record, result, started, options, paths, overwrite=overwrite)
    return result


def _write_record(
    path: str,
    result: RecommendationsWritten,
    started: str,
    options: Mapping[str, Any],
    inputs: Mapping[str, str | None],
    *,
    overwrite: bool,
) -> None:
    counts = asdict(result)
    rest = {name: counts.pop(name) for name in ("output", "seconds", "k")}
    # What an earlier run had done took none of these seconds; lists are about equally long.
    share = 1 - counts["n_users_resumed"] / max(1, counts["n_users"] + counts["n_users_without_items"])
    write_job_record(
        path, overwrite=overwrite, job="recommend", started=started, seconds=rest["seconds"],
        rows=round(counts["n_rows"] * share), options=options, inputs=input_sums(inputs), output=rest["output"], counts=counts,
    )  # fmt: skip


def check_output(output: str, table: str | None, partition_rows: int | None) -> None:
    """Raises `ParameterError` for what does not go together."""
    if is_database(output):
        if partition_rows is not None:
            raise ParameterError("`partition_rows` is for files; a table of a database has no parts.")
        require_table(table)
        return
    require_suffix(output)
    if table is not None:
        raise ParameterError(f"`table` is for a database, such as sqlite:///lists.db. Got the output {output!r}.")


def _destination(
    output: str, table: str | None, partition_rows: int | None, *, overwrite: bool
) -> AbstractContextManager[Destination]:
    if is_database(output):
        return database_destination(output, require_table(table), overwrite=overwrite)
    if partition_rows is None:
        return file_destination(output, overwrite=overwrite)
    return partition_destination(output, overwrite=overwrite)


def _moment(at: Any, item_rules: str | None, left: Mapping[str, Any] | None) -> Any:
    """The time that item rules are read for, ready for JSON: what is gone on with keeps the one it was begun for."""
    if at is not None or item_rules is None:
        return at.isoformat() if hasattr(at, "isoformat") else at
    return (left or {}).get("at") or now()


def _lists(model: RankingModel, paths: Mapping[str, str | None], unknown: str) -> dict[str, Any]:
    """What the files hold, as `Model.recommender` takes it."""
    users, items = model.users, model.items
    lists: dict[str, Any] = {}
    if path := paths["users"]:
        lists["users"] = read_id_file(path, users, unknown=unknown)
    if path := paths["only_items"]:
        lists["only_items"] = read_id_file(path, items)
    if path := paths["exclude_items"]:
        table = pa.table({items.name: read_id_file(path, items, unknown="ignore")})
        lists["exclude_items"] = known_rows(path, table, [items]).column(0)
    if path := paths["allow"]:
        lists["allow"] = read_pairs(path, users, items)
    if path := paths["deny"]:
        # An unknown user who is asked for gets what is popular, and what is denied is denied there too.
        everybody = users if unknown != "popular" or "users" not in lists else users.extended(lists["users"])
        lists["deny"] = known_rows(path, read_pairs(path, users, items), [everybody, items])
    if path := paths["item_rules"]:
        lists["item_rules"] = known_rows(path, read_rules(path, items), [items])
    return lists


def _key(
    model: RankingModel, recommender: Recommender, paths: Mapping[str, str | None], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the lists depend on, for JSON."""
    key = dict(settings)
    for name in ("only_items", "exclude_items", *TABLE_FILES):
        path = paths[name]
        key[name] = None if path is None else sha256_of_file(Path(path))
    key["users"] = None if paths["users"] is None else _sum_of_ids(recommender.ids)
    return {**key, "model": model.fingerprint, "recsys": __version__}


def _sum_of_ids(ids: pa.Array) -> str:
    """Not that of the file: standard input is none."""
    digest = hashlib.sha256()
    for start in range(0, len(ids), 2**16):
        digest.update(json.dumps(ids.slice(start, 2**16).to_pylist()).encode())
    return digest.hexdigest()


def _schema(users: IdMap, items: IdMap, *, with_reasons: bool) -> pa.Schema:
    # string, not large_string: every Parquet reader knows it, and a batch is far below its 2 GB.
    user_id, item_id = (pa.int64() if ids.is_integer else pa.string() for ids in (users, items))
    fields = [("user_id", user_id), ("item_id", item_id), ("score", pa.float32()), ("rank", pa.int32())]
    return pa.schema([*fields, *([("reasons", reason_type(items))] if with_reasons else [])])


def _write_all(recommender: Recommender, place: Destination, task: Task, *, resume: bool, progress: bool) -> tuple[Done, Done]:
    """Writes every list that is not there yet; how far an earlier run had come, and how far it is now."""
    try:
        with place.open(task, resume=resume) as sink:
            before = done = sink.done
            total = len(recommender)
            with show_progress("Recommending, users", total, enabled=progress, done=done.users) as advance:
                for start, stop in task.plan.batches(done.users):
                    frame = recommender.frame(start, stop)
                    done = done.plus(stop - start, frame)
                    sink.write(frame, done)
                    advance(stop - start)
    except KeyboardInterrupt as error:
        raise Interrupted(place.what_is_left()) from error
    return before, done
