"""How well the network predicts the subgrid term, before and after re-training."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.panels import draw_field, field_bar, symmetric_limit
from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    log_values,
    new_figure,
    plain,
    spectrum_axes,
)

__all__ = ["failure_figure", "repair_figure"]


def failure_figure(offline: xr.Dataset, *, narrow: bool = False) -> Figure:
    """The base network on its own flow and on the target: spectra of truth, prediction and error.

    Args:
        offline: the content of `offline.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(3.5, narrow=narrow, narrow_height=8.6)
    panels = figure.subplot_mosaic("A;B;C" if narrow else "ABC")
    limits = []
    for key, letter, experiment, title in (
        ("A", "a", "BNN on base", "on the base flow"),
        ("B", "b", "BNN on target", "on the target flow"),
    ):
        limits.append(_spectra(panels[key], offline.sel(experiment=experiment)))
        label_panel(panels[key], letter, f"base network {title}")
    if not narrow:
        panels["A"].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        panels["B"].set_ylim(panels["A"].get_ylim())
    _bands(panels["C"], offline)
    label_panel(panels["C"], "c", "error of the spectrum by scale")
    return figure


def repair_figure(offline: xr.Dataset, *, layer: str = "", narrow: bool = False) -> Figure:
    """One target sample of Π from truth, base and re-trained network, and the error by wavenumber.

    Args:
        offline: the content of `offline.nc`.
        layer: the re-trained layer, named in the titles.
        narrow: draw for a phone.
    """
    figure = new_figure(2.95, narrow=narrow, narrow_height=7.4)
    if narrow:
        panels = figure.subplot_mosaic("AB;CX;DD", height_ratios=[1, 1, 1.15])
        panels["X"].set_axis_off()
    else:
        panels = figure.subplot_mosaic("ABCD", width_ratios=[1, 1, 1, 1.5])
    names = {"A": ("truth", "truth"), "B": ("bnn", "base network"), "C": ("tlnn", "re-trained")}
    limit = symmetric_limit([offline["truth"]])
    for (key, (name, words)), letter in zip(names.items(), "abc", strict=True):
        image = draw_field(panels[key], offline[name], limit, cmocean.cm.balance)
        field_bar(panels[key], image, limit)
        suffix = f" in {layer}" if key == "C" and layer else ""
        label_panel(panels[key], letter, f"Π, {words}{suffix}")
    _relative_error(panels["D"], offline)
    label_panel(panels["D"], "d", "error ÷ truth, by wavenumber")
    return figure


def _spectra(axes: Axes, one: xr.Dataset) -> tuple[float, float]:
    k = np.asarray(one["wavenumber"], dtype=float)
    curves = [log_values(one[f"{name}_spectrum"]) for name in ("truth", "prediction", "error")]
    axes.plot(k, curves[0], label="truth", **LINES["truth"])
    axes.plot(k, curves[1], label="prediction", **LINES["BNN"])
    axes.plot(k, curves[2], label="error", color=PALETTE["muted"][0], lw=1.1, ls=(0, (1, 1.3)))
    spectrum_axes(axes, k, curves, decades=5, label="mean square of Π per wavenumber")
    axes.legend(loc="lower center")
    return axes.get_ylim()


def _bands(axes: Axes, offline: xr.Dataset) -> None:
    """Dots, because the bands are names and not a scale."""
    bands = [str(b) for b in offline["band"].values]
    place = np.arange(len(bands), dtype=float)
    styles = {
        "BNN on base": ("base network, base flow", PALETTE["base"][0], "o"),
        "BNN on target": ("base network, target flow", PALETTE["bnn"][0], "D"),
        "TLNN on target": ("re-trained, target flow", PALETTE["tlnn"][0], "s"),
    }
    present = [str(e) for e in offline["experiment"].values]
    for experiment, (label, colour, marker) in styles.items():
        if experiment in present:
            values = log_values(offline["band_spectrum_error"].sel(experiment=experiment))
            axes.plot(
                place, values, marker, color=colour, ms=7.5, label=label, ls="-", lw=0.9, alpha=0.95
            )
    axes.set_yscale("log")
    finite = log_values(offline["band_spectrum_error"])
    finite = finite[np.isfinite(finite)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.1, 1.0)
    axes.set_ylim(low / 1.5, high * 1.5)
    axes.yaxis.set_major_formatter(lambda v, _: plain(v) if _leading(v) in (1, 2, 5) else "")
    axes.yaxis.set_minor_formatter(lambda v, _: plain(v) if _leading(v) in (2, 5) else "")
    last = float(offline["wavenumber"].max())
    edges = [
        f"{band}\nk = {np.floor(a) + 1:.0f}–{min(np.floor(b), last):.0f}"
        for band, a, b in zip(
            bands, offline["band_low"].values, offline["band_high"].values, strict=True
        )
    ]
    axes.set_xticks(place, edges)
    axes.set(xlim=(-0.4, len(bands) - 0.6), ylabel="mean of |prediction − truth| ÷ truth")
    axes.tick_params(axis="y", which="minor", labelsize=7.8)
    axes.grid(visible=True, axis="y", which="both")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))


def _leading(value: float) -> int:
    return round(value / 10 ** np.floor(np.log10(value))) if value > 0 else 0


def _relative_error(axes: Axes, offline: xr.Dataset) -> None:
    k = np.asarray(offline["wavenumber"], dtype=float)
    curves = []
    for experiment, style, label in (
        ("BNN on target", "BNN", "base network"),
        ("TLNN on target", "TLNN", "re-trained"),
    ):
        one = offline.sel(experiment=experiment)
        ratio = log_values(one["error_spectrum"]) / log_values(one["truth_spectrum"])
        curves.append(ratio)
        axes.plot(k, ratio, label=label, **LINES[style])
    spectrum_axes(axes, k, curves, decades=4, label="spectrum of error ÷ of truth")
    axes.axhline(1.0, color=PALETTE["muted"][0], lw=1, ls=(0, (1, 2)), label="predicting zero")
    axes.legend(loc="upper right")
