"""The exact subgrid term of two-layer quasi-geostrophic flow."""

from __future__ import annotations

from torch import Tensor

from spectune.coarse._spectral import SpectralCoarseGraining
from spectune.coarse.filters import Filter, gaussian_filter
from spectune.grid import Grid
from spectune.systems.quasi_geostrophic import TwoLayerQG

__all__ = ["QuasiGeostrophicCoarseGraining"]


class QuasiGeostrophicCoarseGraining(SpectralCoarseGraining[TwoLayerQG]):
    r"""Filter a two-layer direct simulation, truncate it to an LES grid and compute Π.

        q̄ᵢ = G ∗ qᵢ truncated to |k_j| < N_LES/2,      i = 1, 2
        Πᵢ = J(ψ̄ᵢ, q̄ᵢ) − \overline{J(ψᵢ, qᵢ)},         added to the right-hand side

    Filtering commutes with the inversion, the mean flow, the drag and the dissipation, whose
    length `les` has from the direct simulation; so `les` with this Π has the tendency of the
    filtered direct simulation to round-off. (With a filter at the spacing of the LES, as in pyqg,
    what that filter takes is lost to the model and would have to be part of Π.)

    Args:
        dns: the system that was simulated.
        grid: the LES grid, of the same box.
        kernel: transfer function of the filter.
        width: Δ; by default 2 Δx_LES.

    Raises:
        ValueError: the boxes differ (at the first `filtered`).

    Source: Ross et al. 2023 (J. Adv. Model. Earth Syst. 15), the subgrid forcing of q as the
    difference of tendencies.
    """

    def __init__(
        self,
        dns: TwoLayerQG,
        grid: Grid,
        kernel: Filter = gaussian_filter,
        width: float | None = None,
    ) -> None:
        super().__init__(dns, dns.on(grid, dealiasing="3/2"), kernel, width)

    def pair(self, vorticity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ψ̄, q̄ and Π on the LES grid, each (..., 2, *grid.shape), in SI units.

        Args:
            vorticity: q̂ of the DNS (..., 2, *dns.grid.half_shape).
        """
        coarse, subgrid = self._coarse_and_subgrid(vorticity)
        return (
            self.grid.inverse(self.les.stream_function(coarse)),
            self.grid.inverse(coarse),
            self.grid.inverse(subgrid),
        )
