"""The eddy viscosity of Smagorinsky with Germano's coefficient."""

from __future__ import annotations

from spectune.closures._dynamic import DynamicEddyViscosity
from spectune.closures.smagorinsky import Smagorinsky
from spectune.grid import Grid

__all__ = ["DynamicSmagorinsky"]


class DynamicSmagorinsky(DynamicEddyViscosity):
    """Smagorinsky closure whose coefficient follows from the resolved flow.

        Π = c ∇·(Δ² |S̄| ∇ω̄),      C_s = √c

    Purely diffusive, as c ≥ 0. For c, the test filter, averaging and clipping see
    `DynamicEddyViscosity`.

    Args:
        grid: the LES grid, doubly periodic.
        width: Δ; by default 2Δx, the width of the filter.

    Source: Germano et al. 1991 (Phys. Fluids A 3); Guan et al. 2022 (J. Comput. Phys. 458).
    """

    name = "dynamic Smagorinsky"

    def __init__(self, grid: Grid, *, width: float | None = None) -> None:
        unit = Smagorinsky(grid, coefficient=1.0, width=width)
        wide = Smagorinsky(grid, coefficient=1.0, width=2 * unit.width)
        super().__init__(unit, wide, power=2)
