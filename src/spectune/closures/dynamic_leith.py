"""The eddy viscosity of Leith with Germano's coefficient."""

from __future__ import annotations

from spectune.closures._dynamic import DynamicEddyViscosity
from spectune.closures.leith import Leith
from spectune.grid import Grid

__all__ = ["DynamicLeith"]


class DynamicLeith(DynamicEddyViscosity):
    """Leith closure whose coefficient follows from the resolved flow.

        Π = c ∇·(Δ³ |∇ω̄| ∇ω̄),      C_l = ∛c

    Purely diffusive, as c ≥ 0. For c, the test filter, averaging and clipping see
    `DynamicEddyViscosity`.

    Args:
        grid: the LES grid, doubly periodic.
        width: Δ; by default 2Δx, the width of the filter.

    Source: Germano et al. 1991 (Phys. Fluids A 3); Leith 1996 (Physica D 98); Guan et al. 2022 (J.
    Comput. Phys. 458).
    """

    name = "dynamic Leith"

    def __init__(self, grid: Grid, *, width: float | None = None) -> None:
        unit = Leith(grid, coefficient=1.0, width=width)
        wide = Leith(grid, coefficient=1.0, width=2 * unit.width)
        super().__init__(unit, wide, power=3)
