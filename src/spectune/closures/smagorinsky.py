"""The eddy viscosity of Smagorinsky."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = ["Smagorinsky"]


class Smagorinsky:
    """Smagorinsky closure of the 2D vorticity equation.

        Π = ∇·(ν_e ∇ω̄),     ν_e = (C_s Δ)² |S̄|,     |S̄|² = 2 S̄_ij S̄_ij = 4ψ̄_xy² + (ψ̄_yy − ψ̄_xx)²

    Purely diffusive: ⟨ω̄ Π⟩ = −⟨ν_e |∇ω̄|²⟩ ≤ 0.

    Args:
        grid: the LES grid, doubly periodic.
        coefficient: C_s.
        width: Δ; by default 2Δx, the width of the filter.

    Source: Smagorinsky 1963 (Mon. Weather Rev. 91); Guan et al. 2022 (J. Comput. Phys. 458), eq. 8.
    """

    def __init__(
        self, grid: Grid, *, coefficient: float = 0.17, width: float | None = None
    ) -> None:
        self.grid = grid
        self._factor = (coefficient * (2 * grid.spacing[0] if width is None else width)) ** 2

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return Π (n, 1, ny, nx) of (ψ̄, ω̄) (n, 2, ny, nx)."""
        grid = self.grid
        ky, kx = grid.wavenumbers(inputs.dtype, inputs.device)
        psi, omega = grid.transform(inputs).unbind(-3)
        kept = grid.resolved(inputs.device)
        cross = grid.inverse(-kx * ky * psi * kept)
        stretch = grid.inverse((kx**2 - ky**2) * psi)
        viscosity = self._factor * torch.sqrt(4 * cross**2 + stretch**2)
        gradient = torch.stack((1j * kx * omega * kept, 1j * ky * omega * kept))
        flux_x, flux_y = grid.transform(viscosity * grid.inverse(gradient))
        return grid.inverse((1j * kx * flux_x + 1j * ky * flux_y) * kept).unsqueeze(-3)
