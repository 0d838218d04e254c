"""Spectra that keep directions: along one dimension, and mode by mode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._bins import line_bins, wall_wavenumbers
from spectune.spectra._core import (
    Spectrum,
    binned_power,
    check_field,
    coefficients,
    refuse_not_finite,
    squared_modulus,
)

__all__ = ["ModalSpectrum", "dimension_last", "directional_spectrum", "modal_spectrum"]


@dataclass(frozen=True)
class ModalSpectrum:
    """Variance of every mode.

    Attributes:
        dims: name of each dimension, slowest first.
        wavenumbers: for each dimension the (n_i,) wavenumbers, ascending, in radians per unit of
            length, float64; of both signs in a periodic box, 0 … π(n−1)/L otherwise.
        power: (..., *n) variance of each mode; its sum is the mean square of the field.
    """

    dims: tuple[str, ...]
    wavenumbers: tuple[Tensor, ...]
    power: Tensor


def directional_spectrum(field: Tensor, grid: Grid, dim: str) -> Spectrum:
    """Return the spectrum along one dimension, averaged over the others.

        E(k) = ⟨ Σ_{|k'_dim| = k} |x̂(k'_dim; r)|² ⟩_r,      Σ_k E(k) = mean(x²)

    with r the points of the other dimensions; ``dim="x"`` gives the zonal spectrum. By Parseval
    in the other dimensions it is the sum over all modes with |k_dim| = k. Both signs of k_dim are
    counted together; in a box that is not periodic x̂ is the orthonormal DCT-II.

    Args:
        field: (..., *grid.shape), float32 or float64.
        grid: the grid of the field.
        dim: one of ``grid.dims``.

    Returns:
        A `Spectrum` with power (..., nk); `shell_width` is the fundamental wavenumber along `dim`.

    Raises:
        DataError: if the grid has no such dimension, or as `shell_spectrum`.
    """
    check_field(field, grid)
    turned, turned_grid = dimension_last(field, grid, dim)
    bins = line_bins(turned_grid, field.device)
    return Spectrum(bins.wavenumber.clone(), binned_power(turned, turned_grid, bins), bins.width)


def modal_spectrum(field: Tensor, grid: Grid) -> ModalSpectrum:
    """Return the variance of every mode: in 2D, the two-dimensional spectrum.

        E(k) = |x̂(k)|²,      Σ_k E(k) = mean(x²)

    over the full plane in a periodic box, zero wavenumber in the middle; over the quadrant
    (octant) of the DCT-II otherwise.

    Args:
        field: (..., *grid.shape), float32 or float64.
        grid: the grid of the field.

    Returns:
        A `ModalSpectrum` with power (..., *grid.shape) of the field's dtype.

    Raises:
        DataError: as `shell_spectrum`.
    """
    check_field(field, grid)
    if grid.periodic:
        axes = tuple(range(-grid.ndim, 0))
        x = torch.fft.fftshift(torch.fft.fftn(field, dim=axes, norm="forward"), dim=axes)
        power = squared_modulus(x)
        # By way of the mode number, so that wavenumbers of a box of length 2π are integers.
        wavenumbers = tuple(
            (torch.arange(n, dtype=torch.float64) - n // 2) * (2 * math.pi / length)
            for n, length in zip(grid.shape, grid.lengths, strict=True)
        )
    else:
        x = coefficients(field.reshape(-1, *grid.shape), grid)
        power = (x.square() / math.prod(grid.shape)).reshape(field.shape)
        wavenumbers = wall_wavenumbers(grid)
    if not bool(power.isfinite().all()):
        refuse_not_finite(field)
    return ModalSpectrum(grid.dims, wavenumbers, power)


def dimension_last(field: Tensor, grid: Grid, dim: str) -> tuple[Tensor, Grid]:
    """Return the field and its grid with one dimension moved to the end.

    Raises:
        DataError: if the grid has no such dimension.
    """
    if dim not in grid.dims:
        raise DataError(f"dim: found '{dim}', expected one of {', '.join(grid.dims)} of the grid")
    axis = grid.dims.index(dim)
    order = [i for i in range(grid.ndim) if i != axis] + [axis]
    turned = Grid(
        tuple(grid.shape[i] for i in order),
        tuple(grid.lengths[i] for i in order),
        tuple(grid.dims[i] for i in order),
        grid.periodic,
        grid.unit,
    )
    return field.movedim(axis - grid.ndim, -1), turned
