"""The commands `recsys datasets …`: names, options and help. The work is done in `recsys.jobs`, imported when needed."""

from __future__ import annotations

from typing import Any

import click

from recsys.cli_options import given, json_option, overwrite_option, progress_option
from recsys.jobs.terminal import CommandGroup, emit

__all__ = ["datasets"]


@click.group(cls=CommandGroup)
def datasets() -> None:
    """Well-known public data sets."""


@datasets.command("list")
@json_option
def list_datasets(as_json: bool) -> None:
    """List them, with size and licence."""
    from recsys.jobs.fetch import list_datasets as job

    emit(job(), as_json=as_json)


@datasets.command("fetch")
@click.argument("name")
@click.option("--output", metavar="DATASET", help="Also make a dataset of it.")
@click.option("--yes", is_flag=True, help="Download without asking.")
@overwrite_option
@json_option
@progress_option
def fetch_dataset(as_json: bool, **options: Any) -> None:
    """Download one into the cache, after showing where from, how large, and under which licence."""
    from recsys.jobs.fetch import fetch as job

    emit(job(**given(options)), as_json=as_json)
