"""Two-scale Lorenz-96 in the catalogue."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from spectune.runs.catalog.parameters import (
    Coordinate,
    Setup,
    SystemParameters,
    Variable,
    parameter,
)
from spectune.runs.catalog.randomness import draw_members
from spectune.systems import Lorenz96

__all__ = ["Lorenz96Parameters"]


class Lorenz96Parameters(SystemParameters):
    """Parameters of `Lorenz96`, with Lorenz' values; X starts as N(F/2, 1) and Y as N(0, 0.1²)."""

    name: ClassVar[str] = "lorenz96"
    title: ClassVar[str] = "two-scale Lorenz-96"
    every: ClassVar[float] = 0.1

    slow_count: int = parameter("number K of slow variables", 36, ge=4)
    fast_count: int = parameter("number J of fast variables for each; 0 for one scale", 10, ge=0)
    forcing: float = parameter("forcing F", 10.0)
    coupling: float = parameter("coupling h", 1.0)
    time_ratio: float = parameter("time ratio c", 10.0, gt=0)
    space_ratio: float = parameter("space ratio b", 10.0, gt=0)

    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the system with random initial states."""
        system = Lorenz96(
            self.slow_count,
            self.fast_count,
            forcing=self.forcing,
            coupling=self.coupling,
            time_ratio=self.time_ratio,
            space_ratio=self.space_ratio,
            dtype=dtype,
            device=device,
        )
        draw = partial(_initial, self.slow_count, self.fast_count, self.forcing)
        slow = Variable("X", "slow variable", "1", ("k",))
        ring = Coordinate("k", torch.arange(self.slow_count), {"long_name": "slow variable number"})
        if not self.fast_count:
            variables: tuple[Variable, ...] = (slow,)
            coordinates: tuple[Coordinate, ...] = (ring,)
        else:
            variables = (slow, Variable("Y", "fast variable", "1", ("k", "j")))
            fast = torch.arange(self.fast_count)
            coordinates = (ring, Coordinate("j", fast, {"long_name": "fast variable number"}))

        def fields(state: Tensor) -> tuple[Tensor, ...]:
            return (state[..., 0], state[..., 1:])[: len(variables)]

        def diagnostics(state: Tensor) -> dict[str, float]:
            return {
                "energy of X": 0.5 * float(state[..., 0].square().mean()),
                "energy of Y": 0.5 * float(state[..., 1:].square().sum(-1).mean()),
            }

        return Setup(
            system,
            variables,
            coordinates,
            lambda: system.project(draw_members(draw, seed=seed, members=members)),
            fields,
            lambda values: torch.cat((values[0][..., None], *values[1:]), -1),
            diagnostics,
        )


def _initial(
    slow_count: int, fast_count: int, forcing: float, generator: torch.Generator
) -> Tensor:
    noise = torch.randn((slow_count, 1 + fast_count), dtype=torch.float64, generator=generator)
    noise[:, 0] += forcing / 2
    noise[:, 1:] *= 0.1
    return noise
