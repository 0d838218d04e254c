"""Trace of the Hessian block of each layer."""

from __future__ import annotations

import torch

from spectune.advice.problem import Problem

__all__ = ["hessian_traces"]


def hessian_traces(
    problem: Problem, *, probes: int = 4, generator: torch.Generator
) -> dict[str, float]:
    """Return the trace of the Gauss–Newton Hessian of each layer; higher: re-train first.

        tr G_l = (2/M) tr J_lᵀJ_l = (2/M) E_v ‖J_lᵀ v‖²,      v entries ±1,

    for L = mean((f − y)²) over M entries. For a piecewise linear network (ReLU) this is the trace
    of the Hessian block itself. One backward pass serves all layers, so that all of them cost what
    one would with Hutchinson's estimate of the Hessian.

    Args:
        problem: see `Problem`; the fit part is used.
        probes: vectors v for each sample.
        generator: source of the signs.

    Source: Hutchinson 1990 (Commun. Stat. Simul. Comput. 19).
    """
    model = problem.model
    names, parameters = zip(*model.named_parameters(), strict=True)
    squares = dict.fromkeys(names, 0.0)
    for x in problem.fit_inputs:
        with torch.enable_grad():
            output = model(x[None])
        for probe in range(probes):
            signs = torch.randint(0, 2, output.shape, generator=generator).to(output) * 2 - 1
            for name, gradient in zip(
                names,
                torch.autograd.grad(
                    output,
                    parameters,
                    signs,
                    retain_graph=probe + 1 < probes,
                    allow_unused=True,
                    materialize_grads=True,
                ),
                strict=True,
            ):
                squares[name] += float(gradient.square().sum())
    scale = 2 / (problem.fit_targets.numel() * probes)
    return {
        layer.name: scale * sum(squares[name] for name in layer.parameters)
        for layer in problem.layers
    }
