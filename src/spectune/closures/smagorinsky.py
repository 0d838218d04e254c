"""The eddy viscosity of Smagorinsky."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.closures._eddy_viscosity import EddyViscosity
from spectune.grid import Grid

__all__ = ["Smagorinsky"]


class Smagorinsky(EddyViscosity):
    """Smagorinsky closure of the 2D vorticity equation.

        Π = ∇·(ν_e ∇ω̄),     ν_e = (C_s Δ)² |S̄|,     |S̄|² = 2 S̄_ij S̄_ij = 4ψ̄_xy² + (ψ̄_yy − ψ̄_xx)²

    Purely diffusive: ⟨ω̄ Π⟩ = −⟨ν_e |∇ω̄|²⟩ ≤ 0. (py2d takes the root mean square of ν_e over the
    box, a constant, so that its Π is ν_e ∇²ω̄.)

    Args:
        grid: the LES grid, doubly periodic.
        coefficient: C_s.
        width: Δ; by default 2Δx, the width of the filter.

    Source: Smagorinsky 1963 (Mon. Weather Rev. 91); Guan et al. 2022 (J. Comput. Phys. 458), eq. 8.
    """

    name = "Smagorinsky"

    def __init__(
        self, grid: Grid, *, coefficient: float = 0.17, width: float | None = None
    ) -> None:
        super().__init__(grid, width)
        self.parameters = {"coefficient": coefficient, "width": self.width}
        self._factor = (coefficient * self.width) ** 2

    def viscosity_of(self, psi: Tensor, omega: Tensor) -> Tensor:  # noqa: ARG002
        """Return ν_e (n, ny, nx) of ψ̂ and ω̂, each (n, *grid.half_shape)."""
        ddy, ddx = self._operators(psi).gradient
        cross, stretch = self.grid.inverse(torch.stack((ddx * ddy * psi, (ddy**2 - ddx**2) * psi)))
        return self._factor * torch.sqrt(4 * cross**2 + stretch**2)
