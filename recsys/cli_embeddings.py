"""The commands `recsys embeddings …`: names, options and help. The work is done in `recsys.jobs`, imported when needed.

SOURCE is a model, a directory of embeddings, or a file in an open format.
"""

from __future__ import annotations

from typing import Any

import click

from recsys.cli_options import given, json_option, overwrite_option, progress_option, threads_option
from recsys.jobs.terminal import CommandGroup, emit, say

__all__ = ["embeddings"]

_side_option = click.option(
    "--side", type=click.Choice(["items", "users"]), help="Of a model: whose embeddings. [default: items]"
)
_metric_option = click.option(
    "--metric", type=click.Choice(["cosine", "dot", "euclidean"]), help="What makes near. [default: cosine]"
)
_k_option = click.option("--k", type=int, metavar="K", help="How many. [default: 10]")


@click.group(cls=CommandGroup)
def embeddings() -> None:
    """Vectors of items and users as a product of their own: open formats, likeness, alignment, drift.

    A SOURCE is a model, a directory of embeddings, or a file: .parquet, .safetensors, .npy, .vec, .bin, .glove, .tsv, .txt.
    """


@embeddings.command("export")
@click.argument("source")
@click.option("--output", required=True, metavar="FILE", help="A file whose suffix tells the format, or see --format.")
@click.option("--format", metavar="NAME", help="parquet, safetensors, numpy, word2vec, word2vec-binary, glove or projector.")
@_side_option
@overwrite_option
@json_option
def export(as_json: bool, **options: Any) -> None:
    """Write embeddings to a file that others can read."""
    from recsys.jobs.embeddings_files import export as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command("import")
@click.argument("file")
@click.option("--output", required=True, metavar="DIR", help="The directory of embeddings to write.")
@click.option("--format", metavar="NAME", help="As for export. [default: told by the suffix; of .txt by the first line]")
@click.option("--id-name", metavar="NAME", help="What the ids name, such as item_id; in Parquet their column.")
@click.option("--integer-ids", is_flag=True, help="Read the ids of a text format as integers.")
@overwrite_option
@json_option
def import_(as_json: bool, **options: Any) -> None:
    """Make a directory of embeddings from a file of them."""
    from recsys.jobs.embeddings_files import import_ as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command()
@click.argument("source")
@click.argument("id", nargs=-1, required=True)
@_k_option
@_metric_option
@_side_option
@json_option
def nearest(id: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show what is nearest to ID, or to the mean of several."""
    from recsys.jobs.embeddings_queries import nearest as job

    emit(job(ids=id, **given(options)), as_json=as_json)


@embeddings.command()
@click.argument("source")
@click.option("--positive", multiple=True, required=True, metavar="ID", help="To be added; may be repeated.")
@click.option("--negative", multiple=True, metavar="ID", help="To be taken away; may be repeated.")
@_k_option
@_side_option
@json_option
def analogy(as_json: bool, **options: Any) -> None:
    """Show what is nearest to a sum: king - man + woman."""
    from recsys.jobs.embeddings_queries import analogy as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command()
@click.argument("source")
@click.option("--to", "reference", required=True, metavar="REFERENCE", help="The earlier version: a model, or embeddings.")
@click.option("--output", required=True, metavar="DIR", help="The model, or the embeddings, to write.")
@click.option(
    "--weights",
    type=click.Choice(["popularity"]),
    help="Of a model: let items count by their interactions. [default: all alike]",
)
@threads_option
@overwrite_option
@json_option
def align(as_json: bool, **options: Any) -> None:
    """Turn a new version as near to an earlier one as a rotation can; every dot product stays.

    Of a model the users are turned with the items: its scores and lists stay, and its vectors can be used where those of
    REFERENCE were. Of different dimensions the larger is taken.
    """
    from recsys.jobs.embeddings_align import align as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command()
@click.argument("before")
@click.argument("after")
@click.option("--k", type=int, metavar="K", help="Neighbours, and items in a user's list. [default: 10]")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Ids and users to look at. [default: 10000]")
@click.option("--all", "everything", is_flag=True, help="Look at all of them.")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Of what is drawn. [default: 0]")
@click.option("--groups", metavar="FILE", help="CSV or Parquet with the ids and a column to tell changes by.")
@click.option("--group-by", metavar="COL", help="The column of --groups, where it has several.")
@_side_option
@click.option("--min-overlap", type=float, metavar="SHARE", help="Fail when fewer of the ids' neighbours stayed on average.")
@click.option("--min-list-overlap", type=float, metavar="SHARE", help="Fail when less of users' lists stayed on average.")
@click.option("--min-cka", type=float, metavar="X", help="Fail when linear CKA is lower.")
@click.option("--max-displacement", type=float, metavar="X", help="Fail when ids moved farther, in lengths of a vector.")
@click.option("--max-gone", type=float, metavar="SHARE", help="Fail when more of the ids are gone.")
@click.option("--max-new", type=float, metavar="SHARE", help="Fail when more of the ids are new.")
@click.option("--output", metavar="FILE", help="A JSON file for the report.")
@threads_option
@overwrite_option
@json_option
@progress_option
@click.pass_context
def compare(context: click.Context, /, as_json: bool, **options: Any) -> None:
    """Tell what changed from one version to the next: drift after alignment, neighbours, users' lists, what moved most.

    \b
    A gate for a nightly job: exit code 1, with each reason on standard error, when a limit is not kept
      recsys embeddings compare LAST-MODEL MODEL --min-overlap 0.6 --max-gone 0.05
    """
    from recsys.jobs.embeddings_compare import compare as job

    result = job(**given(options))
    emit(result, as_json=as_json)
    for reason in result.failures:
        say(f"Failed: {reason}.", on_stderr=True)
    context.exit(1 if result.failures else 0)


@embeddings.command("map")
@click.argument("source")
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    help="A page (.html), a picture (.png, .svg, .pdf), or a table of coordinates (.csv, .parquet).",
)
@click.option("--method", type=click.Choice(["umap", "pca"]), help="How vectors are brought to two dimensions. [default: umap]")
@click.option("--metric", type=click.Choice(["cosine", "euclidean"]), help="What makes near. [default: cosine]")
@_side_option
@click.option("--titles", metavar="FILE", help="CSV or Parquet with the ids and columns about them.")
@click.option("--label", metavar="COL", help="The column of names. [default: title or name; in a picture none]")
@click.option("--colour", metavar="COL", help="The column to colour by. [default on a page: the first that can be]")
@click.option("--title", metavar="TEXT", help="What stands above the map.")
@click.option("--ids", metavar="FILE", help="Map only these: one id a line, or a column named as the ids are.")
@click.option("--beside", metavar="OTHER", help="Another version, at the right of this one and made to lie alike.")
@click.option("--n-neighbors", type=int, metavar="N", help="Of umap: fewer for finer grain. [default: 15]")
@click.option("--min-dist", type=float, metavar="D", help="Of umap: how close points may come, 0 to 1. [default: 0.1]")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Of umap. [default: 0]")
@threads_option
@overwrite_option
@json_option
@progress_option
def map_(as_json: bool, **options: Any) -> None:
    """Draw a map: what is near on it is alike.

    \b
    A page needs nothing else to be looked at:
      recsys embeddings map MODEL --output map.html --titles items.csv --colour genre
    """
    from recsys.jobs.map import map_ as job

    emit(job(**given(options)), as_json=as_json)
