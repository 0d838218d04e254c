"""Large-eddy simulation with a closure in the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectune.errors import StabilityError
from spectune.systems import NavierStokes2D, Simulation, Snapshot

__all__ = ["Closure", "LESRun", "run_les"]

Closure = Callable[[Tensor], Tensor]
"""From (ψ̄, ω̄), (n, 2, ny, nx), to Π, (n, 1, ny, nx), in physical units."""


@dataclass(frozen=True)
class LESRun:
    """What a large-eddy simulation left.

    Attributes:
        time: (nt,) time of each snapshot.
        omega: (nt, ny, nx) filtered vorticity, float32.
        pi: (nt, ny, nx) subgrid term that the closure gave; zero without closure.
        stable_until: time at which it blew up, or None where it ran to the end.
        reason: why it stopped, or "".
    """

    time: Tensor
    omega: Tensor
    pi: Tensor
    stable_until: float | None
    reason: str


def run_les(
    system: NavierStokes2D,
    omega: Tensor,
    closure: Closure | None,
    *,
    dt: float,
    every: int,
    snapshots: int,
    progress: Callable[[int], Any],
) -> LESRun:
    """Run a large-eddy simulation from a filtered state.

    A blow-up is a result: the run stops, keeps what it has, and says when and why.

    Args:
        system: the flow on the LES grid, ``dealiasing="3/2"`` (see `CoarseGraining.les`).
        omega: (ny, nx) filtered vorticity at the start.
        closure: Π of (ψ̄, ω̄), or None.
        dt: time step.
        every: steps between snapshots.
        snapshots: number of snapshots after the start.
        progress: called with the number of snapshots done.
    """
    grid = system.grid

    def subgrid(state: Tensor) -> Tensor:
        inputs = grid.inverse(torch.stack((system.stream_function(state), state)))
        assert closure is not None
        with torch.no_grad():
            return system.project(closure(inputs[None])[0, 0])

    start = Snapshot(0, 0.0, system.project(omega.to(system.dtype)))
    simulation = Simulation(system, start, dt, None if closure is None else subgrid)
    times, fields, terms = [], [], []
    stopped, reason = None, ""
    stream = simulation.snapshots(every)
    try:
        for done in range(1, snapshots + 1):
            snapshot = next(stream)
            times.append(snapshot.time)
            fields.append(grid.inverse(snapshot.state).float())
            term = torch.zeros_like(fields[-1])
            if closure is not None:
                term = grid.inverse(subgrid(snapshot.state)).float()
            terms.append(term)
            progress(done)
    except StabilityError as error:
        stopped, reason = simulation.last_good.time, str(error)
    empty = torch.zeros(0, *grid.shape)
    return LESRun(
        torch.tensor(times, dtype=torch.float64),
        torch.stack(fields) if fields else empty,
        torch.stack(terms) if terms else empty,
        stopped,
        reason,
    )
