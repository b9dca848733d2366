"""The command line: names, options and help of each command. The work is done in `recsys.jobs`.

Jobs are imported by the command that needs them, so that `recsys --help` answers at once. An option that was not given is not
passed on: the default is the job's or the library's, and help only repeats it.
"""

from __future__ import annotations

import _thread
import sys
from typing import Any

import click

from recsys.cli_datasets import datasets
from recsys.cli_embeddings import embeddings
from recsys.cli_options import given as _given
from recsys.cli_options import json_option as _json_option
from recsys.cli_options import overwrite_option as _overwrite_option
from recsys.cli_options import progress_option as _progress_option
from recsys.cli_options import threads_option as _threads_option
from recsys.jobs.terminal import CommandGroup, Interrupted, emit, say

__all__ = ["commands", "main"]


def _interrupt_again(unraisable: Any) -> None:
    """An interruption that came while the compiler had called back can not be raised there: it is raised a moment later."""
    if unraisable.exc_type is KeyboardInterrupt:
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)


def main() -> None:
    """Entry point of `recsys`."""
    sys.unraisablehook = _interrupt_again
    try:
        commands(prog_name="recsys")
    except KeyboardInterrupt:
        # Before the group is at work, or after it.
        say(f"Error: {Interrupted()}", on_stderr=True)
        sys.exit(1)


def _settings(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE, such as factors=64.")
        settings[name.strip()] = value.strip()
    return settings


def _separators(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """As `_settings`, but blanks are separators too."""
    separators = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value):
            raise click.BadParameter(f"{text!r} is not of the form COL=SEP, such as genres=|.")
        separators[name.strip()] = "\t" if value == "\\t" else value
    return separators


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


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
@click.option("--item-features", metavar="FILE", help="What is known about items: .csv, .tsv, .parquet or .jsonl, a row each.")
@click.option("--user-features", metavar="FILE", help="The same about users.")
@click.option("--item-features-id", metavar="COL", help="Its column of item ids. [default: item_id]")
@click.option("--user-features-id", metavar="COL", help="Its column of user ids. [default: user_id]")
@click.option("--feature-columns", callback=_names, metavar="COL,COL", help="Columns of these files to read. [default: all]")
@click.option(
    "--multi-valued", multiple=True, callback=_separators, metavar="COL=SEP", help="Values with SEP between; may be repeated."
)
@click.option(
    "--bins", multiple=True, callback=_settings, metavar="COL=N", help="Numbers: N bins, or edges 1990,2000. [default: 10]"
)
@click.option("--categories", callback=_names, metavar="COL,COL", help="Columns of numbers that name and do not measure.")
@click.option(
    "--missing-features", type=click.Choice(["raise", "zero"]), help="Users or items that a file lacks. [default: raise]"
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
@click.argument("name", required=False)
@_json_option
def trainers(name: str | None, as_json: bool) -> None:
    """List the trainers with a line of advice each, or show one with its settings."""
    from recsys.jobs.trainers import describe_trainer, list_trainers

    emit(list_trainers() if name is None else describe_trainer(name), as_json=as_json)


@commands.command()
@click.argument("dataset")
@click.option("--output", required=True, metavar="MODEL", help="The model directory to write.")
@click.option("--trainer", metavar="NAME", help="What is trained; recsys trainers lists them. [default: als]")
@click.option(
    "--set", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="A hyperparameter; may be repeated."
)
@click.option("--config", metavar="FILE", help="A trainer and its hyperparameters, as tune writes them; --set goes before it.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint that an interrupted run left beside MODEL.")
@click.option("--validation", metavar="DATASET", help="Stop when METRIC on this gets no better; keep the best model.")
@click.option("--metric", metavar="NAME", help="With --validation: what to watch. [default: ndcg@20]")
@click.option(
    "--patience", type=click.IntRange(min=1), metavar="N", help="With --validation: epochs without a better one. [default: 2]"
)
@click.option(
    "--overlap",
    type=click.Choice(["raise", "drop", "keep"]),
    help="Pairs of --validation that were trained on: refuse, take out, or count as misses. [default: raise]",
)
@click.option(
    "--warm-start", metavar="PREVIOUS", help="Start from the vectors of this earlier model; fewer iterations then do."
)
@click.option(
    "--align-to", metavar="PREVIOUS", help="Turn the model's vectors to those of this earlier model; no score changes."
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
@click.argument("dataset")
@click.option("--valid", required=True, metavar="DATASET", help="What trials are judged on; not the test data.")
@click.option("--output", required=True, metavar="CONFIG.toml", help="The configuration to write, for recsys train --config.")
@click.option("--trainer", metavar="NAME", help="What is trained; recsys trainers lists them. [default: als]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="A hyperparameter: fixed, or if it is searched, tried first; may be repeated.",
)
@click.option("--config", metavar="FILE", help="The same from a file, as for train.")
@click.option(
    "--search",
    "search_for",
    multiple=True,
    callback=_settings,
    metavar="NAME=LOW..HIGH[:log]",
    help="What to search, or NAME=32,64,128; may be repeated. [default: what the trainer advises]",
)
@click.option("--space", metavar="FILE.toml", help="The same from a file of lines such as factors = [32, 64].")
@click.option("--trials", "n_trials", type=click.IntRange(min=1), metavar="N", help="How many to try. [default: 30]")
@click.option("--timeout", type=float, metavar="SECONDS", help="Begin no trial after that.")
@click.option("--metric", metavar="NAME", help="What is to be best: ndcg@10, …; rmse or mae of ratings. [default: ndcg@20]")
@click.option("--fold-in", metavar="DATASET", help="Events by which models first get to know the users of --valid.")
@click.option(
    "--overlap",
    type=click.Choice(["raise", "drop", "keep"]),
    help="Pairs of --valid that were trained on: refuse, take out, or count as misses. [default: raise]",
)
@click.option("--storage", metavar="FILE", help="Keeps the study while it goes on.")
@click.option("--resume", is_flag=True, help="Go on with the study in --storage; several processes may at a time.")
@click.option("--grow-to", type=click.IntRange(min=1), metavar="N", help="Try the best settings with N factors at the end.")
@click.option("--jobs", "n_jobs", type=click.IntRange(min=1), metavar="N", help="Trials at a time. [default: 1]")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="What is tried follows from it. [default: 0]")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def tune(as_json: bool, **options: Any) -> None:
    """Search good settings of a trainer, and write them for train."""
    from recsys.jobs.tune import tune as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("models", metavar="MODEL MODEL...", nargs=-1, required=True)
@click.option("--output", required=True, metavar="BLEND", help="The model directory to write.")
@click.option("--valid", metavar="DATASET", help="What shares are chosen by, and the gain is measured on; not the test data.")
@click.option("--metric", metavar="NAME", help="What is to be best. [default: ndcg@20]")
@click.option("--allow-no-gain", is_flag=True, help="Write it although it is not surely better than the best part.")
@click.option("--shares-of", metavar="BLEND", help="Instead of --valid: take the shares of this blend of parts of these names.")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Halves and users drawn. [default: 0]")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def blend(models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Blend models of one dataset into one whose scores are weighted sums, where that surely helps.

    Parts are named by their folders. Shares are chosen on half of the users of --valid and judged on the other half, each way
    round; where the interval of the gain over the best part alone does not lie above 0, nothing is written, and exit code 2.

    \b
    Shares found on held-out data, over parts that are trained again on all there are:
      recsys blend cut/als cut/rp3beta --valid valid --output cut/blend
      recsys blend all/als all/rp3beta --shares-of cut/blend --output all/blend
    """
    from recsys.jobs.blend import blend as job

    emit(job(models, **_given(options)), as_json=as_json)


@commands.command()
@click.argument("source")
@click.option("--kind", metavar="KIND", help="auto, ivf, ivf-flat, ivf-pq or hnsw. [default: auto, the fastest here]")
@click.option("--name", metavar="NAME", help="What --index knows it by. [default: KIND]")
@click.option(
    "--metric", type=click.Choice(["cosine", "dot", "euclidean"]), help="Of embeddings: what makes near. [default: cosine]"
)
@click.option("--target-recall", type=float, metavar="SHARE", help="Of the exact best, what must be found. [default: 0.99]")
@click.option("--k", type=int, metavar="K", help="Of so many best. [default: 20; of embeddings 10]")
@click.option("--n-queries", type=int, metavar="N", help="Users, or ids, it is measured by. [default: 1000]")
@click.option("--random-state", type=int, metavar="SEED", help="The seed. [default: 0]")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def index(as_json: bool, **options: Any) -> None:
    """Build an approximate index of a model's items, or of embeddings, and save it beside these.

    It serves recsys recommend --index NAME, or recsys embeddings nearest --index NAME.
    """
    from recsys.jobs.index import index as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("model")
@click.option(
    "--output",
    required=True,
    metavar="FILE|URL",
    help="A file that ends in .parquet, .csv or .jsonl, or the SQLAlchemy URL of a SQLite or PostgreSQL database.",
)
@click.option("--table", metavar="NAME", help="With a database: the table; it is replaced in one transaction.")
@click.option(
    "--partition-rows", type=click.IntRange(min=1), metavar="N", help="Make FILE a folder of parts of at most N rows each."
)
@click.option("--resume", is_flag=True, help="Go on from what an interrupted run left of a folder of parts or a table.")
@click.option("--record", metavar="FILE", help="A JSON file about the run: versions, inputs, counts, seconds, memory.")
@click.option("--k", type=int, metavar="K", help="Items a user. [default: 10]")
@click.option("--users", metavar="FILE", help="Only these users: one id a line, or a column user_id; - reads standard input.")
@click.option("--only-items", metavar="FILE", help="Only these items: one id a line, or a column item_id.")
@click.option("--exclude-items", metavar="FILE", help="None of these items.")
@click.option("--allow", metavar="FILE", help="Only these pairs: CSV or Parquet with columns user_id, item_id.")
@click.option("--deny", metavar="FILE", help="None of these pairs.")
@click.option(
    "--item-rules", metavar="FILE", help="When items may appear: columns item_id, available_from and expires, or one of them."
)
@click.option("--at", metavar="TIME", help="The time that --item-rules are read for. [default: now]")
@click.option("--include-seen", is_flag=True, help="Also what the user already has.")
@click.option("--min-score", type=float, metavar="S", help="No item of a lower score.")
@click.option(
    "--diversity", type=float, metavar="SHARE", help="0 to 1: choose unlike items, by maximal marginal relevance. [default: 0]"
)
@click.option(
    "--calibration", type=float, metavar="SHARE", help="0 to 1: keep to the popularity of what the user has. [default: 0]"
)
@click.option("--pool", type=int, metavar="N", help="How many of the best items these two choose from. [default: 5 K]")
@click.option("--with-reasons", is_flag=True, help="A column of the user's own items that carried the score most.")
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
@click.argument("item", required=False)
@click.option("--all", "all_items", is_flag=True, help="For every item of the model, as a file.")
@click.option("--output", metavar="FILE", help="With --all: a file that ends in .parquet, .csv or .jsonl.")
@click.option("--k", type=int, metavar="K", help="How many. [default: 10]")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def similar(as_json: bool, item: str | None, all_items: bool, output: str | None, **options: Any) -> None:
    """Show the items most like ITEM, or write those of all items."""
    from recsys.jobs.similar import similar as job
    from recsys.jobs.similar import similar_to_all

    if (item is None) != all_items or all_items != (output is not None):
        raise click.UsageError("Give ITEM, or --all with --output FILE.", click.get_current_context())
    if output is not None:
        emit(similar_to_all(output=output, **_given(options)), as_json=as_json)
    else:
        emit(job(options["model"], item or "", **_given({"k": options["k"]})), as_json=as_json)


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
@click.option("--user-features", metavar="FILE", help="CSV or Parquet with user_id and columns to make slices by.")
@click.option("--item-features", metavar="FILE", help="CSV or Parquet with item_id and columns to make slices by.")
@click.option("--output", metavar="FILE", help="A JSON file for the report.")
@click.option("--html", metavar="FILE", help="A page for people: charts, slices, examples; complete in itself.")
@click.option("--compare-with", multiple=True, metavar="MODEL", help="With --html: hold it against this one; may be repeated.")
@click.option("--item-titles", metavar="FILE", help="With --html: CSV or Parquet with item_id and title, for its examples.")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
def evaluate(as_json: bool, **options: Any) -> None:
    """Judge a model on a test dataset: metrics with intervals."""
    from recsys.jobs.evaluate import evaluate as job

    emit(job(**_given(options)), as_json=as_json)


@commands.command()
@click.argument("model", nargs=-1, required=True)
@click.option("--test", required=True, metavar="DATASET", help="The dataset to judge on.")
@click.option("--baseline", metavar="MODEL", help="Compare each other model with this one. [default: every two]")
@click.option("--fold-in", metavar="DATASET", help="Events by which the models first get to know the users of the test.")
@click.option("--metrics", metavar="LIST", help="Such as ndcg@10,recall@20. [default: recall@20,ndcg@20]")
@click.option(
    "--overlap",
    type=click.Choice(["raise", "drop", "keep"]),
    help="Test pairs a model was trained on: refuse, take out, or count as misses. [default: raise]",
)
@click.option(
    "--on", type=click.Choice(["same", "common"]), help="Demand the same users of all, or take those all have. [default: same]"
)
@click.option("--confidence", type=float, metavar="SHARE", help="How sure a difference must be to be shown. [default: 0.95]")
@click.option("--resamples", type=click.IntRange(min=1), metavar="N", help="Sign flips and draws of users. [default: 10000]")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Of sign flips and draws. [default: 0]")
@click.option("--fail-if-worse", is_flag=True, help="Exit with 1 if a model is shown worse than the baseline, or the first.")
@click.option(
    "--margin", type=float, metavar="D", help="With --fail-if-worse: only a model that surely loses less than D passes."
)
@click.option("--output", metavar="FILE", help="A JSON file for the report.")
@_threads_option
@_overwrite_option
@_json_option
@_progress_option
@click.pass_context
def compare(context: click.Context, /, model: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Compare models on a test dataset: differences with intervals, and whether they could be chance.

    \b
    A gate for a nightly job: exit code 1, with each reason on standard error, unless tonight's model passes
      recsys compare MODEL --baseline LAST-MODEL --test DATASET --fail-if-worse --margin 0.005
    """
    from recsys.jobs.compare import compare as job

    result = job(model, **_given(options))
    emit(result, as_json=as_json)
    for reason in result.failures:
        say(f"Failed: {reason}.", on_stderr=True)
    context.exit(1 if result.failures else 0)


commands.add_command(embeddings)


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
    """All of it from one file, as a nightly job would; resumes where it stopped.

    A section is a command, its keys are that command's options; each step reads what those before it wrote. The sections, in
    the order of the work: ingest and train, which must be there, and filter, split, evaluate, retrain (on all data, for the
    lists; the model of train is for evaluate), recommend.

    \b
      [ingest]
      source = "logs/*.csv"
      [split]
      by = "temporal"
      [train]
      trainer = "als"
      set = { factors = 64 }
      align-to = "published-model"      # vectors stay comparable from night to night
      [evaluate]
      [retrain]
      warm-start = "published-model"    # and are found in fewer iterations
      set = { iterations = 2 }
      [recommend]
      k = 20

    Keys of retrain go before those of train. A model that is evaluated should not start from one that knows the test events:
    warm-start belongs into retrain where there is one.
    """
    from recsys.jobs.pipeline import run as job

    emit(job(**_given(options), quiet=as_json), as_json=as_json)


commands.add_command(datasets)


if __name__ == "__main__":
    main()
