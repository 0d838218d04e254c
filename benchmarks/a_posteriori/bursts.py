"""Filtered DNS of the target flow whose snapshots are close enough in time for a solver.

One direct simulation of k_f = 4, Re = 1000 at N = 256, filtered to 64²: 50 bursts to re-train on,
each of five snapshots within 0.15 time units, and a later record of 46 time units that is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks.a_posteriori.folders import RUNS
from spectune.atomic import write_bytes
from spectune.coarse import CoarseGraining
from spectune.grid import Grid
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity

# The step of the LES keeps a CFL number of 2 of the 2.8 that are stable at the fastest moments.
DT, DNS_STEPS = 0.0075, 3
STEPS = 20  # of the LES in a burst: 0.15 time units, an eighth of the time that errors grow by e
SNAPSHOTS = 4  # that follow the start of a burst
BURSTS, APART = 50, 0.7
STARTS, STARTS_APART = 20, 14  # held out: initial states, and snapshots between two of them
EVERY = 20  # LES steps between snapshots of the held-out record
FOLLOWED = 40  # snapshots that follow the last of the initial states
SPINUP, GAP, SEED = 21.0, 7.0, 11


@dataclass(frozen=True)
class Bursts:
    """Filtered fields (ψ̄, ω̄, Π) in the channels of all tensors.

    Attributes:
        training: (50, 5, 3, 64, 64).
        held_out: (n, 3, 64, 64), `EVERY` steps apart.
    """

    training: Tensor
    held_out: Tensor

    def starts(self) -> Tensor:
        """Return the held-out initial states ω̄ (20, 64, 64)."""
        return self.held_out[: STARTS * STARTS_APART : STARTS_APART, 1]

    def following(self) -> Tensor:
        """Return what filtered DNS does after each initial state, (20, 40, 64, 64)."""
        first = torch.arange(STARTS) * STARTS_APART
        return self.held_out[first[:, None] + 1 + torch.arange(FOLLOWED), 1]


def coarse_graining() -> CoarseGraining:
    """Return the direct simulation with its filter and LES."""
    dns = NavierStokes2D(
        Grid.square(256), reynolds=1000.0, forcing_wavenumber=4, drag=0.1, dtype=torch.float32
    )
    return CoarseGraining(dns, Grid.square(64))


def _simulate() -> dict[str, Tensor]:
    coarse = coarse_graining()
    dns = coarse.dns
    generator = torch.Generator().manual_seed(SEED)
    vorticity = random_vorticity(dns.grid, generator=generator).float()
    simulation = Simulation(dns, Snapshot(0, 0.0, dns.project(vorticity)), DT / DNS_STEPS)

    def after(time: float) -> Tensor:
        steps = round(time / DT) * DNS_STEPS
        state = next(simulation.snapshots(steps)).state if steps else simulation.last_good.state
        return torch.stack(coarse.pair(state)).float()

    after(SPINUP)
    between = DT * STEPS / SNAPSHOTS
    bursts = [
        torch.stack([after(time) for time in (APART - SNAPSHOTS * between, *SNAPSHOTS * [between])])
        for _ in range(BURSTS)
    ]
    after(GAP)
    record = [after(DT * EVERY) for _ in range((STARTS - 1) * STARTS_APART + FOLLOWED + 1)]
    return {"training": torch.stack(bursts), "held_out": torch.stack(record)}


@cache
def bursts() -> Bursts:
    """Return the data, simulated in a minute where they are not there yet."""
    path = RUNS / "bursts.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save(_simulate()))
    return Bursts(**load_file(path))
