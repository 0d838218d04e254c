"""The figures of an explanation that stands alone, without a run around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from spectune.report.figures import save_figure
from spectune.report.figures_changes import changes_figure
from spectune.report.figures_data import data_figure
from spectune.report.figures_explanation import activation_figure
from spectune.report.figures_gallery import clusters_figure, gallery_figure
from spectune.report.figures_kernels import filters_figure, kernels_figure
from spectune.report.figures_layers import layers_figure
from spectune.report.figures_repair import corrected_figure
from spectune.report.figures_transfer import transfer_figure
from spectune.report.run_folder import read_explanation
from spectune.report.style import RC, unit_text

__all__ = ["EXPLANATION_FIGURES", "draw_explanation", "save_explanation_figures"]

# name: (what draws it, what it cannot do without)
EXPLANATION_FIGURES: Final[dict[str, tuple[Callable[..., Figure], str]]] = {
    "data": (data_figure, "data_spectrum"),
    "activations": (activation_figure, "linear"),
    "layers": (layers_figure, "moved_share"),
    "changes": (changes_figure, "weight_change_relative"),
    "gallery": (gallery_figure, "gallery_response"),
    "kernels": (kernels_figure, "response_before"),
    "filters": (filters_figure, "class_count"),
    "clusters": (clusters_figure, "silhouette"),
    "transfer": (transfer_figure, "transfer"),
    "corrected": (corrected_figure, "corrected"),
}


def draw_explanation(explanation: xr.Dataset, name: str) -> Figure:
    """Draw one figure of an explanation in the house style, wavenumbers in units of a shell."""
    width = float(explanation["wavenumber"][1])
    unit = str(explanation["wavenumber"].attrs.get("units", "1"))
    with rc_context(RC):
        figure = EXPLANATION_FIGURES[name][0](_in_shells(explanation, width))
    if abs(width - 1) > 1e-9:
        said = "" if unit == "1" else f" {unit_text(unit)}"
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                text = axis.get_label_text()
                if text.endswith("wavenumber k"):
                    axis.set_label_text(f"{text} in units of {width:.3g}{said}")
    return figure


def save_explanation_figures(folder: str | Path) -> list[Path]:
    """Write the figures of an explanation as PDF and PNG beside its `explanation.nc`.

    Args:
        folder: where the explanation was saved.

    Returns:
        The files written.

    Raises:
        CaseError: the file is missing.
        DataError: the file is broken.
    """
    explanation = read_explanation(folder)
    paths: list[Path] = []
    for name, (_, needs) in EXPLANATION_FIGURES.items():
        if needs in explanation:
            paths += save_figure(draw_explanation(explanation, name), name, Path(folder))
    return paths


def _in_shells(explanation: xr.Dataset, width: float) -> xr.Dataset:
    """Divide every wavenumber by the width of a shell, so that axes count shells."""
    waves = [
        name
        for name in ("wavenumber", "wavenumber_in", "wavenumber_out", "kz", "ky", "kx")
        if name in explanation.coords
    ]
    scaled = explanation.assign_coords({name: explanation[name] / width for name in waves})
    for name in ("gallery_centre", "nyquist", "band_low", "band_high"):
        if name in scaled.variables:
            scaled[name] = scaled[name] / width
    # NetCDF gives an attribute of one entry back as a number.
    nyquist = np.min(explanation.attrs["grid_shape"]) / 2
    # Without walls a shell is one wave on the box; with walls it is half a wave.
    last = nyquist * (1 if explanation.attrs["periodic"] else 2)
    return scaled.isel(wavenumber=scaled["wavenumber"].values <= last + 1e-9)
