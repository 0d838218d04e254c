"""A uniform rectangular grid and its Fourier transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor

__all__ = ["Grid", "resize"]


@dataclass(frozen=True)
class Grid:
    """Uniform grid of a rectangular box in one, two or three dimensions.

    Fields hold the grid in their last `ndim` axes, slowest dimension first: in 2D
    ``field[..., j, i] = f(y_j, x_i)``. The transform is the real FFT scaled so that

        x(r) = Σ_k x̂(k) exp(i k·r),        mean(x²) = Σ_k |x̂(k)|²,

    which makes coefficients independent of the resolution.

    Attributes:
        shape: number of points in each dimension.
        lengths: extent of the box in each dimension, in `unit`.
        dims: name of each dimension.
        periodic: whether the box is periodic in every dimension.
        unit: unit of length.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    dims: tuple[str, ...]
    periodic: bool = True
    unit: str = "1"

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= 3:
            raise ValueError(f"a grid has 1 to 3 dimensions, found shape {self.shape}")
        if not len(self.shape) == len(self.lengths) == len(self.dims):
            raise ValueError(
                f"shape {self.shape}, lengths {self.lengths} and dims {self.dims} "
                "must have one entry for each dimension"
            )
        if min(self.shape) < 2 or min(self.lengths) <= 0:
            raise ValueError(
                f"a grid needs at least 2 points and a positive length in each dimension, "
                f"found shape {self.shape} and lengths {self.lengths}"
            )

    @classmethod
    def square(cls, n: int, length: float = 2 * math.pi) -> Grid:
        """Return the doubly periodic n × n grid of [0, length)²."""
        return cls((n, n), (length, length), ("y", "x"))

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring points in each dimension."""
        return tuple(length / n for length, n in zip(self.lengths, self.shape, strict=True))

    @property
    def half_shape(self) -> tuple[int, ...]:
        """Shape of the Fourier coefficients of a real field."""
        return (*self.shape[:-1], self.shape[-1] // 2 + 1)

    def coordinates(self) -> tuple[Tensor, ...]:
        """Return the coordinate of the points along each dimension (float64)."""
        return tuple(
            torch.arange(n, dtype=torch.float64) * h
            for n, h in zip(self.shape, self.spacing, strict=True)
        )

    def wavenumbers(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, ...]:
        """Return the wavenumber along each dimension, shaped to broadcast to `half_shape`."""
        components = []
        for axis, (n, length) in enumerate(zip(self.shape, self.lengths, strict=True)):
            frequency = torch.fft.rfftfreq if axis == self.ndim - 1 else torch.fft.fftfreq
            # By way of the mode number, so that wavenumbers of a box of length 2π are integers.
            mode = (frequency(n, dtype=torch.float64) * n).round()
            k = mode * (2 * math.pi / length)
            view = [1] * self.ndim
            view[axis] = -1
            components.append(k.reshape(view).to(device=device, dtype=dtype))
        return tuple(components)

    def squared_wavenumber(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Return |k|² on the half-plane."""
        total = torch.zeros(self.half_shape, dtype=torch.float64)
        for k in self.wavenumbers():
            total = total + k**2
        return total.to(device=device, dtype=dtype)

    def transform(self, field: Tensor) -> Tensor:
        """Return the Fourier coefficients x̂ of a real field (..., *shape)."""
        coefficients: Tensor = torch.fft.rfftn(field, dim=self._axes, norm="forward")
        return coefficients

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Return the real field of Fourier coefficients (..., *half_shape)."""
        field: Tensor = torch.fft.irfftn(coefficients, s=self.shape, dim=self._axes, norm="forward")
        return field

    def resolved(self, device: torch.device | str = "cpu") -> Tensor:
        """Return a mask of the modes below the Nyquist wavenumber in every dimension.

        The Nyquist mode of an even grid has no sign, so its derivative is undefined; evolving it
        produces energy out of nothing.
        """
        mask = torch.ones(self.half_shape, dtype=torch.bool)
        for axis, n in enumerate(self.shape):
            if n % 2 == 0:
                mask.select(axis, n // 2).fill_(False)
        return mask.to(device)

    def with_shape(self, shape: tuple[int, ...]) -> Grid:
        """Return a grid of the same box with another number of points."""
        return Grid(shape, self.lengths, self.dims, self.periodic, self.unit)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as plain values, for JSON and store attributes."""
        return {
            "shape": list(self.shape),
            "lengths": list(self.lengths),
            "dims": list(self.dims),
            "periodic": self.periodic,
            "unit": self.unit,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Grid:
        """Rebuild a grid from `to_dict`."""
        return cls(
            tuple(values["shape"]),
            tuple(values["lengths"]),
            tuple(values["dims"]),
            values["periodic"],
            values["unit"],
        )

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-self.ndim, 0))


def resize(coefficients: Tensor, source: Grid, target: Grid) -> Tensor:
    """Truncate or zero-pad Fourier coefficients to the modes of another grid of the same box.

    Keeps the modes |k_i| < min(N_source, N_target)/2 in every dimension; the Nyquist modes of the
    smaller grid are dropped. Both grids must span the same box.

    Args:
        coefficients: (..., *source.half_shape), complex.
        source: grid of the coefficients.
        target: grid to represent them on.

    Returns:
        (..., *target.half_shape), same dtype.
    """
    if source.lengths != target.lengths:
        raise ValueError(f"the boxes differ: {source.lengths} and {target.lengths}")
    out = coefficients.new_zeros((*coefficients.shape[: -source.ndim], *target.half_shape))
    kept = [(min(n, m) - 1) // 2 for n, m in zip(source.shape, target.shape, strict=True)]
    # In the full dimensions, non-negative wavenumbers sit at the front and negative at the back.
    blocks: list[tuple[slice, ...]] = [()]
    for k in kept[:-1]:
        halves = [slice(0, k + 1)] + ([slice(-k, None)] if k else [])
        blocks = [(*block, half) for block in blocks for half in halves]
    for block in blocks:
        index: tuple[EllipsisType | slice, ...] = (..., *block, slice(0, kept[-1] + 1))
        out[index] = coefficients[index]
    return out
