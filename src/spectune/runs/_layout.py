"""How the store of a run is laid out in its folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from zarr.errors import ZarrUserWarning

from spectune.durable import DurableStore
from spectune.runs.catalog import Coordinate, Setup, SystemParameters
from spectune.runs.settings import RunSettings

__all__ = ["MEMBER", "RESTART", "TIME", "attributes_of", "write_empty"]

MEMBER = "member"
TIME = "time"

# Folder of the snapshots and the locks: for zarr a group without arrays.
RESTART = "restart"

_CHUNK_BYTES = 2**20

# Times are known in advance and small: a chunk of fixed size, whatever the length of the run.
_TIME_CHUNK = 4096

# One flat file for each chunk ("c.3.0.0"), not three nested folders.
_FLAT: Any = {"name": "default", "separator": "."}


def attributes_of(
    parameters: SystemParameters, settings: RunSettings, versions: Mapping[str, str]
) -> dict[str, Any]:
    """Return the global attributes: CF, and every parameter and setting under its own name.

    They are plain numbers and text, as NetCDF attributes cannot nest. `time` is none of them: a
    run that is extended would otherwise not be the run that was longer from the start.
    """
    kind = type(parameters)
    named = [(name, kind.unit_of(name)) for name in kind.model_fields]
    units = [f"{name}: {unit}" for name, unit in named if unit != "1"]
    kept = parameters.model_dump() | settings.model_dump(exclude={"time"}, exclude_none=True)
    return {
        "Conventions": "CF-1.11",
        "title": parameters.title,
        "source": f"Spectune {versions['spectune']}",
        "system": parameters.name,
        **kept,
        "parameter_units": "; ".join(units) or "1",
        "versions": json.dumps(versions),
    }


def write_empty(
    path: Path,
    setup: Setup,
    parameters: SystemParameters,
    settings: RunSettings,
    attributes: dict[str, Any],
) -> None:
    """Write the arrays of a run of no length, the coordinates and the consolidated metadata."""
    store = DurableStore(path)
    root = zarr.create_group(store, zarr_format=3, attributes=attributes)
    sizes = {coordinate.name: len(coordinate.points) for coordinate in setup.coordinates}
    members = Coordinate(
        MEMBER,
        torch.arange(settings.members),
        {"long_name": "ensemble member", "standard_name": "realization", "units": "1"},
    )
    for coordinate in (members, *setup.coordinates):
        root.create_array(
            coordinate.name,
            data=np.asarray(coordinate.points),
            dimension_names=(coordinate.name,),
            attributes=dict(coordinate.attributes),
            chunk_key_encoding=_FLAT,
        )
    root.create_array(
        TIME,
        shape=(0,),
        chunks=(_TIME_CHUNK,),
        dtype="float64",
        dimension_names=(TIME,),
        fill_value=float("nan"),
        attributes={
            "long_name": "time since the initial state",
            "units": parameters.time_unit,
            "axis": "T",
        },
        chunk_key_encoding=_FLAT,
    )
    itemsize = settings.dtype.itemsize
    for variable in setup.variables:
        shape = tuple(sizes[dim] for dim in variable.dims)
        block = max(1, _CHUNK_BYTES // (itemsize * settings.group * int(np.prod(shape))))
        root.create_array(
            variable.name,
            shape=(settings.members, 0, *shape),
            chunks=(settings.group, block, *shape),
            dtype=settings.precision,
            dimension_names=(MEMBER, TIME, *variable.dims),
            fill_value=float("nan"),
            attributes={"long_name": variable.long_name, "units": variable.unit},
            chunk_key_encoding=_FLAT,
        )
    root.create_group(RESTART)
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is an extension; xarray reads and writes it.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(store)
