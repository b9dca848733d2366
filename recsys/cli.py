"""The command line: names, options and help of each command. The work is done in `recsys.jobs`.

Jobs are imported by the command that needs them, so that `recsys --help` answers at once. An option that was not given is not
passed on: the default is the job's or the library's, and help only repeats it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from recsys.jobs.terminal import CommandGroup, Interrupted, emit, is_terminal, say

__all__ = ["commands", "main"]

Command = TypeVar("Command", bound=Callable[..., Any])


def main() -> None:
    """Entry point of `recsys`."""
    try:
        commands(prog_name="recsys")
    except KeyboardInterrupt:
        # Before the group is at work, or after it.
        say(f"Error: {Interrupted()}", on_stderr=True)
        sys.exit(1)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")(command)


def _overwrite_option(command: Command) -> Command:
    return click.option("--overwrite", is_flag=True, help="Replace what is at the place to write to.")(command)


def _threads_option(command: Command) -> Command:
    text = "Threads to use; all processors by default. Results do not depend on it."
    return click.option("--num-threads", type=click.IntRange(min=1), metavar="N", help=text)(command)


def _progress_option(command: Command) -> Command:
    def on_terminals(context: click.Context, parameter: click.Parameter, value: bool | None) -> bool:
        return is_terminal() if value is None else value

    text = "Show progress on standard error. On by default on a terminal."
    return click.option("--progress/--no-progress", default=None, callback=on_terminals, help=text)(command)


def _settings(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE, such as factors=64.")
        settings[name.strip()] = value.strip()
    return settings


def _delimiter(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return "\t" if value == "\\t" else value  # a tab is hard to type in a shell


@click.group(
    cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
)
@click.version_option(package_name="recsys", message="%(prog)s %(version)s")
def commands() -> None:
    """From an event log to embeddings and ranked recommendations.

    A dataset and a model are directories. Exit code 0: done; 2: the input or the call is wrong; 1: anything else.
    """


@commands.command()
@click.option("--output", default="recsys-demo", metavar="DIR", help="Where everything goes.")
@_json_option
@_progress_option
def demo(as_json: bool, **options: Any) -> None:
    """The whole way on the bundled data: ingest, split, train, evaluate, recommend, show."""
    from recsys.jobs.demo import demo as job

    emit(job(**options, quiet=as_json), as_json=as_json)


@commands.command()
@click.argument("source", nargs=-1, required=True)
@click.option("--output", required=True, metavar="DATASET", help="The dataset directory to write.")
@click.option("--user", metavar="COL", help="Column of user ids. [default: user_id]")
@click.option("--item", metavar="COL", help="Column of item ids. [default: item_id]")
@click.option(
    "--weight", metavar="COL", help="Column of weights. [default: weight, rating or count if there is one; else 1 each]"
)
@click.option("--timestamp", metavar="COL", help="Column of times. [default: timestamp or datetime if there is one]")
@click.option(
    "--timestamp-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="What times in plain numbers count. [default: s]"
)
@click.option("--format", type=click.Choice(["csv", "tsv", "parquet", "jsonl"]), help="If the suffix does not tell.")
@click.option(
    "--delimiter", callback=_delimiter, metavar="CHAR", help="Between the fields of CSV and TSV, such as ';', '|' or '\\t'."
)
@click.option(
    "--duplicates",
    type=click.Choice(["sum", "count", "max", "last"]),
    help="What becomes of several events of one user and item. [default: sum]",
)
@click.option(
    "--bad-rows",
    type=click.Choice(["raise", "skip"]),
    help="What to do about rows without an id, with a bad weight or time. [default: raise]",
)
@click.option("--rejects", metavar="FILE", help="A .csv or .parquet file for the rows that were skipped.")
@click.option(
    "--min-weight", type=float, metavar="W", help="Leave out users' items of less weight, all their events taken together."
)
@click.option("--min-user-interactions", type=click.IntRange(min=0), metavar="N", help="Leave out users with fewer items …")
@click.option(
    "--min-item-interactions",
    type=click.IntRange(min=0),
    metavar="N",
    help="… and items with fewer users, until none is left to leave out.",
)
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def ingest(as_json: bool, **options: Any) -> None:
    """Read event logs (CSV, TSV, Parquet, JSON Lines; plain, gzip or zstd; files or globs) into a dataset."""
    from recsys.jobs.ingest import ingest as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("dataset")
@click.option(
    "--by", required=True, type=click.Choice(["random", "leave-last", "temporal", "users"]), help="How events are held out."
)
@click.option("--train", required=True, metavar="DATASET", help="The part to learn from.")
@click.option("--test", required=True, metavar="DATASET", help="The part to be judged on.")
@click.option("--fold-in", metavar="DATASET", help="By users: what the model is shown of them. [default: TEST-fold-in]")
@click.option("--test-fraction", type=float, metavar="SHARE", help="Share to hold out. [default: 0.1; random 0.2]")
@click.option("--fold-in-fraction", type=float, metavar="SHARE", help="By users: share shown to the model. [default: 0.8]")
@click.option("--n", type=int, metavar="N", help="Leave-last: how many events a user. [default: 1]")
@click.option("--cutoff", metavar="TIME", help="Temporal: a date, instead of a share.")
@click.option(
    "--unseen",
    type=click.Choice(["keep", "drop"]),
    help="Temporal, users: what is unseen in train. [default: keep; users drop]",
)
@click.option("--random-state", type=int, metavar="SEED", help="Random, users: the seed. [default: 0]")
@_overwrite_option
@_json_option
def split(as_json: bool, **options: Any) -> None:
    """Cut a dataset into a part to learn from and a part to be judged on."""
    from recsys.jobs.split import split as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("dataset")
@click.option("--output", required=True, metavar="MODEL", help="The model directory to write.")
@click.option("--trainer", metavar="NAME", help="als, explicit-als or popularity. [default: als]")
@click.option(
    "--set", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="A hyperparameter; may be repeated."
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint that an interrupted run left beside MODEL.")
@click.option("--validation", metavar="DATASET", help="Stop when METRIC on this has stopped rising; keep the best model.")
@click.option("--metric", metavar="NAME", help="With --validation: what to watch. [default: ndcg@20]")
@click.option(
    "--patience", type=click.IntRange(min=1), metavar="N", help="With --validation: epochs without a rise. [default: 2]"
)
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def train(as_json: bool, **options: Any) -> None:
    """Train a model on a dataset."""
    from recsys.jobs.train import train as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("model")
@click.option("--output", required=True, metavar="FILE", help="A file that ends in .parquet, .csv or .jsonl.")
@click.option("--k", type=int, metavar="K", help="Items a user. [default: 10]")
@click.option("--users", metavar="FILE", help="Only these users: one id a line, or a column user_id.")
@click.option("--only-items", metavar="FILE", help="Only these items: one id a line, or a column item_id.")
@click.option("--exclude-items", metavar="FILE", help="None of these items.")
@click.option("--include-seen", is_flag=True, help="Also what the user already has.")
@click.option(
    "--unknown", type=click.Choice(["raise", "skip", "popular"]), help="What users not in the model get. [default: raise]"
)
@click.option("--index", metavar="NAME", help="How items are searched. [default: exact]")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def recommend(as_json: bool, **options: Any) -> None:
    """Write ranked lists for all users of a model, or some."""
    from recsys.jobs.recommend import recommend as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("model")
@click.argument("item")
@click.option("--k", type=int, metavar="K", help="How many. [default: 10]")
@_json_option
def similar(as_json: bool, **options: Any) -> None:
    """Show the items most like ITEM."""
    from recsys.jobs.similar import similar as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("model")
@click.option("--test", required=True, metavar="DATASET", help="The dataset to judge on.")
@click.option("--fold-in", metavar="DATASET", help="Events by which the model first gets to know the users of the test.")
@click.option("--metrics", metavar="LIST", help="Such as ndcg@10,recall@20. [default: recall@20,ndcg@20]")
@click.option(
    "--overlap",
    type=click.Choice(["raise", "drop", "keep"]),
    help="Test pairs the model was trained on: refuse, take out, or count as misses. [default: raise]",
)
@click.option("--output", metavar="FILE", help="A JSON file for the report.")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def evaluate(as_json: bool, **options: Any) -> None:
    """Judge a model on a test dataset: metrics with intervals."""
    from recsys.jobs.evaluate import evaluate as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("path")
@_json_option
def info(path: str, as_json: bool) -> None:
    """Show what a dataset, model or other directory holds, and whether it is intact."""
    from recsys.jobs.info import info as job

    emit(job(path), as_json=as_json)


@commands.command()
@click.argument("pipeline", metavar="PIPELINE.toml")
@click.option("--force", is_flag=True, help="Redo every step, also those that are done.")
@_threads_option
@_json_option
@_progress_option
def run(as_json: bool, **options: Any) -> None:
    """All of it from one file, as a nightly job would; resumes where it stopped."""
    from recsys.jobs.pipeline import run as job

    emit(job(**_given(options), quiet=as_json), as_json=as_json)


@commands.group(cls=CommandGroup)
def datasets() -> None:
    """Well-known public data sets."""


@datasets.command("list")
@_json_option
def list_datasets(as_json: bool) -> None:
    """List them, with size and licence."""
    from recsys.jobs.fetch import list_datasets as job

    emit(job(), as_json=as_json)


@datasets.command("fetch")
@click.argument("name")
@click.option("--output", metavar="DATASET", help="Also make a dataset of it.")
@click.option("--yes", is_flag=True, help="Download without asking.")
@_overwrite_option
@_json_option
@_progress_option
def fetch_dataset(as_json: bool, **options: Any) -> None:
    """Download one into the cache, after showing where from, how large, and under which licence."""
    from recsys.jobs.fetch import fetch as job

    emit(job(**_given(options)), as_json=as_json)


if __name__ == "__main__":
    main()
