"""What re-training repaired at each wavenumber, beside what the layer could."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    new_figure,
    wavenumber_ticks,
)

__all__ = ["corrected_figure"]


def corrected_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Share of the error removed at each wavenumber, and coherence of prediction and truth.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(3.1, narrow=narrow, narrow_height=5.6)
    panels = figure.subplot_mosaic("A;B" if narrow else "AB")
    layer = str(explanation.attrs.get("layer", "the layer"))
    k = np.asarray(explanation["wavenumber"], dtype=float)
    axes = panels["A"]
    axes.plot(k, explanation["corrected"], label="removed by re-training", **LINES["TLNN"])
    forecast = np.asarray(explanation["correctable"], dtype=float)
    if np.isfinite(forecast).any():
        axes.plot(
            k, forecast, color=PALETTE["smagorinsky"][0], ls=(0, (5, 1.6)), lw=1.7,
            label=f"forecast for {layer} alone",
        )  # fmt: skip
    lowest = np.nanmin(np.append(np.asarray(explanation["corrected"])[k >= 1], 0.0))
    axes.set_ylim(max(-1.0, min(-0.08, 1.1 * lowest)), 1.02)
    axes.axhline(0, color=PALETTE["soft"][0], lw=0.9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _wavenumbers(axes, k, "share of the error at k")
    label_panel(axes, "a", "error removed")
    axes = panels["B"]
    for stage, style, label in (("before", "BNN", "base network"), ("after", "TLNN", "re-trained")):
        shared = explanation["coherence"].sel(stage=stage).mean("target")
        axes.plot(k, shared, label=label, **LINES[style])
    axes.set_ylim(-0.05, 1.02)
    _wavenumbers(axes, k, "coherence with the truth, γ²")
    label_panel(axes, "b", "prediction and truth on the target")
    return figure


def _wavenumbers(axes: Axes, k: np.ndarray, label: str) -> None:
    last = float(k.max())
    axes.set(xscale="log", xlim=(1, last), xlabel="wavenumber k", ylabel=label)
    wavenumber_ticks(axes, last)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True)
    axes.legend(loc="best")
