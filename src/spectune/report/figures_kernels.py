"""The kernels of the re-trained layer as filters, before and after."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.style import PALETTE, label_panel, new_figure

__all__ = ["filters_figure", "full_plane", "kernels_figure"]


def full_plane(response: np.ndarray, ky: np.ndarray, kx: np.ndarray) -> tuple[np.ndarray, float]:
    """The whole plane of |Ŵ| from its half kx ≥ 0, by |Ŵ(−k)| = |Ŵ(k)| of a real kernel.

    Args:
        response: modulus, shape (ky, kx).
        ky: wavenumbers of the rows, in any order.
        kx: wavenumbers of the columns, not negative.

    Returns:
        The plane with k = 0 in its centre, rows and columns from −K to K, and K.
    """
    last = int(min(np.max(ky), np.max(kx)))
    rows = {round(float(k)): i for i, k in enumerate(ky)}
    columns = {round(float(k)): i for i, k in enumerate(kx)}
    plane = np.full((2 * last + 1, 2 * last + 1), np.nan)
    for row in range(-last, last + 1):
        for column in range(last + 1):
            if row in rows and column in columns:
                value = response[rows[row], columns[column]]
                plane[last + row, last + column] = value
                plane[last - row, last - column] = value
    return plane, float(last)


def kernels_figure(explanation: xr.Dataset, *, narrow: bool = False, most: int = 8) -> Figure:
    """|Ŵ| of the kernels that changed most: before on top, after below, one colour scale a pair.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
        most: how many kernels to show.
    """
    count = min(most, explanation.sizes["kernel"])
    columns = min(count, 4 if narrow else 8)
    blocks = -(-count // columns)
    figure = new_figure(0.3 + 2.75 * blocks, narrow=narrow, narrow_height=0.2 + 2.1 * blocks)
    panels = figure.subplots(2 * blocks, columns, squeeze=False)
    for spare in panels.ravel():
        spare.set_axis_off()
    ky = np.asarray(explanation["ky"], dtype=float)
    kx = np.asarray(explanation["kx"], dtype=float)
    for index in range(count):
        one = explanation.isel(kernel=index)
        pair = [
            full_plane(np.asarray(one[f"response_{stage}"], dtype=float), ky, kx)
            for stage in ("before", "after")
        ]
        top = np.nanmax([np.nanmax(np.nan_to_num(plane)) for plane, _ in pair]) or 1.0
        row, column = 2 * (index // columns), index % columns
        for axes, stage, (plane, last) in zip(
            panels[row : row + 2, column], ("before", "after"), pair, strict=True
        ):
            axes.set_axis_on()
            _response(axes, plane, last, float(top))
            axes.set_xlabel(str(one[f"class_{stage}"].item()), labelpad=3, fontsize=8)
            if column == 0:
                axes.set_ylabel(stage, fontweight="bold")
        panels[row, column].set_title(
            f"{int(one['kernel_in'])} → {int(one['kernel_out'])}", color=PALETTE["muted"][0]
        )
    return figure


def _response(axes: Axes, plane: np.ndarray, last: float, top: float) -> None:
    axes.imshow(
        plane,
        origin="lower",
        extent=(-last, last, -last, last),
        cmap=cmocean.cm.dense,
        vmin=0,
        vmax=top,
        interpolation="none",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def filters_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """How many kernels are of each class, and the mean response by wavenumber, before and after.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(2.9, narrow=narrow, narrow_height=5.2)
    panels = figure.subplot_mosaic("A;B" if narrow else "AB")
    kinds = [str(kind) for kind in explanation["kernel_class"].values]
    place = np.arange(len(kinds), dtype=float)
    styles = {"before": ("BNN", -0.19), "after": ("TLNN", 0.19)}
    axes = panels["A"]
    for stage, (name, offset) in styles.items():
        values = np.nan_to_num(np.asarray(explanation["class_count"].sel(stage=stage), float))
        colour = PALETTE[name.lower()][0]
        axes.barh(place + offset, values, 0.34, color=colour, label=stage, alpha=0.9)
        for y, value in zip(place + offset, values, strict=True):
            axes.annotate(
                f"{value:.0f}", (value, y), (4, 0), textcoords="offset points", va="center"
            )
    axes.set_yticks(place, kinds)
    axes.tick_params(axis="y", length=0, labelcolor=PALETTE["ink"][0], labelsize=9)
    axes.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="kernels")
    axes.margins(x=0.12)
    axes.legend(loc="best")
    label_panel(axes, "a", "kernels by class")
    axes = panels["B"]
    k = np.asarray(explanation["wavenumber"], dtype=float)
    for stage, (name, _) in styles.items():
        axes.plot(
            k,
            np.asarray(explanation["mean_response"].sel(stage=stage), float),
            color=PALETTE[name.lower()][0],
            lw=1.8,
            ls="-" if stage == "after" else (0, (5, 1.6)),
            label=stage,
        )
    axes.set(xlim=(0, k.max()), xlabel="wavenumber k", ylabel="mean of |Ŵ|")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
    axes.legend(loc="best")
    label_panel(axes, "b", "mean response")
    return figure
