"""Ensembles of large-eddy simulations, kept in runs/online/ and never run twice.

The initial states are filtered states of the direct simulation of the target, 14 time units apart,
from the samples that no network has seen; the filtered direct simulation over all of these is the
truth. The step is chosen by the CFL number: 1.8 at the fastest moment of the truth, where 2.83 is
the limit, so that a simulation counts as blown up only when it is half as fast again. (With the
step of 0.01, CFL 2.6, some simulations without closure were refused that are stable.) Closures are
called at every second step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from benchmarks.online.closures import Spec
from benchmarks.online.folders import RUNS
from benchmarks.transfers.flows import FLOWS, Flow
from spectune.atomic import write_dataset
from spectune.coarse import CoarseGraining
from spectune.data import Pairs
from spectune.grid import Grid
from spectune.online import LESRun, run_ensemble
from spectune.systems import NavierStokes2D

STARTS = (0, 20, 40)
DT, CLOSURE_STEPS = 0.007, 2
EVERY, SNAPSHOTS = 100, 60
# The first 5 per cent, for the early warning: a snapshot every 0.07.
EARLY_EVERY, EARLY_SNAPSHOTS = 10, 30


@cache
def truth(target: str) -> Pairs:
    """Return the filtered direct simulation that no network has seen."""
    return FLOWS[target].pairs()[1]


@cache
def les_system(target: str) -> NavierStokes2D:
    """Return the equations of a flow on the LES grid, float32."""
    flow = FLOWS[target]
    assert isinstance(flow, Flow)
    given = flow.parameters
    dns = NavierStokes2D(
        Grid.square(given["n"]),
        reynolds=given["re"],
        forcing_wavenumber=given["kf"],
        drag=0.1,
        dtype=torch.float32,
    )
    return CoarseGraining(dns, truth(target).grid).les


@dataclass(frozen=True)
class Ensemble:
    """A closure in its flow, from several initial states."""

    spec: Spec

    @property
    def folder(self) -> Path:
        """Where its runs are kept."""
        return RUNS / "les" / self.spec.target / self.spec.name

    def run(self) -> None:
        """Simulate, unless that is done."""
        for name, every, snapshots in (
            ("early", EARLY_EVERY, EARLY_SNAPSHOTS),
            ("whole", EVERY, SNAPSHOTS),
        ):
            path = self.folder / f"{name}.nc"
            if not path.exists():
                write_dataset(path, as_dataset(self._simulated(every, snapshots)))

    def _simulated(self, every: int, snapshots: int) -> list[LESRun]:
        held_out = truth(self.spec.target)
        return run_ensemble(
            les_system(self.spec.target),
            held_out.inputs[list(STARTS), 1],
            self.spec.closure(held_out.grid),
            dt=DT,
            every=every,
            snapshots=snapshots,
            progress=lambda _: None,
            closure_steps=CLOSURE_STEPS,
        )

    @property
    def done(self) -> bool:
        """Whether it has been run."""
        return (self.folder / "whole.nc").exists()

    def early(self) -> list[LESRun]:
        """Return the first 5 per cent of each member, densely sampled."""
        return _read(self.folder / "early.nc")

    def whole(self) -> list[LESRun]:
        """Return each member."""
        return _read(self.folder / "whole.nc")


def as_dataset(runs: list[LESRun]) -> xr.Dataset:
    """Return the members of an ensemble side by side, NaN where one has ended."""
    length = max(len(run.time) for run in runs)

    def padded(field: torch.Tensor) -> np.ndarray:
        out = np.full((length, *field.shape[1:]), np.nan, field.numpy().dtype)
        out[: len(field)] = field.numpy()
        return out

    over = ("member", "snapshot", "y", "x")
    return xr.Dataset(
        {
            "time": (over[:2], np.stack([padded(run.time) for run in runs])),
            "omega": (over, np.stack([padded(run.omega) for run in runs])),
            "pi": (over, np.stack([padded(run.pi) for run in runs])),
            "stable_until": (
                "member",
                [np.nan if run.stable_until is None else run.stable_until for run in runs],
            ),
            "reason": ("member", [run.reason for run in runs]),
        }
    )


def _read(path: Path) -> list[LESRun]:
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        members = [stored.isel(member=i).load() for i in range(stored.sizes["member"])]
    return [_member(member) for member in members]


def _member(stored: xr.Dataset) -> LESRun:
    lived = int(np.isfinite(stored["time"]).sum())
    end = float(stored["stable_until"])
    time, omega, pi = (
        torch.from_numpy(stored[name].values[:lived]) for name in ("time", "omega", "pi")
    )
    return LESRun(time, omega, pi, end if np.isfinite(end) else None, str(stored["reason"].item()))
