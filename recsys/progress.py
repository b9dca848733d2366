"""Showing how far a long piece of work has come, on standard error. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["show_progress"]


@contextmanager
def show_progress(description: str, total: float | None, *, enabled: bool) -> Iterator[Callable[..., None]]:
    """Yields `advance(amount=1, note="")`: a bar with rate and time left on standard error when `enabled`, else nothing.

    `total` is None when it is not known beforehand; the bar then pulses. The bar stays when the work is done.
    """
    if not enabled:
        yield lambda amount=1, note="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(amount: float = 1, note: str = "") -> None:
            bar.update(task, advance=amount, note=note)

        yield advance
