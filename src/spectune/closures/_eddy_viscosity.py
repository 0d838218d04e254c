"""What the eddy-viscosity closures share."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from spectune.closures._vorticity import VorticityClosure

__all__ = ["EddyViscosity"]


class EddyViscosity(VorticityClosure):
    """Diffusion of the vorticity with a viscosity ν_e ≥ 0 that depends on the flow.

        Π = ∇·(ν_e ∇ω̄),        ⟨ω̄ Π⟩ = −⟨ν_e |∇ω̄|²⟩ ≤ 0

    The sign holds on the grid to round-off, for every state: both derivatives are the same
    skew-symmetric matrix. It would not for ν_e ∇²ω̄, which lacks ∇ν_e·∇ω̄.
    """

    def viscosity(self, inputs: Tensor) -> Tensor:
        """Return ν_e (n, 1, ny, nx) of (ψ̄, ω̄) (n, 2, ny, nx)."""
        psi, omega = self.grid.transform(inputs).unbind(-3)
        return self.viscosity_of(psi, omega).unsqueeze(-3)

    @abstractmethod
    def viscosity_of(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return ν_e (n, ny, nx) of ψ̂ and ω̂, each (n, *grid.half_shape)."""

    def coefficients(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return Π̂ of ψ̂ and ω̂, each (n, *grid.half_shape)."""
        grid = self.grid
        ddy, ddx = self._operators(omega).gradient
        gradient = grid.inverse(torch.stack((ddx * omega, ddy * omega)))
        flux_x, flux_y = grid.transform(self.viscosity_of(psi, omega) * gradient)
        diffusion: Tensor = ddx * flux_x + ddy * flux_y
        return diffusion
