"""Show where a run is: time left, speed, and energies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from spectune.progress import bar
from spectune.runs.group import GroupProgress, spelled

__all__ = ["run_bar"]

# Without a terminal, lines of the monitor are at least so far apart, in seconds.
LINES_APART = 10.0


@contextmanager
def run_bar(
    label: str, console: Console, *, monitor: bool
) -> Iterator[Callable[[GroupProgress], Any]]:
    """Show a bar with the simulated time per second while the groups of a run are simulated.

    Args:
        label: of the bar.
        console: where to.
        monitor: show the diagnostics too; where there is no terminal, in a line now and then.
    """
    started = time.monotonic()
    simulated, last_line = 0.0, started

    with bar(label, console) as move:

        def report(progress: GroupProgress) -> None:
            nonlocal simulated, last_line
            simulated += progress.interval
            now = time.monotonic()
            unit = "time units" if progress.time_unit == "1" else progress.time_unit
            note = f"{simulated / (now - started):.3g} {unit} simulated per second"
            if monitor:
                values = (f"{name} {value:.4g}" for name, value in progress.diagnostics().items())
                note = ", ".join((f"time {progress.time:.6g}", *values, note))
                finished = progress.time >= progress.end
                if not console.is_terminal and (finished or now - last_line > LINES_APART):
                    line = f"{spelled(progress.members)}: {note}"
                    console.print(line, soft_wrap=True, highlight=False)
                    last_line = now
            move(progress.done, note)

        yield report
