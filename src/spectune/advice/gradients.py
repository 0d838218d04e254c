"""Gradients of each sample, as the moments that the gradient criteria need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.advice.problem import Problem
from spectune.training.layers import Layer

__all__ = ["GradientMoments", "gradient_moments"]


@dataclass(frozen=True)
class GradientMoments:
    """Mean and scatter of the gradients of the samples.

    Attributes:
        samples: number n of samples.
        loss: mean over the samples of L_i.
        mean: ḡ of each parameter, by its name.
        scatter: Σ_i (g_i − ḡ)², entry by entry, likewise.
    """

    samples: int
    loss: float
    mean: dict[str, Tensor]
    scatter: dict[str, Tensor]

    def squared_mean(self, layer: Layer) -> float:
        """Return ‖ḡ‖² over the weights of a layer."""
        return sum(float(self.mean[p].double().square().sum()) for p in layer.parameters)

    def total_scatter(self, layer: Layer) -> float:
        """Return Σ_i ‖g_i − ḡ‖² over the weights of a layer."""
        return sum(float(self.scatter[p].double().sum()) for p in layer.parameters)


def gradient_moments(problem: Problem) -> GradientMoments:
    """Return mean and scatter of ∂L_i/∂θ over the whole target sample, in one pass over it.

        L_i = mean over channels and grid of (f(x_i) − y_i)²

    One sample is differentiated at a time and two numbers a weight are kept, as many as Adam
    keeps, so that the memory is below that of a training step.

    Source: Welford 1962 (Technometrics 4), for sums that do not cancel.
    """
    names, parameters = zip(*problem.model.named_parameters(), strict=True)
    mean = [torch.zeros_like(p, requires_grad=False) for p in parameters]
    scatter = [torch.zeros_like(p, requires_grad=False) for p in parameters]
    count, total = 0, 0.0
    for x, y in problem.samples():
        count += 1
        with torch.enable_grad():
            loss = nn.functional.mse_loss(problem.model(x), y)
            gradients = torch.autograd.grad(
                loss, parameters, allow_unused=True, materialize_grads=True
            )
        total += float(loss.detach())
        for m, s, gradient in zip(mean, scatter, gradients, strict=True):
            off = gradient - m
            m += off / count
            s += off * (gradient - m)
    return GradientMoments(
        count,
        total / count,
        dict(zip(names, mean, strict=True)),
        dict(zip(names, scatter, strict=True)),
    )
