"""Layer by layer: how far base and target are apart, and what the nonlinearity moves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from spectune.report.panels import grown_by, layer_names, legend_below
from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    log_values,
    new_figure,
    plain,
    spectrum_axes,
)

__all__ = ["layers_figure"]

_HEIGHT = 3.4
_STATES = {
    "BNN, base input": ("base", "o", "base network, base data"),
    "BNN, target input": ("bnn", "D", "base network, target data"),
    "TLNN, target input": ("tlnn", "s", "re-trained, target data"),
}


def layers_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Distance of activations from those at home, energy moved, spectra of h and g, aliasing.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    names = [str(name) for name in explanation["layer"].values]
    layer = str(explanation.attrs.get("layer", ""))
    chosen = _with_activation(explanation, layer)
    titles = {
        "moved": "energy moved by the nonlinearity",
        "spectra": f"layer {chosen}, base network",
    }
    if "distance" in explanation:
        titles = {"distance": "distance from base data at home"} | titles
    if "strided" in explanation.dims:
        titles["folded"] = "folded back by strides"
    # Panels with the layers down the side grow with their number, the others do not.
    tall = [
        _HEIGHT + grown_by(len(names)) if k in ("distance", "moved") else _HEIGHT for k in titles
    ]
    columns = 1 if narrow else (len(titles) if len(titles) < 4 else 2)
    heights = tall[::columns]
    figure = new_figure(sum(heights), narrow=narrow, narrow_height=sum(heights))
    panels = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    ).ravel()
    for axes, (kind, title), letter in zip(panels, titles.items(), "abcd", strict=False):
        if kind == "distance":
            _distances(axes, explanation, names, layer)
            legend_below(axes, tall[0] - 1.2, 3)
        elif kind == "moved":
            _moved(axes, explanation, names, layer)
            legend_below(axes, tall[0] - 1.2)
        elif kind == "spectra":
            _spectra(axes, explanation.sel(layer=chosen))
            legend_below(axes, _HEIGHT - 1.2)
        else:
            _folded(axes, explanation)
            legend_below(axes, _HEIGHT - 1.2)
        label_panel(axes, letter, title)
    return figure


def _with_activation(explanation: xr.Dataset, layer: str) -> str:
    """The layer, or where no activation follows it the one whose activation moves most."""
    moved = explanation["moved_share"].sel(state="BNN, target input")
    if layer in moved["layer"].values and np.isfinite(moved.sel(layer=layer)):
        return layer
    values = np.nan_to_num(np.asarray(moved, dtype=float), nan=-1.0)
    return str(moved["layer"].values[int(np.argmax(values))])


def _distances(axes: Axes, explanation: xr.Dataset, names: list[str], layer: str) -> None:
    place = np.arange(len(names), dtype=float)
    for stage, (style, marker, label) in (
        ("before", ("bnn", "D", "before")),
        ("after", ("tlnn", "s", "re-trained")),
    ):
        values = np.asarray(explanation["distance"].sel(stage=stage), dtype=float)
        axes.plot(
            values, place, marker=marker, color=PALETTE[style][0], ms=5.5, lw=0.9, label=label
        )
    axes.axvline(
        float(explanation["distance_of_inputs"]),
        color=PALETTE["muted"][0], lw=1, ls=(0, (1, 2)), label="inputs",
    )  # fmt: skip
    layer_names(axes, names, layer)
    axes.set(xlabel="log-spectral distance, dB")
    axes.set_xlim(left=0)
    right = axes.get_xlim()[1] * 1.5
    axes.set_xlim(right=right)
    said: dict[str, str] = {}
    for role, word in (("parting", "part +"), ("joining", "join −")):
        name = str(explanation.attrs.get(f"{role}_layer", "none"))
        if name in names:
            size = float(explanation.attrs[f"{role}_rise"])
            rise = f"{word}{plain(float(f'{size:.2g}'))} dB"
            said[name] = f"{said[name]}\n{rise}" if name in said else rise
    for name, words in said.items():
        axes.annotate(
            words, (right, names.index(name)), (-3, 0), textcoords="offset points", ha="right",
            va="center", color=PALETTE["ink"][0], fontsize=8,
        )  # fmt: skip
    axes.grid(visible=True, axis="x")


def _moved(axes: Axes, explanation: xr.Dataset, names: list[str], layer: str) -> None:
    place = np.arange(len(names), dtype=float)
    for offset, (state, (style, marker, label)) in zip(
        (-0.16, 0, 0.16), _STATES.items(), strict=True
    ):
        values = np.asarray(explanation["moved_share"].sel(state=state), dtype=float)
        if np.isfinite(values).any():
            axes.plot(
                values,
                place + offset,
                marker,
                color=PALETTE[style][0],
                ms=5,
                label=label,
                alpha=0.95,
            )
    layer_names(axes, names, layer)
    axes.set(xlabel="share of the energy of g")
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=True, axis="x")


def _spectra(axes: Axes, one: xr.Dataset) -> None:
    one = one.isel(wavenumber=one["wavenumber"].values <= float(one["nyquist"]) * (1 + 1e-9))
    k = np.asarray(one["wavenumber"], dtype=float)
    away = one.sel(state="BNN, target input")
    curves = []
    for name, label, style, dashes in (
        ("linear", "h, before the nonlinearity", "none", "-"),
        ("nonlinear", "g, after it", "bnn", "-"),
        ("moved", "g − a h: moved here", "smagorinsky", (0, (4, 1.6))),
    ):
        values = log_values(away[name])
        curves.append(values)
        if np.isfinite(values).any():
            axes.plot(k, values, color=PALETTE[style][0], ls=dashes, lw=1.8, label=label)
    spectrum_axes(axes, k, curves, decades=6, label="mean square per wavenumber")


def _folded(axes: Axes, explanation: xr.Dataset) -> None:
    """Output and alias of the strided layer that folds most."""
    away = explanation.sel(state="BNN, target input")
    shares = np.nan_to_num(np.asarray(away["aliased_share"], dtype=float))
    one = away.isel(strided=int(np.argmax(shares)))
    one = one[["strided_spectrum", "aliased_spectrum"]].dropna("wavenumber")
    k = np.asarray(one["wavenumber"], dtype=float)
    curves = [log_values(one[name]) for name in ("strided_spectrum", "aliased_spectrum")]
    name = str(one["strided"].item())
    axes.plot(k, curves[0], color=PALETTE["none"][0], lw=1.8, label=f"output of {name}")
    axes.plot(
        k, curves[1], **(LINES["target"] | {"ls": (0, (4, 1.6))}),
        label=f"from beyond its Nyquist: {shares.max():.0%}",
    )  # fmt: skip
    spectrum_axes(axes, k, curves, decades=6, label="mean square per wavenumber")
