"""``spectune coarsen``: from a run to pairs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from spectune.cli.options import Out
from spectune.progress import bar
from spectune.runs import coarsen as coarsen_run

__all__ = ["coarsen"]


def coarsen(
    run: Path,
    *,
    out: Out,
    n: int | None = None,
    filter: str | None = None,
    width: float | None = None,
    targets: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    resume: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Filter a run to a coarser grid and store pairs with the exact subgrid term.

    For example: spectune coarsen run.zarr --n 64 --filter gaussian -o pairs.zarr

    The pairs go straight into `spectune advise --target pairs.zarr` and into training.

    Parameters
    ----------
    run
        Store of a run; it may still grow.
    out
        Store to create.
    n
        Points of the coarse grid in each direction; none for lorenz96.
    filter
        gaussian (default), box or sharp.
    width
        Width of the filter in the unit of the grid; by default twice the coarse grid spacing.
    targets
        pi, the subgrid term (default), or for navier-stokes tau, the subgrid stress; or both.
    start
        Time of the first snapshot to take, in the unit of the run.
    end
        Time of the last snapshot to take.
    every
        Take every so-many-th of these snapshots.
    resume
        Go on with the store, if it is there.
    """
    console = Console()
    with bar("coarsen", console) as report:
        pairs = coarsen_run(
            run,
            out=out,
            n=n,
            filter=filter,
            width=width,
            targets=targets or ["pi"],
            start=start,
            end=end,
            every=every,
            resume=resume,
            command=shlex.join(["spectune", *sys.argv[1:]]),
            report=report,
        )
    grid = " × ".join(str(size) for dim, size in pairs.sizes.items() if dim != "sample")
    written = f"{pairs.sizes['sample']} pairs on {grid} points: {out.resolve()}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
