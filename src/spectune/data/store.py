"""A growing Zarr store of pairs that is readable at any moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from spectune.atomic import remove_leftovers
from spectune.data._columns import columns
from spectune.data._description import MEMBER, TIME, Description
from spectune.data._layout import refuse_clashes, write_empty
from spectune.data.pairs import Pairs
from spectune.durable import (
    ROOT,
    DurableStore,
    appearing,
    commit_length,
    sync_folder,
    uninterrupted,
)
from spectune.errors import DataError
from spectune.grid import Grid

__all__ = ["PairStore"]

_CHUNK_BYTES = 2**20


class PairStore:
    """Pairs in a Zarr v3 folder: one array (time, *grid) for each variable, float32.

    The store opens with ``xarray.open_zarr(path)`` at any moment, also while it grows and after its
    writer was killed. xarray takes the shapes of the arrays from the *consolidated metadata* in the
    root ``zarr.json``, and that one file is the commit: `append` first lengthens the arrays and
    writes their chunks, each file aside, flushed and renamed, and replaces the root last. Until
    then the new samples lie beyond the committed length, where nobody looks; the next writer clears
    them away. (Opening with ``consolidated=False`` bypasses the commit.)

    A chunk holds `block` samples of one variable. Full chunks are never written again. When the
    committed length is not a multiple of `block`, the next append replaces the last, partly filled
    chunk by one that begins with the same samples; so the store can be appended to in any portions
    and its bytes depend on the samples alone, not on portions or interruptions. Portions of a
    multiple of `block` are the fastest.

    Samples of an ensemble lie along a dimension "sample", with their time and their member as
    coordinates, because CF allows no time twice along a time axis.

    One writer at a time; any number of readers.

    Attributes:
        path: folder of the store.
        grid: grid of the samples.
        input_names: variable of each input channel.
        target_names: variable of each target channel.
        units: unit of each variable, and of "time" where it has one.
        attributes: provenance of the data, plain JSON values.
        ensemble: whether each sample has a member.
        block: samples in a chunk.
    """

    def __init__(self, path: Path, description: Description, block: int, committed: int) -> None:
        self.path = path
        self._description = description
        self.grid = description.grid
        self.input_names = description.input_names
        self.target_names = description.target_names
        self.units = description.units
        self.attributes = description.provenance
        self.ensemble = description.ensemble
        self.block = block
        self._names = (*self.input_names, *self.target_names, *description.labels)
        self._committed = committed
        self._arrays: dict[str, zarr.Array[Any]] | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        grid: Grid,
        input_names: Sequence[str],
        target_names: Sequence[str],
        units: dict[str, str],
        attributes: dict[str, Any],
        *,
        long_names: dict[str, str] | None = None,
        ensemble: bool = False,
        block: int | None = None,
    ) -> PairStore:
        """Create an empty store; it appears under its name only when it is complete.

        Args:
            path: folder to create; must not exist.
            grid: grid of the samples.
            input_names: variable of each input channel.
            target_names: variable of each target channel.
            units: unit of each variable; "time" may be among them.
            attributes: provenance (system, parameters, versions, seed): plain JSON values.
            long_names: what each variable is, where its name alone does not say it.
            ensemble: whether the samples are of several members of an ensemble.
            block: samples in a chunk; by default as many as fit in 1 MiB.

        Raises:
            DataError: the path exists or cannot be written, or names clash.
        """
        path = Path(path)
        if path.exists():
            raise DataError(
                f"{path} exists already: PairStore.open continues it; to start anew, remove it or "
                "choose another name"
            )
        description = Description(
            grid,
            tuple(input_names),
            tuple(target_names),
            dict(units),
            dict(attributes),
            dict(long_names or {}),
            ensemble,
        )
        refuse_clashes(path, description)
        if block is None:
            block = max(1, _CHUNK_BYTES // (4 * int(np.prod(grid.shape))))
        try:
            with appearing(path) as aside:
                write_empty(aside, description, block)
        except OSError as error:
            raise DataError(f"{path} cannot be created: {error.strerror or error}") from error
        return cls(path, description, block, committed=0)

    @classmethod
    def open(cls, path: str | Path) -> PairStore:
        """Open a store to read it or to go on from its committed length; changes nothing on disk.

        Raises:
            DataError: no store of pairs is at the path.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(f"{path} does not exist; expected a store of pairs (a Zarr folder)")
        try:
            root = json.loads((path / ROOT).read_bytes())
            description = Description.from_json(root["attributes"]["spectune"])
            time = root["consolidated_metadata"]["metadata"][TIME]
            block = int(time["chunk_grid"]["configuration"]["chunk_shape"][0])
            committed = int(time["shape"][0])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} is not a store of pairs (its {ROOT} is missing or was not written by "
                "Spectune); other data is read by spectune.data.open_pairs"
            ) from error
        return cls(path, description, block, committed)

    def __len__(self) -> int:
        return self._committed

    def append(
        self, inputs: Tensor, targets: Tensor, time: Tensor, member: Tensor | None = None
    ) -> None:
        """Add samples; they are committed, all or none, when this returns.

        Ctrl-C lets the append under way finish and is raised then.

        Args:
            inputs: (m, c_in, *grid.shape), any float dtype; stored as float32.
            targets: (m, c_out, *grid.shape).
            time: (m,) time of each sample; stored as float64.
            member: (m,) member that each sample is of, in a store of an ensemble.

        Raises:
            DataError: wrong shape; NaN or Inf; the disk is full or not writable. The store keeps
                its committed samples.
        """
        values = columns(self._description, str(self.path), inputs, targets, time, member)
        if not len(inputs):
            return
        try:
            uninterrupted(lambda: self._write(values, len(inputs)))
        except BaseException as error:
            self._arrays = None
            self._committed = len(PairStore.open(self.path))
            if isinstance(error, OSError):
                raise self._full(error) from error
            raise

    def truncate(self, n: int) -> None:
        """Keep the first `n` samples and drop the rest.

        Raises:
            DataError: the store has fewer than `n` samples, or is not writable.
        """
        if not 0 <= n <= len(self):
            raise DataError(f"{self.path} has {len(self)} samples; cannot be truncated to {n}")
        try:
            # The commit comes first: a kill before the clearing leaves only samples nobody sees.
            self._commit(n)
            self._arrays = None
            self._writable()
        except OSError as error:
            raise self._full(error) from error

    def read(self) -> Pairs:
        """Return all committed samples; memory: all in float32, and one variable more.

        Raises:
            DataError: a chunk is corrupt.
        """
        n = len(self)
        # Filled variable by variable, to hold no second copy of everything.
        inputs = torch.empty(n, len(self.input_names), *self.grid.shape, dtype=torch.float32)
        targets = torch.empty(n, len(self.target_names), *self.grid.shape, dtype=torch.float32)
        for values, names in ((inputs, self.input_names), (targets, self.target_names)):
            for channel, name in enumerate(names):
                values[:, channel] = self._read(name, n)
        return Pairs(
            inputs,
            targets,
            self.grid,
            self.input_names,
            self.target_names,
            dict(self.units),
            self._read(TIME, n),
            {"file": str(self.path), **self.attributes},
            self._read(MEMBER, n) if self.ensemble else None,
        )

    def _read(self, name: str, n: int) -> Tensor:
        store = zarr.storage.LocalStore(self.path, read_only=True)
        try:
            return torch.from_numpy(np.asarray(zarr.open_array(store, path=name, mode="r")[:n]))
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"{self.path}: variable '{name}' is corrupt ({error})") from error

    def _write(self, columns: dict[str, Tensor], m: int) -> None:
        begin, end = len(self), len(self) + m
        for name, array in self._writable().items():
            array.resize((end, *array.shape[1:]))
            values = columns[name].numpy()
            # One chunk at a time: zarr writes several at once, and after a failure of one the
            # others would still be under way.
            first = begin
            while first < end:
                last = min(end, (first // self.block + 1) * self.block)
                array[first:last] = values[first - begin : last - begin]
                first = last
            sync_folder(self.path / name)
        self._commit(end)

    def _commit(self, n: int) -> None:
        commit_length(self.path, dict.fromkeys(self._names, 0), n)
        self._committed = n

    def _writable(self) -> dict[str, zarr.Array[Any]]:
        """Return the arrays, cleared of what lies beyond the committed length."""
        if self._arrays is None:
            remove_leftovers(self.path)
            store, n = DurableStore(self.path), len(self)
            arrays = {}
            for name in self._names:
                array = zarr.open_array(store, path=name, mode="r+")
                # Resizing removes whole chunks; the rest of the last one is cleared by hand, so
                # that the bytes of the store do not remember the interruption.
                tail = min(array.shape[0], -(-n // self.block) * self.block)
                if tail > n:
                    array[n:tail] = array.fill_value
                array.resize((n, *array.shape[1:]))
                arrays[name] = array
            self._arrays = arrays
        return self._arrays

    def _full(self, error: OSError) -> DataError:
        return DataError(
            f"{self.path} could not be written: {error.strerror or error}. The {len(self)} "
            "committed samples are kept; make room (or set the permissions right), and the same "
            "command resumes the run from there"
        )
