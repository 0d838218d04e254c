"""The command line; each command is one library call."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts
from cyclopts import App
from rich.console import Console

from spectune.cli.advise import advise
from spectune.cli.coarsen import coarsen
from spectune.cli.explain import explain
from spectune.cli.export import export
from spectune.cli.options import Out
from spectune.cli.picture import picture
from spectune.cli.simulate import simulate_app
from spectune.cli.transfer import transfer
from spectune.cli.verify import verify
from spectune.errors import SpectuneError

__all__ = ["app", "main"]

app = App(
    name="spectune",
    help="Which layers to re-train for a new system, and what physics the re-training learns.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

app.command(simulate_app)
app.command(advise)
app.command(verify)
app.command(transfer)
app.command(coarsen)
app.command(explain)
app.command(export)
app.command(picture)


@app.command
def demo(*, out: Out = Path("runs/demo")) -> None:
    """Run the demonstration: 2D turbulence forced at k = 25, then at k = 4.

    Everything is simulated, trained and drawn on this machine. The same command goes on where an
    interrupted run stopped; remove the folder to start anew.

    Parameters
    ----------
    out
        Run folder.
    """
    from spectune.experiments import demo_case, run_case

    run_case(demo_case(), out, command="spectune demo", console=Console())


@app.command
def run(case: Path, *, out: Out | None = None) -> None:
    """Run a case from a TOML file, from direct simulation to report.

    Parameters
    ----------
    case
        Case file.
    out
        Run folder; by default runs/NAME, with the name in the case.
    """
    from spectune.experiments import load_case, run_case

    loaded = load_case(case)
    folder = out if out is not None else Path("runs") / loaded.name
    run_case(loaded, folder, command=f"spectune run {case}", console=Console())


@app.command
def report(folder: Path) -> None:
    """Draw the report of a finished run again.

    Parameters
    ----------
    folder
        Run folder.
    """
    from spectune.report import save_figures, write_report

    save_figures(folder)
    Console().print(str(write_report(folder).resolve()), soft_wrap=True)


def main() -> None:
    """Run the command line: 0 done, 2 an error that the user can act on, 130 interrupted."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    console = Console(stderr=True, highlight=False, markup=False)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except (SpectuneError, cyclopts.CycloptsError, OSError) as error:
        if debug:
            raise
        console.print(f"error: {error}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        again = "with --resume " if arguments[:1] in (["simulate"], ["coarsen"]) else ""
        console.print(f"interrupted; what is done is kept: run the same command {again}to go on")
        sys.exit(130)
