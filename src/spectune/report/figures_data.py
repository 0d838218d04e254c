"""The data of base and target: spectra, and the bands in which they differ."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    log_values,
    new_figure,
    spectrum_axes,
    unit_text,
)

__all__ = ["data_figure"]

# Panels at most: more variables than that are named in the file, not drawn.
_SHOWN = 3


def data_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Spectra of the variables that differ most, with confidence bands; below, decibels by octave.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    names = [str(name) for name in explanation["variable"].values]
    shown = _chosen(explanation, names)
    count = len(shown)
    figure = new_figure(3.3, narrow=narrow, narrow_height=0.2 + 2.9 * count)
    panels = figure.subplots(*((count, 1) if narrow else (1, count)), squeeze=False).ravel()
    for axes, name, letter in zip(panels, shown, "abc", strict=False):
        one = explanation.sel(variable=name)
        _spectra(axes, one)
        more = (
            f", {count} of {len(names)} variables" if count < len(names) and letter == "a" else ""
        )
        label_panel(axes, letter, f"{name}{more}")
    return figure


def _chosen(explanation: xr.Dataset, names: list[str]) -> list[str]:
    if len(names) <= _SHOWN:
        return names
    if "data_ratio" not in explanation:
        return [*names[: _SHOWN - 1], names[-1]]  # the last is what the network predicts
    size = np.abs(np.nan_to_num(np.asarray(explanation["data_ratio"], dtype=float))).mean(1)
    largest = np.argsort(-size[:-1], kind="stable")[: _SHOWN - 1]
    return [names[i] for i in (*sorted(largest), len(names) - 1)]


def _spectra(axes: Axes, one: xr.Dataset) -> None:
    k = np.asarray(one["wavenumber"], dtype=float)
    curves = []
    for flow in ("base", "target"):
        part = one.sel(flow=flow)
        values = log_values(part["data_spectrum"])
        if not np.isfinite(values[k >= 1]).any():
            continue
        curves.append(values)
        axes.plot(k, values, label=flow, **LINES[flow])
        low, high = (log_values(part[f"data_{end}"]) for end in ("lower", "upper"))
        axes.fill_between(k, low, high, color=PALETTE[flow][0], alpha=0.22, lw=0)
    unit = str(one["variable_unit"].item())
    said = "" if unit == "1" else f", ({unit_text(unit)})²"
    spectrum_axes(axes, k, curves, decades=7, label=f"variance per wavenumber{said}")
    if "data_ratio" in one:
        _bands(axes, one, float(k.max()))
    axes.legend(loc="best")


def _bands(axes: Axes, one: xr.Dataset, last: float) -> None:
    """Write target over base in decibels below the curves, where it is no chance."""
    low, high = axes.get_ylim()
    axes.set_ylim(low * (low / high) ** 0.16, high)
    axes.axhspan(axes.get_ylim()[0], low, color=PALETTE["paper"][0], zorder=3)
    axes.axhline(low, color=PALETTE["grid"][0], lw=0.8, zorder=3)
    ratios = np.asarray(one["data_ratio"], dtype=float) * (10 / np.log(10))
    found = np.asarray(one["data_significant"], dtype=bool)
    place = axes.get_xaxis_transform()
    for first, end, ratio, clear in zip(
        np.floor(one["band_low"].values + 1e-6) + 1,
        one["band_high"].values,
        ratios,
        found,
        strict=True,
    ):
        if first > last or not np.isfinite(ratio):
            continue
        middle = np.sqrt(first * min(end, last))
        text = f"{ratio:+.0f}".replace("-", "−") if clear else "n.s."
        colour = PALETTE["target"][0] if clear else PALETTE["muted"][0]
        # The first band is one shell at the left edge of the axes.
        start = max(middle, last**0.045)
        axes.text(
            start, 0.085, text, transform=place, ha="center", va="center", color=colour, size=8,
            zorder=4,
        )  # fmt: skip
    axes.text(
        1, 0.0, "target ÷ base, dB", transform=axes.transAxes, ha="right", va="bottom",
        color=PALETTE["muted"][0], size=7.4, zorder=4,
    )  # fmt: skip
