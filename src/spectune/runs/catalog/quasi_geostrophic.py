"""Two-layer quasi-geostrophic flow in the catalogue."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.runs.catalog.boxes import box_coordinates
from spectune.runs.catalog.parameters import (
    Coordinate,
    Setup,
    SystemParameters,
    Variable,
    parameter,
)
from spectune.runs.catalog.randomness import draw_members
from spectune.systems import EDDY, JET, TwoLayerQG, random_potential_vorticity

__all__ = ["TwoLayerQGParameters"]


class TwoLayerQGParameters(SystemParameters):
    """Parameters of `TwoLayerQG` in SI units; starts from `random_potential_vorticity`."""

    name: ClassVar[str] = "two-layer-qg"
    title: ClassVar[str] = "two-layer quasi-geostrophic flow on the β-plane (SI units)"
    time_unit: ClassVar[str] = "s"
    every: ClassVar[float] = 86_400.0
    presets = MappingProxyType({"eddy": EDDY, "jet": JET})

    preset: Literal["eddy", "jet"] = parameter("set of defaults", "eddy")
    n: int = parameter("points in each direction", 64, ge=8, multiple_of=2)
    length: float = parameter("length of the box", 1e6, "m", gt=0)
    beta: float = parameter(
        "northward gradient β of the Coriolis parameter", EDDY["beta"], "m-1 s-1"
    )
    rek: float = parameter("bottom drag r_ek", EDDY["rek"], "s-1", ge=0)
    delta: float = parameter("ratio δ = H₁/H₂ of the depths of the layers", EDDY["delta"], gt=0)
    rd: float = parameter("deformation radius r_d", 15_000.0, "m", gt=0)
    u1: float = parameter("mean zonal flow of the upper layer", 0.025, "m s-1")
    u2: float = parameter("mean zonal flow of the lower layer", 0.0, "m s-1")
    filter_interval: float = parameter(
        "time τ in which the small-scale filter acts once; 0 for no filter", 3600.0, "s", ge=0
    )
    hyperviscosity: float = parameter("hyperviscosity ν", 0.0, "m4 s-1", ge=0)
    dealiasing: Literal["2/3", "3/2"] = parameter("how aliasing is removed", "3/2")

    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the flow with a weak perturbation in the upper layer."""
        square = Grid.square(self.n, self.length)
        grid = Grid(square.shape, square.lengths, square.dims, unit="m")
        system = TwoLayerQG(
            grid,
            beta=self.beta,
            rek=self.rek,
            delta=self.delta,
            rd=self.rd,
            U1=self.u1,
            U2=self.u2,
            filter_interval=self.filter_interval or None,
            hyperviscosity=self.hyperviscosity,
            dealiasing=self.dealiasing,
            dtype=dtype,
            device=device,
        )
        weights = torch.tensor(system.layer_weights, dtype=dtype, device=device)

        def draw(generator: torch.Generator) -> Tensor:
            return random_potential_vorticity(grid, generator=generator)

        def initial() -> Tensor:
            vorticity = draw_members(draw, seed=seed, members=members)
            return system.project(vorticity.to(device, dtype))

        def diagnostics(state: Tensor) -> dict[str, float]:
            enstrophy = (weights * grid.inverse(state).square().mean((-2, -1))).sum(-1)
            return {
                "energy": float(system.energy(state).mean()),
                "potential enstrophy": 0.5 * float(enstrophy.mean()),
            }

        layers = Coordinate(
            "layer",
            torch.tensor([1, 2]),
            {"long_name": "layer, 1 above 2", "units": "1", "axis": "Z"},
        )
        return Setup(
            system,
            (Variable("q", "potential vorticity", "s-1", ("layer", *grid.dims)),),
            (layers, *box_coordinates(grid)),
            initial,
            lambda state: (grid.inverse(state),),
            lambda fields: system.project(fields[0]),
            diagnostics,
        )
