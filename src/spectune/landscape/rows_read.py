"""What the weights of a layer are multiplied with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["is_plain", "rows_read"]

# Second moments of rows cost width² each: as many rows as this work allows, but several for each
# unknown. Of wider rows nothing is kept.
WORK = 2**28
ROWS_PER_COLUMN = 4
WIDEST = 2048

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)
_CHANNELS_FIRST = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)


def is_plain(module: nn.Module) -> bool:
    """Say whether a module is one matrix, applied to patches or points: h = W p + b."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return module.groups == 1
    return isinstance(module, nn.Linear)


def rows_read(module: nn.Module, inputs: Tensor, *, calls: int = 1) -> Tensor | None:
    """Return what a layer reads at each point of its output, a row a point.

    For a plain convolution (see `is_plain`) the patch under its kernel, (points, c_in · kernel) in
    the order of its weights; for a linear layer or a layer norm the last axis; for any other
    convolution or norm its channels, (points, c). Where there are more rows than their second
    moment needs, they are thinned evenly.

    Args:
        module: the layer.
        inputs: its input, (n, c, *grid), or (..., c) where channels come last.
        calls: number of calls whose rows will be put together.

    Returns:
        None for any other kind of module, and where the rows are too wide.
    """
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and is_plain(module):
        width = module.weight[0].numel()
        return None if width > WIDEST else _patches(module, inputs, _affordable(width, calls))
    if isinstance(module, _CHANNELS_LAST):
        rows = inputs.reshape(-1, inputs.shape[-1])
    elif isinstance(module, _CHANNELS_FIRST):
        rows = inputs.movedim(1, -1).reshape(-1, inputs.shape[1])
    else:
        return None
    width = rows.shape[1]
    return None if width > WIDEST else rows[:: _step(len(rows), _affordable(width, calls))]


def _affordable(width: int, calls: int) -> int:
    return max(1, max(ROWS_PER_COLUMN * width, WORK // width**2) // calls)


def _step(rows: int, wanted: int) -> int:
    return max(1, rows // wanted)


def _patches(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, inputs: Tensor, wanted: int) -> Tensor:
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    windows = nn.functional.pad(inputs, module._reversed_padding_repeated_twice, mode=mode)
    for axis, (size, step, gap) in enumerate(
        zip(module.kernel_size, module.stride, module.dilation, strict=True), start=2
    ):
        windows = windows.unfold(axis, gap * (size - 1) + 1, step)[..., ::gap]
    # (n, c, *positions, *kernel) → (points, c · kernel), thinned before it is copied.
    ndim = len(module.kernel_size)
    places = windows.movedim(1, 1 + ndim)
    shape = places.shape[: 1 + ndim]
    points = math.prod(shape)
    chosen = torch.arange(0, points, _step(points, wanted), device=inputs.device)
    return places[torch.unravel_index(chosen, shape)].flatten(1)
