"""Which bin of wavenumbers each Fourier or cosine mode of a grid belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.spectra._modes import full_plane_weight

__all__ = [
    "Bins",
    "binned",
    "fundamental_wavenumber",
    "line_bins",
    "nyquist_wavenumber",
    "shell_bins",
    "wall_wavenumbers",
]


@dataclass(frozen=True)
class Bins:
    """Bins of modes; summing |x̂|² times `weight` over all bins gives mean(x²).

    Attributes:
        index: (modes,) bin of each stored mode, int64.
        weight: (modes,) what |x̂|² of a mode counts, float64: its multiplicity in the full plane,
            or 1/N for the orthonormal DCT, which conserves Σ x² where spectra conserve the mean.
        wavenumber: (nk,) centre of each bin, in radians per unit of length, float64, on the CPU.
        width: distance of the centres.
    """

    index: Tensor
    weight: Tensor
    wavenumber: Tensor
    width: float


def fundamental_wavenumber(grid: Grid) -> float:
    """Return dk, the largest fundamental wavenumber of the box and the width of a shell.

    dk = max_i 2π/L_i in a periodic box, max_i π/L_i otherwise. The largest is taken because with
    a narrower shell the short dimension of a long box would leave shells empty.
    """
    return (2 if grid.periodic else 1) * math.pi / min(grid.lengths)


def nyquist_wavenumber(grid: Grid) -> float:
    """Return the Nyquist radius min_i π/Δ_i: up to it, every direction of a shell is resolved."""
    return math.pi / max(grid.spacing)


def wall_wavenumbers(grid: Grid) -> tuple[Tensor, ...]:
    """Return π m / L of the cosine modes along each dimension, (n_i,) float64."""
    return tuple(
        torch.arange(n, dtype=torch.float64) * (math.pi / length)
        for n, length in zip(grid.shape, grid.lengths, strict=True)
    )


@lru_cache(maxsize=64)
def shell_bins(grid: Grid, device: torch.device) -> Bins:
    """Return the shells |k'| ≈ 0, dk, 2 dk, …; the last ones hold the corner modes.

    Shell 0 holds the mean alone; where a long box has modes closer to zero than dk/2, they join
    shell 1.
    """
    # Cached tensors must not belong to inference mode, or later gradients would refuse them.
    with torch.inference_mode(False):
        if grid.periodic:
            squared = grid.squared_wavenumber()
        else:
            components = torch.meshgrid(*wall_wavenumbers(grid), indexing="ij")
            squared = torch.stack(components).square().sum(0)
        width = fundamental_wavenumber(grid)
        # The small offset settles radii that are half-way in exact arithmetic.
        index = (squared.sqrt() / width + (0.5 + 1e-9)).floor().to(torch.int64)
        index = index.clamp(min=1).flatten()
        index[0] = 0
        wavenumber = torch.arange(int(index.max()) + 1, dtype=torch.float64) * width
        return Bins(index.to(device), _weight(grid).to(device), wavenumber, width)


@lru_cache(maxsize=64)
def line_bins(grid: Grid, device: torch.device) -> Bins:
    """Return the bins |k_last| = 0, dk, 2 dk, … of the last dimension, whatever the others."""
    with torch.inference_mode(False):
        shape = grid.half_shape if grid.periodic else grid.shape
        width = (2 if grid.periodic else 1) * math.pi / grid.lengths[-1]
        index = torch.arange(shape[-1]).expand(shape).flatten()
        wavenumber = torch.arange(shape[-1], dtype=torch.float64) * width
        return Bins(index.to(device), _weight(grid).to(device), wavenumber, width)


def binned(values: Tensor, bins: Bins) -> Tensor:
    """Return the sums (rows, nk) of (rows, modes) over the modes of each bin."""
    out = values.new_zeros(len(values), len(bins.wavenumber))
    return out.index_add(1, bins.index, values)


def _weight(grid: Grid) -> Tensor:
    if grid.periodic:
        return full_plane_weight(grid).flatten()
    points = math.prod(grid.shape)
    return torch.full((points,), 1 / points, dtype=torch.float64)
