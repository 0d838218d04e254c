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
    LONG_OFFLINE,
    LONG_REFINED,
    MORE,
    NONE,
    OFFLINE,
    REFINED,
    SOLVER,
)
from benchmarks.a_posteriori.scores import NO_CLOSURE, SMAGORINSKY
from spectune.report.style import LINES, PALETTE, RC, label_panel, new_figure

SEED = 1
BLUE, GREEN, ORANGE = (PALETTE[name][0] for name in ("base", "tlnn", "target"))
DASHED = (0, (4, 1.5))
# On pairs blue, through the solver green; with little effort before dashed.
STYLE: dict[str, dict[str, Any]] = {
    NO_CLOSURE: LINES["no closure"],
    SMAGORINSKY: LINES["Smagorinsky"],
    NONE: LINES["BNN"],
    SOLVER: {"color": ORANGE, "lw": 1.7, "ls": "-"},
    OFFLINE: {"color": BLUE, "lw": 1.4, "ls": DASHED},
    MORE: {"color": BLUE, "lw": 1.4, "ls": (0, (6, 1.5, 1.2, 1.5))},
    REFINED: {"color": GREEN, "lw": 1.9, "ls": DASHED},
    LONG: {"color": BLUE, "lw": 1.4, "ls": (0, (1.2, 1.4))},
    LONG_OFFLINE: {"color": BLUE, "lw": 1.7, "ls": "-"},
    LONG_REFINED: {"color": GREEN, "lw": 1.9, "ls": "-"},
}


def write_figure() -> None:
    """Write a_posteriori.png beside the table."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = {row["closure"]: row for row in record["rows"] if row["seed"] in (None, SEED)}
    with rc_context(RC):
        figure = new_figure(4.4, narrow=False)
        left, middle, right = figure.subplots(1, 3)
        _forecasts(left, rows)
        _relative(middle, rows)
        _spectra(right, rows, record["truth"])
        label_panel(left, "A", f"forecasts of filtered DNS, seed {SEED}")
        label_panel(middle, "B", f"error over that of ‘{OFFLINE}’")
        label_panel(right, "C", "energy in LES of 42 time units")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        figure.savefig(RESULTS / "a_posteriori.png", dpi=150, facecolor="white")


def _forecasts(axes: Axes, rows: dict[str, Any]) -> None:
    for name, style in STYLE.items():
        if forecast := rows[name]["forecast"]:
            axes.plot(forecast["time"], forecast["error"], **style, label=name)
    axes.set(yscale="log", xlabel="time", ylabel="error of ω̄ over its variance", xlim=(0, 6))
    axes.grid(visible=True)


def _relative(axes: Axes, rows: dict[str, Any]) -> None:
    reference = np.array(rows[OFFLINE]["forecast"]["error"])
    for name, style in STYLE.items():
        if forecast := rows[name]["forecast"]:
            axes.plot(forecast["time"], np.array(forecast["error"]) / reference, **style)
    axes.set(xlabel="time", xlim=(0, 6), ylim=(0.4, 1.2))
    axes.grid(visible=True)


def _spectra(axes: Axes, rows: dict[str, Any], truth: dict[str, Any]) -> None:
    k, true = np.array(truth["wavenumber"]), np.array(truth["spectrum"])
    kept = (k > 0) & (k < 32)
    axes.axhline(1, **LINES["truth"])
    for name, style in STYLE.items():
        les = rows[name]["les"]
        if les and "spectrum" in les:
            axes.plot(k[kept], np.array(les["spectrum"])[kept] / true[kept], **style)
    axes.set(
        xlabel="wavenumber k",
        ylabel="E(k) over that of filtered DNS",
        xlim=(1, 31),
        ylim=(0.5, 1.7),
    )
    axes.grid(visible=True)
