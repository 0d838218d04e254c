"""The advice before any re-training, and the re-training that checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.findings import number
from spectune.report.panels import layer_map
from spectune.report.run_folder import advised_layer
from spectune.report.style import PALETTE, label_panel, new_figure

__all__ = ["advice_figure", "check_figure", "correctable_map", "short_names"]

# Inches, for up to 20 layers.
HEIGHT = 4.3


def advice_figure(
    advice: Mapping[str, Any], spectra: xr.Dataset, *, narrow: bool = False
) -> Figure:
    """Forecast error of every layer, and the part of the error spectrum that each can correct.

    Args:
        advice: the content of `advice.json`.
        spectra: the content of `advice.nc`.
        narrow: draw for a phone.
    """
    stretch = _stretch(len(advice["layers"]))
    figure = new_figure(HEIGHT * stretch, narrow=narrow, narrow_height=7.8 * stretch)
    if narrow:
        panels = figure.subplot_mosaic("A;B", height_ratios=[1.08, 1])
    else:
        panels = figure.subplot_mosaic("AB", width_ratios=[1.1, 1])
    _dots(panels["A"], advice, None, stretch)
    label_panel(panels["A"], "a", "forecast error after re-training one layer")
    correctable_map(panels["B"], spectra, best=advised_layer(advice), stretch=stretch)
    if stretch > 1 and not narrow:
        panels["B"].tick_params(axis="y", labelleft=False)  # the rows of panel a go on
    label_panel(panels["B"], "b", "share of the error each layer can remove")
    return figure


def check_figure(
    advice: Mapping[str, Any], sweep: Mapping[str, Any], *, narrow: bool = False
) -> Figure:
    """Forecast beside the error measured by re-training, and the regret of every criterion.

    Args:
        advice: the content of `advice.json`.
        sweep: the content of `sweep.json`.
        narrow: draw for a phone.
    """
    names = [str(layer["name"]) for layer in advice["layers"]]
    stretch = _stretch(len(names))
    criteria = HEIGHT * max(1.0, len(sweep["comparison"]) / 14)
    height = HEIGHT * stretch
    figure = new_figure(
        max(height, criteria), narrow=narrow, narrow_height=0.9 * height + 0.8 * criteria
    )
    if narrow:
        panels = figure.subplot_mosaic("A;B", height_ratios=[1.05 * height, criteria])
    else:
        panels = figure.subplot_mosaic("AB", width_ratios=[1.25, 1])
    _dots(panels["A"], advice, sweep, stretch)
    label_panel(panels["A"], "a", "error after re-training one layer")
    _regrets(panels["B"], sweep["comparison"], short_names(names), narrow=narrow)
    label_panel(panels["B"], "b", "regret by criterion")
    return figure


def _stretch(layers: int) -> float:
    """How much taller than usual a figure with so many rows is."""
    return max(1.0, (layers + 6) / 26)


def short_names(names: Sequence[str], longest: int = 28) -> dict[str, str]:
    """Return names of layers as they are drawn: without what all share, and not too long.

    What all names begin with is shown as "…". Longer names lose their middle, if they stay
    different from each other.
    """
    paths = [name.split(".") for name in names]
    shared = 0
    most = min(map(len, paths)) - 1 if len(names) > 1 else 0
    while shared < most and len({path[shared] for path in paths}) == 1:
        shared += 1
    short = [f"…{'.'.join(path[shared:])}" if shared else ".".join(path) for path in paths]
    head = longest // 3
    cut = [
        name if len(name) <= longest else f"{name[:head]}…{name[head + 1 - longest :]}"
        for name in short
    ]
    return dict(zip(names, cut if len(set(cut)) == len(names) else short, strict=True))


def _regrets(
    axes: Axes,
    comparison: Mapping[str, Mapping[str, Any]],
    shown_as: Mapping[str, str],
    *,
    narrow: bool,
) -> None:
    rows = [(name, number(entry.get("regret")), entry) for name, entry in comparison.items()]
    rows.sort(key=lambda row: np.nan_to_num(row[1], nan=np.inf))
    reach = max([*(regret for _, regret, _ in rows if np.isfinite(regret)), 1.0])
    for place, (name, regret, entry) in enumerate(rows):
        colour = PALETTE["tlnn" if name == "attainable decrease" else "none"][0]
        if np.isfinite(regret):
            axes.plot([0, regret], [place, place], color=colour, lw=2.2, solid_capstyle="butt")
            axes.plot(regret, place, "o", color=colour, ms=7)
        shown = f"{regret:.2f}" if np.isfinite(regret) else "—"
        choice = str(entry.get("choice", "—"))
        axes.annotate(
            f"{shown_as.get(choice, choice)}, {shown}",
            (np.nan_to_num(regret), place),
            (8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(
        range(len(rows)), [name.replace(" ", "\n") if narrow else name for name, _, _ in rows]
    )
    axes.tick_params(axis="y", length=0, labelcolor=PALETTE["ink"][0])
    for tick in axes.get_yticklabels():
        tick.set_multialignment("right")
    axes.set(xlim=(-0.03 * reach, reach * (1.6 if narrow else 1.36)), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0, best", "", "0.5", "", "1, no gain"])
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)


def _dots(
    axes: Axes, advice: Mapping[str, Any], sweep: Mapping[str, Any] | None, stretch: float
) -> None:
    layers = advice["layers"]
    names = [str(layer["name"]) for layer in layers]
    place = np.arange(len(names), dtype=float)
    forecast = np.array([number(layer["predicted_error"]) for layer in layers])
    low = np.array([number(layer.get("low")) for layer in layers])
    high = np.array([number(layer.get("high")) for layer in layers])
    advised = advised_layer(advice)
    if advised in names:
        best = names.index(advised)
        axes.axhspan(best - 0.5, best + 0.5, color=PALETTE["tlnn"][0], alpha=0.13, lw=0)
    axes.hlines(place, low, high, color=PALETTE["tlnn"][0], lw=4.5, alpha=0.38)
    axes.plot(forecast, place, "o", color=PALETTE["tlnn"][0], ms=6, label="forecast, with interval")
    seen = [forecast, low, high]
    if sweep is not None:
        measured = {str(layer["name"]): number(layer["error"]) for layer in sweep["layers"]}
        truth = np.array([measured.get(name, np.nan) for name in names])
        axes.plot(
            truth, place, "D", color=PALETTE["truth"][0], ms=5.5, mfc="none", mew=1.5,
            label="measured by re-training",
        )  # fmt: skip
        seen.append(truth)
        every = number(sweep["all_layers"].get("error"))
        if np.isfinite(every):
            axes.axvline(every, color=PALETTE["truth"][0], lw=1, ls=(0, (4, 2)), label="all layers")
            seen.append(np.array([every]))
    # The error that re-training started from: on the held-out samples where there are any.
    bnn = number((advice if sweep is None else sweep)["bnn_error"])
    axes.axvline(bnn, color=PALETTE["bnn"][0], lw=1.4, ls=(0, (5, 1.6)), label="base network")
    values = np.concatenate([*seen, np.array([bnn])])
    values = values[np.isfinite(values)]
    if values.size:
        # One diverged layer must not squeeze the others into a line.
        top = min(values.max(), 3 * max(bnn, 1.0))
        span = top - min(values.min(), top)
        axes.set_xlim(max(0.0, values.min() - 0.08 * span), top + 0.08 * span)
    axes.set_yticks(place, list(short_names(names).values()))
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set(color=PALETTE["ink"][0], fontweight="bold" if name == advised else "normal")
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="mean squared error ÷ variance of the target")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.15 / stretch), ncols=2, columnspacing=1.2
    )


def correctable_map(
    axes: Axes, spectra: xr.Dataset, *, best: str = "", stretch: float = 1.0
) -> None:
    """Heat map of the correctable spectrum, layers down, log k across; clipped at ±1."""
    share = np.asarray(spectra["correctable"].transpose("layer", "wavenumber"), dtype=float)
    layer_map(
        axes,
        spectra["wavenumber"],
        [str(name) for name in spectra["layer"].values],
        np.clip(share, -1, 1),
        1.0,
        cmocean.cm.curl_r,
        ["doubles or worse", "no change", "all removed"],
        marked=best,
        shown_as=short_names([str(name) for name in spectra["layer"].values]),
        height=2.4 * stretch,
    )
