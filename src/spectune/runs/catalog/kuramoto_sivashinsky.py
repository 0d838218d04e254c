"""The Kuramoto–Sivashinsky equation in the catalogue."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from spectune.grid import Grid
from spectune.runs.catalog.boxes import ring_setup
from spectune.runs.catalog.parameters import Setup, SystemParameters, parameter
from spectune.systems import KuramotoSivashinsky1D, random_forcing

__all__ = ["KuramotoSivashinskyParameters"]


class KuramotoSivashinskyParameters(SystemParameters):
    """Parameters of `KuramotoSivashinsky1D` and of its initial state."""

    name: ClassVar[str] = "kuramoto-sivashinsky"
    title: ClassVar[str] = "Kuramoto–Sivashinsky equation on a ring"
    every: ClassVar[float] = 1.0
    scheme: ClassVar[str] = "ETDRK4"

    n: int = parameter("points", 64, ge=8, multiple_of=2)
    length: float = parameter("length L of the ring", 22.0, gt=0)
    modes: int = parameter("largest mode number of the initial state", 3, ge=1)
    speed: float = parameter("scale of the initial velocity", 0.1, gt=0)
    dealiasing: Literal["2/3", "3/2"] = parameter("how aliasing is removed", "2/3")

    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the equation with a few random waves to start from."""
        grid = Grid((self.n,), (self.length,), ("x",))
        system = KuramotoSivashinsky1D(grid, dealiasing=self.dealiasing, dtype=dtype, device=device)

        def draw(generator: torch.Generator) -> torch.Tensor:
            return random_forcing(
                grid, amplitude=self.speed, interval=1.0, modes=self.modes, generator=generator
            )

        return ring_setup(system, draw, seed=seed, members=members)
