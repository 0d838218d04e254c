"""The shell spectrum: how the variance of a field is spread over wavenumbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._cosine import cosine_transform
from spectune.spectra._modes import full_plane_weight

__all__ = [
    "Spectrum",
    "blocks_of_rows",
    "fundamental_wavenumber",
    "nyquist_wavenumber",
    "shell_spectrum",
    "shell_wavenumbers",
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


def fundamental_wavenumber(grid: Grid) -> float:
    """Return dk, the largest fundamental wavenumber of the box and the width of a shell.

    dk = max_i 2π/L_i in a periodic box, max_i π/L_i otherwise. The largest is taken because with
    a narrower shell the short dimension of a long box would leave shells empty.
    """
    return (2 if grid.periodic else 1) * math.pi / min(grid.lengths)


def nyquist_wavenumber(grid: Grid) -> float:
    """Return the Nyquist radius min_i π/Δ_i: up to it, every direction of a shell is resolved."""
    return math.pi / max(grid.spacing)


def shell_wavenumbers(grid: Grid) -> Tensor:
    """Return the (nk,) shell centres of a grid, float64; the last one holds the corner modes."""
    count = _shells(grid, torch.device("cpu"))[2]
    return torch.arange(count, dtype=torch.float64) * fundamental_wavenumber(grid)


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
    if tuple(field.shape[-grid.ndim :]) != grid.shape:
        raise DataError(
            f"field: found shape {tuple(field.shape)}, "
            f"expected the grid {grid.shape} of ({', '.join(grid.dims)}) in the last axes"
        )
    if field.dtype not in (torch.float32, torch.float64):
        raise DataError(f"field: found dtype {field.dtype}, expected torch.float32 or float64")
    leading = field.shape[: -grid.ndim]
    index, weight, count = _shells(grid, field.device)
    weight = weight.to(field.dtype)
    rows = []
    for block in blocks_of_rows(field.reshape(-1, *grid.shape)):
        if grid.periodic:
            x = grid.transform(block).flatten(1)
            power = (x.real.square() + x.imag.square()) * weight
        else:
            power = cosine_transform(block, grid.ndim).flatten(1).square() * weight
        rows.append(power.new_zeros(len(block), count).index_add(1, index, power))
    total = torch.cat(rows) if rows else field.new_zeros(0, count)
    # A single NaN spreads over its whole transform, so the small result tells for the large field.
    if not bool(total.isfinite().all()):
        bad = int((~field.isfinite()).sum())
        raise DataError(
            f"field: found {bad} NaN or infinite values of {field.numel()}, expected none; "
            "fill or mask them knowingly before taking a spectrum"
            if bad
            else f"field: its squares overflow {field.dtype}; rescale it or use float64"
        )
    return Spectrum(
        shell_wavenumbers(grid), total.reshape(*leading, count), fundamental_wavenumber(grid)
    )


def blocks_of_rows(rows: Tensor, values: int = _BLOCK) -> Iterator[Tensor]:
    """Yield (b, ...) views that cover the first axis of `rows` with about `values` values each."""
    size = max(1, values // max(1, math.prod(rows.shape[1:])))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@lru_cache(maxsize=64)
def _shells(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor, int]:
    """Return the shell of each mode, its weight, both flat, and the number of shells."""
    # Cached tensors must not belong to inference mode, or later gradients would refuse them.
    with torch.inference_mode(False):
        if grid.periodic:
            radius = grid.squared_wavenumber().sqrt()
            weight = full_plane_weight(grid)
        else:
            squared = torch.zeros(grid.shape, dtype=torch.float64)
            for axis, (n, length) in enumerate(zip(grid.shape, grid.lengths, strict=True)):
                view = [1] * grid.ndim
                view[axis] = -1
                k = torch.arange(n, dtype=torch.float64) * (math.pi / length)
                squared = squared + k.square().reshape(view)
            radius = squared.sqrt()
            # The orthonormal DCT conserves Σ x²; the spectrum conserves the mean.
            weight = torch.full(grid.shape, 1 / math.prod(grid.shape), dtype=torch.float64)
        # The small offset settles radii that are half-way in exact arithmetic.
        scaled = radius / fundamental_wavenumber(grid)
        index = (scaled + (0.5 + 1e-9)).floor().to(torch.int64)
        index = index.clamp(min=1).flatten()
        index[0] = 0
        count = int(index.max()) + 1
        return index.to(device), weight.flatten().to(device), count
