"""The contact sheet of a run, and its space–time diagram."""

from __future__ import annotations

from typing import Final

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from spectune.report.panels import symmetric_limit
from spectune.report.run_panels import (
    FieldGroup,
    colour_bar,
    describe,
    draw_plane,
    field_groups,
    mark_not_reached,
    plane_figure,
    row_label,
    shown_times,
    spread,
    time_text,
)
from spectune.report.style import WIDE, new_figure

__all__ = ["sheet_figure"]

_MEMBERS: Final = 4
_TIMES: Final = 5

# More than a panel has dots: a space–time diagram shows every so-many-th time of a longer run.
_ROWS: Final = 1000


def sheet_figure(run: xr.Dataset, *, parameters: str = "") -> Figure:
    """Draw planes as a contact sheet, a few times by a few members, rings against space and time.

    All panels of a variable (of a layer, where there are several) share one colour scale.

    Args:
        run: fields (member, time, …, y, x), (member, time, x) or (member, time, k, j) with CF
            attributes; what is NaN has not been reached.
        parameters: of the system, in words.

    Raises:
        DataError: the run has no snapshot yet.
    """
    groups = field_groups(run, _MEMBERS)
    members = min(run.sizes["member"], _MEMBERS)
    draw = _planes if groups[0].planar else _rings
    figure = draw(groups, run, members)
    describe(figure, run, parameters, members)
    return figure


def _planes(groups: list[FieldGroup], run: xr.Dataset, members: int) -> Figure:
    times = spread(run.sizes["time"], _TIMES)
    side = (WIDE - 1.8) / max(len(times), 3)
    rows = len(groups) * members
    figure = plane_figure(side * len(times) + 1.8, (side + 0.03) * rows + 1.0)
    panels = figure.subplots(rows, len(times), squeeze=False)
    for i, group in enumerate(groups):
        lines, limit = panels[i * members : (i + 1) * members], group.limit(times)
        for member, line in enumerate(lines):
            for axes, time in zip(line, times, strict=True):
                image = draw_plane(axes, group.values[member, time], limit)
            line[0].set_ylabel(row_label(group, member, len(groups)))
        colour_bar(figure, image, list(lines.ravel()), group)
    for axes, time in zip(panels[0], times, strict=True):
        axes.set_title(time_text(run, int(time)))
    return figure


def _rings(groups: list[FieldGroup], run: xr.Dataset, members: int) -> Figure:
    figure = new_figure(3.2 * len(groups) + 0.7, narrow=False)
    panels = figure.subplots(len(groups), members, squeeze=False, sharex="row", sharey=True)
    times = np.arange(0, run.sizes["time"], -(-run.sizes["time"] // _ROWS))
    time, unit = shown_times(run)
    for group, line in zip(groups, panels, strict=True):
        values = group.values.isel(time=times).load()
        limit = symmetric_limit([values])
        for member, axes in enumerate(line):
            image = _ring(axes, values[member], limit, time[times])
            axes.set_title(f"member {int(values['member'][member])}")
        line[0].set_ylabel(f"time ({unit})" if unit else "time")
        colour_bar(figure, image, list(line), group)
    return figure


def _ring(axes: Axes, values: xr.DataArray, limit: float, time: np.ndarray) -> AxesImage:
    """Draw one member, position across and time up."""
    place = values[values.dims[1]]
    # What is a plane of (k, j) is one ring, k by k.
    rows = values.values.reshape(len(time), -1)
    length = float(place[1] - place[0]) * len(place)
    left = float(place[0]) - length / rows.shape[1] / 2
    half = (time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    image = axes.imshow(
        rows,
        extent=(left, left + length, float(time[0] - half), float(time[-1] + half)),
        origin="lower",
        aspect="auto",
        interpolation="auto",
        cmap=cmocean.cm.balance,
        vmin=-limit,
        vmax=limit,
    )
    unit = str(place.attrs.get("units", "1"))
    axes.set_xlabel(str(place.attrs["long_name"]) + ("" if unit == "1" else f" ({unit})"))
    missing = ~np.isfinite(rows).any(1)
    if missing.any():
        mark_not_reached(axes, 1 - missing.mean() / 2)
    return image
