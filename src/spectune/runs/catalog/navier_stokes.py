"""Two-dimensional Navier–Stokes flow in the catalogue."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.runs.catalog.boxes import box_coordinates
from spectune.runs.catalog.parameters import (
    Setup,
    SystemParameters,
    Variable,
    parameter,
)
from spectune.runs.catalog.randomness import draw_members
from spectune.systems import NavierStokes2D, random_vorticity

__all__ = ["NavierStokesParameters"]


class NavierStokesParameters(SystemParameters):
    """Parameters of `NavierStokes2D` and of its initial state, `random_vorticity`."""

    name: ClassVar[str] = "navier-stokes"
    title: ClassVar[str] = "2D Navier–Stokes flow in a periodic box of length 2π"
    every: ClassVar[float] = 1.0
    presets = MappingProxyType(
        {
            "forced": {},
            "decaying": {"kf": 0, "drag": 0.0},
            "kolmogorov": {"re": 40.0, "directions": "y", "drag": 0.0},
            "ring": {"kf": 0, "injection": 0.1, "ring": 16.0},
        }
    )

    preset: Literal["forced", "decaying", "kolmogorov", "ring"] = parameter(
        "set of defaults", "forced"
    )
    n: int = parameter("points in each direction", 256, ge=8, multiple_of=2)
    re: float = parameter("Reynolds number Re = 1/ν", 1000.0, gt=0)
    kf: int = parameter("wavenumber k_f of the steady forcing; 0 for none", 4, ge=0)
    amplitude: float = parameter("acceleration χ by one direction of the steady forcing", 1.0)
    directions: Literal["xy", "x", "y"] = parameter(
        "directions in which the steady forcing varies; y alone drives Kolmogorov flow", "xy"
    )
    injection: float = parameter(
        "energy injection rate ε of the random ring forcing; 0 for none", 0.0, ge=0
    )
    ring: float = parameter("wavenumber in the middle of the randomly forced ring", 0.0, ge=0)
    ring_half_width: float = parameter("half the width of the ring", 1.0, ge=0)
    drag: float = parameter("linear drag r", 0.1, ge=0)
    beta: float = parameter("northward gradient β of the Coriolis parameter", 0.0)
    hyperviscosity: float = parameter("hyperviscosity ν_p of −ν_p (−∇²)^p ω", 0.0, ge=0)
    hyperviscosity_power: int = parameter("its power p", 4, ge=2, le=32)
    hypoviscosity: float = parameter("hypoviscosity α of −α (−∇²)^(−q) ω", 0.0, ge=0)
    hypoviscosity_power: int = parameter("its power q", 1, ge=1, le=32)
    dealiasing: Literal["2/3", "3/2", "none"] = parameter("how aliasing is removed", "2/3")
    peak: float = parameter("wavenumber k_p of the peak of the initial energy spectrum", 10.0, gt=0)
    energy: float = parameter("kinetic energy of the initial state", 0.5, gt=0)

    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the flow with random initial vorticity."""
        grid = Grid.square(self.n)
        system = NavierStokes2D(
            grid,
            reynolds=self.re,
            forcing_wavenumber=self.kf,
            forcing_amplitude=self.amplitude,
            forcing_directions=self.directions,
            injection_rate=self.injection,
            ring_wavenumber=self.ring,
            ring_half_width=self.ring_half_width,
            noise_seed=seed,
            hyperviscosity=self.hyperviscosity,
            hyperviscosity_power=self.hyperviscosity_power,
            hypoviscosity=self.hypoviscosity,
            hypoviscosity_power=self.hypoviscosity_power,
            drag=self.drag,
            beta=self.beta,
            dealiasing=self.dealiasing,
            dtype=dtype,
            device=device,
        )

        def draw(generator: torch.Generator) -> Tensor:
            return random_vorticity(grid, peak=self.peak, energy=self.energy, generator=generator)

        def initial() -> Tensor:
            vorticity = draw_members(draw, seed=seed, members=members)
            return system.project(vorticity.to(device, dtype))

        def diagnostics(state: Tensor) -> dict[str, float]:
            omega = grid.inverse(state)
            psi = grid.inverse(system.stream_function(state))
            return {
                "energy": 0.5 * float((psi * omega).mean()),
                "enstrophy": 0.5 * float(omega.square().mean()),
            }

        return Setup(
            system,
            (Variable("omega", "vorticity", "1", grid.dims),),
            box_coordinates(grid),
            initial,
            lambda state: (grid.inverse(state),),
            lambda fields: system.project(fields[0]),
            diagnostics,
        )
