"""Units and meanings of the variables of an explanation."""

from __future__ import annotations

import xarray as xr

from spectune.explain.layer import AXES
from spectune.grid import Grid
from spectune.provenance import versions

__all__ = ["label"]

_WAVES = (
    "wavenumber",
    "wavenumber_in",
    "wavenumber_out",
    *AXES,
    "centre",
    "centre_before",
    "centre_after",
    "bandwidth",
    "gallery_centre",
    "gallery_bandwidth",
    "nyquist",
    "band_low",
    "band_high",
)
_MEANINGS = {
    "linear": "mean square of the layer's output by wavenumber, before the nonlinearity",
    "nonlinear": "the same after the nonlinearity",
    "moved": "mean square of what the nonlinearity brought from other wavenumbers",
    "moved_share": "share of the energy after the nonlinearity that it moved",
    "linear_channels": "mean square of each channel before the nonlinearity",
    "nonlinear_channels": "the same after the nonlinearity",
    "moved_channels": "mean square of what the nonlinearity brought to each channel",
    "distance": "log-spectral distance on the target from the base network at home",
    "distance_of_inputs": "log-spectral distance of target inputs from base inputs",
    "nyquist": "largest wavenumber of the layer's own grid",
    "aliased_spectrum": "mean square of the part folded back by the stride",
    "aliased_share": "share of the strided output's variance that was folded back",
    "data_spectrum": "variance by wavenumber, in the variable's unit squared",
    "data_ratio": "natural logarithm of target over base",
    "data_p": "p-value of the permutation test",
    "weight_change_relative": "norm of the change of weights over norm of weights",
    "response_change_relative": "norm of the change of gain over norm of weights",
    "alignment": "correlation of log change of power response and log spectra ratio of input",
    "alignment_p": "two-sided p-value by shuffled changes of weights",
    "transfer": "variance out over variance in of the linearised network",
    "transfer_error": "standard error of transfer over samples and phases",
    "silhouette": "mean silhouette by number of clusters",
    "cluster_stability": "mean adjusted Rand index over reseeded k-means",
    "corrected": "share of the error that re-training removed",
    "correctable": "share of the error that the layer alone can remove, forecast",
    "coherence": "magnitude-squared coherence of prediction and truth, without bias",
    "relative_mse": "mean squared error over mean square of the target, standardised channels",
}


def label(found: xr.Dataset, grid: Grid, seeds: int, samples: int) -> None:
    """Write units, meanings and provenance into an explanation."""
    unit = "1" if grid.unit == "1" else f"rad {grid.unit}-1"
    for name in _WAVES:
        if name in found.variables:
            found[name].attrs["units"] = unit
    for name, text in _MEANINGS.items():
        if name in found:
            found[name].attrs["long_name"] = text
    found.attrs |= {
        "grid_shape": list(grid.shape),
        "grid_lengths": list(grid.lengths),
        "periodic": int(grid.periodic),
        "retrained_networks": seeds,
        "samples": samples,
    } | {f"version_{name}": version for name, version in versions().items()}
