"""How far the features that a layer reads have turned between the two systems."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from spectune.advice.candidates import mean_of_members, owners_of
from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass
from spectune.landscape.row_moments import RowMoments, in_groups
from spectune.landscape.rows_read import rows_read

__all__ = ["cka_drift", "covariance_alignment"]


def cka_drift(problem: Problem, _: SharedPass) -> dict[str, float]:
    """Return 1 − CKA of what each layer reads on the base and on the target.

        d_l = 1 − ⟨C_b, C_t⟩_F / (‖C_b‖_F ‖C_t‖_F),      C = ⟨p pᵀ⟩ − ⟨p⟩⟨p⟩ᵀ

    p being the patch under the kernel of the layer (`rows_read`). Linear CKA compares the Gram
    matrices of two representations of the *same samples*; base and target have no samples in
    common. But the network is the same, and so are its features: what is paired here are the
    features, and C is their Gram matrix. In statistics d is the correlation-matrix distance: 0
    where the covariances are equal up to a factor, 1 where they share no direction. A change of
    amplitude alone is not seen.

    A layer that reads in some other way (attention) has no such p and is left out. A block has the
    mean of its members.

    Args:
        problem: see `Problem`; its base sample is needed.

    Source: Kornblith et al. 2019 (ICML), with features in the place of samples; Herdin et al. 2005
    (IEEE Vehicular Technology Conference).
    """
    if problem.base_inputs is None:
        return {}
    modules = {
        owner: problem.model.get_submodule(owner)
        for layer in problem.layers
        for owner in owners_of(layer)
    }
    drift = {}
    for names in in_groups(modules, lambda name: 2 * _width(modules[name]) ** 2):
        group = {name: modules[name] for name in names}
        base = _moments(problem.model, group, [problem.base_inputs])
        target = _moments(problem.model, group, [problem.fit_inputs, problem.judge_inputs])
        for name in names:
            if base[name].count and target[name].count:
                b, t = base[name].covariance, target[name].covariance
                drift[name] = 1 - covariance_alignment(b, t)
    return mean_of_members(problem.layers, drift)


def covariance_alignment(a: Tensor, b: Tensor) -> float:
    """Return ⟨A, B⟩/(‖A‖ ‖B‖) of two covariances (c, c); 1 where either is zero."""
    scale = float(a.norm() * b.norm())
    return float((a * b).sum()) / scale if scale > 0 else 1.0


def _width(module: nn.Module) -> int:
    weight = getattr(module, "weight", None)
    return weight[0].numel() if isinstance(weight, Tensor) and weight.ndim else 1


def _moments(
    model: nn.Module, modules: dict[str, nn.Module], inputs: list[Tensor]
) -> dict[str, RowMoments]:
    """Return the moments of what each module reads when the model runs on the inputs."""
    moments = {name: RowMoments() for name in modules}
    calls = sum(map(len, inputs))

    def keep(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if arguments and isinstance(arguments[0], Tensor):
                rows = rows_read(module, arguments[0], calls=calls)
                if rows is not None:
                    moments[name].add(rows)

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in modules.items():
            hooks.callback(module.register_forward_pre_hook(keep(name)).remove)
        for sample in (row for part in inputs for row in torch.split(part, 1)):
            model(sample)
    return moments
