"""All kernels of a layer as filters, measured without holding their responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._autocorrelation import autocorrelation, power_blocks, sums_of_power
from spectune.spectra._bins import shell_bins
from spectune.spectra._core import shell_wavenumbers
from spectune.spectra.classes import KernelClasses, class_columns, classes_of, edge_modes
from spectune.spectra.kernels import dilation_steps

__all__ = ["FilterBank", "filter_bank", "shell_columns"]


@dataclass(frozen=True)
class FilterBank:
    """What each kernel of a layer does to a field.

    Attributes:
        wavenumber: (nk,) shell centres, radians per unit of length, float64.
        power: (c_out, c_in, nk) mean of |Ŵ|² over the modes of each shell, float64: how much
            the kernel multiplies the variance of isotropic noise at that wavenumber.
        classes: class, centre wavenumber, bandwidth, orientation, each (c_out, c_in).
    """

    wavenumber: Tensor
    power: Tensor
    classes: KernelClasses


def filter_bank(weight: Tensor, grid: Grid, dilation: int | Sequence[int] = 1) -> FilterBank:
    """Return shell-averaged power responses and classes of all kernels of a layer.

        P̄_ij(k) = ⟨|Ŵ_ij(k')|²⟩ over the modes of shell k,      |Ŵ|² = Σ_s A(s) cos(k'·s)

    A is the kernel's autocorrelation. Every sum over modes, Σ_k c(k)|Ŵ(k)|², is a sum over the
    few offsets of A instead, exact and independent of the grid; only the largest |Ŵ|², which the
    half-power limits of `classify` need, is looked for on the grid, a few kernels at a time. So
    memory does not grow with kernels × grid: 36,864 kernels on 128² would need 2.4 GB for
    one complex array.

    A dilated kernel repeats its response beyond |k_i| = π/(d_i Δ_i). Its class and measures are
    those of the principal band inside, where a smooth input lies; `power` has the repetitions.

    Args:
        weight: (c_out, c_in, *kernel), as `complex_response`; transposed convolutions with their
            first two axes exchanged.
        grid: the grid that the kernels slide over; wavenumbers are those of the Fourier transform
            also where it is not periodic.
        dilation: spacing of the kernel's points, one number or one for each dimension.

    Returns:
        A `FilterBank`.

    Raises:
        DataError: if the weight does not have two axes more than the grid, or is not finite.

    Source: Wiener–Khinchin theorem; classes as `classify`.
    """
    steps = dilation_steps(weight, grid, dilation)
    if not bool(weight.isfinite().all()):
        raise DataError("weight: found NaN or infinite values, expected none")
    waves = replace(grid, periodic=True)
    kernels = weight.detach().flatten(0, 1)
    leading = (weight.shape[0], weight.shape[1])
    a = autocorrelation(kernels)
    power = sums_of_power(a, shell_columns(waves), waves, steps)
    band = _principal(waves, steps)
    once = (1,) * grid.ndim
    # The edge is whole slices of the first axis, and whole lines along it.
    edge = edge_modes(band).reshape(band.half_shape[0], -1).to(a.device)
    rows, lines = edge.all(1), edge.all(0) & (edge.shape[1] > 1)
    peaks = [a.new_zeros(0, 3, dtype=torch.float32)]
    # Over its own energy each kernel is of order 1 in float32, however small its weights.
    energy = kernels.to(torch.float64).flatten(1).square().sum(1)
    scale = energy.masked_fill(energy == 0, 1.0).reshape(-1, *(1,) * grid.ndim)
    for p in power_blocks(a / scale, band, once):
        on_edge = torch.cat(
            (p[rows].movedim(0, 1).flatten(1), p[:, :, lines].movedim(1, 0).flatten(1)), 1
        )
        peaks.append(torch.stack((p[0, :, 0], on_edge.amax(1), p.amax(0).amax(1)), dim=1))
    measured = torch.cat(peaks).clamp(min=0)
    sums = sums_of_power(a, class_columns(band), band, once)
    return FilterBank(
        wavenumber=shell_wavenumbers(waves),
        power=power.clamp(min=0).reshape(*leading, -1),
        classes=classes_of(sums, measured, leading, band),
    )


def shell_columns(grid: Grid) -> Tensor:
    """Return (nk, *grid.half_shape): on the modes of each shell 1/(their number in the full plane).

    Σ_k c(k) P(k) over the full plane is then the mean of P over the shell.
    """
    bins = shell_bins(grid, torch.device("cpu"))
    member = functional.one_hot(bins.index).T.to(bins.weight)
    columns: Tensor = member / (member @ bins.weight)[:, None]
    return columns.reshape(-1, *grid.half_shape)


def _principal(grid: Grid, steps: Sequence[int]) -> Grid:
    """Return the grid of every d-th point, on which a kernel of dilation d has dilation 1."""
    shape = tuple(max(2, n // step) for n, step in zip(grid.shape, steps, strict=True))
    lengths = tuple(n * step * h for n, step, h in zip(shape, steps, grid.spacing, strict=True))
    return replace(grid, shape=shape, lengths=lengths)
