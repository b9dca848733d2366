"""How the command line speaks: exit codes, one sentence an error, tables or JSON. Imports `errors` only; rich when it is used.

Exit code 0 done; 2 the input or the call is wrong; 1 anything else. An error is one line on standard error that begins with
"Error: ". With RECSYS_TRACEBACK=1 in the environment the traceback follows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from recsys.errors import InputError, RecsysError

__all__ = ["CommandGroup", "Interrupted", "emit", "is_terminal", "print_table", "say"]

_DONE, _FAILED, _WRONG_CALL = 0, 1, 2


class Interrupted(RecsysError):
    """Ctrl-C, or the signal that ends a batch job."""

    def __init__(self) -> None:
        super().__init__("Interrupted; nothing was half written.")


class CommandGroup(click.Group):
    """A click group whose failures are one sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command; ends the process with its exit code unless `standalone_mode=False`."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        with _ended_like_ctrl_c(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", UserWarning)  # meant for the person who typed the command
            try:
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            except Exception as error:
                code = _report(error)
        sys.exit(code if isinstance(code, int) else _DONE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are defined: that of the work."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; Ctrl-C becomes `Interrupted` here, before click prints a line of its own about it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


def _report(error: Exception) -> int:
    code, sentence = _code_and_sentence(error)
    click.echo(sentence, err=True)
    if os.environ.get("RECSYS_TRACEBACK") == "1":
        traceback.print_exception(error)
    return code


def _code_and_sentence(error: Exception) -> tuple[int, str]:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return _WRONG_CALL, error.format_message()
    text = " ".join((error.format_message() if isinstance(error, click.ClickException) else str(error)).split())
    if isinstance(error, click.UsageError):
        hint = f" Hint: see {error.ctx.command_path} --help." if error.ctx else ""
        return _WRONG_CALL, f"Error: {text}{hint}"
    if isinstance(error, InputError):
        return _WRONG_CALL, f"Error: {text}"
    if isinstance(error, click.Abort):
        return _FAILED, f"Error: {Interrupted()}"
    if isinstance(error, (RecsysError, click.ClickException)):
        return _FAILED, f"Error: {text}"
    if isinstance(error, MemoryError):
        return _FAILED, f"Error: The memory is not enough{': ' + text if text else '.'}"
    if isinstance(error, OSError) and error.strerror:
        return _FAILED, f"Error: {error.strerror}{f': {error.filename}' if error.filename else ''}."
    return _FAILED, f"Error: {type(error).__name__}: {text} Hint: set RECSYS_TRACEBACK=1 to see where."


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """A batch scheduler ends jobs by SIGTERM: inside, it is Ctrl-C, so that temporary files go."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)


def is_terminal() -> bool:
    """Whether somebody can watch a progress bar on standard error."""
    return sys.stderr.isatty()


def emit(result: Any, *, as_json: bool) -> None:
    """Prints a job's result, a dataclass: as JSON, or as its `show()` prints it for people."""
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        result.show()


def say(text: str, *, on_stderr: bool = False) -> None:
    """Prints `text` as it is on standard output; `on_stderr` is for what accompanies a JSON result."""
    click.echo(text, err=on_stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; numbers to the right. Nothing is cut off: long values go over several lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    if sys.stdout.isatty():
        Console().print(table)
        return
    # Without a terminal there is no width to keep to: 120 columns are readable in a log. rich pads each line with blanks.
    text = io.StringIO()
    Console(width=120, file=text).print(table)
    say("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
