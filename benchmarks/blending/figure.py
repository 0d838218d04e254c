"""The trade-off between simulated base and observed target, as curves over a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from benchmarks.blending.trainings import CHOICES, CURVES
from spectune.report.style import PALETTE, RC, label_panel, new_figure

STYLE: dict[str, dict[str, Any]] = {
    "replay": {"color": PALETTE["tlnn"][0], "ls": "-", "marker": "o"},
    "EWC": {"color": PALETTE["base"][0], "ls": (0, (5, 1.6)), "marker": "s"},
    "L²-SP": {"color": PALETTE["smagorinsky"][0], "ls": (0, (6, 1.5, 1.2, 1.5)), "marker": "D"},
}
TITLES = {"advised": "the advised layer re-trained", "all": "all layers re-trained"}


def write_figure(record: dict[str, Any], path: Path) -> None:
    """Write the figure as PNG and PDF: a panel for each choice of layers."""
    with rc_context(RC):
        figure = new_figure(4.4, narrow=False)
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, choice, letter in zip(panels, CHOICES, "AB", strict=True):
            _curves(axes, record, choice)
            label_panel(axes, letter, TITLES[choice])
            axes.set_xlabel("error on the simulated base")
        panels[0].set_ylabel("error on the observed target")
        panels[0].legend(loc="center right", title="larger marks: larger weight")
        for suffix in ("png", "pdf"):
            figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, facecolor="white")


def _curves(axes: Axes, record: dict[str, Any], choice: str) -> None:
    seeds = record["seeds"]
    alone = _points(seeds, choice, "nothing")
    for term in list(CURVES)[1:]:
        points = np.concatenate([alone, _points(seeds, choice, term)])
        axes.plot(points[:, 0], points[:, 1], label=term, lw=1.6, ms=0, **_line(term))
        # Larger for a larger weight.
        sizes = 14 + 16 * np.arange(1, len(points))
        style = {key: STYLE[term][key] for key in ("color", "marker")}
        axes.scatter(points[1:, 0], points[1:, 1], s=sizes, lw=0, **style)
    axes.plot(*alone[0], "o", ms=8, color=PALETTE["ink"][0])
    _name(axes, "observations alone", alone[0])
    for name in ("base network", "from scratch"):
        at = np.mean([[seed[name]["base_error"], seed[name]["target_error"]] for seed in seeds], 0)
        colour = PALETTE["bnn" if name == "base network" else "target"][0]
        axes.plot(*at, "P", ms=8, color=colour, mew=0)
        _name(axes, name, at, colour)
    for label, found in zip(
        ("interpolation by the base", "interpolation tuned on the target"),
        record["interpolation"].values(),
        strict=True,
    ):
        axes.axhline(found["target_error"], color=PALETTE["muted"][0], lw=1, ls=(0, (1.2, 1.4)))
        axes.annotate(
            label,
            (0.99, found["target_error"]),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            color=PALETTE["muted"][0],
            fontsize=8,
        )
    axes.grid(visible=True)


def _points(seeds: list[dict[str, Any]], choice: str, term: str) -> np.ndarray:
    """Return the mean errors over seeds, (weights, 2)."""
    return np.mean(
        [
            [[p["base_error"], p["target_error"]] for p in seed["curves"][choice][term]]
            for seed in seeds
        ],
        axis=0,
    )


def _line(term: str) -> dict[str, Any]:
    return {key: STYLE[term][key] for key in ("color", "ls", "marker")}


def _name(axes: Axes, text: str, at: np.ndarray, colour: str = PALETTE["ink"][0]) -> None:
    right = at[0] > 0.7  # of the range of errors, where the text would leave the panel
    axes.annotate(
        text,
        tuple(at),
        xytext=(-8 if right else 7, 8),
        textcoords="offset points",
        ha="right" if right else "left",
        color=colour,
        fontsize=8.4,
    )
