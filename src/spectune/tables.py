"""Results as tables for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from spectune.advice import Advice
from spectune.runs import SYSTEMS

__all__ = ["advice_table", "system_tables"]


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


def system_tables() -> list[Table]:
    """Return one table a system: its parameters with defaults, units and meaning."""
    tables = []
    for kind in SYSTEMS.values():
        time_unit = "" if kind.time_unit == "1" else f" {kind.time_unit}"
        table = Table(
            title=f"{kind.name}: {kind.title}",
            caption=f"scheme {kind.scheme}, a snapshot every {kind.every:g}{time_unit}",
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE,
            padding=(0, 1),
            collapse_padding=True,
            pad_edge=False,
        )
        for heading in ("parameter", "default", "unit", "meaning"):
            table.add_column(heading, overflow="fold")
        for name, field in kind.model_fields.items():
            option = name.replace("_", "-")
            table.add_row(
                f"--{option}", kind.default_of(name), kind.unit_of(name), field.description
            )
        tables.append(table)
    return tables
