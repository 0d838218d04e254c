"""Layer by layer: how far base and target are apart, and what the nonlinearity moves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from spectune.report.panels import layer_names
from spectune.report.style import (
    LINES,
    PALETTE,
    label_panel,
    log_values,
    new_figure,
    spectrum_axes,
)

__all__ = ["layers_figure"]

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
    chosen = layer if layer in names else names[0]
    titles = {"moved": "energy moved by the nonlinearity", "spectra": f"{chosen}, base network"}
    if "distance" in explanation:
        titles = {"distance": "distance from base data at home"} | titles
    if "strided" in explanation.dims:
        titles["folded"] = "folded back by strides"
    grown = min(max(0.0, 0.2 * (len(names) - 11)), 4.0)
    rows = 1 if narrow or len(titles) < 4 else 2
    figure = new_figure(
        (3.4 + grown) * rows, narrow=narrow, narrow_height=len(titles) * 3.0 + 2 * grown
    )
    shape = (len(titles), 1) if narrow else (rows, -(-len(titles) // rows))
    panels = figure.subplots(*shape, squeeze=False).ravel()
    for axes, (kind, title), letter in zip(panels, titles.items(), "abcd", strict=False):
        if kind == "distance":
            _distances(axes, explanation, names, layer)
        elif kind == "moved":
            _moved(axes, explanation, names, layer)
        elif kind == "spectra":
            _spectra(axes, explanation.sel(layer=chosen))
        else:
            _folded(axes, explanation)
        label_panel(axes, letter, title)
    return figure


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
    right = axes.get_xlim()[1] * 1.42
    axes.set_xlim(right=right)
    for attribute, word in (("parting_layer", "part"), ("joining_layer", "join")):
        name = str(explanation.attrs.get(attribute, "none"))
        if name in names:
            same = explanation.attrs.get("joining_layer") == explanation.attrs.get("parting_layer")
            if same and word == "join":
                continue
            axes.annotate(
                "part and join" if same else word,
                (right, names.index(name)),
                (-3, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                color=PALETTE["ink"][0],
                fontweight="bold",
            )
    axes.grid(visible=True, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, columnspacing=1.0)


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
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1)


def _spectra(axes: Axes, one: xr.Dataset) -> None:
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
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1)


def _folded(axes: Axes, explanation: xr.Dataset) -> None:
    """Output and alias of the strided layer that folds most."""
    away = explanation.sel(state="BNN, target input")
    shares = np.nan_to_num(np.asarray(away["aliased_share"], dtype=float))
    one = away.isel(strided=int(np.argmax(shares)))
    k = np.asarray(one["wavenumber"], dtype=float)
    curves = [log_values(one[name]) for name in ("strided_spectrum", "aliased_spectrum")]
    name = str(one["strided"].item())
    axes.plot(k, curves[0], color=PALETTE["none"][0], lw=1.8, label=f"output of {name}")
    axes.plot(
        k, curves[1], **(LINES["target"] | {"ls": (0, (4, 1.6))}),
        label=f"from beyond its Nyquist: {shares.max():.0%}",
    )  # fmt: skip
    spectrum_axes(axes, k, curves, decades=6, label="mean square per wavenumber")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1)
