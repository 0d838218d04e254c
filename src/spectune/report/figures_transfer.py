"""The linearised network: which output wavenumbers a change at one input wavenumber reaches."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from spectune.report.style import (
    LINES,
    label_panel,
    log_values,
    new_figure,
    power_of_ten,
    wavenumber_ticks,
)

__all__ = ["transfer_figure"]

_STATES = {
    "BNN, base input": ("base", "base network, base data"),
    "BNN, target input": ("BNN", "base network, target data"),
    "TLNN, target input": ("TLNN", "re-trained, target data"),
}
_DECADES = 5
_CLEAR = 3.0  # standard errors from which a change is drawn


def transfer_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Gain from input to output wavenumbers before re-training, its change, and the total gain.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    figure = new_figure(3.7, narrow=narrow, narrow_height=10.6)
    panels = figure.subplot_mosaic("A;B;C" if narrow else "ABC")
    reached = explanation["wavenumber_out"].values
    # Beyond the last shell that is whole there are only corners.
    reached = (reached > 0) & (reached <= float(explanation["wavenumber"].max()) + 1e-9)
    data = explanation.isel(wavenumber_out=reached)
    k_in = np.asarray(data["wavenumber_in"], dtype=float)
    k_out = np.asarray(data["wavenumber_out"], dtype=float)
    before, after = (
        log_values(data["transfer"].sel(transfer_state=state)) for state in list(_STATES)[1:]
    )
    errors = [
        np.asarray(data["transfer_error"].sel(transfer_state=state), dtype=float)
        for state in list(_STATES)[1:]
    ]
    gain = np.log10(before)
    top = float(np.nanmax(gain))
    _map(panels["A"], k_in, k_out, gain, (top - _DECADES, top), cmocean.cm.dense, ("10^", ""))
    label_panel(panels["A"], "a", "gain before re-training")
    ratio = np.log10(after / before)
    # On paper, noise must not look like a finding: what is not clear stays white.
    noise = np.hypot(errors[0] / before, errors[1] / after) / np.log(10)
    ratio[~(np.abs(ratio) > _CLEAR * noise)] = 0.0
    limit = float(np.clip(np.nanquantile(np.abs(ratio), 0.98), 0.05, 2.0))
    _map(panels["B"], k_in, k_out, ratio, (-limit, limit), cmocean.cm.balance, ("÷ ", "× "))
    label_panel(panels["B"], "b", "re-trained ÷ before")
    _totals(panels["C"], data, k_in)
    label_panel(panels["C"], "c", "total gain by input wavenumber")
    return figure


def _map(
    axes: Axes,
    k_in: np.ndarray,
    k_out: np.ndarray,
    values: np.ndarray,
    limits: tuple[float, float],
    cmap: Colormap,
    marks: tuple[str, str],
) -> None:
    mesh = axes.pcolormesh(
        _edges(k_in),
        np.append(k_out - 0.5, k_out[-1] + 0.5),
        np.ma.masked_invalid(values.T),
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,
    )
    last = float(k_out[-1])
    axes.plot([1, last], [1, last], color=LINES["truth"]["color"], lw=0.8, ls=(0, (4, 3)))
    axes.set(
        xscale="log", yscale="log", xlim=(_edges(k_in)[0], _edges(k_in)[-1]), ylim=(0.75, last)
    )
    axes.set(xlabel="input wavenumber k", ylabel="output wavenumber k")
    wavenumber_ticks(axes, float(k_in[-1]))
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= last]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, ax=axes, orientation="horizontal", aspect=32, pad=0.03)
    bar.outline.set_visible(False)
    if marks[0] == "10^":
        ends = [np.ceil(limits[0]), np.floor(limits[1])]
        bar.set_ticks(ends, labels=[power_of_ten(10**end) for end in ends])
    else:
        factor = f"{10 ** limits[1]:.2g}"
        bar.set_ticks(
            [limits[0], 0, limits[1]], labels=[marks[0] + factor, "same", marks[1] + factor]
        )
    bar.ax.tick_params(length=0)


def _edges(k: np.ndarray) -> np.ndarray:
    """Edges half-way in log k between shells that are not next to each other."""
    middle = np.sqrt(k[1:] * k[:-1]) if len(k) > 1 else k * 1.4
    return np.array([k[0] ** 2 / middle[0], *middle, k[-1] ** 2 / middle[-1]][: len(k) + 1])


def _scientific(value: float, _position: float | None = None) -> str:
    """A tick label on a log axis of less than two decades: 2·10⁻³."""
    exponent = int(np.floor(np.log10(value) + 1e-9))
    lead = f"{value / 10.0**exponent:.0f}"
    if 0.09 < value < 101:
        return f"{value:g}"
    power = power_of_ten(10.0**exponent)
    return power if lead == "1" else f"{lead}·{power}"


def _totals(axes: Axes, data: xr.Dataset, k_in: np.ndarray) -> None:
    for state, (style, label) in _STATES.items():
        if state not in data["transfer_state"].values:
            continue
        one = data.sel(transfer_state=state)
        total = log_values(one["transfer_total"])
        error = np.asarray(one["transfer_total_error"], dtype=float)
        line = LINES[style]
        axes.plot(k_in, total, label=label, **line)
        low = np.maximum(total - error, total * 0.05)
        axes.fill_between(k_in, low, total + error, color=line["color"], alpha=0.18, lw=0)
    axes.set(xscale="log", yscale="log", xlabel="input wavenumber k")
    axes.set_ylabel("variance out ÷ variance in")
    axes.set_xlim(float(k_in[0]) * 0.9, float(k_in[-1]) * 1.1)
    wavenumber_ticks(axes, float(k_in[-1]))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    close = decades < 2
    subs = range(1, 10) if decades < 0.7 else (1, 2, 5) if close else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(_scientific if close else power_of_ten))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)
    axes.legend(loc="best")
