"""The truth and the advice in one figure: which layer is best where, and who finds it."""

from __future__ import annotations

from typing import Any

import cmocean
import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes

from benchmarks.transfers.folders import RESULTS
from benchmarks.transfers.record import read_truth
from benchmarks.transfers.table import has_best_layer, judged, layer_errors
from spectune.report.style import PALETTE, RC, label_panel, new_figure

SHOWN_SAMPLES = 50


def write_figure() -> None:
    """Write advice.png and advice.pdf beside the tables."""
    rows = judged()
    with rc_context(RC):
        figure = new_figure(5.2, narrow=False)
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _truth(left, rows)
        _criteria(right, rows)
        label_panel(left, "A", "re-training each layer: regret")
        label_panel(right, "B", "following each criterion: regret")
        for suffix in ("png", "pdf"):
            figure.savefig(RESULTS / f"advice.{suffix}", dpi=150, facecolor="white")


def _truth(axes: Axes, rows: pd.DataFrame) -> None:
    """Mean regret of each layer, a row a transfer; what was advised and what is best."""
    transfers = [t for t in read_truth()["transfers"] if any(map(has_best_layer, t["sweeps"]))]
    regrets = np.array([_regrets(transfer) for transfer in transfers])
    mesh = axes.imshow(regrets, cmap=cmocean.cm.dense, vmin=0, vmax=1, aspect="auto")
    layers = regrets.shape[1]
    advised = rows[(rows["criterion"] == "advice") & (rows["samples"] == SHOWN_SAMPLES)]
    for y, transfer in enumerate(transfers):
        best = int(np.argmin(regrets[y]))
        axes.plot(best, y, "s", ms=15, mfc="none", mec=PALETTE["target"][0], mew=1.6)
        for choice, count in (
            advised.loc[advised["transfer"] == transfer["name"], "choice"].value_counts().items()
        ):
            x = int(str(choice).removeprefix("conv")) - 1
            light = regrets[y, x] < 0.5
            axes.plot(x, y, "o", ms=3 + 1.6 * count, color=PALETTE["ink" if light else "paper"][0])
    axes.set_xticks(range(layers), [str(i + 1) for i in range(layers)])
    axes.set_yticks(range(len(transfers)), [transfer["name"] for transfer in transfers])
    axes.tick_params(length=0)
    axes.set_xlabel("re-trained layer (□ lowest mean error, ● advised, larger by more seeds)")
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("0 best layer, 1 no gain")
    bar.outline.set_visible(False)


def _regrets(transfer: dict[str, Any]) -> np.ndarray:
    found = []
    for sweep in transfer["sweeps"]:
        if sweep["samples"] == SHOWN_SAMPLES and has_best_layer(sweep):
            errors = layer_errors(sweep).sort_index()
            before = sweep["retrained"]["none"]["error"]
            found.append((errors - errors.min()) / max(before - errors.min(), 1e-30))
    return np.mean(found, axis=0)


def _criteria(axes: Axes, rows: pd.DataFrame) -> None:
    """Regret of every criterion, a dot a transfer, a bar at the mean."""
    by_transfer = rows.groupby(["criterion", "transfer"])["regret"].mean()
    order = by_transfer.groupby("criterion").mean().sort_values(ascending=False)
    for y, criterion in enumerate(order.index):
        values = by_transfer[criterion]
        colour = PALETTE["tlnn" if criterion == "advice" else "muted"][0]
        axes.plot(values, np.full(len(values), y), "o", ms=4, color=colour, alpha=0.55, mew=0)
        axes.plot([order[criterion]], [y], "|", ms=15, mew=2.2, color=colour)
    axes.set_yticks(range(len(order)), list(order.index))
    for label, criterion in zip(axes.get_yticklabels(), order.index, strict=True):
        label.set(color=PALETTE["ink"][0], fontweight="bold" if criterion == "advice" else "normal")
    axes.set_xlabel("regret of its choice (dots: transfers, bar: their mean)")
    axes.grid(axis="x")
    axes.set_xlim(-0.03, 1.05)
