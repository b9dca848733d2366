"""Options that several commands have in common. Imports click and jobs' terminal only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from recsys.jobs.terminal import is_terminal

__all__ = ["comparison_options", "given", "json_option", "overwrite_option", "progress_option", "threads_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given: what was not is left to the default of the job or the library."""
    return {name: value for name, value in options.items() if value is not None}


def comparison_options(command: Command) -> Command:
    """What a comparison of two versions looks at, and the limits that make it a gate."""
    options = [
        click.option("--k", type=int, metavar="K", help="Neighbours, and items in a user's list. [default: 10]"),
        click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Ids and users to look at. [default: 10000]"),
        click.option("--all", "everything", is_flag=True, help="Look at all of them."),
        click.option("--random-state", type=click.IntRange(min=0), metavar="SEED", help="Of what is drawn. [default: 0]"),
        click.option("--groups", metavar="FILE", help="CSV or Parquet with the ids and a column to tell changes by."),
        click.option("--group-by", metavar="COL", help="The column of --groups, where it has several."),
        click.option(
            "--min-overlap", type=float, metavar="SHARE", help="Fail when fewer of the ids' neighbours stayed on average."
        ),
        click.option("--min-cka", type=float, metavar="X", help="Fail when linear CKA is lower."),
        click.option(
            "--max-displacement", type=float, metavar="X", help="Fail when ids moved farther, in lengths of a vector."
        ),
        click.option("--max-gone", type=float, metavar="SHARE", help="Fail when more of the ids are gone."),
        click.option("--max-new", type=float, metavar="SHARE", help="Fail when more of the ids are new."),
        click.option("--output", metavar="FILE", help="A JSON file for the report."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """--json"""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")(command)


def overwrite_option(command: Command) -> Command:
    """--overwrite"""
    return click.option("--overwrite", is_flag=True, help="Replace what is at the place to write to.")(command)


def threads_option(command: Command) -> Command:
    """--num-threads"""
    text = "Threads to use; all processors by default. Results do not depend on it."
    return click.option("--num-threads", type=click.IntRange(min=1), metavar="N", help=text)(command)


def progress_option(command: Command) -> Command:
    """--progress and --no-progress"""

    def on_terminals(context: click.Context, parameter: click.Parameter, value: bool | None) -> bool:
        return is_terminal() if value is None else value

    text = "Show progress on standard error. On by default on a terminal."
    return click.option("--progress/--no-progress", default=None, callback=on_terminals, help=text)(command)
