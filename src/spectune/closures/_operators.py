"""Derivatives and aliasing-free products on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from spectune.grid import Grid, resize

__all__ = ["Operators", "operators"]


@dataclass(frozen=True)
class Operators:
    """What turns coefficients (..., *grid.half_shape) into those of derivatives and products.

    Attributes:
        grid: of the fields.
        fine: the grid of 3N/2 points, on which the product of two fields has no aliasing errors.
        gradient: ∂ along each dimension, imaginary, 0 at the Nyquist wavenumber, in the order of
            `grid.dims`; 2D: (∂y, ∂x).
        k2: |k|².
    """

    grid: Grid
    fine: Grid
    gradient: tuple[Tensor, ...]
    k2: Tensor

    def on_fine(self, coefficients: Tensor) -> Tensor:
        """Return the field on the fine grid."""
        return self.fine.inverse(resize(coefficients, self.grid, self.fine))

    def from_fine(self, field: Tensor) -> Tensor:
        """Return the coefficients below Nyquist of a field on the fine grid."""
        return resize(self.fine.transform(field), self.fine, self.grid)

    def advection(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return Ĵ = ∂(uω)/∂x + ∂(vω)/∂y with u = ∂ψ/∂y, v = −∂ψ/∂x."""
        ddy, ddx = self.gradient
        u, v, carried = self.on_fine(torch.stack((ddy * psi, -ddx * psi, omega)))
        flux_x, flux_y = self.from_fine(torch.stack((u * carried, v * carried)))
        divergence: Tensor = ddx * flux_x + ddy * flux_y
        return divergence


@lru_cache(maxsize=16)
def operators(grid: Grid, dtype: torch.dtype, device: torch.device) -> Operators:
    """Return the operators of fields of a dtype on a device; made once."""
    kept = grid.resolved(device)
    return Operators(
        grid,
        grid.with_shape(tuple(3 * n // 2 for n in grid.shape)),
        tuple(1j * k * kept for k in grid.wavenumbers(dtype, device)),
        grid.squared_wavenumber(dtype, device),
    )
