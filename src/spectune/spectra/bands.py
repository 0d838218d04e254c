"""Named bands of wavenumbers, for errors that a sentence can quote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.spectra._bins import fundamental_wavenumber, nyquist_wavenumber
from spectune.spectra.sphere_grid import SphereGrid

__all__ = ["Band", "band_average", "bands", "degree_octaves", "in_band", "octaves"]


@dataclass(frozen=True)
class Band:
    """The shells with low < k ≤ high.

    Attributes:
        name: "large", "intermediate" or "small" for the default bands.
        low: lower limit, excluded, in radians per unit of length.
        high: upper limit, included.
    """

    name: str
    low: float
    high: float


def bands(grid: Grid) -> tuple[Band, Band, Band]:
    """Return the large, intermediate and small scales of a grid.

        (0, k_1], (k_1, k_2], (k_2, k_N],    k_1 = dk (k_N/dk)^{1/3},    k_2 = dk (k_N/dk)^{2/3}

    Thirds in log k between the fundamental wavenumber dk and the Nyquist radius k_N: turbulent
    spectra are near to power laws, so each band spans the same ratio of scales (on 64 points:
    shells 1–3, 4–10 and 11–32). The mean and the corner modes belong to no band.
    """
    first, last = fundamental_wavenumber(grid), nyquist_wavenumber(grid)
    ratio = max(1.0, last / first)
    limits = (0.0, first * ratio ** (1 / 3), first * ratio ** (2 / 3), first * ratio)
    large, intermediate, small = (
        Band(name, low, high)
        for name, low, high in zip(
            ("large", "intermediate", "small"), limits[:-1], limits[1:], strict=True
        )
    )
    return large, intermediate, small


def octaves(grid: Grid) -> tuple[Band, ...]:
    """Return bands of one octave from the fundamental wavenumber dk to the Nyquist radius k_N.

        (0, dk], (dk, 2 dk], (2 dk, 4 dk], …, (…, k_N]

    each named by its shells, such as "3–4". The last may be narrower.
    """
    dk, last = fundamental_wavenumber(grid), nyquist_wavenumber(grid)
    shells = max(1, math.floor(last / dk * (1 + 1e-9)))
    return tuple(Band(name, low * dk, high * dk) for name, low, high in _doublings(shells))


def degree_octaves(sphere: SphereGrid) -> tuple[Band, ...]:
    """Return bands of one octave of degrees l on the sphere, from 1 to the highest resolved.

    Each is named by its degrees, such as "3–4"; its limits are the wavenumbers √(l(l + 1))/a.
    """
    return tuple(
        Band(name, *(math.sqrt(end * (end + 1)) / sphere.radius for end in (low, high)))
        for name, low, high in _doublings(max(1, sphere.highest_degree))
    )


def _doublings(last: int) -> list[tuple[str, int, int]]:
    """Return name, lower limit (excluded) and upper limit of 1, 2, 3–4, 5–8, … up to a number."""
    limits = [0, *(2**i for i in range(math.ceil(math.log2(last)))), last]
    return [
        (f"{low + 1}–{high}" if high > low + 1 else f"{high}", low, high)
        for low, high in pairwise(limits)
    ]


def in_band(wavenumber: Tensor, band: Band) -> Tensor:
    """Return the (nk,) mask of the shells of a band."""
    slack = 1e-9 * band.high  # limits that fall on a shell must not depend on rounding
    return (wavenumber > band.low + slack) & (wavenumber <= band.high + slack)


def band_average(wavenumber: Tensor, values: Tensor, band: Band) -> Tensor:
    """Return the mean of `values` (..., nk) over the shells of a band, leaving out NaN.

    ⟨v⟩ = Σ_{low < k ≤ high} v(k) / (number of such k with v(k) not NaN); NaN where there is none.
    """
    inside: Tensor = values[..., in_band(wavenumber, band).to(values.device)]
    return torch.nanmean(inside, dim=-1)
