"""The loss along chosen directions: lines, the plane, the valley."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor

from spectune.errors import DataError
from spectune.landscape.products import Curvature

__all__ = ["LandscapeSlice", "landscape_slice"]

# Steps of the search for a minimum, each with a quarter of the spacing of the one before.
_REFINEMENTS = 4
# Doublings of the distance after which a valley is called unbounded.
_DOUBLINGS = 20


@dataclass(frozen=True)
class LandscapeSlice:
    """Loss of the network itself near θ, along d = 1 or 2 directions v.

    Attributes:
        loss: L(θ).
        slopes: (d,) dL/da at θ, float64, as all of the following.
        curvatures: (d,) d²L/da² at θ = vᵀH v.
        offsets: (d, points) a, the distances from θ.
        lines: (d, points) L(θ + a v).
        plane: (points, points) L(θ + a v_1 + b v_2), a along rows; None with one direction.
        line_lowest: (d,) lowest loss found on each line.
        line_lowest_at: (d,) where.
        widths: (d,) width of the valley: distance of the two points on either side of the lowest
            one of a line at which the loss has risen by `rise`; infinite where it does not rise.
        rise: see `widths`.
        lowest: lowest loss found in the plane, or on the line.
        lowest_at: (d,) where.
    """

    loss: float
    slopes: Tensor
    curvatures: Tensor
    offsets: Tensor
    lines: Tensor
    plane: Tensor | None
    line_lowest: Tensor
    line_lowest_at: Tensor
    widths: Tensor
    rise: float
    lowest: float
    lowest_at: Tensor

    def to_dataset(self) -> xr.Dataset:
        """Return everything with names; distances are in units of the weights."""
        data: dict[str, object] = {
            "offset": (("direction", "point"), self.offsets.numpy()),
            "loss_on_line": (("direction", "point"), self.lines.numpy()),
            "slope": ("direction", self.slopes.numpy()),
            "curvature": ("direction", self.curvatures.numpy()),
            "lowest_on_line": ("direction", self.line_lowest.numpy()),
            "lowest_on_line_at": ("direction", self.line_lowest_at.numpy()),
            "width": ("direction", self.widths.numpy()),
            "lowest_at": ("direction", self.lowest_at.numpy()),
        }
        if self.plane is not None:
            data["loss_on_plane"] = (("point", "point_2"), self.plane.numpy())
        return xr.Dataset(
            data,
            coords={"direction": range(1, len(self.slopes) + 1)},
            attrs={"loss": self.loss, "lowest": self.lowest, "rise": self.rise},
        )


def landscape_slice(
    curvature: Curvature,
    directions: Tensor,
    *,
    radii: Sequence[float] | None = None,
    points: int = 11,
    rise: float | None = None,
) -> LandscapeSlice:
    """Return the loss on the lines along one or two directions, and in the plane of two.

        L(θ + a v_1),   L(θ + b v_2),   L(θ + a v_1 + b v_2)

    for unit vectors v, such as the leading eigenvectors of a layer's Hessian block. All values are
    those of the network itself; the part in front of the layer has run once. Lowest points are
    refined by parabolas, which is exact for a quadratic loss and eigenvectors.

    Args:
        curvature: loss and products of the layer, on the target data.
        directions: (1, size) or (2, size), orthonormal.
        radii: largest |a| of each direction. By default one and a half times what the quadratic
            model needs for its minimum and its width on both sides.
        points: of each line, odd, so that θ is one of them, at least 3.
        rise: of the loss, that ends a valley; by default L(θ), so that the loss about doubles.

    Returns:
        A `LandscapeSlice`, on the CPU.

    Raises:
        DataError: directions that are not orthonormal, points or radii of no use, no rise where
            L(θ) = 0, or a loss that is not finite.

    Source: Li et al. 2018 (NeurIPS), Visualizing the loss landscape of neural nets; Yao et al. 2020
    (IEEE Big Data) for eigenvectors as axes.
    """
    directions = directions.to(curvature.device, curvature.dtype)
    _check(directions, curvature.size, points)
    loss = curvature.loss()
    rise = loss if rise is None else rise
    if not rise > 0:
        raise DataError(
            f"rise: found {rise}, expected more than 0; where the loss is 0 it cannot double, so "
            "say by how much it shall rise"
        )
    slopes = directions.double() @ curvature.gradient().double()
    curvatures = torch.stack(
        [v.double() @ curvature.hessian_product(v).double() for v in directions]
    )
    if radii is None:
        radii = [_radius(float(s), float(c), rise) for s, c in zip(slopes, curvatures, strict=True)]
    if len(radii) != len(directions) or not all(0 < radius < math.inf for radius in radii):
        raise DataError(f"radii: found {list(radii)}, expected one positive for each direction")

    def at(*offsets: float) -> float:
        steps = torch.tensor(offsets, dtype=directions.dtype, device=directions.device)
        value = curvature.loss_at(steps @ directions)
        if not math.isfinite(value):
            raise DataError(f"the loss is {value} at the offsets {offsets}; use smaller radii")
        return value

    span = torch.linspace(-1, 1, points, dtype=torch.float64)
    span[points // 2] = 0.0
    offsets = torch.stack([radius * span for radius in radii])
    lines, minima, widths = [], [], []
    for i, axis in enumerate(offsets):

        def along(a: float, i: int = i) -> float:
            return at(*(a if j == i else 0.0 for j in range(len(directions))))

        lines.append(torch.tensor([along(float(a)) for a in axis], dtype=torch.float64))
        start = float(axis[lines[-1].argmin()])
        minima.append(_lowest(along, start, float(axis[-1]) * 2 / (points - 1)))
        widths.append(_width(along, *minima[-1], rise, float(axis[-1])))
    plane = None
    lowest_at, lowest = [minima[0][0]], minima[0][1]
    if len(directions) == 2:
        values = [[at(float(a), float(b)) for b in offsets[1]] for a in offsets[0]]
        plane = torch.tensor(values, dtype=torch.float64)
        lowest_at, lowest = _lowest_in_plane(at, plane, offsets)
    return LandscapeSlice(
        loss=loss,
        slopes=slopes.cpu(),
        curvatures=curvatures.cpu(),
        offsets=offsets,
        lines=torch.stack(lines),
        plane=plane,
        line_lowest=torch.tensor([value for _, value in minima], dtype=torch.float64),
        line_lowest_at=torch.tensor([a for a, _ in minima], dtype=torch.float64),
        widths=torch.tensor(widths, dtype=torch.float64),
        rise=rise,
        lowest=lowest,
        lowest_at=torch.tensor(lowest_at, dtype=torch.float64),
    )


def _check(directions: Tensor, size: int, points: int) -> None:
    if directions.ndim != 2 or len(directions) not in (1, 2) or directions.shape[1] != size:
        raise DataError(
            f"directions: found shape {tuple(directions.shape)}, expected (1 or 2, {size})"
        )
    gram = directions.double() @ directions.double().T
    off = float((gram - torch.eye(len(directions)).to(gram)).abs().max())
    if not off < 1e-3:
        raise DataError(f"directions: found products off by {off:.2g}, expected orthonormal rows")
    if points < 3 or points % 2 == 0:
        raise DataError(f"points: found {points}, expected an odd number of at least 3")


def _radius(slope: float, curvature: float, rise: float) -> float:
    bend = abs(curvature)
    if bend == 0:  # not a valley; far enough for the slope to change the loss by the rise
        return rise / abs(slope) if slope else 1.0
    return 1.5 * (abs(slope) / bend + math.sqrt(2 * rise / bend))


def _lowest(along: Callable[[float], float], start: float, spacing: float) -> tuple[float, float]:
    """Return place and value of the lowest loss near a point of a line."""
    place, value = start, along(start)
    for _ in range(_REFINEMENTS):
        before, after = along(place - spacing), along(place + spacing)
        bend = before - 2 * value + after
        candidates = [(value, place), (before, place - spacing), (after, place + spacing)]
        if bend > 0:
            vertex = place + spacing * max(-1.0, min(1.0, (before - after) / (2 * bend)))
            candidates.append((along(vertex), vertex))
        value, place = min(candidates)
        spacing /= 4
    return place, value


def _lowest_in_plane(
    at: Callable[[float, float], float], plane: Tensor, offsets: Tensor
) -> tuple[list[float], float]:
    """Return place and value of the lowest loss near the lowest of the grid, axis by axis."""
    row, column = divmod(int(plane.argmin()), plane.shape[1])
    a, b = float(offsets[0, row]), float(offsets[1, column])
    value = float(plane[row, column])
    for _ in range(2):
        a, value = _lowest(lambda x, b=b: at(x, b), a, float(offsets[0, 1] - offsets[0, 0]))  # type: ignore[misc]
        b, value = _lowest(lambda x, a=a: at(a, x), b, float(offsets[1, 1] - offsets[1, 0]))  # type: ignore[misc]
    return [a, b], value


def _width(
    along: Callable[[float], float], place: float, lowest: float, rise: float, radius: float
) -> float:
    """Return the distance of the points at which the loss is `rise` above its lowest value."""

    def excess(distance: float) -> float:
        # The root makes a quadratic valley linear, so that one interpolation finds its edge.
        return math.sqrt(max(along(place + distance) - lowest, 0.0) / rise) - 1

    return sum(_edge(excess, side * radius) for side in (-1, 1))


def _edge(excess: Callable[[float], float], step: float) -> float:
    """Return the distance at which `excess` changes its sign, in the direction of a step."""
    inside, outside = (0.0, -1.0), (step / 4, excess(step / 4))
    for _ in range(_DOUBLINGS):
        if outside[1] >= 0:
            break
        inside, outside = outside, (2 * outside[0], excess(2 * outside[0]))
    else:
        return math.inf
    kept = 0
    while abs(outside[0] - inside[0]) > 1e-6 * abs(outside[0]):
        share = inside[1] / (inside[1] - outside[1])
        if kept >= 2:  # one end stays: halve instead
            share, kept = 0.5, 0
        middle = inside[0] + share * (outside[0] - inside[0])
        value = excess(middle)
        if abs(value) < 1e-9:
            return abs(middle)
        kept = kept + 1
        if value < 0:
            inside = (middle, value)
        else:
            outside = (middle, value)
    return abs(outside[0])
