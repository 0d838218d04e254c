"""Closures of the 2D vorticity equation, which are computed in Fourier space."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from spectune.closures._operators import Operators, operators
from spectune.closures.model import SubgridModel
from spectune.grid import Grid

__all__ = ["VorticityClosure"]


class VorticityClosure(SubgridModel):
    """A closure that is a function of ψ̄ and ω̄ on a doubly periodic grid.

    Args:
        grid: the LES grid.
        width: Δ; by default 2Δx, the width of the filter in `spectune.coarse`.
    """

    def __init__(self, grid: Grid, width: float | None) -> None:
        self.grid = grid
        self.width = 2 * grid.spacing[0] if width is None else width

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return Π (n, 1, ny, nx) of (ψ̄, ω̄) (n, 2, ny, nx)."""
        psi, omega = self.grid.transform(inputs).unbind(-3)
        return self.grid.inverse(self.coefficients(psi, omega)).unsqueeze(-3)

    @abstractmethod
    def coefficients(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return Π̂ of ψ̂ and ω̂, each (n, *grid.half_shape)."""

    def _operators(self, coefficients: Tensor) -> Operators:
        return operators(self.grid, coefficients.real.dtype, coefficients.device)
