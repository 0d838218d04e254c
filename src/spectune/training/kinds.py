"""What of a layer is re-trained: all of it, or a few numbers that act on its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spectune.errors import LayerError
from spectune.training.layers import Layer

__all__ = ["Kind", "free", "merge"]

Kind = Literal["full", "bias", "scale", "low-rank"]
"""What moves: W and b; b; s in (sW, sb) with one s an output channel; U V in W + U V, and b."""

_SCALED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Scale(nn.Module):
    """s W, one s for each output channel; 1 at the start. Weight and bias share it."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        return self.scale.reshape(-1, *[1] * (weight.dim() - 1)) * weight


class _LowRank(nn.Module):
    """W + U V with U (c_out, r), zero at the start, and V (r, c_in/groups · kernel).

    The sum is a weight like any other, so that padding, stride, dilation and groups stay what they
    are. V starts like the weights of a layer with as many inputs.

    Source: Hu et al. 2022 (ICLR), LoRA.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        start = torch.randn(rank, columns, generator=generator) / math.sqrt(columns)
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        self.down = nn.Parameter(start.to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).reshape(weight.shape)


def free(
    model: nn.Module, layers: Sequence[Layer], kind: Kind, *, rank: int = 4, seed: int = 0
) -> list[str]:
    """Prepare a model for re-training, in place, and return the names of what moves.

    Everything else is frozen. `merge` turns the model back into one of plain layers.

    Args:
        model: any module.
        layers: of it.
        kind: see `Kind`.
        rank: of the low-rank update.
        seed: of its start.

    Raises:
        LayerError: a layer has no bias, or its weight no output channels in front, or the rank is
            not positive, or the kind is unknown.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    names: list[str] = []
    for layer in layers:
        moving = list(layer.parameters)
        owner = moving[0].rpartition(".")[0]
        module = model.get_submodule(owner)
        inside = f"{owner}." if owner else ""
        if kind == "bias":
            moving = [name for name in moving if name == f"{inside}bias"]
            if not moving:
                raise LayerError(f"layer '{layer.name}' ({layer.kind}) has no bias to re-train")
        elif kind in ("scale", "low-rank"):
            if not isinstance(module, _SCALED) or parametrize.is_parametrized(module):
                raise LayerError(
                    f"layer '{layer.name}' is a {layer.kind}; kind '{kind}' is for convolutions "
                    "and linear layers, re-train it with kind 'full'"
                )
            moving = [f"{inside}{name}" for name in _parametrized(module, kind, rank, generator)]
        elif kind != "full":
            raise LayerError(f"kind '{kind}': expected 'full', 'bias', 'scale' or 'low-rank'")
        names += moving
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in names:
        parameters[name].requires_grad_(True)
    return names


def _parametrized(
    module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d,
    kind: Kind,
    rank: int,
    generator: torch.Generator,
) -> list[str]:
    if kind == "scale":
        scale = nn.Parameter(module.weight.new_ones(len(module.weight)))
        parametrize.register_parametrization(module, "weight", _Scale(scale))
        if module.bias is not None:
            parametrize.register_parametrization(module, "bias", _Scale(scale))
        names = ["parametrizations.weight.0.scale"]
    else:
        if rank < 1:
            raise LayerError(f"rank {rank}: expected at least 1")
        update = _LowRank(module.weight.detach(), rank, generator)
        parametrize.register_parametrization(module, "weight", update)
        names = ["parametrizations.weight.0.up", "parametrizations.weight.0.down"]
        if module.bias is not None:
            names.append("bias")
    return names


def merge(model: nn.Module) -> None:
    """Write what was learnt into the weights, in place; every parameter can move again."""
    for module in list(model.modules()):
        for name in ("weight", "bias"):
            if parametrize.is_parametrized(module, name) and isinstance(
                module.parametrizations[name][0],  # type: ignore[index]
                _Scale | _LowRank,
            ):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
