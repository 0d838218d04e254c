"""Attainable decrease: the error that re-training one layer can reach, by Gauss–Newton."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.advice.problem import Problem
from spectune.landscape import LayerMap, linearize
from spectune.spectra import shell_spectrum
from spectune.training.layers import Layer
from spectune.training.prefix import activations_before, split_model

__all__ = ["Attainable", "attainable_decrease"]


@dataclass(frozen=True)
class Attainable:
    """Forecast of re-training one layer.

    Attributes:
        layer: name of the layer.
        sample_errors: (n,) mean squared error of each judge sample after the change, standardised.
        error_spectrum: (nk,) spectrum of that error, summed over channels.
        rounds: Gauss–Newton steps that lowered the judged error.
    """

    layer: str
    sample_errors: Tensor
    error_spectrum: Tensor
    rounds: int

    @property
    def error(self) -> float:
        """Mean squared error over the judge samples."""
        return float(self.sample_errors.mean())


def attainable_decrease(
    problem: Problem, layer: Layer, *, iterations: int = 8, rounds: int = 3, damping: float = 1e-4
) -> Attainable:
    """Forecast the target error after re-training one layer, without training it.

        δ = argmin ‖R + J_l δ‖² + λ‖δ‖²,        R = f(x; θ) − y on the fit part,

    by conjugate gradients with Jacobian products, then θ_l ← θ_l + s δ with the step s that is best
    for the real network on the fit part, and again from the new weights. After each round the real
    network is judged on samples that took no part in the fit; the round with the lowest judged
    error is the forecast. The step is needed because a linear model overrates shallow layers,
    whose full step leaves its range.

    Args:
        problem: see `Problem`.
        layer: the layer whose weights move.
        iterations: conjugate-gradient iterations of a round; few of them regularise, as in any
            truncated Newton method.
        rounds: linearisations.
        damping: λ relative to the curvature along the gradient.

    Source: Björck 1996, Numerical Methods for Least Squares Problems, algorithm 7.4.1 (CGLS);
    Martens 2010 (ICML) for truncation.
    """
    model = copy.deepcopy(problem.model).eval()
    prefix, suffix = split_model(model, layer.parameters)
    fit_inputs = activations_before(prefix, problem.fit_inputs)
    judge_inputs = activations_before(prefix, problem.judge_inputs)
    parameters = dict(suffix.named_parameters())
    moving = [name for name in layer.parameters if name in parameters]
    best = _judge(suffix, judge_inputs, problem, layer.name, 0)
    for round_ in range(1, rounds + 1):
        jacobian = linearize(suffix, moving, fit_inputs, keep_graph=True)
        residual = jacobian.output - problem.fit_targets
        delta = _least_squares(jacobian, residual, iterations, damping)
        if not _step(suffix, moving, jacobian.unflatten(delta), fit_inputs, problem.fit_targets):
            break
        judged = _judge(suffix, judge_inputs, problem, layer.name, round_)
        if judged.error < best.error:
            best = judged
    return best


def _least_squares(jacobian: LayerMap, residual: Tensor, iterations: int, damping: float) -> Tensor:
    """Minimise ‖R + Jδ‖² + λ‖δ‖² by conjugate gradients on the normal equations (CGLS)."""
    unfitted = -residual
    gradient = jacobian.flatten(jacobian.vjp(unfitted))
    delta, direction = torch.zeros_like(gradient), gradient.clone()
    norm = start = gradient.dot(gradient)
    penalty = torch.zeros_like(norm)
    for iteration in range(iterations):
        if norm <= 1e-12 * start:
            break
        image = jacobian.jvp(jacobian.unflatten(direction))
        curvature = image.square().sum()
        if iteration == 0:
            penalty = damping * curvature / norm
        length = norm / (curvature + penalty * direction.dot(direction)).clamp(min=1e-30)
        delta = delta + length * direction
        unfitted = unfitted - length * image
        gradient = jacobian.flatten(jacobian.vjp(unfitted)) - penalty * delta
        previous, norm = norm, gradient.dot(gradient)
        direction = gradient + (norm / previous) * direction
    return delta


def _step(
    suffix: nn.Module,
    moving: list[str],
    delta: dict[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
) -> bool:
    """Move the weights by the best of a few steps along δ; False where none lowers the error."""
    parameters = dict(suffix.named_parameters())
    start = {name: parameters[name].detach().clone() for name in moving}

    def error_at(step: float) -> float:
        with torch.no_grad():
            for name in moving:
                parameters[name].copy_(start[name] + step * delta[name])
            return float(nn.functional.mse_loss(suffix(inputs), targets))

    best, lowest = 0.0, error_at(0.0)
    for step in (1.0, 0.5, 0.25, 0.125, 0.0625):
        error = error_at(step)
        if error < lowest:
            best, lowest = step, error
        elif best:
            break
    error_at(best)
    return best > 0


def _judge(
    suffix: nn.Module, inputs: Tensor, problem: Problem, name: str, rounds: int
) -> Attainable:
    with torch.no_grad():
        error = suffix(inputs) - problem.judge_targets
    spectrum = shell_spectrum(error, problem.grid).power.mean(0).sum(0)
    return Attainable(name, error.square().flatten(1).mean(1), spectrum, rounds)
