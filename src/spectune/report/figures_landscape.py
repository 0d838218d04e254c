"""The loss of each layer along its two leading eigenvectors."""

from __future__ import annotations

import math

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from spectune.report.figures_advice import short_names
from spectune.report.style import PALETTE, new_figure, plain

__all__ = ["landscape_figure"]

COLUMNS = 4
# Inches, of a row of panels.
ROW = 2.75


def landscape_figure(landscape: xr.Dataset, *, best: str = "", narrow: bool = False) -> Figure:
    """Planes of the loss in each layer, around the base network.

    Args:
        landscape: the content of `landscape.nc`.
        best: the advised layer.
        narrow: draw for a phone.
    """
    names = [str(name) for name in landscape["layer"].values]
    columns = 2 if narrow else min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(ROW * rows + 0.5, narrow=narrow, narrow_height=2.0 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    if "loss_on_plane" not in landscape:  # every layer is flat, or has one weight
        landscape = landscape.assign(loss_on_plane=("layer", np.full(len(names), np.nan)))
    shown_as = short_names(names, longest=18)
    planes = landscape["loss_on_plane"].values
    norm = LogNorm(*_limits(planes, landscape.attrs["loss"]))
    drawn = None
    for axes, name in zip(panels, names, strict=False):
        mesh = _plane(axes, landscape.sel(layer=name), norm)
        drawn = drawn or mesh
        weight = "bold" if name == best else "normal"
        axes.set_title(shown_as[name], loc="left", fontweight=weight)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=panels.tolist(), shrink=0.6, aspect=30, pad=0.01)
        bar.set_label("mean squared error ÷ variance of the target")
        bar.ax.yaxis.set_major_formatter(lambda value, _: plain(value))
        bar.ax.yaxis.set_minor_formatter(lambda value, _: plain(value) if value < 20 else "")
        bar.outline.set_visible(False)
    figure.supxlabel(
        "along the 1st eigenvector, up: along the 2nd (units of the weights); "
        "● base network, ✕ lowest",
        fontsize=9,
        color=PALETTE["muted"][0],
    )
    return figure


def _limits(planes: np.ndarray, loss: float) -> tuple[float, float]:
    """From the lowest loss to ten times that of the base network, or as far as there is."""
    seen = planes[np.isfinite(planes) & (planes > 0)]
    if not seen.size:
        return 0.5 * loss, loss
    low = float(seen.min())
    return low, max(min(float(seen.max()), 10 * loss), 1.01 * low)


def _plane(axes: Axes, one: xr.Dataset, norm: LogNorm) -> QuadMesh | None:
    axes.tick_params(labelsize=7.5)
    plane = np.asarray(one["loss_on_plane"].values)
    if plane.ndim < 2 or not np.isfinite(plane).all():
        axes.set(xticks=[], yticks=[])
        why = "no effect on the loss" if _flat(one) else "a single weight"
        axes.annotate(why, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")
        return None
    a, b = one["offset"].values
    mesh = axes.pcolormesh(a, b, plane.T, norm=norm, cmap=cmocean.cm.matter, shading="gouraud")
    axes.contour(
        a, b, np.log(plane.T), levels=6, colors=PALETTE["ink"][0], linewidths=0.5,
        linestyles="solid", alpha=0.6,
    )  # fmt: skip
    axes.plot(0, 0, "o", color=PALETTE["ink"][0], ms=5)
    axes.plot(*one["lowest_at"].values, "x", color=PALETTE["base"][0], ms=7, mew=2)
    axes.ticklabel_format(style="sci", scilimits=(-2, 3), axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(7)
    axes.locator_params(nbins=4)
    axes.set_title(f"lowest {plain(float(one['lowest']))}", loc="right", fontsize=8)
    return mesh


def _flat(one: xr.Dataset) -> bool:
    return "lowest" not in one or bool(np.isnan(one["lowest"]))
