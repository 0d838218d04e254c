"""The two flows: what the network was trained on, and what it must work on."""

from __future__ import annotations

from collections.abc import Mapping

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

__all__ = ["flows_figure"]

_QUANTITIES = {"omega": ("ω̄", "vorticity ω̄"), "pi": ("Π", "subgrid term Π")}


def flows_figure(
    flows: xr.Dataset, *, forcing: Mapping[str, float] | None = None, narrow: bool = False
) -> Figure:
    """Vorticity and subgrid term of base and target, one sample each, and their mean spectra.

    Args:
        flows: the content of `flows.nc`.
        forcing: forcing wavenumber of each flow, marked on the spectra.
        narrow: draw for a phone.
    """
    figure = new_figure(6.0, narrow=narrow, narrow_height=9.4)
    if narrow:
        panels = figure.subplot_mosaic("AB;CC;DE;FF", height_ratios=[1, 1.25, 1, 1.25])
    else:
        panels = figure.subplot_mosaic("ABC;DEF", width_ratios=[1, 1, 1.75])
    letters = iter("abcdef")
    for name, keys in zip(_QUANTITIES, ("ABC", "DEF"), strict=True):
        for flow, key in zip(("base", "target"), keys, strict=False):
            _field(panels[key], flows, name, flow, next(letters))
        _spectra(panels[keys[2]], flows, name, forcing or {}, next(letters))
    return figure


def _field(axes: Axes, flows: xr.Dataset, name: str, flow: str, letter: str) -> None:
    values = flows[name].sel(flow=flow)
    limit = symmetric_limit([values])
    image = draw_field(axes, values, limit, cmocean.cm.balance)
    field_bar(axes, image, limit)
    label_panel(axes, letter, f"{_QUANTITIES[name][0]}, {flow}")


def _spectra(
    axes: Axes, flows: xr.Dataset, name: str, forcing: Mapping[str, float], letter: str
) -> None:
    k = np.asarray(flows["wavenumber"], dtype=float)
    curves = []
    for flow in ("base", "target"):
        spectrum = log_values(flows[f"{name}_spectrum"].sel(flow=flow))
        curves.append(spectrum)
        rms = float(flows[f"rms_{name}"].sel(flow=flow))
        axes.plot(k, spectrum, label=f"{flow}, rms {plain(rms)}", **LINES[flow])
        if flow in forcing:
            axes.axvline(forcing[flow], color=PALETTE[flow][0], lw=0.8, ls=(0, (1, 2)))
    spectrum_axes(axes, k, curves, decades=6, label="mean square per wavenumber")
    label_panel(axes, letter, f"spectrum of the {_QUANTITIES[name][1]}")
    axes.legend(loc="lower center", title=None)
