"""``spectune simulate``: a command for each system of the catalogue."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from inspect import Signature
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from rich.console import Console

from spectune.cli.options import keyword, setting_options, system_options
from spectune.errors import CaseError
from spectune.runs import SYSTEMS, SystemParameters, run_bar, simulate, system_parameters
from spectune.runs.group import spelled
from spectune.tables import system_tables

__all__ = ["simulate_app"]

_STORE = Group("Store", sort_key=3)
_CLUSTER = Group("Cluster", sort_key=4)

simulate_app = App(name="simulate", help_format="plaintext")


@simulate_app.default
def systems(
    system: Annotated[str | None, Parameter(show=False)] = None,
    *_options: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> None:
    """Simulate an ensemble of a system into a Zarr store that xarray opens while it grows.

    For example: spectune simulate navier-stokes --re 1000 --kf 4 --n 256 --time 200 -o run.zarr

    Parameters
    ----------
    list_
        Show the systems and their parameters, with defaults and units.
    """
    if system is not None:
        system_parameters(system)  # says which systems there are
    if not list_:
        raise CaseError(
            f"no system is named; expected one of {', '.join(SYSTEMS)} (`spectune simulate --list` "
            "shows their parameters, `spectune simulate SYSTEM --help` all options)"
        )
    console = Console()
    for table in system_tables():
        console.print(table)


def _command(kind: type[SystemParameters]) -> Callable[..., None]:
    """Return the command of a system, with an option for each parameter and setting."""

    def command(*, monitor: bool = False, **options: Any) -> None:
        console = Console()
        given = {name: value for name, value in options.items() if value is not None}
        line = shlex.join(["spectune", *sys.argv[1:]])
        with run_bar(kind.name, console, monitor=monitor) as report:
            run = simulate(kind.name, command=line, report=report, **given)
        sizes = f"{run.sizes['time']} snapshots of {spelled(range(run.sizes['member']))}"
        written = f"{sizes}: {Path(given['out']).resolve()}"
        console.print(written, soft_wrap=True, highlight=False, markup=False)

    options = [*_store_options(), *system_options(kind), *setting_options(kind)]
    command.__signature__ = Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    command.__doc__ = f"Simulate {kind.title}."
    return command


def _store_options() -> list[Any]:
    def flag(name: str, text: str) -> Any:
        return keyword(
            name, bool, Parameter(help=text, group=_STORE, negative="", show_default=False), False
        )

    out = Parameter(name=("--out", "-o"), help="store to create", group=_STORE)
    device = Parameter(help="where to compute: cpu, cuda, …", group=_STORE)
    workers = Parameter(
        help="simulate groups of members side by side, in so many local processes",
        group=_CLUSTER,
        show_default=False,
    )
    scheduler = Parameter(
        help="simulate them on the workers of the Dask scheduler at this address, for example "
        "tcp://node1:8786; the store is on a file system that all of them see",
        group=_CLUSTER,
        show_default=False,
    )
    return [
        keyword("out", Path, out),
        flag("resume", "go on with the store, if it is there; a longer time extends it"),
        flag("monitor", "show the means of energy and enstrophy as the run goes"),
        keyword("device", str, device, "cpu"),
        keyword("workers", int | None, workers, None),
        keyword("scheduler", str | None, scheduler, None),
    ]


for _kind in SYSTEMS.values():
    simulate_app.command(_command(_kind), name=_kind.name)
