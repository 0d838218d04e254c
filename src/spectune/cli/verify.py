"""``spectune verify``: an advice against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from spectune.cli.subject import Subject

__all__ = ["verify"]


def verify(
    *,
    subject: Subject,
    held_out: Path | None = None,
    advice: Annotated[Path, Parameter(name=("--advice", "-a"))] = Path("advice"),
    epochs: int = 30,
    batch: int = 5,
    learning_rate: float = 1e-3,
    seed: int = 0,
    workers: int | None = None,
    scheduler: str | None = None,
) -> None:
    """Re-train every layer and set that an advice ranks, and say how good the advice was.

    Prints forecast and truth side by side with the regret of every criterion; writes sweep.json and
    a figure beside the advice. Takes as long as so many re-trainings; killed or interrupted, the
    same command goes on where it was.

    Parameters
    ----------
    held_out
        Target samples to score on; by default the later half of the target, and only the earlier
        half trains.
    advice
        Folder that `spectune advise` wrote.
    epochs
        Passes over the samples in each re-training.
    batch
        Samples of a step.
    learning_rate
        Of Adam, at the start.
    seed
        Of the order of the samples.
    workers
        Re-train side by side, in so many local processes.
    scheduler
        Re-train on the workers of the Dask scheduler at this address, for example
        tcp://node1:8786.
    """
    from spectune.advice import verify_advice
    from spectune.models import open_model
    from spectune.progress import bar
    from spectune.report import save_check_figure
    from spectune.tables import comparison_table, verification_table
    from spectune.training import FitSettings

    console = Console()
    network = open_model(subject.model, subject.weights)
    with bar("verify", console) as report:
        found = verify_advice(
            network,
            advice,
            subject.target,
            held_out,
            settings=FitSettings(epochs, batch, learning_rate, seed),
            **subject.reading(),
            workers=workers,
            scheduler=scheduler,
            progress=lambda done, total: report(done / total, f"{done} of {total}"),
        )
    save_check_figure(advice)
    console.print(verification_table(found))
    console.print(comparison_table(found))
    written = f"sweep.json and a figure: {advice.resolve()}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
