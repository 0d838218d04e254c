"""The eddy viscosity of Leith."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.closures._eddy_viscosity import EddyViscosity
from spectune.grid import Grid

__all__ = ["Leith"]


class Leith(EddyViscosity):
    """Leith closure of the 2D vorticity equation, for a cascade of enstrophy.

        Π = ∇·(ν_e ∇ω̄),     ν_e = (C_l Δ)³ |∇ω̄|

    Purely diffusive: ⟨ω̄ Π⟩ = −⟨ν_e |∇ω̄|²⟩ ≤ 0. C_l Δ = Δx/π, Leith's choice with a factor of
    one, is C_l = 1/(2π) = 0.16 with Δ = 2Δx. (py2d takes the mean of ν_e over the box, a constant,
    so that its Π is ν_e ∇²ω̄.)

    Args:
        grid: the LES grid, doubly periodic.
        coefficient: C_l.
        width: Δ; by default 2Δx, the width of the filter.

    Source: Leith 1996 (Physica D 98); Fox-Kemper & Menemenlis 2008 (AGU Geophys. Monogr. 177) for
    Δx/π.
    """

    name = "Leith"

    def __init__(
        self, grid: Grid, *, coefficient: float = 0.17, width: float | None = None
    ) -> None:
        super().__init__(grid, width)
        self.parameters = {"coefficient": coefficient, "width": self.width}
        self._factor = (coefficient * self.width) ** 3

    def viscosity_of(self, psi: Tensor, omega: Tensor) -> Tensor:  # noqa: ARG002
        """Return ν_e (n, ny, nx) of ψ̂ and ω̂, each (n, *grid.half_shape)."""
        ddy, ddx = self._operators(omega).gradient
        along_x, along_y = self.grid.inverse(torch.stack((ddx * omega, ddy * omega)))
        return self._factor * torch.hypot(along_x, along_y)
