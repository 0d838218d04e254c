"""What re-training changed, seen in Fourier space: activations layer by layer."""

from __future__ import annotations

import cmocean
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectune.report.panels import grown_by, layer_map
from spectune.report.style import (
    LINES,
    label_panel,
    log_values,
    new_figure,
    plain,
    spectrum_axes,
)

__all__ = ["activation_figure"]

_STATES = {
    "BNN, base input": "base",
    "BNN, target input": "BNN",
    "TLNN, target input": "TLNN",
}


def activation_figure(explanation: xr.Dataset, *, narrow: bool = False) -> Figure:
    """Spectra of the activations: the shift from base to target, and what re-training did to it.

    Args:
        explanation: the content of `explanation.nc`.
        narrow: draw for a phone.
    """
    layer = str(explanation.attrs.get("layer", ""))
    names = [str(name) for name in explanation["layer"].values]
    grown = grown_by(len(names))
    figure = new_figure(6.3 + grown, narrow=narrow, narrow_height=12.2 + 2 * grown)
    panels = figure.subplot_mosaic(
        "A;B;C;D" if narrow else "AB;CD",
        height_ratios=[1 + grown / 3.15, 1] if not narrow else [1 + grown / 3.05] * 2 + [1, 1],
    )
    base, bnn, tlnn = (log_values(explanation["linear"].sel(state=s)) for s in _STATES)
    k = np.asarray(explanation["wavenumber"], dtype=float)
    shift, change = np.log10(bnn / base), np.log10(tlnn / bnn)
    _map(panels["A"], k, names, shift, layer)
    label_panel(panels["A"], "a", "shift: target ÷ base, base network")
    _map(panels["B"], k, names, change, layer)
    label_panel(panels["B"], "b", "re-training: after ÷ before, on the target")
    chosen = layer if layer in names else names[0]
    _lines(panels["C"], explanation, chosen)
    label_panel(panels["C"], "c", f"{chosen}, the re-trained layer")
    _lines(panels["D"], explanation, names[-1])
    label_panel(panels["D"], "d", f"{names[-1]}, the output")
    return figure


def _map(axes: Axes, k: np.ndarray, names: list[str], values: np.ndarray, layer: str) -> None:
    finite = np.abs(values[:, k >= 1])
    finite = finite[np.isfinite(finite)]
    limit = float(np.quantile(finite, 0.98)) if finite.size else 1.0
    # Between 5 % and a factor of 100: neither noise nor one empty shell sets the scale.
    limit = min(max(limit, 0.02), 2.0)
    factor = plain(float(f"{10**limit:.2g}"))
    labels = [f"÷ {factor}", "same", f"× {factor}"]
    height = 2.4 + grown_by(len(names))
    layer_map(
        axes, k, names, values, limit, cmocean.cm.balance, labels, marked=layer, height=height
    )


def _lines(axes: Axes, explanation: xr.Dataset, layer: str) -> None:
    k = np.asarray(explanation["wavenumber"], dtype=float)
    labels = ("base network, base flow", "base network, target flow", "re-trained, target flow")
    curves = []
    for (state, style), label in zip(_STATES.items(), labels, strict=True):
        values = log_values(explanation["linear"].sel(state=state, layer=layer))
        curves.append(values)
        axes.plot(k, values, label=label, **LINES[style])
    spectrum_axes(axes, k, curves, decades=6, label="mean square of h per wavenumber")
    axes.legend(loc="best")
