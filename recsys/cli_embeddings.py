"""The commands `recsys embeddings …`: names, options and help. The work is done in `recsys.jobs`, imported when needed.

SOURCE is a model, a directory of embeddings, a file in an open format, or STORE@VERSION. Those about stores are in `cli_store`.
"""

from __future__ import annotations

from typing import Any

import click

from recsys.cli_options import comparison_options, given, json_option, overwrite_option, progress_option, threads_option
from recsys.cli_store import STORE_COMMANDS
from recsys.jobs.terminal import CommandGroup, emit, say

__all__ = ["embeddings"]

_side_option = click.option(
    "--side", type=click.Choice(["items", "users"]), help="Of a model: whose embeddings. [default: items]"
)
_k_option = click.option("--k", type=int, metavar="K", help="How many. [default: 10]")


@click.group(cls=CommandGroup)
def embeddings() -> None:
    """Vectors of items and users as a product of their own: open formats, likeness, alignment, drift.

    A SOURCE is a model, a directory of embeddings, or a file: .parquet, .safetensors, .npy, .vec, .bin, .glove, .tsv, .txt,
    .lance; or a version of a store: STORE@VERSION, by number, tag or latest.
    """


@embeddings.command("export")
@click.argument("source")
@click.option("--output", required=True, metavar="FILE", help="A file whose suffix tells the format, or see --format.")
@click.option("--format", metavar="NAME", help="parquet, safetensors, numpy, lance, glove, projector, word2vec, -binary.")
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
@click.option(
    "--metric", type=click.Choice(["cosine", "dot", "euclidean"]), help="What makes near. [default: cosine, or the index' own]"
)
@click.option("--index", metavar="NAME", help="How embeddings are searched; recsys index makes one. [default: exact]")
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
@click.argument("foreign")
@click.argument("model")
@click.option("--output", metavar="MODEL", help="The model to write, with the new items. [default: only judge]")
@click.option("--report", metavar="FILE", help="A JSON file for what was found.")
@click.option("--metric", metavar="NAME", help="How held-out items are judged. [default: ndcg@20]")
@click.option("--folds", type=click.IntRange(min=2), metavar="N", help="Parts held out in turn. [default: 5]")
@click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Of the parts. [default: 0]")
@threads_option
@overwrite_option
@json_option
@progress_option
def bridge(as_json: bool, **options: Any) -> None:
    """Give brand-new items a place in MODEL by their vectors in FOREIGN: of texts, pictures, anything.

    A linear map is learnt on the items that both have. What it is worth is judged on such items held out in turn, beside a
    popularity baseline, which no brand-new item has. Items of FOREIGN that MODEL does not know can be recommended from OUTPUT.
    """
    from recsys.jobs.embeddings_bridge import bridge_to as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command()
@click.argument("before")
@click.argument("after")
@_side_option
@click.option("--min-list-overlap", type=float, metavar="SHARE", help="Fail when less of users' lists stayed on average.")
@comparison_options
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


_storages = click.Choice(["float32", "float16", "int8", "int4", "pq", "binary"])
_metric_lost_option = click.option("--metric", metavar="NAME", help="By which a loss is measured. [default: ndcg@20]")
_sample_option = click.option(
    "--sample", type=click.IntRange(min=2), metavar="N", help="Judge by N test users drawn at random."
)
_test_overlap_option = click.option(
    "--overlap",
    type=click.Choice(["raise", "drop", "keep"]),
    help="What becomes of test pairs that were trained on. [default: raise]",
)
_rescore_option = click.option(
    "--rescore",
    type=click.Choice(["float32", "float16"]),
    help="Keep whole vectors beside the codes, on the disk, and score by them what the codes propose.",
)
_oversample_option = click.option(
    "--oversample", type=float, metavar="X", help="How many times k codes propose to be scored again. [default: 4, binary 20]"
)
_seed_option = click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="[default: 0]")


@embeddings.command()
@click.argument("model")
@click.option("--test", required=True, metavar="DATASET", help="What lists are judged by: validation data.")
@click.option("--max-loss", type=float, metavar="SHARE", help="Of the metric that may be lost. [default: 0.01]")
@_metric_lost_option
@click.option("--dimensions", metavar="N,N…", help="Which to try. [default: 8, 16, 32 … and all]")
@click.option("--storages", metavar="NAME,…", help="Which to try. [default: float32,float16,int8,int4,pq,binary]")
@_rescore_option
@_oversample_option
@_test_overlap_option
@_sample_option
@_seed_option
@click.option("--output", metavar="FILE", help="The table as .csv, or everything as .json.")
@click.option("--plot", metavar="FILE", help="A plot: .png, .svg or .pdf.")
@threads_option
@overwrite_option
@json_option
@progress_option
def tradeoff(as_json: bool, **options: Any) -> None:
    """Measure what MODEL loses in smaller sizes, and pick the smallest that loses little enough.

    A size is within the loss when the upper end of its interval is. Picked on validation data, it should be judged again on a
    test set: recsys embeddings compress writes it, recsys compare tells the difference.
    """
    from recsys.jobs.embeddings_tradeoff import tradeoff as job

    emit(job(**given(options)), as_json=as_json)


@embeddings.command()
@click.argument("source")
@click.option("--output", required=True, metavar="DIR", help="The model, or the embeddings, to write.")
@click.option("--storage", type=_storages, help="How numbers are kept. [default: int8]")
@click.option("--dimensions", type=int, metavar="N", help="How many are kept. [default: all]")
@click.option("--subspaces", type=int, metavar="N", help="Of pq: bytes of a vector. [default: one for each 4 dimensions]")
@_rescore_option
@_oversample_option
@_seed_option
@click.option("--side", type=click.Choice(["items", "users"]), help="Of a model: write only these embeddings.")
@click.option(
    "--max-loss", type=float, metavar="SHARE", help="Of a model: pick the smallest size that loses at most this share."
)
@click.option("--test", metavar="DATASET", help="With --max-loss: what the loss is measured on.")
@_metric_lost_option
@_test_overlap_option
@_sample_option
@threads_option
@overwrite_option
@json_option
@progress_option
def compress(as_json: bool, **options: Any) -> None:
    """Write SOURCE in fewer bytes: a model that recommends by its codes, or embeddings that are searched by theirs.

    \b
    In a size that is given, or in the smallest that loses little enough:
      recsys embeddings compress MODEL --output SMALL --storage int4 --dimensions 120
      recsys embeddings compress MODEL --output SMALL --max-loss 0.01 --test VALIDATION
    """
    from recsys.jobs.embeddings_compress import compress as job

    emit(job(**given(options)), as_json=as_json)


for _command in STORE_COMMANDS:
    embeddings.add_command(_command)
