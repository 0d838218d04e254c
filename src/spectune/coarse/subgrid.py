"""From direct simulation to the filtered fields and the exact subgrid term."""

from __future__ import annotations

from torch import Tensor

from spectune.coarse._spectral import ForcedCoarseGraining
from spectune.coarse.filters import Filter, gaussian_filter
from spectune.grid import Grid
from spectune.systems.navier_stokes import NavierStokes2D

__all__ = ["CoarseGraining"]


class CoarseGraining(ForcedCoarseGraining[NavierStokes2D]):
    r"""Filter a DNS state, truncate it to an LES grid and compute Π.

        ω̄ = G ∗ ω truncated to |k_i| < N_LES/2
        Π = J(ω̄, ψ̄) − \overline{J(ω, ψ)}

    J(ω̄, ψ̄) is computed with the modes of the LES grid and without aliasing, and the LES is
    forced with the filtered forcing, so that the LES system with this Π has the tendency of the
    filtered DNS to round-off. (A Gaussian filter of Δ = 2Δx removes 3 % of a forcing at
    k_f = N_LES/16 but 63 % at k_f = 0.4 N_LES: the unfiltered forcing would be another flow.)
    So is its noise: the LES gets the filtered noise of the same seed, and with the steps of the
    DNS the filtered realisation. Where the DNS takes n steps to one of the LES, give its
    `Simulation` ``substeps=n``, and both walk the same path.

    Args:
        dns: the system that was simulated.
        grid: the LES grid.
        kernel: transfer function of the filter.
        width: Δ; by default 2 Δx_LES.

    Source: Subel et al. 2023, eq. 2–4; Guan et al. 2022 (J. Comput. Phys. 458).
    """

    def __init__(
        self,
        dns: NavierStokes2D,
        grid: Grid,
        kernel: Filter = gaussian_filter,
        width: float | None = None,
    ) -> None:
        super().__init__(dns, dns.on(grid, dealiasing="3/2"), kernel, width)
        if dns.noise is not None:
            self.les.noise = dns.noise.on(self.les.cutoff, self._response)

    def pair(self, vorticity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ψ̄, ω̄ and Π on the LES grid, each (..., *grid.shape).

        Args:
            vorticity: ω̂ of the DNS (..., *dns.grid.half_shape).
        """
        coarse, subgrid = self._coarse_and_subgrid(vorticity)
        return (
            self.grid.inverse(self.les.stream_function(coarse)),
            self.grid.inverse(coarse),
            self.grid.inverse(subgrid),
        )

    def stress(self, vorticity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return the subgrid stress τ_xx, τ_xy and τ_yy on the LES grid, each (..., *grid.shape).

            τ_ij = \overline{u_i u_j} − ū_i ū_j,      Π = (∂yy − ∂xx) τ_xy + ∂xy (τ_xx − τ_yy)

        Both products are truncated to the modes of the LES grid, so that its curl of the divergence
        is the Π of `pair` to round-off (with ``dealiasing="none"`` in the DNS up to aliasing). The
        sign follows from Π = −∇×(∇·τ), with ∇×a = ∂x a_y − ∂y a_x and ω = ∇×u.

        Args:
            vorticity: ω̂ of the DNS (..., *dns.grid.half_shape).

        Source: Pope 2000, Turbulent Flows, eq. 13.93; Jakhar et al. 2024 (J. Adv. Model. Earth
        Syst. 16) for τ and Π of 2D turbulence.
        """
        resolved = self.les.momentum_flux(self.filtered(vorticity))
        xx, xy, yy = (
            self.grid.inverse(self.filtered(whole) - part)
            for whole, part in zip(self.dns.momentum_flux(vorticity), resolved, strict=True)
        )
        return xx, xy, yy
