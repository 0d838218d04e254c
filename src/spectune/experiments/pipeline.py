"""A case from beginning to end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from spectune.errors import CaseError
from spectune.experiments.case import Case
from spectune.experiments.runner import Run, execute
from spectune.experiments.stages import STAGES

__all__ = ["run_case"]


def run_case(case: Case, folder: Path, *, command: str, console: Console) -> Path:
    """Run all stages of a case, print and return the path of the report.

    Args:
        case: what to run.
        folder: run folder, created if needed; a folder with results of the same case is continued.
        command: what the user typed, for the record.
        console: where progress goes.

    Raises:
        SpectuneError: a stage failed in a way that the user can act on.
    """
    console.print(case.title, style="bold")
    try:
        execute(Run(case, folder, command), STAGES, console)
    except OSError as error:
        raise CaseError(
            f"run folder {folder}: {error}; what is done is kept: make room or set the permissions "
            "right, and the same command goes on"
        ) from error
    page = folder / "report.html"
    console.print(str(page.resolve()), soft_wrap=True, highlight=False, markup=False)
    return page
