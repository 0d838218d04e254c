"""The closures inside the large-eddy simulation: fields and statistics."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.panels import draw_field, empty_panel, field_bar, symmetric_limit
from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    log_values,
    new_figure,
    plain,
    power_of_ten,
    spectrum_axes,
)

__all__ = ["online_curves_figure", "online_fields_figure"]

_TITLES = {"BNN": "base network", "TLNN": "re-trained"}


def online_fields_figure(online: xr.Dataset, *, narrow: bool = False) -> Figure:
    """The last vorticity field of every simulation; one that blew up says when.

    Args:
        online: the content of `online.nc`.
        narrow: draw for a phone.
    """
    closures = [str(c) for c in online["closure"].values]
    columns = 2 if narrow else len(closures)
    rows = -(-len(closures) // columns)
    figure = new_figure(2.65, narrow=narrow, narrow_height=1.92 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    truth = "filtered DNS" if "filtered DNS" in closures else closures[0]
    limit = symmetric_limit([online["omega"].sel(closure=truth)])
    for axes, closure, letter in zip(panels, closures, "abcdefgh", strict=False):
        values = np.asarray(online["omega"].sel(closure=closure), dtype=float)
        end = float(online["stable_until"].sel(closure=closure))
        if np.isfinite(end) or not np.isfinite(values).all():
            when = f"blew up\nat t = {plain(end)}" if np.isfinite(end) else "no field"
            empty_panel(axes, when)
        else:
            image = draw_field(axes, values, limit, cmocean.cm.balance)
            field_bar(axes, image, limit)
        label_panel(axes, letter, _TITLES.get(closure, closure))
    for spare in panels[len(closures) :]:
        spare.set_axis_off()
    return figure


def online_curves_figure(online: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Energy and enstrophy spectra, vorticity PDF, and energy over time, by closure.

    Args:
        online: the content of `online.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(6.4, narrow=narrow, narrow_height=11.4)
    panels = figure.subplot_mosaic("A;B;C;D" if narrow else "AB;CD")
    k = np.asarray(online["wavenumber"], dtype=float)
    for key, letter, name, words in (
        ("A", "a", "energy_spectrum", "energy"),
        ("B", "b", "enstrophy_spectrum", "enstrophy"),
    ):
        curves = _draw(panels[key], online, name, k)
        spectrum_axes(panels[key], k, curves, decades=7, label=f"{words} per wavenumber")
        label_panel(panels[key], letter, f"{words} spectrum")
    axes = panels["C"]
    curves = _draw(axes, online, "vorticity_pdf", np.asarray(online["bin"], dtype=float))
    _pdf_axes(axes, curves)
    label_panel(axes, "c", "distribution of the vorticity")
    axes = panels["D"]
    time = np.asarray(online["time"], dtype=float)
    curves = _draw(axes, online, "energy", time, positive=False)
    _time_axes(axes, online, time, curves)
    label_panel(axes, "d", "energy over time")
    if narrow:
        panels["A"].legend(loc="lower left")
    else:
        handles, labels = panels["A"].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _draw(
    axes: Axes, online: xr.Dataset, name: str, x: np.ndarray, *, positive: bool = True
) -> list[np.ndarray]:
    curves = []
    for closure in (str(c) for c in online["closure"].values):
        values = np.asarray(online[name].sel(closure=closure), dtype=float)
        values = log_values(values) if positive else np.where(np.isfinite(values), values, np.nan)
        curves.append(values)
        end = float(online["stable_until"].sel(closure=closure))
        label = _TITLES.get(closure, closure)
        if np.isfinite(end):
            label += f" (blew up, t = {plain(end)})"
        style = LINES.get(closure, {"color": PALETTE["none"][0], "lw": 1.2})
        axes.plot(x, values, label=label, **style)
    return curves


def _pdf_axes(axes: Axes, curves: list[np.ndarray]) -> None:
    axes.set_yscale("log")
    finite = np.concatenate([c[np.isfinite(c)] for c in curves])
    high = float(finite.max()) if finite.size else 1.0
    low = max(float(finite.min()), high * 1e-5) if finite.size else 0.1
    axes.set_ylim(low, high * 2)
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.set(xlabel="ω̄ ÷ standard deviation of the truth", ylabel="probability density")
    axes.grid(visible=True)


def _time_axes(axes: Axes, online: xr.Dataset, time: np.ndarray, curves: list[np.ndarray]) -> None:
    """Limits from the runs that last; one that blows up leaves the panel at its end."""
    lasting = [
        curve
        for curve, end in zip(curves, online["stable_until"].values, strict=True)
        if not np.isfinite(end)
    ]
    finite = np.concatenate([c[np.isfinite(c)] for c in lasting or curves])
    if finite.size:
        span = max(float(np.ptp(finite)), 1e-3 * float(np.abs(finite).max()))
        axes.set_ylim(float(finite.min()) - 0.15 * span, float(finite.max()) + 0.15 * span)
    for closure, end in zip(online["closure"].values, online["stable_until"].values, strict=True):
        if np.isfinite(end):
            colour = LINES.get(str(closure), LINES["no closure"])["color"]
            axes.axvline(float(end), color=colour, lw=0.9, ls=(0, (1, 2)))
    axes.set(xlim=(time.min(), time.max()), xlabel="time", ylabel="kinetic energy")
    axes.grid(visible=True)
