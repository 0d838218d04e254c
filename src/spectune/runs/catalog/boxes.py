"""Coordinates of periodic boxes, and velocities that carry themselves around a ring."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.runs.catalog.parameters import Coordinate, Redraw, Setup, Variable
from spectune.runs.catalog.randomness import draw_members
from spectune.systems import Burgers1D, KuramotoSivashinsky1D

__all__ = ["box_coordinates", "ring_setup"]


def box_coordinates(grid: Grid) -> tuple[Coordinate, ...]:
    """Return x, and y, of the points of a grid."""
    return tuple(
        Coordinate(
            name,
            points,
            {"long_name": f"{name} coordinate", "units": grid.unit, "axis": name.upper()},
        )
        for name, points in zip(grid.dims, grid.coordinates(), strict=True)
    )


def ring_setup(
    system: Burgers1D | KuramotoSivashinsky1D,
    draw: Callable[[torch.Generator], Tensor],
    *,
    seed: int,
    members: range,
    redraw: Redraw | None = None,
) -> Setup:
    """Return a flow in one dimension that starts from random velocities."""
    grid = system.grid

    def initial() -> Tensor:
        velocity = draw_members(draw, seed=seed, members=members)
        return system.project(velocity.to(system.device, system.dtype))

    return Setup(
        system,
        (Variable("u", "velocity", "1", grid.dims),),
        box_coordinates(grid),
        initial,
        lambda state: (grid.inverse(state),),
        lambda fields: system.project(fields[0]),
        lambda state: {"energy": 0.5 * float(grid.inverse(state).square().mean())},
        redraw,
    )
