"""From the store of a run to the store of its pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.data import PairStore
from spectune.errors import CaseError, DataError
from spectune.locks import alone
from spectune.provenance import versions
from spectune.runs.catalog import Setup
from spectune.runs.pairing import Pairing, pairing
from spectune.runs.selection import Selection, select
from spectune.runs.store import RunStore

__all__ = ["coarsen"]

# States that are coarse-grained at once, in bytes; the work takes about twenty times as much.
_BATCH_BYTES = 2**24

# How many samples of each member a store takes: settled when it is created.
_COUNTS = "samples_of_members"


def coarsen(
    run: str | Path,
    /,
    *,
    out: str | Path,
    n: int | None = None,
    filter: str | None = None,
    width: float | None = None,
    targets: Sequence[str] = ("pi",),
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    resume: bool = False,
    command: str | None = None,
    report: Callable[[float], Any] | None = None,
) -> xr.Dataset:
    r"""Filter a run, truncate it to a coarser grid, and store pairs with the exact subgrid term.

        x̄ = G ∗ x truncated to |k_i| < n/2,      Π = J(x̄) − \overline{J(x)}

        st.coarsen("run.zarr", n=64, filter="gaussian", out="pairs.zarr")

    What is input and what is target of each system is in `spectune.runs.pairing`. Computed in
    float64 whatever the precision of the run, stored in float32. Π of values that a run has rounded
    to float32 is then off by 1e-8 … 3e-8 of its rms, no more than by being stored in float32
    itself; computed in float32 it would be 1e-6 … 7e-5 (N = 256 to 64, Re = 1000, k_f = 25 and 4).

    Samples stand member by member, each in the order of time, and carry both as coordinates: parts
    of whole members share nothing, blocks of time no more than their edges. What a member has not
    reached yet is left out. Which samples a store takes is settled when it is begun, so
    that a store that was killed is resumed with the same bytes, also if its run grows meanwhile;
    to have what was added since, coarsen into another store. Memory does not depend on the number
    of samples.

    Args:
        run: store of the run, see `simulate`; it may still grow.
        out: store to create, a Zarr folder.
        n: points of the coarse grid in each direction, even, with no modes that the run does not
            evolve; to be left out for Lorenz-96, which keeps its slow variables.
        filter: gaussian (default), box or sharp.
        width: Δ of the filter in the unit of the grid; by default twice the coarse grid spacing.
        targets: "pi", the subgrid term, or for Navier–Stokes "tau", the subgrid stress; or both.
        start: time of the first snapshot to take, in the unit of the run.
        end: time of the last one.
        every: take every so-many-th of these snapshots.
        resume: go on with the store; without one, begin.
        command: written into the history of the store; by default this call.
        report: called with the fraction that is done.

    Returns:
        The pairs, opened with xarray as ``spectune.open_pairs`` takes them; values are read when
        they are used.

    Raises:
        CaseError: an impossible value, or another one than in the store to resume.
        DataError: there is no run at the path, or it has no such snapshots or a damaged one; the
            store exists and is not to be resumed, is of something else or in use, or the disk is
            full or not writable. What was committed is kept.

    Source: as of the coarse-grainings in `spectune.coarse`.
    """
    source, path = RunStore.open(run), Path(out)
    # What is random about a member is in its fields, so that one stands for all.
    setup = source.parameters.build(
        seed=source.settings.seed, members=range(1), dtype=torch.float64, device="cpu"
    )
    pairs = pairing(setup, n=n, filter=filter, width=width, targets=targets)
    by_now = select(source, start=start, end=end, every=every)
    asked = {"start": start, "end": end, "every": every} | _described(source, pairs)
    if path.exists() and not resume:
        raise DataError(
            f"{path} exists already: resume it (--resume, resume=True) to go on with it; to start "
            "anew, remove it or choose another name"
        )
    if not path.exists():
        if not len(by_now):
            raise DataError(
                f"{source.path} has no such snapshot yet: it shows {source.visible}, "
                f"{source.settings.every:g} apart from time {source.settings.spinup:g} on; wait "
                "for it to grow, or choose another start and end"
            )
        if command is None:
            given = {"out": str(out), "n": n, "filter": filter, "width": width, "start": start}
            given |= {"end": end, "every": every}
            words = [f"{name}={value!r}" for name, value in given.items() if value is not None]
            command = f"coarsen({str(run)!r}, {', '.join(words)})"
        _create(path, source, pairs, asked | {_COUNTS: list(by_now.counts)}, command)
    _opened(path)
    refusal = DataError(f"{path} is in use by another run; wait for it to end, or choose another")
    with alone(path / "time" / "writer.lock", refusal):
        store = _opened(path)
        _refuse_another(store, pairs, asked)
        taken = replace(by_now, counts=tuple(store.attributes[_COUNTS]))
        if any(count > now for count, now in zip(taken.counts, by_now.counts, strict=True)):
            raise DataError(
                f"{source.path} has {by_now.counts} such snapshots of its members, expected at "
                f"least {taken.counts} as when {path} was begun; coarsen into another store"
            )
        _fill(store, source, setup, pairs, taken, report)
    dataset: xr.Dataset = xr.open_zarr(path, chunks=None)
    return dataset


def _described(source: RunStore, pairs: Pairing) -> dict[str, Any]:
    """Return what the values of a pair depend on, as JSON has it."""
    parameters, settings = source.parameters, source.settings
    given = parameters.model_dump()
    filtered = {} if pairs.filter is None else {"dns_points": given["n"]}
    values = {
        "system": parameters.name,
        "parameters": given,
        # A run that was made longer is still the same run.
        "run": settings.model_dump(exclude={"time"}),
        "run_store": source.path.name,
        **filtered,
        "filter": pairs.filter,
        "filter_width": pairs.width,
    }
    described: dict[str, Any] = json.loads(json.dumps(values))
    return described


def _create(
    path: Path, source: RunStore, pairs: Pairing, provenance: dict[str, Any], command: str
) -> None:
    now = versions()
    with xr.open_zarr(source.path, chunks=None) as run:
        line = f"spectune {now['spectune']}, torch {now['torch']}: {command}"
        history = f"{run.attrs['history']}\n{line}"
    variables = (*pairs.inputs, *pairs.targets)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be created: {error.strerror or error}") from error
    PairStore.create(
        path,
        pairs.grid,
        [variable.name for variable in pairs.inputs],
        [variable.name for variable in pairs.targets],
        {v.name: v.unit for v in variables} | {"time": source.parameters.time_unit},
        {
            "title": f"{source.parameters.title}: filtered, with the exact subgrid term",
            "source": f"Spectune {now['spectune']}",
            "history": history,
            "versions": now,
            **provenance,
        },
        long_names={variable.name: variable.long_name for variable in variables},
        ensemble=True,
    )


def _opened(path: Path) -> PairStore:
    store = PairStore.open(path)
    if _COUNTS not in store.attributes:
        raise DataError(
            f"{path} is a store of pairs that `spectune coarsen` has not made; choose another"
        )
    return store


def _refuse_another(store: PairStore, pairs: Pairing, asked: dict[str, Any]) -> None:
    targets = [variable.name for variable in pairs.targets]
    there = {"n": store.grid.shape[-1], "targets": list(store.target_names)} | store.attributes
    asked = {"n": pairs.grid.shape[-1], "targets": targets} | asked
    lines = [
        f"  {name}: {there.get(name)} in the store, {asked[name]} asked for"
        for name in asked
        if there.get(name) != asked[name]
    ]
    if lines:
        raise CaseError(
            f"{store.path} cannot be resumed with other values; give those of the store, or choose "
            "another one:\n" + "\n".join(lines)
        )


def _fill(
    store: PairStore,
    source: RunStore,
    setup: Setup,
    pairs: Pairing,
    taken: Selection,
    report: Callable[[float], Any] | None,
) -> None:
    """Append block by block, so that a store that was killed goes on where a block begins."""
    with xr.open_zarr(source.path, chunks=None) as run:
        names = [variable.name for variable in setup.variables]
        numbers = sum(math.prod(run[name].shape[2:]) for name in names)
        batch = max(1, _BATCH_BYTES // (8 * numbers))
        while len(store) < len(taken):
            begin = len(store)
            end = min(len(taken), (begin // store.block + 1) * store.block)
            columns: list[tuple[Tensor, ...]] = []
            for member, place in taken.portions(begin, end, batch):
                snapshots = run[names].isel(member=member, time=place)
                inputs, wanted = pairs.pairs(setup.state(_fields(snapshots, names, source)))
                time = torch.tensor(snapshots["time"].values)
                columns.append((inputs, wanted, time, torch.full((len(time),), member)))
                if report is not None:
                    report((begin + sum(len(column[2]) for column in columns)) / len(taken))
            store.append(*(torch.cat(column) for column in zip(*columns, strict=True)))


def _fields(snapshots: xr.Dataset, names: list[str], source: RunStore) -> tuple[Tensor, ...]:
    try:
        values = [snapshots[name].values.astype(np.float64) for name in names]
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{source.path} is damaged ({error}); restore it, or run anew") from error
    if not all(np.isfinite(field).all() for field in values):
        times = snapshots["time"].values
        raise DataError(
            f"{source.path}: member {int(snapshots['member'])} has NaN or Inf between the times "
            f"{times[0]:g} and {times[-1]:g}, which it has committed: a chunk is lost; restore it, "
            "or run anew"
        )
    return tuple(torch.from_numpy(field) for field in values)
