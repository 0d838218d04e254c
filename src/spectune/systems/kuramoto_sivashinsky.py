"""The Kuramoto–Sivashinsky equation in one dimension."""

from __future__ import annotations

import torch

from spectune.grid import Grid
from spectune.systems._one_dimensional import OneDimensionalFlow
from spectune.systems.navier_stokes import Dealiasing

__all__ = ["KuramotoSivashinsky1D"]


class KuramotoSivashinsky1D(OneDimensionalFlow):
    """Periodic Kuramoto–Sivashinsky equation, chaotic without any forcing.

        ∂u/∂t + u ∂u/∂x + ∂²u/∂x² + ∂⁴u/∂x⁴ = 0        on [0, L)

    The only parameter is the length L of the grid, in units in which the fastest growing wave of
    the rest state has k² = 1/2: a wave of small amplitude grows at the rate k² − k⁴. L = 22 is the
    smallest box with lasting chaos in common use; a base/target pair is two lengths.

    States are Fourier coefficients û (..., *grid.half_shape) with any number of leading ensemble
    axes. The whole of k² − k⁴ is the linear part, so that it does not limit the stability of the
    step; but an integrating factor loses its order where Δt k⁴ > 1 in modes that matter, and
    `ETDRK4` was made for this equation. The attribute `forcing` is zero.

    Args:
        grid: periodic 1D grid of length L.
        dealiasing: ``"2/3"`` evolves the modes up to (N−1)/3 on the N-point grid (direct
            simulation); ``"3/2"`` evolves all modes below Nyquist and forms products on 3N/2
            points (large-eddy simulation). Both are free of aliasing errors.
        dtype: float32 or float64.
        device: where states live.

    Raises:
        ValueError: the grid is not a periodic 1D grid, or the dealiasing is unknown.

    Source: Kassam & Trefethen 2005 (SIAM J. Sci. Comput. 26); Cvitanović, Davidchack &
    Siminos 2010 (SIAM J. Appl. Dyn. Syst. 9) for L = 22.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        dealiasing: Dealiasing = "2/3",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        k2 = grid.squared_wavenumber()
        super().__init__(grid, k2 - k2**2, {}, dealiasing, dtype, device)

    def on(self, grid: Grid, dealiasing: Dealiasing) -> KuramotoSivashinsky1D:
        """Return the same equation on another grid."""
        return KuramotoSivashinsky1D(
            grid, dealiasing=dealiasing, dtype=self.dtype, device=self.device
        )
