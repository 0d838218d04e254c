"""Error by number of target samples, and the number that reaches an equal error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.data_needed.record import COMPARED
from benchmarks.data_needed.trainings import SIZES, WAYS
from spectune.report.style import PALETTE, RC, label_panel, new_figure

STYLE: dict[str, dict[str, Any]] = {
    "TLNN": {"color": PALETTE["tlnn"][0], "ls": "-", "marker": "o"},
    "all layers": {"color": PALETTE["base"][0], "ls": (0, (5, 1.6)), "marker": "s"},
    "scratch": {"color": PALETTE["target"][0], "ls": (0, (1.2, 1.4)), "marker": "^"},
}
LABELS = {
    "TLNN": "advised layer re-trained",
    "all layers": "all layers re-trained",
    "scratch": "trained from scratch",
}
NEVER = 2.0 * SIZES[-1]  # where what more than all samples need is drawn


def write_figure(found: dict[str, Any], path: Path) -> None:
    """Write the figure as PNG and PDF: a column a case."""
    cases = [case for case in found["cases"] if case["seeds"]]
    with rc_context(RC):
        figure = new_figure(6.2, narrow=False)
        panels = figure.subplots(2, len(cases), squeeze=False, height_ratios=(1.15, 1))
        for i, case in enumerate(cases):
            _curves(panels[0, i], case)
            _needed(panels[1, i], case)
            label_panel(panels[0, i], "ABCDEF"[i], case["name"])
            label_panel(panels[1, i], "ABCDEF"[len(cases) + i], "equal error")
        panels[0, 0].set_ylabel("error on the target")
        panels[1, 0].set_ylabel("samples needed for the same")
        panels[0, 0].legend(loc="best")
        for suffix in ("png", "pdf"):
            figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, facecolor="white")


def _curves(axes: Axes, case: dict[str, Any]) -> None:
    for way in WAYS:
        errors = np.array(
            [[point["error"] for point in seed["curves"][way]] for seed in case["seeds"]]
        )
        axes.plot(SIZES, errors.mean(axis=0), label=LABELS[way], ms=4.5, lw=1.8, **STYLE[way])
        axes.fill_between(
            SIZES,
            errors.min(axis=0),
            errors.max(axis=0),
            color=STYLE[way]["color"],
            alpha=0.15,
            lw=0,
        )
    before = float(np.mean([seed["base_network"]["error"] for seed in case["seeds"]]))
    axes.axhline(before, color=PALETTE["bnn"][0], lw=1.2, ls=(0, (4, 2)))
    axes.annotate(
        "base network",
        (SIZES[-1], before),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color=PALETTE["bnn"][0],
        fontsize=8.4,
    )
    axes.set(xscale="log", yscale="log", xlabel="target samples")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    ticks = [t for t in (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5) if _inside(axes, t)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)


def _inside(axes: Axes, value: float) -> bool:
    low, high = axes.get_ylim()
    return low <= value <= high


def _needed(axes: Axes, case: dict[str, Any]) -> None:
    axes.plot(COMPARED, COMPARED, color=PALETTE["muted"][0], lw=1)
    axes.annotate(
        "as many",
        (COMPARED[-1], COMPARED[-1]),
        xytext=(10, -14),
        textcoords="offset points",
        ha="right",
        color=PALETTE["muted"][0],
        fontsize=8.4,
    )
    for way, shift in zip(WAYS[1:], (0.94, 1.06), strict=True):
        for seed in case["seeds"]:
            needed = [NEVER if n is None else n for n in seed["needed"][way]]
            style = {key: STYLE[way][key] for key in ("color", "marker")}
            axes.plot(np.array(COMPARED) * shift, needed, ls="", ms=5.5, alpha=0.75, mew=0, **style)
    axes.axhline(1.4 * SIZES[-1], color=PALETTE["soft"][0], lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel="samples of the advised layer")
    axes.set_xticks(COMPARED, [str(size) for size in COMPARED])
    axes.set_yticks([*SIZES, NEVER], [*(str(size) for size in SIZES), f"> {SIZES[-1]}"])
    axes.set_ylim(1.6, 1.3 * NEVER)
    axes.set_xlim(1.6, 26)
    axes.yaxis.set_major_formatter(FuncFormatter(_label))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, axis="y")


def _label(value: float, _position: int) -> str:
    return f"> {SIZES[-1]}" if value > SIZES[-1] else f"{value:g}"
