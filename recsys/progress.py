"""Showing how far a long piece of work has come, on standard error. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["show_progress"]


@contextmanager
def show_progress(description: str, total: float | None, *, enabled: bool, done: int = 0) -> Iterator[Callable[..., None]]:
    """Yields `advance(amount=1, note="")`: a bar with rate and time left on standard error when `enabled`, else nothing.

    `total` is None when it is not known beforehand; the bar then pulses. `done` of it is behind us already. The bar stays when
    the work is done.
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
        _rate_column(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, completed=done, note="")

        def advance(amount: float = 1, note: str = "") -> None:
            bar.update(task, advance=amount, note=note)

        yield advance


def _rate_column() -> ProgressColumn:
    """`1,234/s`, by the last stretch of the work."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if not speed else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s")

    return RateColumn()
