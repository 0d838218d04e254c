"""A progress bar with the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["Report", "bar"]


class Report(Protocol):
    """Takes the fraction that is done, and a few words to stand beside the bar."""

    def __call__(self, fraction: float, note: str = "") -> None:
        """Move the bar."""


@contextmanager
def bar(label: str, console: Console) -> Iterator[Report]:
    """Show a bar while the body runs; yields what moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # Without a terminal (CI, a batch job's log) a bar is noise.
    disabled = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        task = progress.add_task(label, total=1.0, note="")

        def report(fraction: float, note: str = "") -> None:
            progress.update(task, completed=fraction, note=note)

        yield report
