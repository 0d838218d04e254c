"""The command line; each command is one library call."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts
from cyclopts import App
from rich.console import Console

from spectune.cli.coarsen import coarsen
from spectune.cli.explain import explain
from spectune.cli.export import export
from spectune.cli.options import Names, Out
from spectune.cli.picture import picture
from spectune.cli.simulate import simulate_app
from spectune.errors import SpectuneError

__all__ = ["app", "main"]

app = App(
    name="spectune",
    help="Which layers to re-train for a new system, and what physics the re-training learns.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

app.command(simulate_app)
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
def advise(
    *,
    model: str,
    target: Path,
    weights: Path | None = None,
    base: Path | None = None,
    inputs: Names = None,
    targets: Names = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    samples: int | None = None,
    seed: int = 0,
    out: Out = Path("advice"),
) -> None:
    """Say which layer of a network to re-train, from a small target sample.

    Prints a ranked table and the reason; writes advice.json, advice.nc and a figure.

    Parameters
    ----------
    model
        package.module:factory that returns a torch.nn.Module, or a folder that Spectune saved.
    target
        Target sample: Zarr, NetCDF or HDF5.
    weights
        safetensors file for the factory's model.
    base
        Base data, for the error of the network at home and for --standardize.
    inputs
        Input variables, in the order of the channels; a store of Spectune knows its own.
    targets
        Target variables, likewise.
    sample_dim
        Dimension of the samples; by default time, sample or the first one.
    periodic
        Whether the box is periodic; by default what the data says, else not.
    standardize
        Standardise all channels with the statistics of the base data before the network.
    samples
        Use this many target samples, evenly spread.
    seed
        Of random probes and bootstrap.
    out
        Folder for the results.
    """
    from spectune.advice import advise as advise_layers
    from spectune.models import open_model
    from spectune.progress import bar
    from spectune.report import save_advice_figure
    from spectune.tables import advice_table

    console = Console()
    network = open_model(model, weights)
    with bar("advise", console) as report:
        advice = advise_layers(
            network,
            target,
            base,
            inputs=inputs,
            targets=targets,
            sample_dim=sample_dim,
            periodic=periodic,
            standardize=standardize,
            samples=samples,
            seed=seed,
            progress=lambda done, total: report(done / total),
        )
    advice.save(out)
    save_advice_figure(out)
    console.print(advice_table(advice))
    console.print(advice.reason)
    console.print(f"{advice.seconds:.1f} s; written to {out.resolve()}")


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
