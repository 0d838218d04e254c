"""Patches of simulated and observed stream function, and what tracks see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.altimetry import (
    DAY,
    GLOBAL,
    GRAVITY,
    RADIUS,
    ROTATION,
    Array,
    fetch,
    read,
    stream_function,
)
from benchmarks.blending.tracks import Seen, interpolate, observe
from benchmarks.transfers.flows import FLOWS
from spectune.data import Pairs
from spectune.grid import Grid

POINTS = 32
FINE = 80  # points of the simulated box, 1000 km, after interpolation
SPACING = 25.0  # km, of the observed patches
NOISE = np.array([0.15, 0.3] * 3)  # of the simulated tracks, in standard deviations of the field
CENTIMETRES = np.array([1.5, 3.0] * 3)  # of the observed tracks
DRAWS = 5  # of tracks over each simulated patch to train on
GIVEN = 4  # tracks that the network is given; the others are withheld


@dataclass(frozen=True)
class Patch:
    """A field and what tracks see of it, both in units of the deviation of what is seen.

    Attributes:
        field: (n, n), about the mean of what the given tracks see.
        seen: by all tracks.
    """

    field: Array
    seen: Seen

    @property
    def given(self) -> Seen:
        """What the network is given."""
        return self.seen.of(GIVEN)

    @property
    def withheld(self) -> Seen:
        """What it is not given."""
        return self.seen.of(GIVEN, rest=True)


def simulated(pairs: Pairs, seed: int, draws: int = 1) -> list[Patch]:
    """Return four patches of each snapshot, each seen by so many independent sets of tracks."""
    psi = pairs.inputs[:, pairs.input_names.index("psi_1")].numpy().astype(float)
    corners = (0, FINE // 2)
    fields = [
        field[a : a + POINTS, b : b + POINTS]
        for field in refined(psi, FINE)
        for a in corners
        for b in corners
        for _ in range(draws)
    ]
    return _seen(fields, [NOISE * field.std() for field in fields], seed)


def base_patches() -> tuple[list[Patch], list[Patch]]:
    """Return the simulated patches to train on, and those held out."""
    training, held_out = FLOWS["qg-eddy"].pairs()
    return simulated(training, 1, DRAWS), simulated(held_out, 2)


def target_patches() -> tuple[list[Patch], list[Patch]]:
    """Return the observed patches to train on, and those held out."""
    world = read(fetch(), GLOBAL)
    sets: tuple[list[Array], list[Array]] = ([], [])
    noise: tuple[list[Array], list[Array]] = ([], [])
    for latitude, longitude, held_out in tiles():
        psi = stream_function(world, 0, latitude, longitude, POINTS, SPACING)
        if psi is not None:
            coriolis = 2 * ROTATION * abs(np.sin(np.radians(latitude)))
            sets[held_out].append(psi)
            noise[held_out].append(GRAVITY / coriolis * CENTIMETRES / 100 * DAY / 1e6)
    return _seen(sets[0], noise[0], 3), _seen(sets[1], noise[1], 4)


def refined(fields: Array, points: int) -> Array:
    """Return periodic fields (…, n, n) on so many points, by their Fourier series."""
    n = fields.shape[-1]
    coefficients = np.fft.fftshift(np.fft.fft2(fields), axes=(-2, -1))
    before = (points - n) // 2
    around = [(0, 0)] * (fields.ndim - 2) + [(before, points - n - before)] * 2
    padded = np.fft.ifftshift(np.pad(coefficients, around), axes=(-2, -1))
    return np.asarray(np.fft.ifft2(padded).real * (points / n) ** 2)


def tiles() -> list[tuple[float, float, bool]]:
    """Return latitude and longitude of patches without overlap, and whether each is held out."""
    half = float(np.degrees(POINTS * SPACING / 2 / RADIUS))
    rows = np.arange(20 + half, 60 - half, 2 * half)
    found = []
    for latitude in (*rows, *-rows):
        wide = half / np.cos(np.radians(abs(latitude) + half))
        for sector in range(0, 360, 60):
            for west, east in ((sector, sector + 45), (sector + 45, sector + 60)):
                longitudes = np.arange(west + wide, east - wide, 2 * wide)
                held_out = west != sector
                found += [(float(latitude), float(x), held_out) for x in longitudes]
    return found


def _seen(fields: Sequence[Array], deviations: Sequence[Array], seed: int) -> list[Patch]:
    generator = np.random.default_rng(seed)
    patches = []
    for field, deviation in zip(fields, deviations, strict=True):
        seen = observe(field, deviation, generator)
        given = seen.of(GIVEN).value
        mean, unit = given.mean(), given.std()
        scaled = seen._replace(value=(seen.value - mean) / unit, variance=seen.variance / unit**2)
        patches.append(Patch((field - mean) / unit, scaled))
    return patches


def inputs(patches: Sequence[Patch], length: float) -> Tensor:
    """Return the interpolation of the given tracks and the map of their points, (n, 2, *grid)."""
    first = np.stack([interpolate(patch.given, POINTS, length) for patch in patches])
    where = np.zeros_like(first)
    for i, patch in enumerate(patches):
        where[i, patch.given.row, patch.given.column] = 1
    return torch.tensor(np.stack([first, where], axis=1), dtype=torch.float32)


def whole(patches: Sequence[Patch]) -> Tensor:
    """Return the fields, (n, 1, *grid)."""
    return torch.tensor(np.stack([p.field for p in patches])[:, None], dtype=torch.float32)


def withheld(patches: Sequence[Patch]) -> tuple[Tensor, Tensor]:
    """Return values and variances of the withheld tracks, (n, 1, *grid), NaN where none passes."""
    values = np.full((len(patches), 1, POINTS, POINTS), np.nan)
    variance = values.copy()
    for i, patch in enumerate(patches):
        seen = patch.withheld
        values[i, 0, seen.row, seen.column] = seen.value
        variance[i, 0, seen.row, seen.column] = seen.variance
    return torch.tensor(values, dtype=torch.float32), torch.tensor(variance, dtype=torch.float32)


def fitted_length(patches: Sequence[Patch]) -> float:
    """Return the length of covariance with the lowest weighted error on the withheld tracks."""

    def error(length: float) -> float:
        total = 0.0
        for patch in patches:
            field = interpolate(patch.given, POINTS, length)
            seen = patch.withheld
            difference = field[seen.row, seen.column] - seen.value
            total += float((difference**2 / seen.variance).sum() / (1 / seen.variance).sum())
        return total

    return min((1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0), key=error)


def grid() -> Grid:
    """Return the grid of the observed patches."""
    side = POINTS * SPACING
    return Grid((POINTS, POINTS), (side, side), ("y", "x"), periodic=False)
