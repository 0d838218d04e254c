"""Simulate an ensemble of a system into a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from spectune.runs.begin import begun
from spectune.runs.catalog import system_parameters
from spectune.runs.cluster import run_groups
from spectune.runs.group import GroupProgress, check_device, run_group
from spectune.runs.settings import run_settings
from spectune.workers import connected, one_place

__all__ = ["simulate"]


def simulate(
    system: str,
    /,
    *,
    time: float,
    out: str | Path,
    every: float | None = None,
    spinup: float | None = None,
    members: int | None = None,
    group: int | None = None,
    seed: int | None = None,
    dt: float | None = None,
    courant: float | None = None,
    scheme: str | None = None,
    precision: str | None = None,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    command: str | None = None,
    report: Callable[[GroupProgress], Any] | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Simulate a system from random initial states and store snapshots of its fields.

        st.simulate("navier-stokes", re=1000, kf=4, n=256, time=200, members=4, out="run.zarr")

    What is random about a member depends on `seed` and its number alone. The store can be opened
    while it grows (`spectune.runs.RunStore`); a run that was killed is resumed with the same
    arguments and ends with the same bytes.

    Args:
        system: name of the system, see `spectune.runs.SYSTEMS`.
        time: recorded time; with `resume` a longer one extends the run. Times are in the unit of
            the system, multiples of `every`.
        out: store to create, a Zarr folder.
        every: time between two snapshots; by default the system's.
        spinup: time before the first snapshot, by default 0.
        members: number of ensemble members, by default 1.
        group: members that are stepped together, by default 1 (see `RunSettings`).
        seed: of everything random, by default 0.
        dt: fixed time step; by default the CFL number chooses it anew for each interval.
        courant: CFL number to choose it for; by default half the limit of the scheme.
        scheme: IFRK4, ETDRK4, ARS343 or AB2CN; by default the system's.
        precision: float64 (default) or float32, of the run and the store.
        device: where the states live.
        workers: simulate groups side by side, in so many processes of this machine (the extra
            `cluster`); a script that is run by itself does so under `if __name__ == "__main__":`.
        scheduler: simulate groups on the workers of the Dask scheduler at this address instead;
            they have the same packages, and the file system of this machine under the same path.
        resume: go on with the store; without one, begin.
        command: written into the history of the store; by default this call.
        report: called at each snapshot that is made.
        parameters: of the system; those that are not given have their defaults.

    Returns:
        The run, opened with xarray; values are read when they are used.

    Raises:
        CaseError: unknown system or device, impossible parameter or setting, or not those of the
            store to resume; the message says which differ.
        DataError: the store exists and is not to be resumed, another process writes it, or the disk
            is full or not writable.
        StabilityError: the time step is too large or the run has blown up; the store keeps what
            came before. On several workers the other groups are simulated to their end before.
    """
    described = system_parameters(system, **parameters)
    settings = run_settings(
        described,
        time=time,
        every=every,
        spinup=spinup,
        members=members,
        group=group,
        seed=seed,
        dt=dt,
        courant=courant,
        scheme=scheme,
        precision=precision,
    )
    here = one_place(scheduler=scheduler, workers=workers)
    if command is None:
        given = {"time": time, **parameters}
        command = f"simulate({system!r}, {', '.join(f'{k}={v!r}' for k, v in given.items())})"
    path, groups = Path(out), len(settings.groups)
    if here:
        check_device(device)
        with begun(path, described, settings, resume=resume, command=command):
            for number in range(groups):
                run_group(path, number, device=device, report=report)
    else:
        path = path.absolute()  # workers may have started in other folders
        with (
            connected(scheduler=scheduler, workers=min(workers or 1, groups)) as client,
            begun(path, described, settings, resume=resume, command=command) as store,
        ):
            run_groups(client, store, device=str(device), report=report)
    run: xr.Dataset = xr.open_zarr(out, chunks=None)
    return run
