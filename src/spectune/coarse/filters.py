"""Transfer functions of the filters of large-eddy simulation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = ["Filter", "box_filter", "gaussian_filter", "sharp_filter"]

Filter = Callable[[Grid, float], Tensor]
"""From a grid and a filter width Δ to the transfer function Ĝ (*grid.half_shape), float64."""


def gaussian_filter(grid: Grid, width: float) -> Tensor:
    """Return Ĝ(k) = exp(−k²Δ²/24). Source: Pope 2000, Turbulent Flows, table 13.2."""
    return torch.exp(-grid.squared_wavenumber() * width**2 / 24)


def box_filter(grid: Grid, width: float) -> Tensor:
    """Return Ĝ(k) = Π_i sin(k_i Δ/2)/(k_i Δ/2). Source: Pope 2000, table 13.2."""
    response = torch.ones(grid.half_shape, dtype=torch.float64)
    for k in grid.wavenumbers():
        response = response * torch.sinc(k * width / (2 * torch.pi))
    return response


def sharp_filter(grid: Grid, width: float) -> Tensor:
    """Return Ĝ(k) = H(π/Δ − |k|). Source: Pope 2000, table 13.2."""
    return (grid.squared_wavenumber().sqrt() <= torch.pi / width).double()
