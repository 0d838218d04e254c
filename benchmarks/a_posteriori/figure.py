"""The comparison in one figure: forecasts, and spectra of long simulations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from benchmarks.a_posteriori.folders import RESULTS
from benchmarks.a_posteriori.record import RECORD
from benchmarks.a_posteriori.retraining import (
    LONG,
    NONE,
    OFFLINE,
    REFINED,
    SOLVER,
)
from benchmarks.a_posteriori.scores import NO_CLOSURE, SMAGORINSKY
from spectune.report.style import LINES, PALETTE, RC, label_panel, new_figure, spectrum_axes

SEED = 1
STYLE: dict[str, dict[str, Any]] = {
    NO_CLOSURE: LINES["no closure"],
    SMAGORINSKY: LINES["Smagorinsky"],
    NONE: LINES["BNN"],
    OFFLINE: {"color": PALETTE["base"][0], "lw": 1.7, "ls": (0, (4, 1.5))},
    LONG: {"color": PALETTE["base"][0], "lw": 1.7, "ls": "-"},
    REFINED: LINES["TLNN"],
    SOLVER: {"color": PALETTE["target"][0], "lw": 1.7, "ls": "-"},
}


def write_figure() -> None:
    """Write a_posteriori.png beside the table."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = {row["closure"]: row for row in record["rows"] if row["seed"] in (None, SEED)}
    with rc_context(RC):
        figure = new_figure(4.2, narrow=False)
        left, middle, right = figure.subplots(1, 3)
        _forecasts(left, rows)
        _spectra(middle, right, rows, record["truth"])
        label_panel(left, "A", "forecasts of filtered DNS")
        label_panel(middle, "B", "energy, LES of 42 time units")
        label_panel(right, "C", "ratio to filtered DNS")
        handles, labels = left.get_legend_handles_labels()
        truth = middle.get_legend_handles_labels()
        figure.legend(
            truth[0][:1] + handles, truth[1][:1] + labels, loc="outside lower center", ncols=8
        )
        figure.savefig(RESULTS / "a_posteriori.png", dpi=150, facecolor="white")


def _forecasts(axes: Axes, rows: dict[str, Any]) -> None:
    for name, style in STYLE.items():
        if forecast := rows[name]["forecast"]:
            axes.plot(forecast["time"], forecast["error"], **style, label=name)
    axes.set(yscale="log", xlabel="time", ylabel="error of ω̄ over its variance", xlim=(0, 6))
    axes.grid(visible=True)


def _spectra(axes: Axes, ratio: Axes, rows: dict[str, Any], truth: dict[str, Any]) -> None:
    k, true = np.array(truth["wavenumber"]), np.array(truth["spectrum"])
    kept = (k > 0) & (k < 32)
    axes.plot(k[kept], true[kept], **LINES["truth"], label="filtered DNS")
    curves = [true[kept]]
    for name, style in STYLE.items():
        les = rows[name]["les"]
        if les and "spectrum" in les:
            energy = np.array(les["spectrum"])[kept]
            axes.plot(k[kept], energy, **style)
            ratio.plot(k[kept], energy / true[kept], **style)
            curves.append(energy)
    spectrum_axes(axes, k[kept], curves, label="E(k)")
    ratio.axhline(1, **LINES["truth"])
    ratio.set(xlabel="wavenumber k", xlim=(0, 32), yscale="log")
    ratio.grid(visible=True)
