"""Results as tables for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from spectune.advice import Advice

__all__ = ["advice_table"]


def advice_table(advice: Advice) -> Table:
    """Return the layers, best forecast first, with their rank by every other criterion."""
    criteria = [name for name in advice.layers[0].scores if name != "attainable decrease"]
    table = Table(
        title=f"Which layer to re-train ({advice.samples} target samples; "
        f"error of the base network {advice.bnn_error:.3f})",
        caption="errors: mean squared error / variance of the target; "
        "criteria: rank of the layer, 1 = re-train first",
        box=box.SIMPLE,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("layer", overflow="fold")
    table.add_column("weights", justify="right")
    table.add_column("forecast", justify="right", no_wrap=True)
    table.add_column("90 %\ninterval", justify="right", no_wrap=True)
    table.add_column("repairs\nmost at")
    for criterion in criteria:
        table.add_column(criterion.replace("-", "-\n").replace(" ", "\n"), justify="right")
    for layer in advice.ranked():
        table.add_row(
            layer.name,
            f"{layer.share:.1%}",
            f"{layer.predicted_error:.3f}",
            f"{layer.low:.2f}–{layer.high:.2f}",
            layer.band,
            *(str(advice.rankings[name].index(layer.name) + 1) for name in criteria),
            style="bold" if layer.name in advice.best else "",
        )
    return table
