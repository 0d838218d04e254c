"""The latitude–longitude grids on which spherical harmonics can be told apart exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from spectune.errors import DataError

__all__ = ["SphereGrid"]

EARTH_RADIUS = 6.371e6  # m, the mean radius R_1 of IUGG

# Degrees; coordinates are often stored as float32 or rounded to a few digits.
_TOLERANCE = 2e-3

_Geometry = Literal["CC", "F1", "GL"]

_LATITUDES = {
    "CC": "equiangular with both poles",
    "F1": "equiangular, the poles half-way between points",
    "GL": "Gaussian",
}


@dataclass(frozen=True)
class SphereGrid:
    """A latitude–longitude grid of the whole sphere; fields are (..., latitude, longitude).

    Attributes:
        shape: (nlat, nlon).
        geometry: latitudes: "CC" equiangular with both poles (Clenshaw–Curtis), "F1" equiangular
            with the poles half-way between points (Fejér), "GL" Gaussian (Gauss–Legendre).
        north_first: whether the first latitude is the northernmost.
        radius: radius a of the sphere, in `unit`.
        unit: unit of length.
    """

    shape: tuple[int, int]
    geometry: _Geometry
    north_first: bool = True
    radius: float = EARTH_RADIUS
    unit: str = "m"

    @classmethod
    def from_coordinates(
        cls,
        latitude: ArrayLike,
        longitude: ArrayLike,
        radius: float = EARTH_RADIUS,
        unit: str = "m",
    ) -> SphereGrid:
        """Return the grid with these coordinates.

        Args:
            latitude: (nlat,) in degrees north, in either order.
            longitude: (nlon,) in degrees east, ascending, once around the globe.
            radius: radius of the sphere, in `unit`.
            unit: unit of length.

        Raises:
            DataError: if the latitudes are none of the three kinds, or the longitudes do not
                divide the globe evenly.
        """
        north, east = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        if north.ndim != 1 or east.ndim != 1 or len(north) < 3 or len(east) < 3:
            raise DataError(
                f"found latitudes of shape {north.shape} and longitudes of shape {east.shape}, "
                "expected two lists of at least 3 each"
            )
        steps = np.diff(east)
        if not np.allclose(steps, 360 / len(east), rtol=0, atol=_TOLERANCE):
            raise DataError(
                f"longitude: found {len(east)} points from {east[0]:g} to {east[-1]:g} in steps of "
                f"{steps.min():g} to {steps.max():g} degrees, expected even steps of "
                f"{360 / len(east):g} once around the globe; leave out a repeated meridian, "
                "interpolate, or take a region as a flat Grid"
            )
        north_first = bool(north[0] > north[-1])
        descending = north if north_first else north[::-1]
        n = len(north)
        kinds: dict[_Geometry, np.ndarray] = {
            "CC": np.linspace(90, -90, n),
            "F1": 90 - (np.arange(n) + 0.5) * 180 / n,
            "GL": np.degrees(np.arcsin(np.polynomial.legendre.leggauss(n)[0][::-1])),
        }
        for geometry, expected in kinds.items():
            if np.allclose(descending, expected, rtol=0, atol=_TOLERANCE):
                return cls((n, len(east)), geometry, north_first, radius, unit)
        raise DataError(
            f"latitude: found {n} points from {north[0]:g} to {north[-1]:g} degrees, expected the "
            f"whole sphere, one of: {'; '.join(_LATITUDES.values())}; interpolate to such a grid, "
            "or take a region as a flat Grid"
        )

    @property
    def highest_degree(self) -> int:
        """Highest degree l that the grid resolves in every order m ≤ l."""
        nlat, nlon = self.shape
        return min(nlat - 2 if self.geometry == "CC" else nlat - 1, (nlon - 1) // 2)
