"""Any arrays that xarray can open, as pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from spectune.data._axes import find_sample_dim, grid_along, member_along, time_along
from spectune.data._channels import CHANNEL_DIMS, describe_contents, read_channels
from spectune.data._description import Description
from spectune.data._sources import open_dataset
from spectune.data.checks import check_pairs
from spectune.data.pairs import Pairs
from spectune.errors import DataError
from spectune.grid import Grid

__all__ = ["open_pairs"]


def open_pairs(
    source: str | Path | xr.Dataset | Pairs,
    *,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
) -> Pairs:
    """Read pairs of inputs and targets from a file or dataset into memory.

    A store written by `PairStore` says everything itself. In other data, name the variables. All
    must have the same dimensions, in any order: one along which the samples lie and one to three of
    the grid, which are taken in the order of the first variable. A further dimension called
    "channel" (or "component", "variable", "feature") makes one channel of each of its entries,
    named ``variable_entry``; other dimensions of size 1 are dropped.

    The spacing of the grid comes from the coordinates, which must be uniform (rising or falling;
    the data keeps its order); a dimension without coordinate has spacing 1. The length of the box
    is points · spacing. Dates along the samples become seconds since the first.

    Memory: all samples of all channels in float32, and one variable at a time as it is in the file.

    Args:
        source: path of a Zarr folder or zip, a NetCDF or HDF5 file or what else xarray opens; or a
            dataset; or pairs, which are returned as they are.
        inputs: variables of the input channels; not needed for a store of pairs.
        targets: variables of the target channels; not needed for a store of pairs.
        sample_dim: dimension of the samples. By default the one whose name says so ("time",
            "sample", "snapshot", "trajectory", "member", "run", ...), else the first.
        periodic: whether the box is periodic; by default what the store says, else False.

    Returns:
        Pairs in float32, in the units of the file, time in float64, with the members of a store of
        an ensemble. Units hold "time" too where it is known. Provenance holds "file", and
        "descending" (dimensions with falling coordinate) and "time_origin" (date of the first
        sample) where there are any.

    Raises:
        DataError: the file cannot be read, a variable is missing or has other dimensions or no
            numbers, NaN or Inf, a value beyond float32, a channel without variance, fewer than 2
            samples, a coordinate that is not uniform.
    """
    if isinstance(source, Pairs):
        return source
    if isinstance(source, xr.Dataset):
        return _from_dataset(
            source,
            str(source.encoding.get("source", "the dataset")),
            inputs,
            targets,
            sample_dim,
            periodic,
        )
    with open_dataset(source) as dataset:
        return _from_dataset(dataset, str(source), inputs, targets, sample_dim, periodic)


def _from_dataset(
    dataset: xr.Dataset,
    source: str,
    inputs: Sequence[str] | None,
    targets: Sequence[str] | None,
    sample_dim: str | None,
    periodic: bool | None,
) -> Pairs:
    description = _description(dataset, source)
    if description is not None:
        inputs = description.input_names if inputs is None else inputs
        targets = description.target_names if targets is None else targets
    input_names = _named(dataset, inputs, "inputs", source)
    target_names = _named(dataset, targets, "targets", source)
    sample, space = _dims(dataset, input_names[0], sample_dim, source)
    if description is not None and set(space) == set(description.grid.dims):
        space = description.grid.dims
    grid, descending = _grid(dataset, space, description, periodic, source)
    left = read_channels(dataset, input_names, (sample, *space), source)
    right = read_channels(dataset, target_names, (sample, *space), source)
    time, time_unit, origin = time_along(dataset, sample)
    provenance = {"file": source} | (description.provenance if description else {})
    if descending:
        provenance["descending"] = descending
    if origin is not None:
        provenance["time_origin"] = origin
    units = left.units | right.units
    if time_unit is not None:
        units["time"] = time_unit
    pairs = Pairs(
        left.values,
        right.values,
        grid,
        left.names,
        right.names,
        units,
        time,
        provenance,
        member_along(dataset, sample),
    )
    check_pairs(pairs, source)
    return pairs


def _description(dataset: xr.Dataset, source: str) -> Description | None:
    text = dataset.attrs.get("spectune")
    if text is None:
        return None
    try:
        return Description.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{source}: the attribute 'spectune' is damaged ({error!r}); delete it and name the "
            "inputs and targets"
        ) from error


def _named(
    dataset: xr.Dataset, names: Sequence[str] | None, kind: str, source: str
) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names or ())
    if not names:
        raise DataError(
            f"{source} does not say which of its variables are the {kind}, expected at least one "
            f"name in {kind}. {describe_contents(dataset)}"
        )
    for name in names:
        if name not in dataset.data_vars:
            raise DataError(
                f"{source} has no variable '{name}', expected in {kind}. "
                f"{describe_contents(dataset)}"
            )
        if names.count(name) > 1:
            raise DataError(f"{source}: variable '{name}' is named twice in {kind}; name it once")
    return names


def _dims(
    dataset: xr.Dataset, variable: str, sample_dim: str | None, source: str
) -> tuple[str, tuple[str, ...]]:
    array = dataset[variable]
    dims = [str(dim) for dim in array.dims if dim not in CHANNEL_DIMS or dim == sample_dim]
    where = f"{source}: variable '{variable}'"
    if not dims:
        raise DataError(f"{where} is a single number, expected dimensions (sample, *grid)")
    sample = find_sample_dim(dims, sample_dim, where)
    # A single level or a single ensemble member is no dimension of the grid.
    space = tuple(dim for dim in dims if dim != sample and dataset.sizes[dim] != 1)
    if not 1 <= len(space) <= 3:
        raise DataError(
            f"{where} has dimensions {tuple(array.dims)}: '{sample}' for the samples and {space} "
            "for the grid, expected 1 to 3 for the grid; choose another sample_dim, or select from "
            "further dimensions with dataset.isel"
        )
    return sample, space


def _grid(
    dataset: xr.Dataset,
    space: Sequence[str],
    description: Description | None,
    periodic: bool | None,
    source: str,
) -> tuple[Grid, list[str]]:
    grid, descending = grid_along(dataset, space, bool(periodic), source)
    if description is None or grid.dims != description.grid.dims:
        return grid, descending
    stored = description.grid
    whole = all(
        dim not in dataset.indexes or math.isclose(length, expected, rel_tol=1e-6)
        for dim, length, expected in zip(grid.dims, grid.lengths, stored.lengths, strict=True)
    )
    # A store that was cut to a part of its box is no longer periodic; one that was only made
    # coarser still is.
    if whole:
        kept = stored.periodic if periodic is None else periodic
        grid = Grid(grid.shape, stored.lengths, grid.dims, kept, stored.unit)
    return grid, descending
