"""How far every convolution moved in re-training, and whether the way that the spectra differ."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from spectune.report.panels import layer_names, legend_below
from spectune.report.style import PALETTE, label_panel, new_figure, plain, wavenumber_ticks

__all__ = ["changes_figure"]


def changes_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Relative change of every convolution; where it is known, the alignment and its two curves.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    aligned = "log_spectrum_ratio" in explanation
    names = [str(name) for name in explanation["convolution"].values]
    layer = str(explanation.attrs.get("layer", ""))
    height = min(max(3.2, 1.3 + 0.22 * len(names)), 8.0)
    figure = new_figure(height, narrow=narrow, narrow_height=height + 3.0 * aligned)
    panels = figure.subplot_mosaic("A;B" if narrow and aligned else "AB"[: 1 + aligned])
    _changes(panels["A"], explanation, names, layer)
    legend_below(panels["A"], height - 1.0, 3)
    label_panel(panels["A"], "a", "change of every convolution")
    if aligned:
        index = names.index(layer) if layer in names else 0
        _curves(panels["B"], explanation)
        value, p = (float(explanation[key][index]) for key in ("alignment", "alignment_p"))
        label_panel(panels["B"], "b", f"{layer}: alignment {plain(value)}, p = {plain(p)}")
    return figure


def _changes(axes: Axes, explanation: xr.Dataset, names: list[str], layer: str) -> None:
    place = np.arange(len(names), dtype=float)
    marks = (
        ("weight_change_relative", "weights, ‖ΔW‖ / ‖W‖", "bnn", "D", 5.5),
        ("response_change_relative", "gain, ‖Δ|Ŵ|‖ / ‖W‖", "tlnn", "o", 6),
    )
    for key, label, colour, marker, size in marks:
        values = np.asarray(explanation[key], dtype=float)
        axes.plot(values, place, marker, color=PALETTE[colour][0], ms=size, label=label, alpha=0.9)
    if "weight_noise_relative" in explanation:
        noise = np.asarray(explanation["weight_noise_relative"], dtype=float)
        axes.plot(
            noise, place, "|", color=PALETTE["ink"][0], ms=9, mew=1.4, label="noise of weights"
        )
    layer_names(axes, names, layer)
    axes.set_xlim(left=-0.03 * max(axes.get_xlim()[1], 1e-3))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=True)


def _curves(axes: Axes, explanation: xr.Dataset) -> None:
    """Both ratios in decibels on axes of their own: shapes are compared, not sizes."""
    k = np.asarray(explanation["wavenumber"], dtype=float)
    curves = (
        ("log_spectrum_ratio", "input: target ÷ base", "target", (0, (5, 1.6))),
        ("log_response_ratio", "response: after ÷ before", "tlnn", "-"),
    )
    twin = axes.twinx()
    twin.spines["right"].set_visible(True)
    reach = 1.0
    for side, (key, label, colour, dashes) in zip((axes, twin), curves, strict=True):
        values = np.asarray(explanation[key], dtype=float) * (10 / np.log(10))
        values[k <= 0] = np.nan
        known = np.isfinite(np.asarray(explanation["log_spectrum_ratio"], dtype=float))
        values[~known] = np.nan
        side.plot(k, values, color=PALETTE[colour][0], ls=dashes, lw=1.8, label=label)
        limit = 1.15 * float(np.nanmax(np.abs(np.append(values, 0.0)))) or 1.0
        side.set_ylim(-limit, limit)  # zero of both at one height
        side.set_ylabel(f"{label}, dB", color=PALETTE[colour][0])
        reach = max(reach, float(np.max(k[known], initial=1.0)))
    axes.axhline(0, color=PALETTE["soft"][0], lw=0.9)
    axes.set(xscale="log", xlim=(0.9, reach * 1.05), xlabel="wavenumber k")
    wavenumber_ticks(axes, reach)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True)
