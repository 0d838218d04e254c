"""How a store of pairs is laid out in its folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import zarr
from zarr.errors import ZarrUserWarning

from spectune.data._description import MEMBER, TIME, Description
from spectune.durable import DurableStore
from spectune.errors import DataError

__all__ = ["refuse_clashes", "write_empty"]


def refuse_clashes(path: Path, description: Description) -> None:
    """Refuse names that one folder cannot hold side by side."""
    variables = (*description.input_names, *description.target_names)
    labels = tuple(dict.fromkeys((description.sample_dim, *description.labels)))
    names = (*variables, *description.grid.dims, *labels)
    for name in names:
        if names.count(name) > 1 or not name or "/" in name or name.startswith((".", "__")):
            raise DataError(
                f"{path}: variable '{name}' cannot be stored: inputs {description.input_names}, "
                f"targets {description.target_names}, grid dimensions {description.grid.dims} and "
                f"{' and '.join(repr(label) for label in labels)} need different names, without "
                "'/' and not beginning with '.' or '__'"
            )
    if not description.input_names or not description.target_names:
        raise DataError(f"{path}: a store needs at least one input and one target variable")


def write_empty(path: Path, description: Description, block: int) -> None:
    """Write the arrays without samples, the coordinates and the consolidated metadata."""
    grid = description.grid
    store = DurableStore(path)
    root = zarr.create_group(store, zarr_format=3, attributes=description.root_attributes())
    # One flat file for each chunk ("c.3.0.0"), not three nested folders.
    flat = {"name": "default", "separator": "."}
    sample, labels = description.sample_dim, description.labels
    for name in (*description.input_names, *description.target_names, *labels):
        sizes, dims = ((), ()) if name in labels else (grid.shape, grid.dims)
        root.create_array(
            name,
            shape=(0, *sizes),
            chunks=(block, *sizes),
            dtype={TIME: "float64", MEMBER: "int64"}.get(name, "float32"),
            dimension_names=(sample, *dims),
            # A lost chunk reads as NaN, which is refused, not as zero.
            fill_value=-1 if name == MEMBER else float("nan"),
            attributes=description.variable_attributes(name),
            chunk_key_encoding=flat,  # type: ignore[arg-type]
        )
    for name, points in zip(grid.dims, grid.coordinates(), strict=True):
        root.create_array(
            name,
            data=points.numpy(),
            dimension_names=(name,),
            attributes=description.variable_attributes(name),
            chunk_key_encoding=flat,  # type: ignore[arg-type]
        )
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is an extension; xarray reads and writes it.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(store)
