"""Results as tables for the terminal."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rich import box
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from spectune.advice import Advice, Outlook, Verification
from spectune.runs import SYSTEMS, SystemParameters
from spectune.training import Tuned

__all__ = [
    "advice_table",
    "comparison_table",
    "explanation_table",
    "outlook_table",
    "parameter_line",
    "system_tables",
    "transfer_table",
    "verification_table",
]


def advice_table(advice: Advice) -> Table:
    """Return the layers, best forecast first, and how many of the other criteria agree."""
    interval = f"{100 * advice.interval_level:.0f} %\ninterval"
    table = _table(
        title=f"Which layer to re-train ({advice.samples} target samples; "
        f"error of the base network {advice.bnn_error:.3f})",
        caption="forecast: mean squared error / variance of the target after re-training; "
        f"agree: how many of {len(advice.voters)} criteria have the layer in their best quarter; "
        "*: this sample cannot tell it from the first",
    )
    table.add_column("layer", overflow="fold")
    table.add_column("forecast", justify="right", no_wrap=True)
    table.add_column(interval, justify="right", no_wrap=True)
    table.add_column("share of\nweights", justify="right", no_wrap=True)
    table.add_column("repairs\nmost at")
    table.add_column("agree", justify="right", no_wrap=True)
    for layer in advice.ranked():
        mark = "*" if layer.name in advice.rivals else ""
        table.add_row(
            escape(layer.name),
            f"{layer.predicted_error:.3f}{mark or ' '}",
            f"{layer.low:.2f}–{layer.high:.2f}",
            f"{layer.share:.1%}",
            "cannot help" if layer.obstacle else layer.band,
            f"{layer.votes}/{len(advice.voters)}",
            style="bold" if (layer.name,) == advice.best else "",
        )
    for grown in advice.sets:
        table.add_row(
            escape(" + ".join(grown.layers)),
            f"{grown.predicted_error:.3f} ",
            f"{grown.low:.2f}–{grown.high:.2f}",
            f"{grown.weights / advice.weights:.1%}",
            "",
            "",
            style="bold" if grown.layers == advice.best else "",
        )
    return table


def outlook_table(outlook: Outlook) -> Table:
    """Return the forecasts over the number of samples, a row for what is re-trained."""
    table = _table(
        title="Forecast by number of target samples",
        caption=f"there are {outlook.training}; the error of all layers is the least certain",
    )
    table.add_column("re-trained", overflow="fold")
    for samples in outlook.samples:
        table.add_column(str(samples), justify="right", no_wrap=True)
    for name, errors in outlook.errors.items():
        table.add_row(escape(name), *(f"{error:.3f}" for error in errors))
    return table


def verification_table(found: Verification) -> Table:
    """Return the layers, lowest measured error first, with what was forecast."""
    forecasts = {layer["name"]: layer for layer in found.advice["layers"]}
    forecasts |= {" + ".join(grown["layers"]): grown for grown in found.advice["sets"]}
    advised = " + ".join(found.advice["best"])
    sweep = found.sweep
    order = sorted(sweep.layers, key=lambda layer: layer.error)
    lowest, gain = order[0].error, sweep.bnn_error - order[0].error
    table = _table(
        title=f"Forecast and truth (held-out error of the base network {sweep.bnn_error:.3f})",
        caption="errors: mean squared error / variance of the target; regret: 0 for the best "
        "layer, 1 for no gain, below 0 for more than it gains; bold: what was advised",
    )
    table.add_column("re-trained", overflow="fold")
    for heading in ("forecast", "measured", "regret", "corre-\nlation", "spectrum\nerror", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in (*order, *sweep.sets, sweep.all_layers):
        forecast = forecasts.get(layer.name)
        table.add_row(
            escape(layer.name),
            f"{forecast['predicted_error']:.3f}" if forecast else "",
            f"{layer.error:.3f}",
            f"{(layer.error - lowest) / gain:.2f}" if gain > 0 else "—",
            f"{layer.correlation:.2f}",
            f"{layer.spectrum_error:.2f}",
            f"{layer.seconds:.1f} s",
            style="bold" if layer.name == advised else "",
        )
    return table


def comparison_table(found: Verification) -> Table:
    """Return what each criterion would have chosen, smallest regret first."""
    table = _table(
        title=f"Criteria (advice {found.advice['seconds']:.1f} s, "
        f"re-trainings {found.sweep.seconds:.1f} s)",
        caption="rank: of the choice among the measured errors; Spearman: rank correlation of the "
        "criterion with them",
    )
    table.add_column("criterion")
    table.add_column("choice", overflow="fold")
    for heading in ("rank", "regret", "Spearman"):
        table.add_column(heading, justify="right", no_wrap=True)

    def number(value: float | None) -> str:
        return "—" if value is None or value != value else f"{value:.2f}"

    rows = sorted(
        found.comparison.items(),
        key=lambda row: (row[1]["regret"] is None, row[1]["regret"], row[1]["rank_of_choice"]),
    )
    for name, entry in rows:
        table.add_row(
            name,
            escape(entry["choice"]),
            f"{entry['rank_of_choice']:g}",
            number(entry["regret"]),
            number(entry["spearman"]),
            style="bold" if name == "attainable decrease" else "",
        )
    return table


def transfer_table(found: Tuned) -> Table:
    """Return the loss while training, and the scores before and after where there are some."""
    table = _table(
        title=f"Re-trained: {escape(', '.join(found.layers))}",
        caption="error: mean squared error / variance of the target on held-out samples"
        if found.after
        else "loss: mean squared error in the units of the network; --held-out adds scores",
    )
    table.add_column("")
    for heading in ("before", "after"):
        table.add_column(heading, justify="right", no_wrap=True)
    if found.before is None or found.after is None:
        first, last = found.history.train[0], found.history.train[-1]
        table.add_row("loss of the first and the last epoch", f"{first:.4g}", f"{last:.4g}")
        return table
    for name in ("error", "correlation", "spectrum_error"):
        before, after = getattr(found.before, name), getattr(found.after, name)
        table.add_row(name.replace("_", " "), f"{before:.3f}", f"{after:.3f}")
    return table


def parameter_line(parameters: SystemParameters) -> str:
    """Return ``n = 64, re = 1000, …``: the parameters of a system without those that are off.

    Nor does it have what belongs to one that is off (``hyperviscosity_power`` to
    ``hyperviscosity``), nor the preset, which the others spell out.
    """
    values = {k: v for k, v in parameters.model_dump().items() if k != "preset"}
    off = tuple(name for name, value in values.items() if value == 0)
    shown = {name: value for name, value in values.items() if not name.startswith(off)}
    words = []
    for name, value in shown.items():
        number = f"{value:.6g}" if isinstance(value, float) else value
        unit = parameters.unit_of(name)
        words.append(f"{name} = {number}" + ("" if unit == "1" else f" {unit}"))
    return ", ".join(words)


def explanation_table(explanation: xr.Dataset) -> Table:
    """Return the convolutions in network order: how far they moved, and which way."""
    before, after = (float(e) for e in explanation["relative_mse"])
    table = _table(
        title=f"What re-training changed (error {before:.3f} → {after:.3f})",
        caption="changes: ‖ΔW‖ and ‖Δ|Ŵ|‖ over ‖W‖; alignment: does the layer now pass more (+) or "
        "less (−) of what the target has more of, with p for a random change of this size",
    )
    table.add_column("convolution", overflow="fold")
    columns = {
        "weight_change_relative": ("change of\nweights", ".1%"),
        "response_change_relative": ("change of\ngain", ".1%"),
        "weight_noise_relative": ("noise of\nweights", ".1%"),
        "alignment": ("alignment", "+.2f"),
        "alignment_p": ("p", ".2f"),
    }
    columns = {name: entry for name, entry in columns.items() if name in explanation}
    for heading, _ in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("kernels that\nchanged class", justify="right")
    for index, name in enumerate(explanation["convolution"].values):
        values = [
            "—" if np.isnan(value) else format(value, form)
            for value, form in (
                (float(explanation[key][index]), form) for key, (_, form) in columns.items()
            )
        ]
        moves = explanation["class_moves"][index].values
        moved = f"{moves.sum() - np.trace(moves)} of {moves.sum()}"
        bold = str(name) == explanation.attrs["layer"]
        table.add_row(str(name), *values, moved, style="bold" if bold else "")
    return table


def system_tables() -> list[Table]:
    """Return one table a system: its parameters with defaults, units and meaning."""
    tables = []
    for kind in SYSTEMS.values():
        time_unit = "" if kind.time_unit == "1" else f" {kind.time_unit}"
        table = _table(
            title=f"{kind.name}: {kind.title}",
            caption=f"scheme {kind.scheme}, a snapshot every {kind.every:g}{time_unit}",
            justify="left",
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


def _table(title: str, caption: str, justify: JustifyMethod = "center") -> Table:
    """Return an empty table in the house style."""
    return Table(
        title=title,
        caption=caption,
        title_justify=justify,
        caption_justify=justify,
        box=box.SIMPLE,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
