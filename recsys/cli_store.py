"""The commands `recsys embeddings …` about a versioned store: names, options and help. The work is done in `recsys.jobs`.

STORE is a folder, or an object store's URI, whose keys and region come from the environment as Lance reads them.
"""

from __future__ import annotations

from typing import Any

import click

from recsys.cli_options import comparison_options, given, json_option, overwrite_option, progress_option, threads_option
from recsys.jobs.terminal import emit, say

__all__ = ["STORE_COMMANDS"]


@click.command()
@click.argument("source")
@click.argument("store")
@click.option("--side", type=click.Choice(["items", "users"]), help="Of a model: whose embeddings. [default: items]")
@click.option("--users-store", metavar="STORE", help="Of a model: publish its users too, to this store.")
@click.option("--tag", metavar="NAME", help="A tag to move to the new version, such as candidate.")
@click.option("--parent", metavar="VERSION", help="Hold it against this number or tag. [default: latest]")
@click.option("--align", is_flag=True, help="Turn it towards the parent; of a model users are turned with items.")
@click.option("--weights", type=click.Choice(["popularity"]), help="Of a model: let items count so for --align.")
@click.option("--metric", type=click.Choice(["cosine", "dot", "euclidean"]), help="For readers. [default: as before, or dot]")
@click.option("--max-missing", type=float, metavar="SHARE", help="So many of the parent's ids may be missing. [default: 0.1]")
@click.option("--new-contract", is_flag=True, help="Let dimensions, metric, ids differ from the parent's.")
@click.option("--drift-sample", type=click.IntRange(min=0), metavar="N", help="Ids to measure drift by. [default: 1000]")
@click.option("--note", metavar="TEXT", help="A line to go with the version.")
@threads_option
@json_option
@progress_option
def publish(source: str, store: str, as_json: bool, **options: Any) -> None:
    """Publish embeddings as a new version of a store, which the first makes.

    It is there as a whole or not at all. What breaks the contract of the version before is refused: dimensions, metric, type of
    ids, missing ids, vectors that are not finite, or zero under cosine.

    \b
    Each night, both sides in one rotation that stays:
      recsys embeddings publish MODEL items.lance --users-store users.lance --align --tag candidate
    """
    from recsys.jobs.embeddings_store import publish as job

    emit(job(source, store, **given(options)), as_json=as_json)


@click.command("list")
@click.argument("store")
@json_option
def list_(store: str, as_json: bool) -> None:
    """List the versions of a store, newest first, with tags, parents and drift."""
    from recsys.jobs.embeddings_store import list_versions

    emit(list_versions(store), as_json=as_json)


@click.command()
@click.argument("store")
@click.argument("name")
@click.argument("version")
@json_option
def tag(store: str, name: str, version: str, as_json: bool) -> None:
    """Move the tag NAME to VERSION: a number, another tag, or latest."""
    from recsys.jobs.embeddings_store_versions import tag as job

    emit(job(store, name=name, version=version), as_json=as_json)


@click.command()
@click.argument("store")
@click.argument("version")
@click.option("--output", required=True, metavar="FILE", help="A file whose suffix tells the format; without one a directory.")
@click.option("--format", metavar="NAME", help="As for export.")
@click.option("--ids", metavar="FILE", help="Only these: one id a line, or a column named as the ids are; - is standard input.")
@click.option("--unknown", type=click.Choice(["raise", "skip"]), help="Ids that are not there. [default: raise]")
@overwrite_option
@json_option
def get(store: str, as_json: bool, **options: Any) -> None:
    """Write VERSION, a number, a tag or latest, to a file; of some ids only their rows are read."""
    from recsys.jobs.embeddings_store_versions import get as job

    emit(job(store, **given(options)), as_json=as_json)


@click.command()
@click.argument("store")
@click.argument("a")
@click.argument("b")
@comparison_options
@threads_option
@overwrite_option
@json_option
@progress_option
@click.pass_context
def diff(context: click.Context, /, store: str, a: str, b: str, as_json: bool, **options: Any) -> None:
    """Tell what changed from version A to version B, as recsys embeddings compare does.

    \b
    A gate: exit code 1, with each reason on standard error, when a limit is not kept
      recsys embeddings diff items.lance production candidate --min-overlap 0.6 --max-gone 0.05
    """
    from recsys.jobs.embeddings_store_versions import diff as job

    result = job(store, a=a, b=b, **given(options))
    emit(result, as_json=as_json)
    for reason in result.failures:
        say(f"Failed: {reason}.", on_stderr=True)
    context.exit(1 if result.failures else 0)


@click.command()
@click.argument("store")
@click.argument("tag")
@json_option
def rollback(store: str, tag: str, as_json: bool) -> None:
    """Move TAG back to the version where it was before."""
    from recsys.jobs.embeddings_store_versions import rollback as job

    emit(job(store, name=tag), as_json=as_json)


@click.command()
@click.argument("store")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="So many of the newest stay. [default: 5]")
@json_option
def prune(as_json: bool, **options: Any) -> None:
    """Remove old versions; tagged ones stay, and those that a rollback leads to."""
    from recsys.jobs.embeddings_store_versions import prune as job

    emit(job(**given(options)), as_json=as_json)


STORE_COMMANDS = [publish, list_, tag, get, diff, rollback, prune]
