"""``spectune advise``: which layer to re-train, from a small target sample."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from spectune.cli.options import Names, Out
from spectune.cli.subject import Subject

__all__ = ["advise"]


def advise(
    *,
    subject: Subject,
    samples: int = 10,
    layers: Names = None,
    set_size: int = 1,
    thorough: bool = False,
    seed: int = 0,
    out: Out = Path("advice"),
) -> None:
    """Say which layer of a network to re-train, from a small target sample.

    Prints a ranked table and a paragraph for a methods section; writes advice.json, advice.nc and
    figures. `spectune verify` adds the truth.

    Parameters
    ----------
    samples
        Look at this many samples of target and base, evenly spread. The forecast is of a
        re-training on all.
    layers
        Names or patterns of what may be re-trained, such as 'encoder.*'; what one pattern matches
        is re-trained together. By default each layer alone.
    set_size
        Also forecast sets of up to so many layers, and all layers, over the number of samples; each
        layer more takes as long as the rest.
    thorough
        Also rank by curvature and by short re-trainings, and draw the loss along the leading
        eigenvectors of each layer (landscape.nc); takes many times as long.
    seed
        Of random probes and bootstrap.
    out
        Folder for the results.
    """
    from spectune.advice import advise as advise_layers
    from spectune.models import open_model
    from spectune.progress import bar
    from spectune.report import save_advice_figures
    from spectune.tables import advice_table, outlook_table

    console = Console()
    network = open_model(subject.model, subject.weights)
    with bar("advise", console) as report:
        advice = advise_layers(
            network,
            subject.target,
            **subject.reading(),
            samples=samples,
            layers=layers,
            set_size=set_size,
            thorough=thorough,
            seed=seed,
            progress=lambda done, total: report(done / total),
        )
    advice.save(out)
    save_advice_figures(out)
    console.print(advice_table(advice))
    if advice.outlook is not None:
        console.print(outlook_table(advice.outlook))
    for verdict in advice.verdicts:
        console.print(f"[bold]{verdict.name}[/bold]", highlight=False)
    console.print(advice.reason, highlight=False, markup=False)
    console.print()
    written = f"{advice.seconds:.1f} s; advice.json, advice.nc and figures: {out.resolve()}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
