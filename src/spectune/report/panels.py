"""Panels that several figures share: a field, a map of layers against wavenumber, nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage
from matplotlib.ticker import NullLocator

from spectune.report.style import PALETTE, plain, wavenumber_ticks

__all__ = [
    "draw_field",
    "empty_panel",
    "field_bar",
    "grown_by",
    "layer_map",
    "layer_names",
    "legend_below",
    "symmetric_limit",
]

_NAMED = 24  # layers from which only some are named


def symmetric_limit(fields: Sequence[Any], quantile: float = 0.997) -> float:
    """One colour limit for fields that share a scale; a few extreme points may saturate."""
    values = [np.abs(np.asarray(f, dtype=float)).ravel() for f in fields]
    finite = np.concatenate([v[np.isfinite(v)] for v in values] or [np.zeros(0)])
    limit = float(f"{np.quantile(finite, quantile):.2g}") if finite.size else 1.0
    return limit if limit > 0 else 1.0


def draw_field(axes: Axes, values: Any, limit: float, cmap: Colormap) -> AxesImage:
    """A field as it is, y up, square, without ticks (the box is periodic)."""
    image = axes.imshow(
        np.asarray(values, dtype=float),
        origin="lower",
        cmap=cmap,
        vmin=-limit,
        vmax=limit,
        interpolation="none",
    )
    axes.set(xticks=[], yticks=[], aspect="equal")
    _frame(axes)
    return image


def field_bar(axes: Axes, image: ScalarMappable, limit: float) -> None:
    """A colour bar as wide as the field above it."""
    _bar(axes, image, -0.085, [-limit, 0, limit], [plain(-limit), "0", plain(limit)])


def layer_map(
    axes: Axes,
    wavenumbers: Any,
    layers: Sequence[str],
    values: Any,
    limit: float,
    cmap: Colormap,
    labels: Sequence[str],
    *,
    marked: str = "",
    shown_as: Mapping[str, str] | None = None,
    height: float = 2.4,
) -> None:
    """Heat map with the layers down, in network order, and log k across.

    Args:
        axes: to draw on.
        wavenumbers: shape (wavenumber,); only k ≥ 1 is shown.
        layers: names; the marked one is bold.
        values: shape (layer, wavenumber); what is not finite stays empty.
        limit: colours run from −limit to limit.
        cmap: diverging.
        labels: what −limit, 0 and limit mean.
        marked: a layer.
        shown_as: shorter names to draw.
        height: of the axes, about, in inches.
    """
    k = np.asarray(wavenumbers, dtype=float)
    keep = k >= 1
    k, values = k[keep], np.asarray(values, dtype=float)[:, keep]
    edges = np.concatenate([k - 0.5, k[-1:] + 0.5])
    mesh = axes.pcolormesh(
        edges,
        np.arange(len(layers) + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=cmap,
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    # The cell of k = 1 reaches down to 0.5, a third of the axis; part of it is enough.
    axes.set(xscale="log", xlim=(0.75, edges[-1]))
    axes.set_xlabel("wavenumber k", labelpad=2)
    wavenumber_ticks(axes, edges[-1])
    axes.xaxis.set_minor_locator(NullLocator())
    layer_names(axes, layers, marked, shown_as)
    _frame(axes)
    _bar(axes, mesh, -0.53 / height, [-limit, 0, limit], labels, height=0.084 / height)


def layer_names(
    axes: Axes,
    names: Sequence[str],
    marked: str = "",
    shown_as: Mapping[str, str] | None = None,
) -> None:
    """Layers down the y axis in network order, at 0, 1, …; of many, evenly spread ones are named.

    Args:
        axes: to draw on.
        names: of the layers.
        marked: the layer whose name is bold, and always there.
        shown_as: shorter names.
    """
    step = -(-len(names) // _NAMED)
    shown = [i for i in range(len(names)) if i % step == 0 or names[i] == marked]
    if marked in names:  # neighbours would touch the name that matters
        at = names.index(marked)
        shown = [i for i in shown if i == at or abs(i - at) >= step / 2]
    axes.set_yticks(shown, [(shown_as or {}).get(names[i], names[i]) for i in shown])
    for tick, i in zip(axes.get_yticklabels(), shown, strict=True):
        bold = "bold" if names[i] == marked else "normal"
        tick.set(color=PALETTE["ink"][0], fontweight=bold)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)


def grown_by(layers: int) -> float:
    """Inches that a panel with so many layers down its side is taller than with eleven."""
    return min(max(0.0, 0.17 * (layers - 11)), 3.2)


def legend_below(axes: Axes, height: float, columns: int = 1) -> None:
    """A legend under the axis label, at the same distance whatever the height of the axes.

    Args:
        axes: with labelled lines.
        height: of the axes, about, in inches.
        columns: of the legend.
    """
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.46 / height),
        ncols=columns,
        columnspacing=1.1,
    )


def _frame(axes: Axes) -> None:
    """A thin line that holds dark colours together on a dark ground."""
    axes.spines[:].set(visible=True, color=PALETTE["soft"][0], linewidth=0.5)


def _bar(
    axes: Axes,
    mapped: ScalarMappable,
    bottom: float,
    ticks: Sequence[float],
    labels: Sequence[str],
    *,
    height: float = 0.035,
) -> None:
    place = axes.inset_axes((0.0, bottom, 1.0, height))
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mapped, cax=place, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.set_ticks(list(ticks), labels=list(labels))
    place.tick_params(length=0, pad=2, labelsize=8)
    # Labels at the ends stay within the width of the bar.
    first, *_, last = place.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


def empty_panel(axes: Axes, text: str) -> None:
    """A square that says why there is nothing to see."""
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.spines[:].set(visible=True, linestyle=(0, (3, 3)))
    axes.text(0.5, 0.5, text, ha="center", va="center", color=PALETTE["muted"][0])
