"""The Taylor expansion of the subgrid term of a Gaussian filter."""

from __future__ import annotations

from math import comb, factorial
from typing import Literal

import torch
from torch import Tensor

from spectune.closures._vorticity import VorticityClosure
from spectune.grid import Grid

__all__ = ["GradientModel"]


class GradientModel(VorticityClosure):
    r"""Gradient (nonlinear, Clark) model of order 2 or 4 in Δ.

        Π = −∇·σ,        σ_j = \overline{u_j ω} − ū_j ω̄
        σ_j = Δ²/12 ∂_i ū_j ∂_i ω̄  [ + Δ⁴/288 ∂_ik ū_j ∂_ik ω̄ ]  + …

    With Ĝ = exp(−k²a/2), a = Δ²/12, the filter is the operator exp(a∇²/2), and its inverse turns
    f̄ into f. On a product, ∇ = ∇_f + ∇_g and ∇² = ∇_f² + 2∇_f·∇_g + ∇_g², so that

        \overline{f g} = exp(a∇²/2) [(exp(−a∇²/2) f̄)(exp(−a∇²/2) ḡ)] = exp(a ∇_f·∇_g) f̄ ḡ
                       = Σ_n aⁿ/n! (∂_{i₁…iₙ} f̄)(∂_{i₁…iₙ} ḡ)

    to all orders; n = 0 is J of the filtered fields, n = 1 the model of order 2, n = 2 adds that of
    order 4. What is left out is O(Δ⁴) and O(Δ⁶). (py2d's Π has these terms and the opposite sign.)

    It resembles Π closely, scatters back as much as it does, and therefore tends to blow up on its
    own: add an eddy viscosity, or clip. Products are free of aliasing errors.

    Args:
        grid: the LES grid, doubly periodic.
        order: 2 or 4.
        width: Δ of the Gaussian filter; by default 2Δx.

    Raises:
        ValueError: another order.

    Source: Leonard 1974 (Adv. Geophys. 18); Clark, Ferziger & Reynolds 1979 (J. Fluid Mech. 91);
    Jakhar et al. 2024 (J. Adv. Model. Earth Syst. 16) for 2D turbulence.
    """

    def __init__(self, grid: Grid, *, order: Literal[2, 4] = 2, width: float | None = None) -> None:
        if order not in (2, 4):
            raise ValueError(f"expected order 2 or 4 of the gradient model, found {order}")
        super().__init__(grid, width)
        self.name = f"gradient model {order}"
        self.parameters = {"order": order, "width": self.width}
        self._depth = order // 2

    def coefficients(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return Π̂ of ψ̂ and ω̂, each (n, *grid.half_shape)."""
        spectral = self._operators(omega)
        ddy, ddx = spectral.gradient
        fields = torch.stack((ddy * psi, -ddx * psi, omega))
        flux: Tensor | float = 0.0
        for n in range(1, self._depth + 1):
            for along_y in range(n + 1):
                weight = (self.width**2 / 12) ** n / factorial(n) * comb(n, along_y)
                derivative = ddx ** (n - along_y) * ddy**along_y
                u, v, carried = spectral.on_fine(derivative * fields)
                flux = flux + weight * torch.stack((u * carried, v * carried))
        assert isinstance(flux, Tensor)
        flux_x, flux_y = spectral.from_fine(flux)
        divergence: Tensor = ddx * flux_x + ddy * flux_y
        return -divergence
