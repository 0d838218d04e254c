"""Layers whose weights cannot change the output."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from spectune.advice.candidates import owners_of
from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["idle_layers"]


def idle_layers(problem: Problem, shared: SharedPass) -> dict[str, str]:
    """Return the layers with J_l = 0 on all target samples, and why, in words.

    Behind such a layer all units are dead, or something discards its output; or it is not used at
    all. Gradients are zero, so that no re-training can move it. What is below rounding of the
    largest ‖J_l‖ counts as zero: a bias in front of a normalisation that subtracts the mean.

    Args:
        problem: see `Problem`.
        shared: squared norms of the Jacobians.
    """
    norms = shared.jacobian_norms
    first = next(problem.model.parameters())
    rounding = (10 * torch.finfo(first.dtype).eps) ** 2 * max(norms.values())
    idle = [layer for layer in problem.layers if norms[layer.name] <= rounding]
    if not idle:
        return {}
    ran = _modules_that_ran(problem)
    reasons = {}
    for layer in idle:
        reasons[layer.name] = (
            "its weights do not reach the output (dead units, or what discards them, behind it)"
            if ran.intersection(owners_of(layer))
            else "it is not used when the network runs"
        )
    return reasons


def _modules_that_ran(problem: Problem) -> set[str]:
    ran: set[str] = set()

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, _arguments: tuple[Any, ...]) -> None:
            ran.add(name)

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in problem.model.named_modules():
            hooks.callback(module.register_forward_pre_hook(note(name)).remove)
        problem.model(problem.fit_inputs[:1])
    return ran
