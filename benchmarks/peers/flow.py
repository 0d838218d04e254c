"""The flow that every library advances, and what it has to arrive at."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectune.grid import Grid, resize
from spectune.spectra import shell_spectrum
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity

# CFL numbers of our own runs. At 2.7 the error is at most 3e-5, at 1.5 so at most 3e-6, of order 4.
SPIN_UP_COURANT, REFERENCE_COURANT = 2.0, 1.5


@dataclass(frozen=True)
class Flow:
    """A developed state, and the vorticity one time unit later.

    Attributes:
        system: the equation, no forcing: none of the libraries pays for how it does that.
        state: ω̂ at t = 0, float64.
        reference: ω(y, x) at t = 1, float64.
        rate: fastest advective frequency of the state.
        decades: by how much the enstrophy spectrum falls from its peak to the truncation.
    """

    system: NavierStokes2D
    state: Tensor
    reference: NDArray[np.float64]
    rate: float
    decades: float

    @property
    def n(self) -> int:
        """Points in each direction."""
        return self.system.grid.shape[0]

    def error(self, vorticity: NDArray[np.float64]) -> float:
        """Return max|ω − ω_ref| / max|ω_ref| over the evolved modes.

        Some libraries leave in their result what they mask before each product.
        """
        grid, system = self.system.grid, self.system
        evolved = grid.inverse(system.project(torch.as_tensor(vorticity))).numpy()
        return float(np.abs(evolved - self.reference).max() / np.abs(self.reference).max())


def developed_flow(n: int) -> Flow:
    """Spin up from random phases, one time unit on N/2 points and one on N; add the reference."""
    reynolds = 400.0 * (n / 256) ** 1.5
    half, full = Grid.square(n // 2), Grid.square(n)
    start = random_vorticity(half, energy=0.1, generator=torch.manual_seed(0))
    system = NavierStokes2D(half, reynolds=reynolds)
    state = one_unit(system, system.project(start), SPIN_UP_COURANT)
    system = NavierStokes2D(full, reynolds=reynolds)
    state = one_unit(system, resize(state, half, full), SPIN_UP_COURANT)
    spectrum = shell_spectrum(full.inverse(state), full).power
    return Flow(
        system=system,
        state=state,
        reference=full.inverse(one_unit(system, state, REFERENCE_COURANT)).numpy(),
        rate=system.courant_rate(state),
        decades=math.log10(float(spectrum.max() / spectrum[system.cutoff])),
    )


def one_unit(system: NavierStokes2D, state: Tensor, courant: float) -> Tensor:
    """Advance by one time unit with a step of the given CFL number."""
    steps = math.ceil(system.courant_rate(state) / courant)
    simulation = Simulation(system, Snapshot(0, 0.0, state), 1 / steps)
    return next(simulation.snapshots(steps)).state
