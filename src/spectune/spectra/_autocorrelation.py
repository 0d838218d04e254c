"""The power response of a kernel from its autocorrelation: a few numbers instead of a plane."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = [
    "autocorrelation",
    "cosine_sums",
    "offset_of_pairs",
    "power_blocks",
    "sums_of_power",
]

_BLOCK = 2**19  # values of P at a time: small enough to stay in the cache


def autocorrelation(kernels: Tensor) -> Tensor:
    """Return A(s) = Σ_t W(t) W(t + s), whose transform is the power response.

        P(k) = |Ŵ(k)|² = Σ_s A(s) cos(k·s)

    Args:
        kernels: (n, *kernel), float32 or float64.

    Returns:
        (n, K₁, 2K₂ − 1, …), float64: offsets 0 … K₁ − 1 along the first axis and −(K − 1) … K − 1
        along the others. Offsets with s₁ > 0 are doubled, because they stand for −s too.
    """
    sizes = kernels.shape[1:]
    axes = tuple(range(1, kernels.ndim))
    # Zero-padded to twice the kernel, the circular correlation is the plain one.
    padded = [2 * size for size in sizes]
    spectrum = torch.fft.rfftn(kernels.to(torch.float64), s=padded, dim=axes)
    a: Tensor = torch.fft.irfftn(
        spectrum.real.square() + spectrum.imag.square(), s=padded, dim=axes
    )
    a = a.narrow(1, 0, sizes[0]).clone()
    for axis, size in zip(axes[1:], sizes[1:], strict=True):
        a = a.roll(size - 1, axis).narrow(axis, 0, 2 * size - 1)
    a[:, 1:] *= 2
    return a


def sums_of_power(a: Tensor, columns: Tensor, grid: Grid, dilation: Sequence[int]) -> Tensor:
    """Return sums of the power response over all modes of the full plane, without forming it.

        Σ_k c(k) P(k) = Σ_s A(s) C(s),      C(s) = Σ_k c(k) cos(k·s)

    C is the inverse transform of c at the grid points that the kernel's offsets reach, so that the
    cost is that of the autocorrelation and not of the grid.

    Args:
        a: (n, …) from `autocorrelation`.
        columns: (m, *grid.half_shape) the weights c, equal at k and −k.
        grid: grid on which the kernel acts.
        dilation: spacing of the kernel's points in each dimension.

    Returns:
        (n, m), float64.
    """
    return a.flatten(1) @ cosine_sums(a.shape[1:], columns, grid, dilation).to(a.device)


def cosine_sums(
    shape: Sequence[int], columns: Tensor, grid: Grid, dilation: Sequence[int]
) -> Tensor:
    """Return C(s) of `sums_of_power` for an autocorrelation of a shape, (offsets, m), float64."""
    return torch.stack([_at_offsets(c, shape, grid, dilation) for c in columns], dim=1)


def offset_of_pairs(kernel: Sequence[int]) -> Tensor:
    """Return the flat offset in an `autocorrelation` of every ordered pair of kernel points.

    Args:
        kernel: points of the kernel in each dimension.

    Returns:
        (points²,), int64: adding the products W(t) W(t') up by it gives A, doubling included.
    """
    points = torch.cartesian_prod(*(torch.arange(size) for size in kernel))
    points = points.reshape(-1, len(kernel))
    offset = (points[None] - points[:, None]).flatten(0, 1)
    offset = torch.where(offset[:, :1] < 0, -offset, offset)
    flat = offset[:, 0]
    for axis, size in enumerate(kernel[1:], start=1):
        flat = flat * (2 * size - 1) + offset[:, axis] + size - 1
    return flat


def _at_offsets(
    column: Tensor, shape: Sequence[int], grid: Grid, dilation: Sequence[int]
) -> Tensor:
    field = grid.inverse(column.to(torch.complex128))
    for axis in range(grid.ndim):
        reach = _offsets(shape, axis, dilation) % grid.shape[axis]
        field = field.index_select(axis, reach)
    return field.flatten()


def power_blocks(a: Tensor, grid: Grid, dilation: Sequence[int]) -> Iterator[Tensor]:
    """Yield P(k) of a few kernels at a time, (modes of the first axis, b, the other modes).

    The transform is a product with cosines in the first dimension, whose half of the offsets is
    enough, and with exp(i k s) in the others. float32: P is wanted against its own largest value.

    Args:
        a: (n, …) from `autocorrelation`.
        grid: grid on which the kernel acts.
        dilation: spacing of the kernel's points in each dimension.
    """
    # In one dimension the half-plane is cut in the first axis already.
    modes = grid.half_shape
    others = math.prod(modes[1:])
    phases = [
        _phases(_offsets(a.shape[1:], axis, dilation), modes[axis], grid.shape[axis]).to(a.device)
        for axis in range(grid.ndim)
    ]
    first = torch.cat((phases[0].real, -phases[0].imag), dim=1)
    size = max(1, _BLOCK // (modes[0] * others))
    for start in range(0, len(a), size):
        block = a[start : start + size].to(torch.float32).movedim(0, 1)
        offsets, count = block.shape[:2]
        x = block.to(torch.complex64) if grid.ndim > 1 else block.reshape(offsets, count, 1)
        for axis in range(1, grid.ndim):
            x = torch.tensordot(x, phases[axis].T, dims=([2], [0]))
        flat = x.reshape(offsets, -1)
        parts = torch.cat((flat.real, flat.imag)) if flat.is_complex() else flat
        power = first[:, : len(parts)] @ parts
        yield power.reshape(modes[0], count, others)


def _offsets(shape: Sequence[int], axis: int, dilation: Sequence[int]) -> Tensor:
    size = shape[axis]
    start = 0 if axis == 0 else -(size // 2)
    return torch.arange(start, start + size) * dilation[axis]


def _phases(offsets: Tensor, modes: int, n: int) -> Tensor:
    """Return exp(2πi m s / n), (modes, offsets); whole numbers modulo n keep the phase exact."""
    turns = torch.outer(torch.arange(modes), offsets) % n
    angle = turns.to(torch.float64) * (2 * math.pi / n)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
