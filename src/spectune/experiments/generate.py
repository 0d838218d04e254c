"""From a flow of a case to its store of pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from spectune.coarse import CoarseGraining
from spectune.data import PairStore
from spectune.errors import DataError
from spectune.experiments.case import Case, FlowCase
from spectune.grid import Grid
from spectune.runs.restart import read_snapshot, write_snapshot
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity

__all__ = ["coarse_graining", "generate_pairs"]

UNITS = {"psi": "1", "omega": "1", "pi": "1", "time": "1"}
"""Dimensionless, in the units that make the box 2π and the equations as given."""

# Pairs between two commits to disk: what a killed run has to compute again.
BLOCK = 10


def coarse_graining(case: Case, flow: FlowCase) -> CoarseGraining:
    """Return the DNS system of a flow with its filter and LES system (float32)."""
    system = NavierStokes2D(
        Grid.square(case.grid.dns),
        reynolds=flow.reynolds,
        forcing_wavenumber=flow.forcing_wavenumber,
        drag=flow.drag,
        beta=flow.beta,
        dtype=torch.float32,
    )
    return CoarseGraining(system, Grid.square(case.grid.les))


def generate_pairs(
    case: Case,
    flow: FlowCase,
    path: Path,
    *,
    seed: int,
    provenance: dict[str, Any],
    progress: Callable[[float], Any],
) -> None:
    """Simulate a flow and store (ψ̄, ω̄) → Π pairs; go on where an earlier run stopped.

    The DNS state is kept beside the store after every block of pairs, so that a killed run gives
    the same bytes as one that was not.

    Args:
        case: grid sizes.
        flow: the flow, its spin-up and its sampling.
        path: store to create or continue.
        seed: of the initial state.
        provenance: written into the store.
        progress: called with the fraction of the simulated time that is done.

    Raises:
        StabilityError: Δt is too large; what was stored stays.
        DataError: the store cannot be written.
    """
    coarse = coarse_graining(case, flow)
    state_path = path.with_suffix(".state.safetensors")
    every = flow.steps
    spinup = round(flow.spinup / flow.dt)
    total = spinup + every * flow.pairs
    if path.exists():
        store = PairStore.open(path)
    else:
        state_path.unlink(missing_ok=True)
        store = PairStore.create(
            path,
            coarse.grid,
            ("psi", "omega"),
            ("pi",),
            UNITS,
            {
                "system": "2D Navier–Stokes",
                **coarse.dns.parameters,
                "dns_points": case.grid.dns,
                "filter": "Gaussian",
                "filter_width": coarse.width,
                "dt": flow.dt,
                "interval": every * flow.dt,
                "spinup": spinup * flow.dt,
                "seed": seed,
                **provenance,
            },
            block=BLOCK,
        )
    if state_path.exists():
        start = read_snapshot(state_path)
        done = (start.step - spinup) // every
    else:
        generator = torch.Generator().manual_seed(seed)
        vorticity = random_vorticity(
            coarse.dns.grid, energy=flow.initial_energy, generator=generator
        ).float()
        start, done = Snapshot(0, 0.0, coarse.dns.project(vorticity)), 0
    if len(store) < done:
        raise DataError(
            f"{path} holds {len(store)} pairs but its run has committed {done}: "
            "the store was changed; remove it and run again"
        )
    store.truncate(done)
    simulation = Simulation(coarse.dns, start, flow.dt)
    if start.step < spinup:
        chunk = max(1, spinup // 20)
        while simulation.last_good.step < spinup:
            steps = min(chunk, spinup - simulation.last_good.step)
            next(simulation.snapshots(steps))
            progress(simulation.last_good.step / total)
    snapshots = simulation.snapshots(every)
    while done < flow.pairs:
        size = min(BLOCK, flow.pairs - done)
        fields, times = [], []
        for _ in range(size):
            snapshot = next(snapshots)
            fields.append(torch.stack(coarse.pair(snapshot.state)))
            times.append(snapshot.time)
            progress(snapshot.step / total)
        block = torch.stack(fields)
        store.append(block[:, :2], block[:, 2:], torch.tensor(times, dtype=torch.float64))
        done += size
        write_snapshot(state_path, simulation.last_good)
