"""Π without its backscatter."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.closures._limiter import Counts, Limiter
from spectune.closures._operators import operators
from spectune.closures.model import SubgridModel
from spectune.grid import Grid

__all__ = ["BackscatterClipping"]


class BackscatterClipping(Limiter):
    """Keep Π only where it diffuses.

        Π ← P − ⟨P⟩,      P = Π where T ≥ 0, else 0,      T = Π ∇²x̄

    with x̄ the state (ω̄ of 2D Navier–Stokes). T > 0 diffuses, T < 0 scatters back. ⟨P⟩ is taken off
    because no subgrid term of a periodic box changes the mean of x̄. This leaves ⟨T⟩ ≥ 0, as
    ⟨∇²x̄⟩ = 0, and a little backscatter at single points. ⟨x̄ Π⟩ ≤ 0 is likely then, but not certain.

    `report` gives the share of the points that were clipped and of Σ|T| that was removed.

    Args:
        model: the closure to limit.
        grid: the LES grid.

    Source: Maulik, San, Rasheed & Vedula 2019 (J. Fluid Mech. 858), who clip in the same way; that
    the mean is taken off is ours.
    """

    def __init__(self, model: SubgridModel, grid: Grid) -> None:
        super().__init__(model, "backscatter clipped", {})
        self._grid = grid

    def _limited(self, inputs: Tensor, pi: Tensor) -> tuple[Tensor, Counts]:
        grid = self._grid
        state = inputs[:, -pi.shape[1] :]
        k2 = operators(grid, inputs.dtype, inputs.device).k2
        transfer = pi * grid.inverse(-k2 * grid.transform(state))
        clipped = transfer < 0
        kept = torch.where(clipped, 0, pi)
        kept = kept - kept.mean(tuple(range(-grid.ndim, 0)), keepdim=True)
        size = transfer.abs()
        return kept, {
            "share of points": (clipped.sum(), torch.tensor(clipped.numel())),
            "share of transfer": (torch.where(clipped, size, 0).sum(), size.sum()),
        }
