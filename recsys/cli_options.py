"""Options that several commands have in common. Imports click and jobs' terminal only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from recsys.jobs.terminal import is_terminal

__all__ = ["given", "json_option", "overwrite_option", "progress_option", "threads_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given: what was not is left to the default of the job or the library."""
    return {name: value for name, value in options.items() if value is not None}


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
