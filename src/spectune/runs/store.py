"""The store of a run: a Zarr folder that grows in time and is readable at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from spectune.atomic import write_bytes
from spectune.durable import ROOT, DurableStore, appearing, commit_length, sync_folder
from spectune.errors import CaseError, DataError, SpectuneError
from spectune.locks import in_turn
from spectune.runs._layout import MEMBER, RESTART, TIME, attributes_of, write_empty
from spectune.runs.catalog import SYSTEMS, Setup, SystemParameters, system_parameters
from spectune.runs.restart import read_snapshot
from spectune.runs.settings import RunSettings, run_settings
from spectune.runs.stepper import divided
from spectune.systems import Snapshot

__all__ = ["RunStore"]


class RunStore:
    """Snapshots of an ensemble in a Zarr v3 folder with CF metadata.

    Each physical field of the system is an array (member, time, *dims) in the dtype of the run;
    ``xarray.open_zarr(path)`` opens it at any moment, while it grows and after its writer was
    killed. The global attributes hold every parameter and setting under its own name, the
    versions, and the commands in `history`.

    **Members are written in groups**, by one process or by several side by side: a chunk holds the
    members of one group only, and nothing that one group writes is written by another. Beside its
    chunks a group has one file, ``restart/members-NNNN.safetensors`` (NNNN: its first member), with
    the state and the memory of the time scheme at its last snapshot. That file is the commit of the
    group: the chunks are written before it, each file aside, flushed and renamed. A run that was
    killed in between has snapshots that its restart file does not know of; it computes them again,
    and as they come out with the same bytes, it does not matter who has seen them. (The number of
    snapshots that a group has recorded follows from the restart file too, so that the two cannot
    disagree.)

    **The length of the time axis** that xarray sees is in the consolidated metadata of the root
    ``zarr.json``. It is the length of the *longest* group and only grows; what a slower group
    has not reached reads as NaN, the CF sign for missing. (The shortest would hide whole members
    until the last group has begun, as groups may well run one after another.) The arrays' own
    metadata has the planned length, so that no group has to resize anything.

    Attributes:
        path: folder of the store.
        parameters: of the system.
        settings: of the run; `time` is that of the planned length.
    """

    def __init__(self, path: Path, parameters: SystemParameters, settings: RunSettings) -> None:
        self.path = path
        self.parameters = parameters
        self.settings = settings

    @classmethod
    def create(
        cls,
        path: Path,
        parameters: SystemParameters,
        settings: RunSettings,
        *,
        versions: Mapping[str, str],
        command: str,
    ) -> RunStore:
        """Create an empty store; it appears under its name only when it is complete.

        Args:
            path: folder to create.
            parameters: of the system.
            settings: of the run.
            versions: of the packages that the results depend on.
            command: that makes the run.

        Raises:
            DataError: the path exists or cannot be written.
            CaseError: the system cannot be built from the parameters.
        """
        if path.exists():
            raise DataError(
                f"{path} exists already: resume it (--resume, resume=True) to go on with it; to "
                "start anew, remove it or choose another name"
            )
        store = cls(path, parameters, settings)
        setup = store.setup(range(1))
        divided(setup.redraw, settings)  # before anything is written
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with appearing(path) as aside:
                attributes = attributes_of(parameters, settings, versions)
                attributes["history"] = _line(versions, command)
                write_empty(aside, setup, parameters, settings, attributes)
        except OSError as error:
            raise DataError(f"{path} cannot be created: {error.strerror or error}") from error
        return store

    @classmethod
    def open(cls, path: str | Path) -> RunStore:
        """Open a store; changes nothing on disk.

        Raises:
            DataError: no store of a run is at the path.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(f"{path} does not exist; expected the store of a run (a Zarr folder)")
        try:
            attributes = json.loads((path / ROOT).read_bytes())["attributes"]
            kind = SYSTEMS[attributes["system"]]
            planned = json.loads((path / TIME / ROOT).read_bytes())["shape"][0]
            parameters = system_parameters(
                kind.name, **{name: attributes[name] for name in kind.model_fields}
            )
            kept = {name: attributes.get(name) for name in RunSettings.model_fields}
            kept["time"] = max(1, planned - 1) * attributes["every"]
            settings = run_settings(parameters, **kept)
        except (OSError, ValueError, KeyError, TypeError, IndexError, SpectuneError) as error:
            raise DataError(
                f"{path} is not the store of a run ({error!r}): it was not written by `spectune "
                "simulate`, or its metadata was changed"
            ) from error
        return cls(path, parameters, settings)

    def setup(self, members: range, device: torch.device | str = "cpu") -> Setup:
        """Return the system as these members have it.

        Raises:
            CaseError: the parameters do not fit together.
        """
        try:
            return self.parameters.build(
                seed=self.settings.seed,
                members=members,
                dtype=self.settings.dtype,
                device=device,
            )
        except ValueError as error:
            raise CaseError(f"{self.parameters.name} cannot be simulated: {error}") from error

    @property
    def visible(self) -> int:
        """Number of snapshots that a reader sees."""
        return int(self._metadata()[TIME]["shape"][0])

    def restart_path(self, members: range) -> Path:
        """Return the file with the last snapshot of a group."""
        return self.path / RESTART / f"members-{members.start:04}.safetensors"

    def lock_path(self, name: str) -> Path:
        """Return the file of a lock."""
        return self.path / RESTART / f"{name}.lock"

    def restart(self, members: range, device: torch.device | str = "cpu") -> Snapshot | None:
        """Return the last committed snapshot of a group; None when it has not begun.

        Raises:
            DataError: the file is corrupt.
        """
        path = self.restart_path(members)
        return read_snapshot(path, device) if path.exists() else None

    def plan(self, settings: RunSettings) -> None:
        """Lengthen the arrays for a run of `settings`; may be interrupted and repeated.

        Raises:
            DataError: the disk is full or not writable.
        """
        n = settings.snapshots
        first = settings.spinup_intervals
        store = DurableStore(self.path)
        try:
            for name in self._variables():
                array = zarr.open_array(store, path=name, mode="r+")
                array.resize((array.shape[0], n, *array.shape[2:]))
            # Last, and whole: the length of the time axis is that of the plan.
            time = zarr.open_array(store, path=TIME, mode="r+")
            time.resize((n,))
            time[:] = np.arange(first, first + n) * settings.every
            sync_folder(self.path / TIME)
        except OSError as error:
            raise self.unwritable(error) from error
        self.settings = settings

    def show(self, n: int) -> None:
        """Let readers see `n` snapshots, if they do not see more already.

        Raises:
            OSError: the disk is full or not writable.
        """
        with in_turn(self.lock_path("root")):
            if n > self.visible:
                commit_length(self.path, dict.fromkeys(self._variables(), 1) | {TIME: 0}, n)

    def note(self, versions: Mapping[str, str], command: str) -> None:
        """Add a command to the `history`, unless it is the last one there already.

        Raises:
            DataError: the disk is full or not writable.
        """
        line = _line(versions, command)
        with in_turn(self.lock_path("root")):
            root = json.loads((self.path / ROOT).read_bytes())
            history = root["attributes"]["history"].splitlines()
            if history[-1:] == [line]:
                return
            root["attributes"]["history"] = "\n".join([*history, line])
            try:
                write_bytes(self.path / ROOT, json.dumps(root, indent=2).encode())
            except OSError as error:
                raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> DataError:
        """Return the error of a full or protected disk."""
        return DataError(
            f"{self.path} could not be written: {error.strerror or error}. What was committed is "
            "kept; make room (or set the permissions right) and resume the run"
        )

    def _variables(self) -> list[str]:
        arrays = self._metadata().items()
        return [name for name, a in arrays if a.get("dimension_names", [])[:2] == [MEMBER, TIME]]

    def _metadata(self) -> dict[str, Any]:
        root = json.loads((self.path / ROOT).read_bytes())
        metadata: dict[str, Any] = root["consolidated_metadata"]["metadata"]
        return metadata


def _line(versions: Mapping[str, str], command: str) -> str:
    return f"spectune {versions['spectune']}, torch {versions['torch']}: {command}"
