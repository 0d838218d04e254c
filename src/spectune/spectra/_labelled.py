"""From arrays, labelled or not, to samples and channels on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.data import CHANNEL_DIMS, SAMPLE_DIMS, grid_along
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra.sphere_grid import SphereGrid

__all__ = ["Samples", "samples_of"]

_LATITUDE, _LONGITUDE = ("lat", "latitude", "nlat"), ("lon", "longitude", "nlon")
# A level of a model with few of them is a channel: its spacing is none of a grid.
_CHANNELS = (*CHANNEL_DIMS, "layer", "level", "lev", "mode")


@dataclass(frozen=True)
class Samples:
    """Samples on a grid.

    Attributes:
        values: (n, *grid.shape), or (n, c, *grid.shape) with channels; float32 or float64.
        grid: flat, or of the whole sphere.
        channels: name of each channel, or None where there is no such axis.
        quantity: what the field is.
        unit: of the field.
    """

    values: Tensor
    grid: Grid | SphereGrid
    channels: tuple[Any, ...] | None
    quantity: str
    unit: str


def samples_of(
    data: Any,
    grid: Grid | SphereGrid | None,
    dims: tuple[str, ...] | None,
    boundary: str | None,
    name: str,
) -> Samples:
    """Return the samples of a labelled array, or of a plain one on a given grid.

    Args:
        data: `xarray.DataArray`, or an array (n, [c,] *grid.shape) or (*grid.shape).
        grid: of the field; needed for plain arrays, and before coordinates for labelled ones.
        dims: dimensions of the grid in a labelled array, slowest first.
        boundary: "periodic" or "sphere" make the grid so; None lets the coordinates decide
            whether it is the whole sphere.
        name: of the data, for messages.

    Raises:
        DataError: what is given does not say what the grid is, or is no array of real numbers.
    """
    if isinstance(data, xr.DataArray):
        return _labelled(data, grid, dims, boundary, name)
    if grid is None:
        raise DataError(
            f"{name}: found {type(data).__name__} without coordinates, expected a grid beside it; "
            "pass grid=spectune.Grid(shape, lengths, dims), or give an xarray.DataArray"
        )
    values = _real(data if isinstance(data, Tensor) else np.asarray(data), name)
    free = values.ndim - len(grid.shape)
    if free < 0 or free > 2:
        raise DataError(
            f"{name}: found shape {tuple(values.shape)}, expected ([sample, [channel,]] *grid) "
            f"with the grid {grid.shape}"
        )
    if free == 0:
        values = values[None]
    channels = tuple(range(values.shape[1])) if free == 2 else None
    return Samples(values, grid, channels, name, "1")


def _labelled(
    data: xr.DataArray,
    grid: Grid | SphereGrid | None,
    dims: tuple[str, ...] | None,
    boundary: str | None,
    name: str,
) -> Samples:
    if dims is None:
        aside = (*SAMPLE_DIMS, *_CHANNELS)
        dims = tuple(str(dim) for dim in data.dims if str(dim).lower() not in aside)
    missing = [dim for dim in dims if dim not in data.dims]
    if missing or not 1 <= len(dims) <= 3:
        raise DataError(
            f"{name}: found dimensions {tuple(data.dims)} and {dims} for the grid, expected 1 to 3 "
            "of them; name those of the grid with dims=, slowest first"
        )
    rest = [str(dim) for dim in data.dims if dim not in dims]
    channel = [dim for dim in rest if dim.lower() in _CHANNELS]
    if len(channel) > 1:
        raise DataError(
            f"{name}: found {channel}, which all look like channels, expected at most one; select "
            "from one of them with isel, or stack them"
        )
    samples = [dim for dim in rest if dim not in channel]
    array = data.transpose(*samples, *channel, *dims)
    count = int(np.prod([array.sizes[dim] for dim in samples]))
    sizes = [array.sizes[dim] for dim in (*channel, *dims)]
    values = _real(np.asarray(array.values), name).reshape(count, *sizes)
    labels = None
    if channel:
        (dim,) = channel
        labels = tuple(data[dim].values.tolist() if dim in data.coords else range(sizes[0]))
    return Samples(
        values,
        grid or _grid(array, dims, boundary, name),
        labels,
        str(data.attrs.get("long_name", data.name or name)),
        str(data.attrs.get("units", "1")),
    )


def _grid(
    array: xr.DataArray, dims: tuple[str, ...], boundary: str | None, name: str
) -> Grid | SphereGrid:
    globe = [dim.lower() for dim in dims]
    if boundary in (None, "sphere") and len(dims) == 2:
        named = globe[0] in _LATITUDE and globe[1] in _LONGITUDE
        if named and all(dim in array.coords for dim in dims):
            try:
                latitude, longitude = (array[dim].values for dim in dims)
                return SphereGrid.from_coordinates(latitude, longitude)
            except DataError:
                if boundary == "sphere":
                    raise
    if boundary == "sphere":
        raise DataError(
            f"{name}: found grid dimensions {dims}, expected latitude and longitude with their "
            "coordinates, in this order; name them with dims=('lat', 'lon')"
        )
    coordinates = array.coords.to_dataset().reset_coords(drop=True)
    sized = coordinates.assign(_field=array.isel({d: 0 for d in array.dims if d not in dims}))
    found, _ = grid_along(sized, dims, boundary == "periodic", name)
    return found


def _real(values: Any, name: str) -> Tensor:
    if not isinstance(values, Tensor):
        if values.dtype.kind not in "iuf":
            raise DataError(f"{name}: found type {values.dtype}, expected real numbers")
        kind = np.float32 if values.dtype == np.float32 else np.float64
        values = torch.from_numpy(np.array(values, dtype=kind))
    if values.is_complex():
        raise DataError(f"{name}: found type {values.dtype}, expected real numbers")
    tensor: Tensor = values
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.double()
