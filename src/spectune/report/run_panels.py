"""What there is to see of a run: its fields in groups of one colour scale, and their words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter

from spectune.errors import DataError
from spectune.report.panels import draw_field, symmetric_limit
from spectune.report.style import PALETTE, unit_text

__all__ = [
    "FieldGroup",
    "colour_bar",
    "describe",
    "draw_plane",
    "field_groups",
    "plane_figure",
    "row_label",
    "shown_times",
    "spread",
    "time_text",
]

_DAY: Final = 86_400.0


@dataclass(frozen=True)
class FieldGroup:
    """Fields that share a colour scale: (member, time, y, x), or on a ring (member, time, x)."""

    values: xr.DataArray
    name: str

    @property
    def label(self) -> str:
        """What the colours mean, with the unit."""
        unit = str(self.values.attrs.get("units", "1"))
        return self.name if unit == "1" else f"{self.name} ({unit_text(unit)})"

    @property
    def planar(self) -> bool:
        """Whether the fields are planes."""
        return self.values.ndim == 4

    def limit(self, times: np.ndarray) -> float:
        """Return the largest magnitude at some times, but for a few extreme points."""
        return symmetric_limit([self.values.isel(time=times)])


def field_groups(run: xr.Dataset, members: int) -> list[FieldGroup]:
    """Return the fields of the first members, a group for each variable and layer.

    Raises:
        DataError: the run has no snapshot yet.
    """
    if not run.sizes.get("time"):
        raise DataError("the run has no snapshot yet, expected at least one; draw it later")
    groups = []
    for values in run.isel(member=slice(members)).data_vars.values():
        name = str(values.attrs["long_name"])
        if values.dims[-2:] == ("y", "x"):
            layers = values.dims[2:-2]
            if layers:
                (layer,) = layers
                groups += [
                    FieldGroup(values.isel({layer: i}), f"{name}, {layer} {int(number)}")
                    for i, number in enumerate(run[layer].values)
                ]
            else:
                groups.append(FieldGroup(values, name))
        else:
            # The fast variables of Lorenz-96 are one ring, (k, j) in a row.
            groups.append(FieldGroup(values, name))
    return groups


def spread(n: int, most: int) -> np.ndarray:
    """Return at most so many positions of `n`, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, n - 1, most).round().astype(int))


def plane_figure(width: float, height: float) -> Figure:
    """A figure for panels of fixed shape, which move together."""
    layout = ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.05, compress=True)
    return Figure(figsize=(width, height), layout=layout)


def draw_plane(axes: Axes, values: xr.DataArray, limit: float) -> AxesImage:
    """Draw a field; one that has not been reached says so."""
    image = draw_field(axes, values, limit, cmocean.cm.balance)
    # Fields of more points than dots are averaged, not sampled.
    image.set_interpolation("auto")
    if not np.isfinite(values.values).any():
        mark_not_reached(axes, 0.5)
    return image


def mark_not_reached(axes: Axes, height: float) -> None:
    """Say at a height, from 0 to 1, that a run has not come there."""
    axes.text(
        0.5,
        height,
        "not reached",
        ha="center",
        va="center",
        color=PALETTE["muted"][0],
        transform=axes.transAxes,
    )


def colour_bar(figure: Figure, image: AxesImage, axes: list[Axes], group: FieldGroup) -> None:
    """A colour bar with its unit at the right of a group."""
    bar = figure.colorbar(image, ax=axes, label=group.label, aspect=16, pad=0.02, fraction=0.06)
    bar.outline.set_visible(False)
    bar.formatter = ScalarFormatter(useMathText=True)
    bar.ax.tick_params(length=0)


def row_label(group: FieldGroup, member: int, groups: int) -> str:
    """Name a row of panels."""
    words = f"member {int(group.values['member'][member])}"
    return f"{group.name.rsplit(', ', 1)[-1]}, {words}" if groups > 1 else words


def shown_times(run: xr.Dataset) -> tuple[np.ndarray, str]:
    """Return the times and their unit as they are printed: days where seconds would be many."""
    times, unit = run["time"].values, str(run["time"].attrs.get("units", "1"))
    if unit == "s" and times[-1] >= _DAY:
        return times / _DAY, "days"
    return times, "" if unit == "1" else unit


def time_text(run: xr.Dataset, time: int) -> str:
    """Return ``t = 12.5``."""
    times, unit = shown_times(run)
    return f"t = {times[time]:.6g} {unit}".rstrip()


def describe(figure: Figure, run: xr.Dataset, parameters: str, members: int) -> Text:
    """Title, which is returned, and caption: the system, its parameters, the members shown."""
    width = figure.get_figwidth()
    title = str(run.attrs.get("title", "run"))
    whole = run.sizes["member"]
    shown = f"members 0 to {members - 1} of {whole}" if members < whole else ""
    # A line ends between two parameters, not within one.
    kept = parameters.replace(" = ", "\u00a0=\u00a0")
    caption = "; ".join(part for part in (kept, shown) if part)
    figure.supxlabel(
        "\n".join(textwrap.wrap(caption, int(14 * width) - 4)),
        fontsize=8.4,
        color=PALETTE["muted"][0],
    )
    heading = "\n".join(textwrap.wrap(title, int(12 * width)))
    return figure.suptitle(heading, fontweight="bold")
