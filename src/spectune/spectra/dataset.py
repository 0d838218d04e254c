"""Spectra as labelled datasets, with wavenumbers, units and long names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._core import Spectrum
from spectune.spectra.confidence import ConfidenceBand
from spectune.spectra.cross import CrossSpectrum
from spectune.spectra.difference import SpectralDifference
from spectune.spectra.directional import ModalSpectrum
from spectune.spectra.sphere import SphericalSpectrum, WindSpectrum
from spectune.spectra.sphere_grid import SphereGrid

__all__ = ["SpectralResult", "to_dataset"]

SpectralResult = (
    Spectrum
    | ConfidenceBand
    | CrossSpectrum
    | ModalSpectrum
    | SpectralDifference
    | SphericalSpectrum
    | WindSpectrum
)

# Variables by name: (values (..., *axes), what they are, their unit or None for that of variance).
_Variables = Mapping[str, tuple[Tensor, str, str | None]]


def to_dataset(
    result: SpectralResult,
    grid: Grid | SphereGrid,
    quantity: str = "field",
    unit: str = "1",
    channels: Sequence[str] | None = None,
) -> xr.Dataset:
    """Return the result of a spectral analysis with its coordinates, units and long names.

    Wavenumbers are in radians per unit of length of the grid, variances in the squared unit of the
    field. ``spectune.atomic.write_dataset`` saves it; ``xarray.open_dataset`` reads it back equal.
    Complex cross-spectra become a cospectrum and a quadrature spectrum, which NetCDF can hold.

    Args:
        result: what a function of `spectune.spectra` returned, with no leading axis (one field) or
            one (channels of the same unit).
        grid: the grid of the fields.
        quantity: what the field is, for long names: "vorticity".
        unit: unit of the field: "s-1".
        channels: name of each channel, or None for numbers.

    Raises:
        DataError: if the result has more than one leading axis, or other channels than named.
    """
    dims, coords, variables = _parts(result, "1" if grid.unit == "1" else f"rad {grid.unit}-1")
    leading = next(iter(variables.values()))[0].ndim - len(dims)
    if leading > 1:
        raise DataError(
            f"result: found {leading} axes before that of the wavenumber, expected at most one, "
            "of channels; give one of them at a time"
        )
    if leading == 1:
        found = len(next(iter(variables.values()))[0])
        names = list(range(found)) if channels is None else list(channels)
        if len(names) != found:
            raise DataError(f"channels: found {names}, expected {found} names")
        dims, coords = ("channel", *dims), {"channel": ("channel", names), **coords}
    variance = "1" if unit == "1" else f"({unit})2"
    data = {
        name: (
            dims,
            values.detach().cpu().numpy(),
            {"long_name": what.format(quantity=quantity), "units": own or variance},
        )
        for name, (values, what, own) in variables.items()
    }
    return xr.Dataset(data, coords)


@singledispatch
def _parts(result: Any, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    """Return the dimensions of a result, its coordinates and its variables."""
    raise DataError(f"result: found {type(result).__name__} in {unit}, expected a spectrum")


@_parts.register
def _(result: Spectrum, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    coords = {"wavenumber": _wavenumber(result.wavenumber, unit, result.shell_width)}
    return ("wavenumber",), coords, {"power": (result.power, "variance of {quantity}", None)}


@_parts.register
def _(result: ConfidenceBand, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    dims, coords, variables = _parts(result.spectrum, unit)
    band = f"{100 * result.level:g} % confidence limit of the variance of {{quantity}}"
    limits = {
        "lower": (result.lower, f"lower {band}", None),
        "upper": (result.upper, f"upper {band}", None),
    }
    return dims, coords, {**variables, **limits}


@_parts.register
def _(result: CrossSpectrum, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    variables = {
        "prediction": (result.prediction, "variance of predicted {quantity}", None),
        "truth": (result.truth, "variance of true {quantity}", None),
        "cospectrum": (result.cross.real, "cospectrum of predicted and true {quantity}", None),
        "coherence": (result.coherence, "magnitude-squared coherence without bias", "1"),
        "coherence_bias": (result.bias, "squared coherence of independent fields", "1"),
        "phase": (result.phase, "phase of predicted before true {quantity}", "rad"),
        "gain": (result.gain, "amplitude of the coherent part over that of the truth", "1"),
    }
    if result.cross.is_complex():
        what = "quadrature spectrum of predicted and true {quantity}"
        variables["quadrature"] = (result.cross.imag, what, None)
    coords = {"wavenumber": _wavenumber(result.wavenumber, unit, result.width)}
    return ("wavenumber",), coords, variables


@_parts.register
def _(result: ModalSpectrum, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    dims = tuple(f"wavenumber_{dim}" for dim in result.dims)
    coords = {
        name: (name, k.numpy(), {"long_name": f"wavenumber along {dim}", "units": unit})
        for name, dim, k in zip(dims, result.dims, result.wavenumbers, strict=True)
    }
    return dims, coords, {"power": (result.power, "variance of {quantity}", None)}


@_parts.register
def _(result: SpectralDifference, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    coords = {
        "band": ("band", np.array([band.name for band in result.bands])),
        "low": (
            "band",
            np.array([band.low for band in result.bands]),
            {"long_name": "lower limit, excluded", "units": unit},
        ),
        "high": (
            "band",
            np.array([band.high for band in result.bands]),
            {"long_name": "upper limit, included", "units": unit},
        ),
    }
    rate = f"found at a false discovery rate of {result.false_discovery_rate:g}"
    variables = {
        "base": (result.base, "variance of {quantity} of the base", None),
        "target": (result.target, "variance of {quantity} of the target", None),
        "log_ratio": (result.log_ratio, "natural logarithm of target over base", "1"),
        "p_value": (result.p_value, "p-value of the permutation test", "1"),
        "significant": (result.significant, rate, "1"),
    }
    return ("band",), coords, variables


@_parts.register
def _(result: SphericalSpectrum, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    return _by_degree(result, unit, {"power": (result.power, "variance of {quantity}", None)})


@_parts.register
def _(result: WindSpectrum, unit: str) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    variables = {
        "rotational": (result.rotational, "rotational kinetic energy of {quantity}", None),
        "divergent": (result.divergent, "divergent kinetic energy of {quantity}", None),
    }
    return _by_degree(result, unit, variables)


def _by_degree(
    result: SphericalSpectrum | WindSpectrum, unit: str, variables: _Variables
) -> tuple[tuple[str, ...], dict[str, Any], _Variables]:
    k = ("degree", result.wavenumber.numpy(), {"long_name": "wavenumber", "units": unit})
    degree = ("degree", result.degree.numpy(), {"long_name": "degree l", "units": "1"})
    return ("degree",), {"degree": degree, "wavenumber": k}, variables


def _wavenumber(k: Tensor, unit: str, width: float) -> tuple[str, np.ndarray, dict[str, Any]]:
    return (
        "wavenumber",
        k.cpu().numpy(),
        {"long_name": "wavenumber", "units": unit, "shell_width": width},
    )
