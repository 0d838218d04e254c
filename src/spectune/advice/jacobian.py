"""Squared norms of the Jacobian of each layer."""

from __future__ import annotations

import torch

from spectune.advice.problem import Problem

__all__ = ["jacobian_norms"]


def jacobian_norms(
    problem: Problem, *, probes: int = 1, generator: torch.Generator
) -> dict[str, float]:
    """Return ‖J_l‖_F² = tr J_lᵀJ_l = E_v ‖J_lᵀ v‖² of each layer, with the entries of v ±1.

    The estimate is zero only where J_l is, and every sample has a v of its own. One backward pass
    serves all layers.

    Args:
        problem: see `Problem`; the whole target sample is used.
        probes: vectors v for each sample.
        generator: source of the signs.

    Source: Hutchinson 1990 (Commun. Stat. Simul. Comput. 19).
    """
    names, parameters = zip(*problem.model.named_parameters(), strict=True)
    squares = dict.fromkeys(names, 0.0)
    for x, _ in problem.samples():
        with torch.enable_grad():
            output = problem.model(x)
        for probe in range(probes):
            signs = torch.randint(0, 2, output.shape, generator=generator).to(output) * 2 - 1
            gradients = torch.autograd.grad(
                output,
                parameters,
                signs,
                retain_graph=probe + 1 < probes,
                allow_unused=True,
                materialize_grads=True,
            )
            for name, gradient in zip(names, gradients, strict=True):
                squares[name] += float(gradient.square().sum())
    return {
        layer.name: sum(squares[name] for name in layer.parameters) / probes
        for layer in problem.layers
    }
