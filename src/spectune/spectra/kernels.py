"""Convolution kernels in Fourier space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid

__all__ = ["complex_response", "dilation_steps", "kernel_response"]


def complex_response(weight: Tensor, grid: Grid, dilation: int | Sequence[int] = 1) -> Tensor:
    """Return the transfer function Ŵ of convolution kernels.

        Ŵ_ij(k) = Σ_s W_ij(s) exp(i k·(s − c)Δ),      ĥ_i = Σ_j Ŵ_ij ĝ_j + b̂_i

    the second for a layer h = W ⋆ g + b with circular padding, stride 1 and one group, where x̂ is
    `Grid.transform` and b̂ is b at k = 0. c = ⌊(K − 1)/2⌋ · dilation is the entry that lies on the
    output point, as with ``padding="same"``. The plus sign in the exponent is there because a
    torch convolution is a cross-correlation, h(r) = Σ_s W(s) g(r + (s − c)Δ).

    The sum over s is exact and separable; the kernel is not padded.

    Args:
        weight: (c_out, c_in, *kernel) as in `torch.nn.Conv1d`, `Conv2d` or `Conv3d`.
        grid: the grid on which the layer acts. Wavenumbers are those of the Fourier transform
            also where the box is not periodic: a kernel does not know the walls.
        dilation: spacing of the kernel's points, one number or one for each dimension.

    Returns:
        (c_out, c_in, *grid.half_shape), complex of the weight's precision.

    Raises:
        DataError: if the weight does not have two axes more than the grid.

    Source: Subel et al., PNAS Nexus 2 (2023), eq. 5; Mathieu et al., arXiv 1312.5851.
    """
    steps = dilation_steps(weight, grid, dilation)
    response = weight.to(torch.complex128 if weight.dtype == torch.float64 else torch.complex64)
    # The last dimension first: it has half the modes, so the products after it are smaller.
    for axis in reversed(range(grid.ndim)):
        size = weight.shape[2 + axis]
        n, modes = grid.shape[axis], grid.half_shape[axis]
        offset = (torch.arange(size) - (size - 1) // 2) * steps[axis]
        # Whole numbers modulo n keep the phase exact for large grids.
        turns = torch.outer(offset, torch.arange(modes)) % n
        phase = turns.to(torch.float64) * (2 * math.pi / n)
        matrix = torch.polar(torch.ones_like(phase), phase).to(weight.device, response.dtype)
        # (rows, size, modes done) keeps the result contiguous without moving axes.
        done = math.prod(grid.half_shape[axis + 1 :])
        response = matrix.T @ response.reshape(-1, size, done)
    return response.reshape(*weight.shape[:2], *grid.half_shape)


def kernel_response(weight: Tensor, grid: Grid, dilation: int | Sequence[int] = 1) -> Tensor:
    """Return the gain |Ŵ_ij(k)| of convolution kernels, the modulus of `complex_response`.

    It equals the modulus of the DFT of the kernel zero-padded to the grid.

    Args:
        weight: (c_out, c_in, *kernel).
        grid: the grid on which the layer acts.
        dilation: spacing of the kernel's points.

    Returns:
        (c_out, c_in, *grid.half_shape), real, in the weight's dtype.

    Raises:
        DataError: as `complex_response`.

    Source: Subel et al., PNAS Nexus 2 (2023), Fig. 4.
    """
    out = weight.new_empty((*weight.shape[:2], *grid.half_shape))
    for start in range(0, len(weight), step := _channels_at_a_time(weight, grid)):
        rows = slice(start, start + step)
        response = complex_response(weight[rows].detach(), grid, dilation)
        # Faster than abs(), whose guard against overflow gains nothing here.
        out[rows] = (response.real.square() + response.imag.square()).sqrt_()
    return out


def dilation_steps(weight: Tensor, grid: Grid, dilation: int | Sequence[int]) -> tuple[int, ...]:
    """Return the dilation in each dimension of the grid.

    Raises:
        DataError: if weight or dilation do not fit the dimensions of the grid.
    """
    if weight.ndim != grid.ndim + 2:
        raise DataError(
            f"weight: found shape {tuple(weight.shape)}, "
            f"expected (c_out, c_in) and {grid.ndim} kernel dimensions"
        )
    steps = (dilation,) * grid.ndim if isinstance(dilation, int) else tuple(dilation)
    if len(steps) != grid.ndim:
        raise DataError(f"dilation: found {steps}, expected one number or {grid.ndim}")
    return steps


def _channels_at_a_time(weight: Tensor, grid: Grid) -> int:
    """Return how many output channels to treat at once, so that complex copies stay small."""
    return max(1, 2**22 // (math.prod(grid.half_shape) * max(1, weight.shape[1])))
