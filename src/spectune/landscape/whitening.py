"""Whitening of a layer's inputs: the preconditioner of the least-squares fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["Preconditioner", "input_whitening"]

Preconditioner = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""From a gradient to the step it suggests, by parameter name."""

# Rows of the patch matrix: many more than unknowns, few enough to be quick.
ROWS = 20_000


def input_whitening(
    model: nn.Module, parameters: list[str], inputs: Tensor, *, damping: float = 1e-2
) -> Preconditioner:
    """Return the inverse second moment of what a convolution or linear layer sees.

        δW ← δW A⁻¹,      A = ⟨p pᵀ⟩ + damping ⟨p²⟩ I,

    p the patches under the kernel (a 1 appended for the bias). Neighbouring points of a smooth
    field are almost equal, so that the curvature of the layer, which contains A as a factor, is
    nearly singular along fine stencils. Without A⁻¹ a few iterations of conjugate gradients do not
    get there, and shallow layers, whose inputs are the fields themselves, look worse than they are.

    Any other kind of layer is left as it is.

    Args:
        model: network from its inputs to its outputs, in evaluation mode.
        parameters: names of the parameters of one layer.
        inputs: (n, c, *grid), on which A is measured.
        damping: relative to the mean square of the patches.

    Source: the input factor of Martens and Grosse 2015 (ICML), Kronecker-factored curvature;
    Grosse and Martens 2016 (ICML) for convolutions.
    """
    owner = parameters[0].rpartition(".")[0]
    layer = model.get_submodule(owner)
    names = {name.rpartition(".")[2]: name for name in parameters}
    if not _is_plain(layer) or "weight" not in names or not set(names) <= {"weight", "bias"}:
        return dict
    patches: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        patches.append(_patches(layer, arguments[0].detach()))

    handle = layer.register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        handle.remove()
    if not patches:
        return dict
    rows = torch.cat(patches)
    rows = rows[:: max(1, len(rows) // ROWS)].double()
    if "bias" in names:
        rows = torch.cat((rows, torch.ones(len(rows), 1, dtype=rows.dtype)), dim=1)
    moment = rows.T @ rows / len(rows)
    moment.diagonal().add_(damping * moment.diagonal().mean().clamp(min=1e-30))
    inverse = torch.linalg.inv(moment)

    def apply(gradient: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weight = gradient[names["weight"]]
        rows = weight.flatten(1)
        if "bias" not in names:
            return {names["weight"]: (rows @ inverse.to(rows)).reshape(weight.shape)}
        rows = torch.cat((rows, gradient[names["bias"]][:, None]), dim=1) @ inverse.to(weight)
        return {
            names["weight"]: rows[:, :-1].reshape(weight.shape),
            names["bias"]: rows[:, -1],
        }

    return apply


def _is_plain(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return layer.groups == 1
    return isinstance(layer, nn.Linear)


def _patches(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the weights of each output point are multiplied with, (rows, c_in · kernel)."""
    if isinstance(layer, nn.Linear):
        return inputs.reshape(-1, inputs.shape[-1])
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = nn.functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)
    windows = padded
    for axis, (size, step, gap) in enumerate(
        zip(layer.kernel_size, layer.stride, layer.dilation, strict=True), start=2
    ):
        windows = windows.unfold(axis, gap * (size - 1) + 1, step)[..., ::gap]
    # (n, c, *positions, *kernel) → (n, *positions, c, *kernel), thinned before it is copied.
    ndim = len(layer.kernel_size)
    moved = windows.movedim(1, 1 + ndim)
    thin = max(1, math.prod(moved.shape[: 1 + ndim]) // ROWS)
    return moved[(slice(None),) * ndim + (slice(None, None, thin),)].reshape(
        -1, layer.weight[0].numel()
    )
