"""Gradients of each sample, shared by the gradient criteria."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spectune.advice.problem import Problem

__all__ = ["sample_gradients"]


def sample_gradients(problem: Problem) -> dict[str, Tensor]:
    """Return ∂L_i/∂θ for each sample i of the whole target sample, in one pass over it.

        L_i = mean over channels and grid of (f(x_i) − y_i)²

    Returns:
        For each parameter name, (n, *parameter.shape).
    """
    model = problem.model
    names, parameters = zip(*model.named_parameters(), strict=True)
    inputs = torch.cat((problem.fit_inputs, problem.judge_inputs))
    targets = torch.cat((problem.fit_targets, problem.judge_targets))
    gradients: list[list[Tensor]] = [[] for _ in names]
    with torch.enable_grad():
        for x, y in zip(inputs, targets, strict=True):
            loss = nn.functional.mse_loss(model(x[None]), y[None])
            for store, gradient in zip(
                gradients,
                torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True),
                strict=True,
            ):
                store.append(gradient)
    return {name: torch.stack(store) for name, store in zip(names, gradients, strict=True)}
