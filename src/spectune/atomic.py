"""Files that are either whole or not there: write aside, flush to disk, rename."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import xarray as xr

__all__ = ["remove_leftovers", "write_bytes", "write_dataset", "write_text"]

_SUFFIX = ".partial"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file so that no reader ever sees a part of it.

    Raises:
        OSError: the disk is full or not writable; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_SUFFIX}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, content.encode())


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """`write_bytes` for NetCDF."""
    write_bytes(path, bytes(dataset.to_netcdf(engine="h5netcdf")))


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed writer left aside."""
    for path in list(folder.rglob(f".*{_SUFFIX}")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
