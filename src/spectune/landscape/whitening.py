"""Whitening of what layers read: the preconditioner of the least-squares fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spectune.landscape.row_moments import RowMoments
from spectune.landscape.rows_read import is_plain, rows_read

__all__ = ["Preconditioner", "input_whitening"]

Preconditioner = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""From a gradient to the step it suggests, by parameter name."""


def input_whitening(
    model: nn.Module, parameters: Sequence[str], inputs: Tensor, *, damping: float = 3e-2
) -> Preconditioner:
    """Return the inverse second moment of what convolutions and linear layers read.

        δW ← δW A⁻¹,      A = ⟨p pᵀ⟩ + damping ⟨p²⟩ I,

    p the patches under the kernel (a 1 appended for the bias). Neighbouring points of a smooth
    field are almost equal, so that the curvature of the layer, which contains A as a factor, is
    nearly singular along fine stencils. Without A⁻¹ a few iterations of conjugate gradients do not
    get there, and shallow layers, whose inputs are the fields themselves, look worse than they are.

    Parameters of any other kind of layer are left as they are.

    Args:
        model: network from its inputs to its outputs, in evaluation mode.
        parameters: names of the parameters that move.
        inputs: (n, c, *grid), on which A is measured.
        damping: relative to the mean square of the patches.

    Source: the input factor of Martens and Grosse 2015 (ICML), Kronecker-factored curvature;
    Grosse and Martens 2016 (ICML) for convolutions.
    """
    owners: dict[str, dict[str, str]] = {}
    for name in parameters:
        owner, _, leaf = name.rpartition(".")
        owners.setdefault(owner, {})[leaf] = name
    plain = {
        owner: names
        for owner, names in owners.items()
        if is_plain(model.get_submodule(owner)) and "weight" in names
    }
    moments = _moments(model, list(plain), inputs)
    steps = [
        partial(_whitened, names, _inverse(moments[owner], "bias" in names, damping))
        for owner, names in plain.items()
        if moments[owner].count
    ]

    def apply(gradient: Mapping[str, Tensor]) -> dict[str, Tensor]:
        step = dict(gradient)
        for whitened in steps:
            step |= whitened(gradient)
        return step

    return apply


def _moments(model: nn.Module, owners: list[str], inputs: Tensor) -> dict[str, RowMoments]:
    moments = {owner: RowMoments() for owner in owners}
    unread = set(owners)

    def watch(owner: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            rows = rows_read(module, arguments[0].detach())
            if rows is not None:
                moments[owner].add(rows)
            unread.discard(owner)
            if not unread:
                raise _Enough

        return hook

    with ExitStack() as hooks, torch.no_grad(), suppress(_Enough):
        for owner in owners:
            module = model.get_submodule(owner)
            hooks.callback(module.register_forward_pre_hook(watch(owner)).remove)
        if owners:
            model(inputs)
    return moments


class _Enough(Exception):  # noqa: N818 - it ends a forward pass of which the rest is not needed
    """Every layer has been read."""


def _inverse(moments: RowMoments, bias: bool, damping: float) -> Tensor:
    moment = moments.extended if bias else moments.second
    moment.diagonal().add_(damping * moment.diagonal().mean().clamp(min=1e-30))
    inverse: Tensor = torch.linalg.inv(moment)
    return inverse


def _whitened(
    names: Mapping[str, str], inverse: Tensor, gradient: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    weight = gradient[names["weight"]]
    rows = weight.flatten(1)
    if "bias" not in names:
        return {names["weight"]: (rows @ inverse.to(rows)).reshape(weight.shape)}
    rows = torch.cat((rows, gradient[names["bias"]][:, None]), dim=1) @ inverse.to(weight)
    return {names["weight"]: rows[:, :-1].reshape(weight.shape), names["bias"]: rows[:, -1]}
