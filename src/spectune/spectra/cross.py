"""Cross-spectrum, coherence and phase of a prediction with the truth, by wavenumber."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._bins import Bins, binned, line_bins, shell_bins
from spectune.spectra._core import (
    blocks_of_rows,
    check_field,
    coefficients,
    refuse_not_finite,
    squared_modulus,
)
from spectune.spectra.directional import dimension_last

__all__ = ["CrossSpectrum", "cross_spectrum"]


@dataclass(frozen=True)
class CrossSpectrum:
    """Sample-mean spectra of a prediction p and the truth y, and what they share.

    Attributes:
        wavenumber: (nk,) centre of each bin, in radians per unit of length, float64.
        prediction: (..., nk) ⟨E_pp⟩.
        truth: (..., nk) ⟨E_yy⟩.
        cross: (..., nk) ⟨E_py⟩ = ⟨Σ p̂ ŷ*⟩; real over shells, complex along a dimension of a
            periodic box.
        bias: (..., nk) estimate of what |cross|²/(prediction · truth) would be if p and y had
            nothing in common: 1 over the number of independent products in the bin.
        width: distance of the bins.
    """

    wavenumber: Tensor
    prediction: Tensor
    truth: Tensor
    cross: Tensor
    bias: Tensor
    width: float

    @property
    def coherence(self) -> Tensor:
        """Magnitude-squared coherence without the bias of few samples, (..., nk).

            γ² = (γ̂² − b) / (1 − b),      γ̂² = |⟨E_py⟩|² / (⟨E_pp⟩⟨E_yy⟩)

        The share of the truth's variance that a rescaled prediction explains. Where nothing is
        shared it scatters about 0, also below; 1 stays 1. NaN where p or y has no variance, and
        where b is not below 1: a single product says nothing.
        """
        shared = squared_modulus(self.cross) / (self.prediction * self.truth)
        return torch.where(self.bias < 1 - 1e-9, (shared - self.bias) / (1 - self.bias), torch.nan)

    @property
    def phase(self) -> Tensor:
        """Phase arg ⟨E_py⟩ in radians, (..., nk): k·d for a prediction displaced by −d.

        Positive where crests of the prediction lie at smaller coordinates than those of the truth.
        Over shells, where opposite directions cancel, and of cosine modes it is 0 or π.
        """
        return self.cross.angle()

    @property
    def gain(self) -> Tensor:
        """Amplitude |⟨E_py⟩|/⟨E_yy⟩ of the part of the prediction that the truth explains."""
        return self.cross.abs() / self.truth


def cross_spectrum(
    prediction: Tensor, truth: Tensor, grid: Grid, dim: str | None = None
) -> CrossSpectrum:
    """Return the cross-spectrum of a prediction and the truth, averaged over samples.

        E_py(k) = Σ_{k' ≈ k} p̂(k') ŷ(k')*,      Σ_k Re E_py(k) = mean(p y)

    over shells of |k'|, or, with `dim`, over all modes with |k'_dim| = k. Over a shell the
    products of k' and −k' are conjugate and E_py is real, the co-spectrum: there, γ is the
    correlation of the two fields in that shell, and a displacement lowers it. Along a dimension
    the sum keeps one sign of k'_dim (counted twice), so a displacement shows as phase.

    With few samples |⟨E_py⟩|² is too large even for independent fields: by b E_pp E_yy with

        b = Σ_{k'} m ⟨|p̂|²⟩⟨|ŷ|²⟩ / (n ⟨E_pp⟩⟨E_yy⟩),

    m the squared weight of the independent products, exact for Gaussian fields with independent
    modes and samples. `CrossSpectrum.coherence` removes it. Samples that follow each other closely
    in time are not independent; thin them first, or b is too small.

    Args:
        prediction: (n, ..., *grid.shape), float32 or float64; the first axis is averaged.
        truth: the same shape.
        grid: the grid of both. Non-periodic: cosine modes.
        dim: one of ``grid.dims``, or None for shells.

    Returns:
        A `CrossSpectrum` in float64 (complex128).

    Raises:
        DataError: if the shapes differ, there is no sample, or as `shell_spectrum`.

    Source: Bendat and Piersol, Random Data (2010), §9.2.3, for the bias.
    """
    check_field(prediction, grid, "prediction")
    check_field(truth, grid, "truth")
    if prediction.shape != truth.shape or truth.ndim <= grid.ndim or len(truth) == 0:
        raise DataError(
            f"prediction and truth: found shapes {tuple(prediction.shape)} and "
            f"{tuple(truth.shape)}, expected the same (sample, ..., {', '.join(grid.dims)}) with "
            "at least one sample"
        )
    bins = shell_bins(grid, truth.device)
    if dim is not None:
        prediction, turned = dimension_last(prediction, grid, dim)
        truth, grid = dimension_last(truth, grid, dim)
        bins = line_bins(turned, truth.device)
    samples, leading = len(truth), truth.shape[1 : -grid.ndim]
    p = prediction.reshape(samples, -1, *grid.shape).transpose(0, 1)
    y = truth.reshape(samples, -1, *grid.shape).transpose(0, 1)
    parts = [
        _of_channel(p[channel], y[channel], grid, bins, shells=dim is None)
        for channel in range(len(y))
    ]
    pp, yy, py, null = (torch.stack(part) for part in zip(*parts, strict=True))
    for name, values, field in (("prediction", pp, prediction), ("truth", yy, truth)):
        if not bool(values.isfinite().all()):
            refuse_not_finite(field, name)
    pp, yy, py, null = (x.reshape(*leading, -1) for x in (pp, yy, py, null))
    return CrossSpectrum(bins.wavenumber.clone(), pp, yy, py, null / (pp * yy), bins.width)


def _of_channel(
    prediction: Tensor, truth: Tensor, grid: Grid, bins: Bins, shells: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ⟨E_pp⟩, ⟨E_yy⟩, ⟨E_py⟩ and what |⟨E_py⟩|² is by chance, (nk,) each."""
    modes = len(bins.index)
    p2, y2 = (torch.zeros(modes, dtype=torch.float64, device=truth.device) for _ in range(2))
    py = torch.zeros(
        modes, dtype=torch.complex128 if grid.periodic else torch.float64, device=truth.device
    )
    for a, b in zip(blocks_of_rows(prediction), blocks_of_rows(truth), strict=True):
        p = coefficients(a.to(torch.float64), grid)
        y = coefficients(b.to(torch.float64), grid)
        p2 += squared_modulus(p).sum(0)
        y2 += squared_modulus(y).sum(0)
        py += (p * y.conj()).sum(0)
    n, weight, squared_weight = len(truth), bins.weight, bins.weight.square()
    p2, y2, py = p2 / n, y2 / n, py / n
    if grid.periodic and shells:
        # k and −k together leave the real part, which has half of the variance of the product.
        py, squared_weight = py.real, weight
    sums = binned(torch.stack((p2 * weight, y2 * weight, p2 * y2 * squared_weight / n)), bins)
    return sums[0], sums[1], binned((py * weight)[None], bins)[0], sums[2]
