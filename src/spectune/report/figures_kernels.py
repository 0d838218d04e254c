"""The kernels of the re-trained layer as filters, before and after."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spectune.report.style import PALETTE, label_panel, new_figure

__all__ = ["draw_response", "filters_figure", "full_plane", "kernels_figure"]


def full_plane(
    response: np.ndarray, ky: np.ndarray, kx: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """The whole plane of |Ŵ| from its half kx ≥ 0, by |Ŵ(−k)| = |Ŵ(k)| of a real kernel.

    Args:
        response: modulus, shape (ky, kx).
        ky: wavenumbers of the rows, in any order.
        kx: wavenumbers of the columns, from 0 up.

    Returns:
        The plane with k = 0 in its centre, and the reach of its pixels in kx and ky.
    """
    half = response[np.argsort(ky)]
    if len(half) % 2 == 0:  # the response has the period of the grid: −Nyquist is Nyquist
        half = np.concatenate((half, half[:1]))
    plane = np.concatenate((half[::-1, :0:-1], half), axis=1)
    step_x, step_y = (float(k[1] - k[0]) for k in (kx, np.sort(ky)))
    return plane, (plane.shape[1] / 2 * step_x, plane.shape[0] / 2 * step_y)


def draw_response(axes: Axes, response: xr.DataArray, top: float) -> None:
    """|Ŵ| as a curve in one dimension, the plane in two, and its cut kz = 0 in three.

    Args:
        axes: to draw on.
        response: of one kernel, with the dimensions kx; ky, kx; or kz, ky, kx.
        top: value of the darkest colour, or the upper end of the axis.
    """
    values = np.asarray(response, dtype=float)
    top = top if np.isfinite(top) and top > 0 else 1.0
    if values.ndim == 1:
        axes.plot(response["kx"], values, color=PALETTE["base"][0], lw=1.6)
        axes.set(xlim=(0, float(response["kx"].max())), ylim=(0, 1.05 * top), yticks=[])
        return
    plane = values[0] if values.ndim == 3 else values
    shown, (across, up) = full_plane(plane, response["ky"].values, response["kx"].values)
    axes.imshow(
        shown,
        origin="lower",
        extent=(-across, across, -up, up),
        cmap=cmocean.cm.dense,
        vmin=0,
        vmax=top,
        interpolation="none",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


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
    for index in range(count):
        one = explanation.isel(kernel=index)
        pair = [one[f"response_{stage}"] for stage in ("before", "after")]
        top = max(float(response.max()) for response in pair)
        row, column = 2 * (index // columns), index % columns
        for axes, stage, response in zip(
            panels[row : row + 2, column], ("before", "after"), pair, strict=True
        ):
            axes.set_axis_on()
            draw_response(axes, response, top)
            axes.set_xlabel(str(one[f"class_{stage}"].item()), labelpad=3, fontsize=8)
            if column == 0:
                axes.set_ylabel(stage, fontweight="bold")
        panels[row, column].set_title(
            f"{int(one['kernel_in'])} → {int(one['kernel_out'])}", color=PALETTE["muted"][0]
        )
    return figure


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
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    axes.set(xlim=(0, k.max()), xlabel="wavenumber k", ylabel="root mean square of |Ŵ|")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
    axes.legend(loc="best")
    label_panel(axes, "b", "mean response")
    return figure
