"""``spectune transfer``: re-train the layers that were advised, or any others."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from spectune.cli.options import Names, Out
from spectune.cli.subject import Subject

__all__ = ["transfer"]


def transfer(
    *,
    subject: Subject,
    held_out: Path | None = None,
    layers: Names = None,
    advice: Path | None = None,
    kind: str = "full",
    rank: int = 4,
    gauss_newton: bool = False,
    epochs: int = 30,
    batch: int = 5,
    learning_rate: float = 1e-3,
    seed: int = 0,
    out: Out = Path("tuned"),
) -> None:
    """Re-train chosen layers of a network on target samples, all others frozen.

    Writes a folder that every command opens as a model: weights, normalisation, and the errors by
    epoch. Killed or interrupted, the same command goes on where it was.

    Parameters
    ----------
    held_out
        Target samples on which the network is scored before and after.
    layers
        Names or patterns of the layers to re-train.
    advice
        Folder that `spectune advise` wrote: re-train what it names.
    kind
        What of the layers moves: full, bias, scale or low-rank.
    rank
        Of a low-rank update.
    gauss_newton
        Gauss–Newton steps instead of Adam, for one or few layers; epochs, batch and rate then mean
        nothing.
    epochs
        Passes over the samples.
    batch
        Samples of a step.
    learning_rate
        Of Adam, at the start.
    seed
        Of the order of the samples.
    out
        Folder for the re-trained network.
    """
    from typing import cast

    from spectune.advice import read_advice
    from spectune.errors import CaseError
    from spectune.models import open_model, rebuilt_by
    from spectune.progress import bar
    from spectune.tables import transfer_table
    from spectune.training import (
        FitSettings,
        GaussNewtonSettings,
        Kind,
        transfer_network,
    )

    if (layers is None) == (advice is None):
        raise CaseError("expected --layers or --advice, and not both, to say what to re-train")
    chosen = layers or read_advice(cast(Path, advice))["best"]
    console = Console()
    network = open_model(subject.model, subject.weights)
    factory, arguments = rebuilt_by(subject.model)
    with bar("transfer", console) as report:
        found = transfer_network(
            network,
            subject.target,
            chosen,
            GaussNewtonSettings(seed=seed)
            if gauss_newton
            else FitSettings(epochs, batch, learning_rate, seed),
            out,
            factory=factory,
            arguments=arguments,
            held_out=held_out,
            **subject.reading(),
            kind=cast(Kind, kind),
            rank=rank,
            progress=lambda done: report(done / epochs, f"epoch {done} of {epochs}"),
        )
    console.print(transfer_table(found))
    written = f"network.json, weights.safetensors, history.csv: {out.resolve()}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
