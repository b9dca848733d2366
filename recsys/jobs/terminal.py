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
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import click

from recsys.errors import InputError, RecsysError

__all__ = ["CommandGroup", "Interrupted", "emit", "in_cli_words", "is_terminal", "print_table", "say"]

_DONE, _FAILED, _WRONG_CALL = 0, 1, 2

# The library's sentences speak Python: what they call by its name there, and what the command line has for it.
_CLI_WORDS = [
    (re.compile(pattern), words)
    for pattern, words in [
        (r"\b(bad_rows|format|overlap|unknown|unseen|duplicates)='([\w-]+)'", r"--\1 \2"),
        (r"\b(user|item|weight|timestamp|format|rejects|timestamp_unit)=(?=[.,]?(\s|$))", r"--\1"),
        (r"--(bad|timestamp)_", r"--\1-"),
        (r"\bdelimiter=('[^']+') reads it", r"--delimiter \1 reads it"),
        # `evaluate` has no option for it: lists that are judged never repeat what was seen.
        (r"and exclude_seen=True keeps", "which keeps"),
        (r",( --overlap keep counts them as misses), exclude_seen=False lets lists repeat what was seen", r" and\1"),
        (r"\bexclude_seen=False\b", "--include-seen"),
        (r"\bon='common' compares\b", "--on common compares"),
        (r"\bresamples=(\d)", r"--resamples \1"),
        (r"`margin` must be (.*), and needs fail_if_worse=True", r"--margin must be \1, and needs --fail-if-worse"),
        (r"`compare_with` and `item_titles` are for the page and need html=", "--compare-with and --item-titles need --html"),
        (r"`titles` names no item", "--item-titles names no item"),
        (r"`titles` must have", "--item-titles must have"),
        (r"`(user|item)_features`", r"--\1-features"),
        (r"\bmissing='zero' leaves them", "--missing-features zero leaves them"),
        (r"\bleave it out by columns=", "choose others by --feature-columns"),
        (r"`multi_valued`", "--multi-valued"),
        (r"`bins`", "--bins"),
        (r"`categories`", "--categories"),
        (r"`(at|pool|table|allow|deny|diversity|calibration)`", r"`--\1`"),
        (r"`(item|min|partition)_(rules|score|rows)( \w+)?`", r"`--\1-\2\3`"),
        (r"`(side|weights|sample|groups|index)`", r"--\1"),
        (r"`metric`(?= is for embeddings)", "--metric"),
        (r"`folds`(?= must)", "--folds"),
        (r"`group_by`", "--group-by"),
        (r"`(align|weights|keep)`(?= (needs|goes|is|must))", r"--\1"),
        (r"`(max|users|drift)_(missing|store|sample)`", r"--\1-\2"),
        (r"\balign=True turns", "--align turns"),
        (r"\bnew_contract=True publishes", "--new-contract publishes"),
        (r"\bmax_missing=(\S+) lets", r"--max-missing \1 lets"),
        (r"Embeddings\.from_file reads it", "recsys embeddings import reads it"),
        (r"`(min|max)_(overlap|cka|displacement|gone|new)`", r"--\1-\2"),
        (r"`min_list_overlap`", "--min-list-overlap"),
        (r"`everything`", "--all"),
        (r"`(max|random)_(loss|state)`", r"--\1-\2"),
        (r"`(metric|dimensions|subspaces|oversample|rescore)`", r"--\1"),
        (r"\brequire_gain=False\b", "--allow-no-gain"),
        (r"`valid`(?=, a dataset to choose shares by)", "--valid"),
        (r"`shares_of`", "--shares-of"),
        (r"and `test` go together", "and --test go together"),
        (r"so `storage` does not go", "so --storage does not go"),
        (r"`storage` (?=must be one of 'float32')", "--storages "),
        (r"\bstorage='(\w+)'", r"--storage \1"),
        (r"\bor name the format\b", "or pass --format"),
        (r"'glove'; name it\.", "'glove'; pass --format."),
        (r"`align_to`(?= turns vectors)", "--align-to"),
        (r"\bdata\.k_core\(items=(\d+)\)", r"recsys ingest --min-item-interactions \1"),
        (r"\bask to overwrite it\b", "pass --overwrite"),
        (r"\bask to resume it\b", "pass --resume"),
        (r"`space` may name settings", "--search may name settings"),
        (r"`resume` needs `storage`", "--resume needs --storage"),
        (r"`grow_to` (?=is|must)", "--grow-to "),
        (r"`timeout` (?=must)", "--timeout "),
        (r"\b(train) without resume\b", r"\1 without --resume"),
        (r"\braise test_fraction\b", "raise --test-fraction"),
        (r"\bmodel\.fold_in\(events\)", "--fold-in"),
        (r"\b(model|embeddings)\.build_index\(…\)", "recsys index"),
        (r"\blower target_recall\b", "lower --target-recall"),
        (r"\bfilter\(min_weight=0\)", "recsys ingest --min-weight 0"),
        (r"\bfilter\((since|until)=…\)", r"`\1`"),
        (r"\bk_core\(users=(\d+), items=\d+\)", r"recsys ingest --min-user-interactions \1"),
        (r"needs item_features=, a DataFrame with", "needs --item-features, a file with"),
        (r"goes by item_features=", "goes by --item-features"),
        (r", see Interactions\.weighted\('log'\)", ""),
        (r"train on data\.weighted\('log'\), or lower `alpha`, towards 1 / mean = (\S+)\.$", r"lower alpha, --set alpha=\1."),
        (r"`(--)?table` (names nothing on the map|must have (one row|each column))", r"--titles \2"),
        (r"`(label|colour)` must be a column of `(?:--)?table`", r"--\1 must be a column of --titles"),
        (r"there is none: pass table=", "it is not given"),
        (r"`n_neighbors` must", "--n-neighbors must"),
        (r"`min_dist` must", "--min-dist must"),
        (r"\bmethod='pca' needs one", "--method pca needs one"),
        (r"`output` must end", "--output must end"),
        (r"`(label|colour|title|beside)`(?=,|\.$)", r"--\1"),
        (r"(?<!\S)split\.leave_last(?= [a-z])", "recsys split --by leave-last"),
        (r"(?<!\S)split\.(random|temporal|users)(?= [a-z])", r"recsys split --by \1"),
    ]
]


class Interrupted(RecsysError):
    """Ctrl-C, or the signal that ends a batch job. `hint`: how the work goes on."""

    def __init__(self, hint: str = "") -> None:
        super().__init__(f"Interrupted; nothing was half written.{' ' if hint else ''}{hint}")


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
        try:
            with _ended_like_ctrl_c(), warnings.catch_warnings():
                warnings.showwarning = _show_warning
                warnings.simplefilter("always", UserWarning)  # meant for the person who typed the command
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except (Exception, KeyboardInterrupt) as error:
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


def _report(error: BaseException) -> int:
    code, sentence = _code_and_sentence(error)
    say(in_cli_words(sentence), on_stderr=True)
    if os.environ.get("RECSYS_TRACEBACK") == "1":
        traceback.print_exception(error)
    return code


def in_cli_words(sentence: str) -> str:
    """A sentence of the library with the names of options where it has those of parameters and methods."""
    for pattern, words in _CLI_WORDS:
        sentence = pattern.sub(words, sentence)
    return sentence


def _is_interruption(error: BaseException | None) -> bool:
    """Ctrl-C, also as what a module makes of it that was just being imported."""
    if error is None or isinstance(error, KeyboardInterrupt):
        return error is not None
    return isinstance(error, ImportError) and (_is_interruption(error.__cause__) or _is_interruption(error.__context__))


def _code_and_sentence(error: BaseException) -> tuple[int, str]:
    if _is_interruption(error):
        error = Interrupted()
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
    say(in_cli_words(f"Warning: {' '.join(str(message).split())}"), on_stderr=True)


def is_terminal() -> bool:
    """Whether somebody can watch a progress bar on standard error."""
    return sys.stderr.isatty()


def emit(result: Any, *, as_json: bool) -> None:
    """Prints a job's result, a dataclass: as JSON, or as its `show()` prints it for people."""
    if as_json:
        say(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        result.show()


def say(text: str, *, on_stderr: bool = False) -> None:
    """Prints `text` as it is on standard output; `on_stderr` is for what accompanies a JSON result."""
    try:
        click.echo(text, err=on_stderr)
    except BrokenPipeError:
        _silence(sys.stderr if on_stderr else sys.stdout)


def _silence(stream: IO[str]) -> None:
    """Whoever read it has gone, as `head` does: what is still to be said goes nowhere, and the work goes on."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


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
