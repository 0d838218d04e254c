"""Opening a path as an xarray dataset, with one clear message when that fails."""

from __future__ import annotations

import warnings
from pathlib import Path

import xarray as xr
import zarr

from spectune.errors import DataError

__all__ = ["open_dataset"]

_PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".joblib"}
_ARRAYS = {".npy", ".npz"}
_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open a Zarr folder or zip, a NetCDF or HDF5 file, or what else xarray opens, lazily.

    Durations stay numbers: a variable in units of "s" is a field, not a timedelta.

    Raises:
        DataError: the path does not exist, or is not a dataset.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; expected a Zarr folder or a NetCDF or HDF5 file")
    if path.suffix.lower() in _PICKLES:
        raise DataError(
            f"{path} is a pickle file: it can run any program when it is read, so it is never "
            "opened as data; save the arrays from where they were made with "
            "xarray.Dataset.to_netcdf or to_zarr"
        )
    if path.suffix.lower() in _ARRAYS:
        raise DataError(
            f"{path} is a NumPy file, which names no dimensions: put its arrays into an "
            "xarray.Dataset with dimensions such as ('time', 'y', 'x'), and pass that or save it "
            "with to_netcdf"
        )
    try:
        if path.is_dir():
            return _open_zarr(path)
        if path.suffix.lower() == ".zip":
            return _open_zarr(zarr.storage.ZipStore(path, mode="r"))
        with path.open("rb") as file:
            is_hdf5 = file.read(len(_HDF5)) == _HDF5
        if is_hdf5:
            # Plain HDF5 without dimension scales opens too, with dimensions named by size.
            return xr.open_dataset(
                path, engine="h5netcdf", phony_dims="sort", decode_timedelta=False
            )
        return xr.open_dataset(path, decode_timedelta=False)
    except Exception as error:  # a corrupt file can make the libraries below raise anything
        raise DataError(
            f"{path} is not a dataset that can be read ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'}); expected a Zarr "
            "folder or zip, or a NetCDF or HDF5 file"
        ) from error


def _open_zarr(store: Path | zarr.storage.ZipStore) -> xr.Dataset:
    with warnings.catch_warnings():
        # Consolidated metadata only makes opening faster; data without it is as good.
        warnings.filterwarnings("ignore", "Failed to open Zarr store with consolidated")
        return xr.open_dataset(
            store,  # type: ignore[arg-type]  # xarray takes any zarr store
            engine="zarr",
            decode_timedelta=False,
        )
