"""Satellite tracks across a square field, and the optimal interpolation of what they see."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STEEPEST = np.radians(75)  # tracks make 60° to 75° with the rows
LEAST_STEEP = np.radians(60)


class Seen(NamedTuple):
    """What tracks see of one field, point by point.

    Attributes:
        row, column: of the points, (m,).
        track: number of the track that each is on, (m,).
        value: with noise, (m,).
        variance: of the noise, (m,).
    """

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    value: Array
    variance: Array

    def of(self, tracks: int, *, rest: bool = False) -> Seen:
        """Return the points of the first so many tracks, or of the rest."""
        chosen = (self.track < tracks) ^ rest
        return Seen(*(part[chosen] for part in self))


def observe(field: Array, deviations: Array, generator: np.random.Generator) -> Seen:
    """Return what as many tracks as `deviations` has see of a field.

    Tracks are straight and alternate between ascending and descending; each sees one point a row.

    Args:
        field: (n, n).
        deviations: standard deviation of the white noise of each track.
        generator: of positions, slopes and noise.
    """
    n = len(field)
    rows = np.arange(n)
    parts = []
    for track, deviation in enumerate(deviations):
        slope = 1 / np.tan(generator.uniform(LEAST_STEEP, STEEPEST)) * (-1) ** track
        middle = generator.uniform(0, n - 1)
        columns = np.rint(middle + slope * (rows - (n - 1) / 2)).astype(np.int64)
        inside = (columns >= 0) & (columns < n)
        row, column = rows[inside], columns[inside]
        noise = deviation * generator.standard_normal(len(row))
        parts.append(
            (
                row,
                column,
                np.full(len(row), track),
                field[row, column] + noise,
                np.full(len(row), deviation**2),
            )
        )
    return Seen(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def interpolate(seen: Seen, n: int, length: float) -> Array:
    r"""Return the optimal interpolation on n × n points, with the mean of what is seen as mean.

        ŷ = μ + C_{go} (C_{oo} + N)⁻¹ (d − μ),   C(r) = (1 + r/L) e^{−r/L}

    Args:
        seen: the observations d, with the variances N, in units in which the field has variance 1.
        n: points of a side.
        length: L in points.

    Source: Bretherton et al. 1976 (Deep-Sea Research 23); C is the Matérn covariance of order 3/2.
    """
    points = np.stack([seen.row, seen.column], axis=1).astype(float)
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1)
    among = _covariance(points[:, None] - points[None], length)
    across = _covariance(grid.reshape(-1, 1, 2) - points[None], length)
    mean = seen.value.mean()
    weights = np.linalg.solve(among + np.diag(seen.variance), seen.value - mean)
    return np.asarray(mean + (across @ weights).reshape(n, n))


def _covariance(offset: Array, length: float) -> Array:
    distance = np.hypot(offset[..., 0], offset[..., 1]) / length
    return np.asarray((1 + distance) * np.exp(-distance))
