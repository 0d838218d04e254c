"""The kernels of a layer as filters: a gallery by class, and the clusters beside the classes."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.figures_kernels import draw_response
from spectune.report.style import PALETTE, label_panel, new_figure, plain

__all__ = ["clusters_figure", "gallery_figure"]

# Kernels beside each other, on a page and on a phone.
_COLUMNS = {False: 6, True: 3}
_SHADES = ("base", "target", "bnn", "tlnn", "smagorinsky", "none", "truth", "muted")
_DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))


def gallery_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """|Ŵ| of the strongest kernels of every class before re-training, each on its own scale.

    Planes of two dimensions, curves of one, the plane kz = 0 of three; the arrow of a Gabor lies
    along the wave vectors that it passes.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    kinds = [str(kind) for kind in explanation["kernel_class"].values]
    of_class = np.asarray(explanation["gallery_class"].values, dtype=str)
    counts = np.asarray(explanation["class_count"].sel(stage="before"), dtype=int)
    columns = _COLUMNS[narrow]  # always so many, or few kernels would stand far apart
    rows = [kind for kind in kinds if (of_class == kind).any()]
    figure = new_figure(
        0.45 + 1.95 * len(rows), narrow=narrow, narrow_height=0.45 + 1.35 * len(rows)
    )
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for row, kind in zip(panels, rows, strict=True):
        members = np.flatnonzero(of_class == kind)
        for column, axes in enumerate(row):
            if column >= len(members):
                axes.set_axis_off()
                continue
            one = explanation.isel(shown=members[column])
            _filter(axes, one)
            name = f"{int(one['gallery_in'])} → {int(one['gallery_out'])}"
            centre = plain(float(one["gallery_centre"]))
            axes.set_title(f"{name},  k = {centre}", color=PALETTE["muted"][0], fontsize=8)
        count = counts[kinds.index(kind)]
        row[0].set_ylabel(f"{kind}\n{count} of {counts.sum()}", fontweight="bold")
    if "ky" in explanation.coords:
        reach = plain(float(explanation["kx"].max()))
        figure.supxlabel(
            f"k = 0 in the centre, kx to ±{reach}; dark: passed"
            if narrow
            else f"wave vectors (kx, ky) with k = 0 in the centre, kx to ±{reach}; dark: passed",
            color=PALETTE["muted"][0],
            fontsize=8.6,
        )
    else:
        figure.supxlabel("gain by wavenumber", color=PALETTE["muted"][0], fontsize=8.6)
    return figure


def _filter(axes: Axes, one: xr.Dataset) -> None:
    response = one["gallery_response"]
    draw_response(axes, response, float(response.max()))
    if response.ndim > 1 and str(one["gallery_class"].item()) == "Gabor":
        direction = np.asarray(one["gallery_orientation"], dtype=float)[-2:]
        reach = 0.9 * min(axes.get_xlim()[1], axes.get_ylim()[1]) * direction
        for sign in (1, -1):
            axes.annotate(
                "",
                (sign * reach[1], sign * reach[0]),
                (0, 0),
                arrowprops={"arrowstyle": "->", "color": PALETTE["target"][0], "lw": 1.1},
            )


def clusters_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """How the number of clusters was chosen, and what the clusters pass.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(3.1, narrow=narrow, narrow_height=6.2)
    panels = figure.subplot_mosaic("A;B" if narrow else "AB")
    axes = panels["A"]
    tried = np.asarray(explanation["clusters_tried"], dtype=int)
    chosen = explanation.sizes["cluster_number"]
    for name, label, style, marker in (
        ("cluster_stability", "stability (adjusted Rand index)", "base", "s"),
        ("silhouette", "silhouette", "tlnn", "o"),
    ):
        axes.plot(
            tried, explanation[name], marker=marker, ms=5, color=PALETTE[style][0], label=label
        )
    if tried.size:
        axes.axvline(chosen, color=PALETTE["muted"][0], lw=1, ls=(0, (4, 2)), label="chosen")
        axes.set_xticks(tried)
    lowest = np.nanmin(np.append(np.asarray(explanation["silhouette"], float), 0.0))
    axes.set(xlabel="number of clusters", ylim=(min(0.0, lowest) - 0.02, 1.04))
    axes.grid(visible=True, axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, columnspacing=1.2)
    scores = np.asarray(explanation["silhouette"], float)
    best = scores.max() if scores.size else np.nan
    label_panel(axes, "a", f"number of clusters: silhouette {plain(float(best))}")
    axes = panels["B"]
    k = np.asarray(explanation["wavenumber"], dtype=float)
    sizes = np.asarray(explanation["cluster_size"], dtype=int)
    curves = np.asarray(explanation["cluster_response"], dtype=float)
    for index, (size, curve) in enumerate(zip(sizes, curves, strict=True)):
        axes.plot(
            k,
            curve,
            color=PALETTE[_SHADES[index % len(_SHADES)]][0],
            ls=_DASHES[index % len(_DASHES)],
            lw=1.7,
            label=f"{size} kernels",
        )
    last = float(k[np.isfinite(curves).any(0)].max()) if np.isfinite(curves).any() else 1.0
    axes.set(xlim=(0, last), xlabel="wavenumber k", ylabel="root mean square of |Ŵ| / ‖W‖")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=4, columnspacing=1.2)
    label_panel(axes, "b", "what each cluster passes")
    return figure
