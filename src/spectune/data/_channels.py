"""From named variables of a dataset to one float32 tensor of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.errors import DataError

__all__ = ["CHANNEL_DIMS", "Channels", "describe_contents", "read_channels"]

CHANNEL_DIMS = ("channel", "channels", "component", "components", "variable", "feature")


@dataclass(frozen=True)
class Channels:
    """Channels with their names and units.

    Attributes:
        values: (n, c, *grid), float32.
        names: name of each channel.
        units: unit of each channel whose variable says it.
    """

    values: Tensor
    names: tuple[str, ...]
    units: dict[str, str]


def read_channels(
    dataset: xr.Dataset, variables: Sequence[str], dims: Sequence[str], source: str
) -> Channels:
    """Load variables as channels, dimensions in the order (sample, channel, *grid).

    Args:
        dataset: holds the variables.
        variables: names; one with a channel dimension gives several channels.
        dims: the sample dimension, then those of the grid.
        source: file, for messages.

    Raises:
        DataError: other dimensions, no real numbers, values beyond float32.
    """
    parts: dict[str, xr.DataArray] = {}
    for variable in variables:
        parts |= _split(dataset[variable], dims)
    sizes = [dataset.sizes[dim] for dim in dims]
    # One array for all, filled variable by variable, to hold no second copy.
    values = np.empty((sizes[0], len(parts), *sizes[1:]), dtype=np.float32)
    units = {}
    for channel, (name, array) in enumerate(parts.items()):
        values[:, channel] = _float32(_aligned(array, dims, source), name, source)
        if "units" in array.attrs:
            units[name] = str(array.attrs["units"])
    return Channels(torch.from_numpy(values), tuple(parts), units)


def describe_contents(dataset: xr.Dataset) -> str:
    """Return a sentence that lists the variables of a dataset with their dimensions."""
    listing = ", ".join(
        f"{name} ({', '.join(f'{dim}: {array.sizes[dim]}' for dim in array.dims)})"
        for name, array in sorted(dataset.data_vars.items(), key=lambda item: str(item[0]))
    )
    return f"It has the variables {listing}" if listing else "It has no variables"


def _split(array: xr.DataArray, dims: Sequence[str]) -> dict[str, xr.DataArray]:
    found = [dim for dim in array.dims if dim in CHANNEL_DIMS and dim not in dims]
    if len(found) != 1:
        return {str(array.name): array}
    (dim,) = found
    labels = array[dim].values if dim in array.indexes else range(array.sizes[dim])
    return {f"{array.name}_{label}": array.isel({dim: i}) for i, label in enumerate(labels)}


def _aligned(array: xr.DataArray, dims: Sequence[str], source: str) -> xr.DataArray:
    single = [dim for dim in array.dims if dim not in dims and array.sizes[dim] == 1]
    squeezed = array.squeeze(single)
    if set(squeezed.dims) != set(dims):
        raise DataError(
            f"{source}: variable '{array.name}' has dimensions {tuple(array.dims)}, expected "
            f"{tuple(dims)} in any order, as the first variable has; select one entry of further "
            "dimensions (dataset.isel), or interpolate all variables to the same points"
        )
    return squeezed.transpose(*dims)


def _float32(array: xr.DataArray, name: str, source: str) -> np.ndarray:
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"{source}: variable '{name}' has type {array.dtype}, expected real numbers"
        )
    try:
        values = np.asarray(array.values)
    except Exception as error:  # a corrupt chunk can make the libraries below raise anything
        raise DataError(
            f"{source}: variable '{name}' cannot be read ({type(error).__name__}: {error}); the "
            "file is damaged"
        ) from error
    with np.errstate(over="ignore"):
        stored = values.astype(np.float32)
    beyond = np.isinf(stored) & np.isfinite(values)
    if beyond.any():
        raise DataError(
            f"{source}: variable '{name}' has {int(beyond.sum())} values beyond float32 "
            f"(largest {np.abs(values[beyond]).max():.3g}, expected at most 3.4e38); change its "
            "unit"
        )
    return stored
