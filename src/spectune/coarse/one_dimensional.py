"""The exact subgrid term of Burgers and Kuramoto–Sivashinsky flow."""

from __future__ import annotations

from torch import Tensor

from spectune.coarse._spectral import ForcedCoarseGraining
from spectune.coarse.filters import Filter, gaussian_filter
from spectune.grid import Grid
from spectune.systems._one_dimensional import OneDimensionalFlow
from spectune.systems.burgers import Burgers1D
from spectune.systems.kuramoto_sivashinsky import KuramotoSivashinsky1D

__all__ = ["OneDimensionalCoarseGraining"]


class OneDimensionalCoarseGraining(ForcedCoarseGraining[OneDimensionalFlow]):
    r"""Filter a 1D direct simulation, truncate it to an LES grid and compute Π.

        ū = G ∗ u truncated to k < N_LES/2
        Π = ∂(ū²/2)/∂x − \overline{∂(u²/2)/∂x},      ∂ū/∂t + ∂(ū²/2)/∂x = L ū + f̄ + Π

    ū² is formed from the modes of the LES grid without aliasing, and the LES is forced with the
    filtered forcing, so that LES and Π together have the tendency of the filtered direct
    simulation to round-off.

    Args:
        dns: the system that was simulated. Its forcing is read here; for a forcing that changes,
            call `hold` after each change.
        grid: the LES grid, of the same box.
        kernel: transfer function of the filter.
        width: Δ; by default 2 Δx_LES.

    Raises:
        ValueError: the boxes differ.

    Source: Subel et al. 2021 (Phys. Fluids 33, 031702), with the sign of `CoarseGraining`.
    """

    def __init__(
        self,
        dns: Burgers1D | KuramotoSivashinsky1D,
        grid: Grid,
        kernel: Filter = gaussian_filter,
        width: float | None = None,
    ) -> None:
        super().__init__(dns, dns.on(grid, dealiasing="3/2"), kernel, width)

    def pair(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return ū and Π on the LES grid, each (..., *grid.shape).

        Args:
            state: û of the DNS (..., *dns.grid.half_shape).
        """
        coarse, subgrid = self._coarse_and_subgrid(state)
        return self.grid.inverse(coarse), self.grid.inverse(subgrid)
