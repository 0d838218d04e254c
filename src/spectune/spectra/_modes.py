"""How often each mode of the half-plane stands for a mode of the full plane."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = ["full_plane_weight"]


def full_plane_weight(grid: Grid, device: torch.device | str = "cpu") -> Tensor:
    """Return the multiplicity of the modes of a real field, (*grid.half_shape), float64.

        Σ_{full plane} |x̂|² = Σ_{half-plane} w |x̂|²

    w is 1 for k_last = 0 and for the Nyquist column of an even grid, which are their own mirror
    images, and 2 elsewhere.
    """
    weight = torch.full(grid.half_shape, 2.0, dtype=torch.float64)
    weight[..., 0] = 1
    if grid.shape[-1] % 2 == 0:
        weight[..., -1] = 1
    return weight.to(device)
