"""From the dimensions and coordinates of a dataset to samples, time and grid."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.data._description import MEMBER, TIME
from spectune.errors import DataError
from spectune.grid import Grid

__all__ = ["SAMPLE_DIMS", "find_sample_dim", "grid_along", "member_along", "time_along"]

SAMPLE_DIMS = (
    "time",
    "t",
    "sample",
    "samples",
    "snapshot",
    "snapshots",
    "trajectory",
    "realization",
    "member",
    "ensemble",
    "run",
    "batch",
)
_SPACE_DIMS = ("x", "y", "z", "lat", "latitude", "lon", "longitude", "lev", "level", "depth")
# Coordinates kept in float32, and Gaussian latitudes near the equator, are uniform to about this.
_UNIFORM = 1e-3


def find_sample_dim(dims: Sequence[str], sample_dim: str | None, where: str) -> str:
    """Return the dimension along which samples lie.

    Args:
        dims: dimensions of the first variable.
        sample_dim: what the user says, or None: the one whose name says so, else the first.
        where: file and variable, for messages.

    Raises:
        DataError: `sample_dim` is not there, or several dimensions or none could be meant.
    """
    if sample_dim is not None:
        if sample_dim not in dims:
            raise DataError(
                f"{where} has dimensions {tuple(dims)}, expected the sample dimension "
                f"'{sample_dim}' among them; choose one of these as sample_dim"
            )
        return sample_dim
    found = [dim for dim in dims if dim.lower() in SAMPLE_DIMS]
    if len(found) > 1:
        raise DataError(
            f"{where} has dimensions {tuple(dims)}, of which {found} could all be the sample "
            f"dimension, expected one; pass sample_dim, or join them with "
            f"dataset.stack(sample={found})"
        )
    if not found and dims[0].lower() in _SPACE_DIMS:
        raise DataError(
            f"{where} has dimensions {tuple(dims)}, expected one for the samples; pass sample_dim, "
            "or make one with dataset.expand_dims('sample') or xarray.concat"
        )
    return found[0] if found else dims[0]


def grid_along(
    dataset: xr.Dataset, dims: Sequence[str], periodic: bool, where: str
) -> tuple[Grid, list[str]]:
    """Build the grid of some dimensions from their coordinates; without them the spacing is 1.

    A descending coordinate gives the same grid as an ascending one, and the data keeps its order,
    because a network trained on files in that order must see it again.

    Args:
        dataset: holds the coordinates.
        dims: dimensions of the grid, slowest first.
        periodic: whether the box is periodic.
        where: file, for messages.

    Returns:
        The grid (length = points · spacing), and the names of descending dimensions.

    Raises:
        DataError: a coordinate is not numeric or not uniform; fewer than 2 points.
    """
    shape, lengths, units, descending = [], [], set(), []
    for dim in dims:
        n = dataset.sizes[dim]
        if n < 2:
            raise DataError(f"{where}: grid dimension '{dim}' has {n} points, expected at least 2")
        spacing = 1.0
        if dim in dataset.indexes and dataset[dim].ndim == 1:
            spacing = _spacing(dataset[dim], where)
            units.add(_length_unit(dataset[dim]))
        if spacing < 0:
            descending.append(dim)
        shape.append(n)
        lengths.append(n * abs(spacing))
    unit = units.pop() if len(units) == 1 else "1"
    return Grid(tuple(shape), tuple(lengths), tuple(dims), periodic, unit), descending


def time_along(
    dataset: xr.Dataset, sample_dim: str
) -> tuple[Tensor | None, str | None, str | None]:
    """Return the coordinate of the samples as float64, its unit and the date it counts from.

    Dates become seconds since the first sample. Samples that have no such coordinate may have a
    variable "time" as one, as in a store of an ensemble. Otherwise the time is None.
    """
    name = sample_dim
    if sample_dim not in dataset.indexes and TIME in dataset.coords:
        name = TIME
    if name not in dataset.coords or dataset[name].dims != (sample_dim,):
        return None, None, None
    values = np.asarray(dataset[name].values)
    if values.dtype.kind in "iuf":
        unit = dataset[name].attrs.get("units")
        return torch.from_numpy(values.astype(np.float64)), unit, None
    if values.dtype.kind == "m":
        return torch.from_numpy(values / np.timedelta64(1, "s")), "s", None
    if len(values) and (values.dtype.kind == "M" or hasattr(values[0], "calendar")):
        elapsed = (values - values[0]).astype("timedelta64[ns]") / np.timedelta64(1, "s")
        return torch.from_numpy(elapsed.astype(np.float64)), "s", str(values[0])
    return None, None, None


def member_along(dataset: xr.Dataset, sample_dim: str) -> Tensor | None:
    """Return the numbers of the members along the samples as int64, None where there are none."""
    if MEMBER not in dataset.coords or dataset[MEMBER].dims != (sample_dim,):
        return None
    values = np.asarray(dataset[MEMBER].values)
    return torch.from_numpy(values.astype(np.int64)) if values.dtype.kind in "iu" else None


def _spacing(coordinate: xr.DataArray, where: str) -> float:
    values = np.asarray(coordinate.values)
    name = coordinate.name
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"{where}: coordinate '{name}' has type {values.dtype}, expected numbers; drop it "
            f"(dataset.drop_vars('{name}')) to count grid points instead, or name the sample "
            "dimension with sample_dim"
        )
    steps = np.diff(values.astype(np.float64))
    spacing = float(steps.mean())
    if not np.isfinite(steps).all() or spacing == 0:
        raise DataError(
            f"{where}: coordinate '{name}' is constant, NaN or Inf, expected uniform steps"
        )
    if np.abs(steps - spacing).max() > _UNIFORM * abs(spacing):
        raise DataError(
            f"{where}: coordinate '{name}' is not uniform: its steps run from "
            f"{steps.min():.6g} to {steps.max():.6g}, expected equal steps; interpolate the data "
            f"to a uniform grid first (dataset.interp({name}=...))"
        )
    return spacing


def _length_unit(coordinate: xr.DataArray) -> str:
    unit = str(coordinate.attrs.get("units", "1"))
    return "degree" if re.match(r"degrees?(_|$)", unit) else unit
