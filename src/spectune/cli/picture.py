"""``spectune picture``: look at a run."""

from __future__ import annotations

from pathlib import Path

import xarray as xr
from rich.console import Console

from spectune.cli.options import Out
from spectune.progress import bar
from spectune.runs import RunStore
from spectune.tables import parameter_line

__all__ = ["picture"]


def picture(run: Path, *, out: Out) -> None:
    """Draw a run: a contact sheet, a space–time diagram or a movie.

    For example: spectune picture run.zarr -o sheet.png

    Parameters
    ----------
    run
        Store of a run; it may still grow.
    out
        .png or .pdf: a few times of each member, or time against space for fields on a ring.
        .gif or .mp4 (needs ffmpeg): all times.
    """
    from spectune.report import save_picture

    console = Console()
    store = RunStore.open(run)
    with xr.open_zarr(run, chunks=None) as fields, bar("picture", console) as report:
        save_picture(fields, out, parameters=parameter_line(store.parameters), report=report)
    console.print(str(out.resolve()), soft_wrap=True, highlight=False, markup=False)
