"""Spectra and scores of predictions against truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._bins import nyquist_wavenumber
from spectune.spectra._core import Spectrum, shell_spectrum
from spectune.spectra.bands import band_average, bands

__all__ = [
    "SpectrumError",
    "correlation",
    "energy_spectrum",
    "error_spectrum",
    "mean_spectrum",
    "relative_mse",
    "spectrum_error",
]


@dataclass(frozen=True)
class SpectrumError:
    """Relative error of a predicted spectrum.

    Attributes:
        value: mean over shells and channels.
        by_band: mean over the shells of each default band and channels; NaN for an empty band.
        wavenumber: (nk,) shell centres.
        per_shell: (c, nk) relative error, NaN in the shells that do not count.
    """

    value: float
    by_band: Mapping[str, float]
    wavenumber: Tensor
    per_shell: Tensor


def mean_spectrum(fields: Tensor, grid: Grid) -> Spectrum:
    """Return the sample-mean shell spectrum ⟨E(k)⟩ = (1/n) Σ_s E_s(k).

    Args:
        fields: (n, ..., *grid.shape), float32 or float64; only the first axis is averaged.
        grid: the grid of the fields.

    Returns:
        A `Spectrum` with power (..., nk), one for each channel.

    Raises:
        DataError: without samples, or as `shell_spectrum`.
    """
    if fields.ndim <= grid.ndim or len(fields) == 0:
        raise DataError(
            f"fields: found shape {tuple(fields.shape)}, expected (sample, ..., "
            f"{', '.join(grid.dims)}) with at least one sample"
        )
    spectrum = shell_spectrum(fields, grid)
    return Spectrum(spectrum.wavenumber, spectrum.power.mean(0), spectrum.shell_width)


def energy_spectrum(vorticity: Tensor, grid: Grid) -> Spectrum:
    """Return the sample-mean spectrum of the kinetic energy of a 2D flow.

        E(k) = ½ Σ_{|k'| ≈ k} |ω̂(k')|²/k'²,      Σ_k E(k) = ½⟨u² + v²⟩

    Args:
        vorticity: (n, *grid.shape), float32 or float64.
        grid: doubly periodic grid.

    Returns:
        A `Spectrum` with power (nk,).

    Raises:
        DataError: if the grid is not periodic, or as `mean_spectrum`.
    """
    if not grid.periodic:
        raise DataError(
            "vorticity: found a grid that is not periodic, expected a periodic one: the velocity "
            "follows from the vorticity only with boundary conditions; take mean_spectrum of u, v"
        )
    k2 = grid.squared_wavenumber(vorticity.dtype, vorticity.device)
    inverse_k = torch.where(k2 > 0, k2.clamp(min=1e-30).rsqrt(), 0.0)
    spectrum = mean_spectrum(grid.inverse(grid.transform(vorticity) * inverse_k), grid)
    return Spectrum(spectrum.wavenumber, 0.5 * spectrum.power, spectrum.shell_width)


def error_spectrum(prediction: Tensor, truth: Tensor, grid: Grid) -> Spectrum:
    """Return the sample-mean spectrum of the error, ⟨E[prediction − truth](k)⟩.

    Unlike `spectrum_error` it sees phases: Σ_k of it is the mean squared error of each channel.

    Args:
        prediction: (n, c, *grid.shape).
        truth: the same shape.
        grid: the grid of both.

    Returns:
        A `Spectrum` with power (c, nk).

    Raises:
        DataError: if the shapes differ, or as `mean_spectrum`.
    """
    _same_shape(prediction, truth)
    return mean_spectrum(prediction - truth, grid)


def spectrum_error(prediction: Tensor, truth: Tensor, grid: Grid) -> SpectrumError:
    """Return the relative error of the spectrum.

        ε = mean_k |⟨E_pred⟩(k) − ⟨E_true⟩(k)| / ⟨E_true⟩(k)

    over the shells from 1 to the Nyquist radius (beyond it a shell lacks directions), then over
    channels. A shell counts only where the truth is above the rounding of its own storage,
    ⟨E_true⟩(k) > ε_machine² Σ_k ⟨E_true⟩(k): a ratio to noise would swamp the mean.

    Args:
        prediction: (n, c, *grid.shape).
        truth: the same shape; its dtype sets ε_machine.
        grid: the grid of both.

    Returns:
        The error, by band and by shell. Zero for a perfect spectrum, 1 for a zero prediction.

    Raises:
        DataError: if the shapes differ, no shell of some channel counts, or as `mean_spectrum`.

    Source: Guan et al., J. Comput. Phys. 458 (2022); Darman et al. (2025), arXiv 2504.15487.
    """
    _same_shape(prediction, truth)
    found = mean_spectrum(prediction, grid)
    wanted = mean_spectrum(truth, grid)
    k = wanted.wavenumber
    inside = (k > 0) & (k <= nyquist_wavenumber(grid) * (1 + 1e-9))
    reference = wanted.power.to(torch.float64)
    floor = (16 * torch.finfo(truth.dtype).eps) ** 2 * reference.sum(-1, keepdim=True)
    counts = inside.to(reference.device) & (reference > floor)
    if not bool(counts.any(-1).all()):
        raise DataError(
            "truth: a channel is constant to round-off, so no relative error of its spectrum exists"
        )
    error = (found.power.to(torch.float64) - reference).abs() / reference
    error = error.masked_fill(~counts, torch.nan)
    return SpectrumError(
        value=float(torch.nanmean(error, dim=-1).mean()),
        by_band={
            band.name: float(torch.nanmean(band_average(k, error, band))) for band in bands(grid)
        },
        wavenumber=k,
        per_shell=error,
    )


def relative_mse(prediction: Tensor, truth: Tensor) -> float:
    """Return the mean squared error relative to the mean square of the truth.

        mean_c [ Σ_{s,r} (p − y)² / Σ_{s,r} y² ]

    over samples s and grid points r within each channel c, so that channels of different units
    weigh the same. Zero for a perfect prediction, 1 for a zero one.

    Args:
        prediction: (n, c, ...), in the same unit as `truth`.
        truth: the same shape.

    Raises:
        DataError: if the shapes differ, a channel of the truth is zero, or a value is not finite.
    """
    _same_shape(prediction, truth)
    p, y = _by_channel(prediction), _by_channel(truth)
    error, reference = (p - y).square().sum((0, 2)), y.square().sum((0, 2))
    if not bool((reference > 0).all()):
        raise DataError("truth: a channel is zero everywhere, so no relative error exists")
    return _finite(float((error / reference).mean()))


def correlation(prediction: Tensor, truth: Tensor) -> float:
    """Return the pattern correlation.

        mean_{s,c} [ ⟨p' y'⟩ / √(⟨p'²⟩ ⟨y'²⟩) ],      p' = p − ⟨p⟩

    with ⟨·⟩ over the grid of one sample s and channel c. It is blind to amplitude: give the
    spectrum error beside it. A constant prediction has no pattern and counts as 0.

    Args:
        prediction: (n, c, ...).
        truth: the same shape.

    Raises:
        DataError: if the shapes differ, a sample of the truth is constant, or a value is not
            finite.
    """
    _same_shape(prediction, truth)
    p, y = _by_channel(prediction), _by_channel(truth)
    p_size, y_size = p.square().mean(-1), y.square().mean(-1)
    p, y = p - p.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    p_variance, y_variance = p.square().mean(-1), y.square().mean(-1)
    # Removing a mean leaves rounding of the order of the stored precision, not exact zeros.
    rounding = 16 * torch.finfo(torch.float64).eps ** 2
    if bool((y_variance <= rounding * y_size).any()):
        raise DataError("truth: a sample is constant, so no correlation with it exists")
    value = (p * y).mean(-1) / (p_variance * y_variance).sqrt()
    return _finite(float(value.masked_fill(p_variance <= rounding * p_size, 0.0).mean()))


def _same_shape(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape:
        raise DataError(
            f"prediction: found shape {tuple(prediction.shape)}, "
            f"expected that of the truth, {tuple(truth.shape)}"
        )


def _by_channel(field: Tensor) -> Tensor:
    """Return (n, c, points) in float64, where sums over many points stay exact enough."""
    if field.ndim < 3 or field.numel() == 0:
        raise DataError(f"found shape {tuple(field.shape)}, expected (sample, channel, grid ...)")
    return field.detach().flatten(2).to(torch.float64)


def _finite(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        raise DataError("prediction or truth: found NaN or infinite values, expected none")
    return value
