"""The coefficient of an eddy viscosity from the resolved flow itself."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.closures._eddy_viscosity import EddyViscosity
from spectune.closures._vorticity import VorticityClosure
from spectune.coarse import gaussian_filter

__all__ = ["DynamicEddyViscosity"]


class DynamicEddyViscosity(VorticityClosure):
    r"""Germano's procedure with one coefficient for the whole box, of each member and each moment.

        Π = c m(ψ̄, ω̄; Δ),      c = max(0, ⟨L M⟩/⟨M M⟩)
        L = J(ψ̃, ω̃) − \widetilde{J(ψ̄, ω̄)}
        M = m(ψ̃, ω̃; Δ̃) − \widetilde{m(ψ̄, ω̄; Δ)}

    where m is the closure with coefficient one, ~ the test filter applied to the filtered fields,
    and L what the same closure must supply between Δ and Δ̃ = 2Δ. The test filter is Gaussian of
    width √3 Δ: widths of Gaussians add in squares, so that both filters together are one of width
    2Δ, and L is exact. Products are free of aliasing errors.

    Averages are over the box. The only clipping is that of a negative c, on the average, to 0.
    (py2d uses a sharp test filter at half the Nyquist wavenumber, \widetilde{|S̄|} for that of the
    test-filtered flow, ν_e ∇²ω̄ for m, and averages the positive part of L M, which makes c larger.)

    Args:
        unit: m at Δ.
        wide: m at 2Δ.
        power: of the coefficient in ν_e.

    Source: Germano et al. 1991 (Phys. Fluids A 3); Lilly 1992 (Phys. Fluids A 4); Guan et al. 2022
    (J. Comput. Phys. 458) for 2D turbulence.
    """

    def __init__(self, unit: EddyViscosity, wide: EddyViscosity, power: int) -> None:
        super().__init__(unit.grid, unit.width)
        self.parameters = {"width": self.width}
        self._unit, self._wide, self._power = unit, wide, power
        self._response = gaussian_filter(self.grid, 3**0.5 * self.width)

    def coefficient(self, inputs: Tensor) -> Tensor:
        """Return C (n,), the coefficient that the static closure would need to be the same.

        Args:
            inputs: (ψ̄, ω̄) (n, 2, ny, nx).
        """
        psi, omega = self.grid.transform(inputs).unbind(-3)
        factor = self._factor(psi, omega, self._unit.coefficients(psi, omega))
        return factor.squeeze((-2, -1)) ** (1 / self._power)

    def coefficients(self, psi: Tensor, omega: Tensor) -> Tensor:
        """Return Π̂ of ψ̂ and ω̂, each (n, *grid.half_shape)."""
        modelled = self._unit.coefficients(psi, omega)
        return self._factor(psi, omega, modelled) * modelled

    def _factor(self, psi: Tensor, omega: Tensor, modelled: Tensor) -> Tensor:
        """Return c (n, 1, 1)."""
        response = self._response.to(omega.device, omega.real.dtype)
        advection = self._operators(omega).advection
        smooth = response * psi, response * omega
        missing = advection(*smooth) - response * advection(psi, omega)
        difference = self._wide.coefficients(*smooth) - response * modelled
        missing, difference = self.grid.inverse(torch.stack((missing, difference)))
        size = difference.square().mean((-2, -1), keepdim=True)
        # A flow at rest has no difference, and no term that a coefficient could scale.
        ratio = (missing * difference).mean((-2, -1), keepdim=True) / torch.where(size > 0, size, 1)
        clipped: Tensor = ratio.clamp(min=0)
        return clipped
