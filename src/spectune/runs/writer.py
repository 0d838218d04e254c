"""Append the snapshots of one group of members to the store of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from torch import Tensor

from spectune.durable import DurableStore, sync_folder, uninterrupted
from spectune.runs.catalog import Variable
from spectune.runs.restart import write_snapshot
from spectune.runs.store import RunStore
from spectune.systems import Snapshot

__all__ = ["GroupWriter"]


class GroupWriter:
    """Collects the snapshots of a group and commits them together with the state to go on from.

    One writer a group at a time: whoever has it holds the lock of the group.

    Args:
        store: of the run.
        members: the group.
        variables: fields of a snapshot.
        recorded: number of snapshots that the group has committed.
    """

    def __init__(
        self, store: RunStore, members: range, variables: tuple[Variable, ...], recorded: int
    ) -> None:
        self._store, self._members = store, members
        self._recorded = recorded
        self._pending: list[tuple[np.ndarray[Any, Any], ...]] = []
        # How many of them there are at which state: set at once, so that an interrupt finds the two
        # in step.
        self._taken: tuple[int, Snapshot] | None = None
        files = DurableStore(store.path)
        self._arrays = {
            variable.name: zarr.open_array(files, path=variable.name, mode="r+")
            for variable in variables
        }
        self._block = next(iter(self._arrays.values())).chunks[1]

    def take(self, snapshot: Snapshot, fields: tuple[Tensor, ...] | None) -> None:
        """Take a state to go on from, with what is to be recorded of it.

        Args:
            snapshot: the state after the next interval.
            fields: its fields, (members, *dims) each; None during the spin-up.
        """
        if fields is not None:
            self._pending.append(tuple(field.cpu().numpy() for field in fields))
        self._taken = len(self._pending), snapshot

    @property
    def full(self) -> bool:
        """Whether the snapshots taken end a chunk, so that committing them writes it once."""
        return (self._recorded + len(self._pending)) % self._block == 0

    def commit(self) -> None:
        """Write what was taken; all of it is committed when this returns.

        Ctrl-C lets the writing finish and is raised then.

        Raises:
            DataError: the disk is full or not writable; what was committed before is kept.
        """
        if self._taken is None:
            return
        count, snapshot = self._taken
        try:
            uninterrupted(lambda: self._write(count, snapshot))
        except OSError as error:
            raise self._store.unwritable(error) from error

    def _write(self, count: int, snapshot: Snapshot) -> None:
        first, last = self._recorded, self._recorded + count
        if count:
            rows = slice(self._members.start, self._members.stop)
            for (name, array), values in zip(
                self._arrays.items(), zip(*self._pending[:count], strict=True), strict=True
            ):
                array[rows, first:last] = np.stack(values, axis=1)
                sync_folder(self._store.path / name)
        path = self._store.restart_path(self._members)
        write_snapshot(path, snapshot)
        sync_folder(path.parent)
        self._recorded, self._pending, self._taken = last, [], None
        if last:
            self._store.show(last)
