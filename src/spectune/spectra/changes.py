"""How far kernels moved in re-training, and how much of that another seed repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._modes import full_plane_weight
from spectune.spectra.kernels import kernel_response

__all__ = ["KernelChange", "kernel_change", "kernel_change_over_seeds"]

_BLOCK = 2**20  # values of |Ŵ| at a time


@dataclass(frozen=True)
class KernelChange:
    """How far each kernel moved.

    Attributes:
        weight: (c_out, c_in) ‖ΔW‖_F.
        response: (c_out, c_in) ‖Δ|Ŵ|‖_F / √N with N grid points, never above `weight`.
        weight_noise: (c_out, c_in) the part of `weight` that differs from seed to seed, or None
            for a single re-training.
        response_noise: the same of `response`.
    """

    weight: Tensor
    response: Tensor
    weight_noise: Tensor | None = None
    response_noise: Tensor | None = None


def kernel_change(
    before: Tensor, after: Tensor, grid: Grid, dilation: int | Sequence[int] = 1
) -> KernelChange:
    """Return how far each kernel moved, in value and in gain.

        ‖ΔW‖_F = √Σ_s (W' − W)²,      ‖Δ|Ŵ|‖_F / √N = √[(1/N) Σ_k (|Ŵ'| − |Ŵ|)²]

    over all N modes of the full plane. With 1/√N, ‖Ŵ‖ = ‖W‖ by Parseval and the second is at most
    the first; their gap is change of phase alone, such as a kernel that only moved or flipped.
    (The paper's ‖Δ|Ŵ|‖_F has no 1/√N: a constant factor.)

    Args:
        before: (c_out, c_in, *kernel) weights before re-training.
        after: the same shape, after it.
        grid: the grid on which the layer acts, at least as large as the dilated kernel.
        dilation: spacing of the kernel's points.

    Returns:
        A `KernelChange` with (c_out, c_in) arrays.

    Raises:
        DataError: if the shapes differ, or as `complex_response`.

    Source: Subel et al., PNAS Nexus 2 (2023), Fig. 5.
    """
    weight, response, _, _ = _moments(before, [after], grid, dilation)
    return KernelChange(weight, response)


def kernel_change_over_seeds(
    before: Tensor, after: Sequence[Tensor], grid: Grid, dilation: int | Sequence[int] = 1
) -> KernelChange:
    """Return how far each kernel moved in several re-trainings, and the noise of one of them.

        change² = (1/S) Σ_s ‖Δ_s‖²,      noise² = 1/(S − 1) Σ_s ‖Δ_s − Δ̄‖²,      Δ̄ = (1/S) Σ_s Δ_s

    with Δ_s = W'_s − W, and the same for |Ŵ| as in `kernel_change`. If every re-training makes the
    same change plus its own random one, noise² estimates the second without bias and change² the
    sum of both: change ≈ noise means that nothing of a kernel's change would come back with
    another seed. The seeds must start from the same weights: two networks trained from different
    initial weights differ by permutations of channels, which no noise level accounts for.

    Args:
        before: (c_out, c_in, *kernel) weights before re-training.
        after: S ≥ 2 tensors of the same shape, one for each seed.
        grid: the grid on which the layer acts.
        dilation: spacing of the kernel's points.

    Returns:
        A `KernelChange` with the root mean squares over seeds and both noise levels.

    Raises:
        DataError: if there are fewer than two seeds, or as `kernel_change`.
    """
    if len(after) < 2:
        raise DataError(f"after: found {len(after)} re-trained weight(s), expected at least 2")
    return KernelChange(*_moments(before, after, grid, dilation))


def _moments(
    before: Tensor, after: Sequence[Tensor], grid: Grid, dilation: int | Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return root mean square and noise of ΔW and Δ|Ŵ|, each (c_out, c_in)."""
    for tensor in after:
        if before.shape != tensor.shape:
            raise DataError(
                f"after: found shape {tuple(tensor.shape)}, expected {tuple(before.shape)} "
                "as before"
            )
    waves = replace(grid, periodic=True)
    start = before.detach().flatten(0, 1)[:, None]
    ends = [tensor.detach().to(before).flatten(0, 1)[:, None] for tensor in after]
    of_mode = (full_plane_weight(waves, before.device) / math.prod(grid.shape)).to(before.dtype)
    of_weight = torch.ones(start[0].numel(), dtype=start.dtype, device=start.device)
    parts: list[list[Tensor]] = [[], [], [], []]
    size = max(1, _BLOCK // (math.prod(grid.half_shape) * len(ends)))
    for row in range(0, len(start), size):
        rows = slice(row, row + size)
        moved = torch.stack([(end[rows] - start[rows]).flatten(1) for end in ends])
        gain = kernel_response(start[rows], waves, dilation).flatten(1)
        gains = torch.stack(
            [kernel_response(end[rows], waves, dilation).flatten(1) - gain for end in ends]
        )
        total, noise = _spread(moved, of_weight)
        total_gain, noise_gain = _spread(gains, of_mode.flatten())
        for kept, new in zip(parts, (total, total_gain, noise, noise_gain), strict=True):
            kept.append(new)
    shape = before.shape[:2]
    weight, response, weight_noise, response_noise = (
        torch.cat(kept).sqrt().reshape(shape) for kept in parts
    )
    return weight, response, weight_noise, response_noise


def _spread(changes: Tensor, measure: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean square and variance over seeds of changes (S, n, m), each (n,)."""
    total = (changes.square() @ measure).mean(0)
    noise = (changes - changes.mean(0)).square() @ measure
    return total, noise.sum(0) / max(1, len(changes) - 1)
