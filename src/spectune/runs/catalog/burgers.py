"""Forced viscous Burgers flow in the catalogue."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from spectune.grid import Grid
from spectune.runs.catalog.boxes import ring_setup
from spectune.runs.catalog.parameters import Redraw, Setup, SystemParameters, parameter
from spectune.runs.catalog.randomness import draw_members
from spectune.systems import Burgers1D, random_forcing

__all__ = ["BurgersParameters"]


class BurgersParameters(SystemParameters):
    """Parameters of `Burgers1D` with `random_forcing`; A, L and ν after Subel et al. 2021."""

    name: ClassVar[str] = "burgers"
    title: ClassVar[str] = "viscous Burgers flow on a ring, forced at random"
    every: ClassVar[float] = 1.0

    n: int = parameter("points", 1024, ge=8, multiple_of=2)
    length: float = parameter("length L of the ring", 100.0, gt=0)
    viscosity: float = parameter("viscosity ν", 0.02, ge=0)
    amplitude: float = parameter("amplitude A of the forcing; 0 for none", 0.01 * 2**0.5, ge=0)
    redraw: float = parameter("time τ for which a draw of the forcing is held", 0.1, gt=0)
    modes: int = parameter("largest mode number of forcing and initial state", 3, ge=1)
    speed: float = parameter("scale of the initial velocity; 0 for rest", 0.1, ge=0)
    dealiasing: Literal["2/3", "3/2"] = parameter("how aliasing is removed", "2/3")

    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the flow; draw `i` of the forcing holds from time iτ on."""
        grid = Grid((self.n,), (self.length,), ("x",))
        system = Burgers1D(
            grid, viscosity=self.viscosity, dealiasing=self.dealiasing, dtype=dtype, device=device
        )

        def initial(generator: torch.Generator) -> torch.Tensor:
            # Of the shape of the forcing: a draw that acted for one unit of time on a flow at rest.
            return random_forcing(
                grid, amplitude=self.speed, interval=1.0, modes=self.modes, generator=generator
            )

        def forcing(generator: torch.Generator) -> torch.Tensor:
            return random_forcing(
                grid,
                amplitude=self.amplitude,
                interval=self.redraw,
                modes=self.modes,
                generator=generator,
            )

        def force(index: int) -> None:
            system.force(draw_members(forcing, seed=seed, members=members, index=1 + index))

        redraw = Redraw(self.redraw, force) if self.amplitude else None
        return ring_setup(system, initial, seed=seed, members=members, redraw=redraw)
