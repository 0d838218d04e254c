"""The shell spectrum: how the variance of a field is spread over wavenumbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._bins import Bins, binned, shell_bins
from spectune.spectra._cosine import cosine_transform

__all__ = [
    "Spectrum",
    "binned_power",
    "blocks_of_rows",
    "check_field",
    "coefficients",
    "refuse_not_finite",
    "shell_spectrum",
    "shell_wavenumbers",
    "squared_modulus",
]

_BLOCK = 2**21  # values transformed at a time: bounds the memory and stays near the cache


@dataclass(frozen=True)
class Spectrum:
    """Variance by shell of wavenumbers.

    Attributes:
        wavenumber: (nk,) centre of each shell, 0, dk, 2 dk, …, in radians per unit of length,
            float64.
        power: (..., nk) variance in each shell, in the field's unit squared. It is a sum over the
            shell, not a density: ``power.sum(-1)`` is the mean square of the field.
        shell_width: dk; ``power / shell_width`` is the density of a continuous spectrum.
    """

    wavenumber: Tensor
    power: Tensor
    shell_width: float


def shell_wavenumbers(grid: Grid) -> Tensor:
    """Return the (nk,) shell centres of a grid, float64; the last one holds the corner modes."""
    return shell_bins(grid, torch.device("cpu")).wavenumber.clone()


def shell_spectrum(field: Tensor, grid: Grid) -> Spectrum:
    """Return the shell spectrum of a real field.

        E(k) = Σ_{k − dk/2 ≤ |k'| < k + dk/2} |x̂(k')|²,      Σ_k E(k) = mean(x²)

    The identity is exact: corner modes are kept in shells beyond the Nyquist radius, and the
    modes that the real FFT leaves out are counted (once for k_last = 0 and for the Nyquist column
    of an even grid, twice elsewhere). Shell 0 holds the squared mean alone; where a long box has
    modes closer to zero than dk/2, they join shell 1.

    x̂ are the Fourier coefficients in a periodic box; otherwise those of the orthonormal DCT-II in
    each dimension, with wavenumbers π m / L. A wave of amplitude A puts A²/2 into its shell.

    Args:
        field: (..., *grid.shape), float32 or float64, any leading axes.
        grid: the grid of the field; non-square boxes are binned by their physical wavenumbers.

    Returns:
        A `Spectrum` with power (..., nk) of the field's dtype. Differentiable.

    Raises:
        DataError: if the trailing axes differ from the grid, the dtype is not a float, or a value
            is NaN or infinite.

    Source: Pope, Turbulent Flows (2000), §6.5; for the DCT, Denis et al., Mon. Weather Rev. 130
    (2002), eq. 7.
    """
    bins = shell_bins(grid, field.device)
    return Spectrum(bins.wavenumber.clone(), binned_power(field, grid, bins), bins.width)


def binned_power(field: Tensor, grid: Grid, bins: Bins) -> Tensor:
    """Return the variance (..., nk) of a field (..., *grid.shape) in bins of its modes.

    Raises:
        DataError: as `shell_spectrum`.
    """
    check_field(field, grid)
    weight = bins.weight.to(field.dtype)
    rows = [
        binned(squared_modulus(coefficients(block, grid)) * weight, bins)
        for block in blocks_of_rows(field.reshape(-1, *grid.shape))
    ]
    total = torch.cat(rows) if rows else field.new_zeros(0, len(bins.wavenumber))
    # A single NaN spreads over its whole transform, so the small result tells for the large field.
    if not bool(total.isfinite().all()):
        refuse_not_finite(field)
    return total.reshape(*field.shape[: -grid.ndim], len(bins.wavenumber))


def coefficients(rows: Tensor, grid: Grid) -> Tensor:
    """Return the modes (b, modes) of fields (b, *grid.shape): complex Fourier, or real cosine."""
    if grid.periodic:
        return grid.transform(rows).flatten(1)
    return cosine_transform(rows, grid.ndim).flatten(1)


def squared_modulus(x: Tensor) -> Tensor:
    """Return |x|² of real or complex values, without the root that abs() takes."""
    return x.real.square() + x.imag.square() if x.is_complex() else x.square()


def check_field(field: Tensor, grid: Grid, name: str = "field") -> None:
    """Refuse a field that is not of floats on the grid.

    Raises:
        DataError: naming what was found.
    """
    if tuple(field.shape[-grid.ndim :]) != grid.shape:
        raise DataError(
            f"{name}: found shape {tuple(field.shape)}, "
            f"expected the grid {grid.shape} of ({', '.join(grid.dims)}) in the last axes"
        )
    if field.dtype not in (torch.float32, torch.float64):
        raise DataError(f"{name}: found dtype {field.dtype}, expected torch.float32 or float64")


def refuse_not_finite(field: Tensor, name: str = "field") -> NoReturn:
    """Say why the squares of a field are not finite.

    Raises:
        DataError: always, with the count of NaN and infinite values.
    """
    nan, infinite = int(field.isnan().sum()), int(field.isinf().sum())
    if nan + infinite == 0:
        raise DataError(f"{name}: its squares overflow {field.dtype}; rescale it or use float64")
    raise DataError(
        f"{name}: found {nan} NaN and {infinite} infinite values of {field.numel()}, expected "
        "none; they are never filled silently. Cut to a region without gaps, fill them knowingly, "
        "or, in a periodic box with islands, use masked_spectrum (gaps='estimate')"
    )


def blocks_of_rows(rows: Tensor, values: int = _BLOCK) -> Iterator[Tensor]:
    """Yield (b, ...) views that cover the first axis of `rows` with about `values` values each."""
    size = max(1, values // max(1, math.prod(rows.shape[1:])))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
