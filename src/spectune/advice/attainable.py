"""Attainable decrease: the error that re-training one layer can reach, by Gauss–Newton."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.advice.problem import Problem
from spectune.landscape import LayerMap, Preconditioner, input_whitening, linearize
from spectune.models import predict
from spectune.spectra import mean_spectrum
from spectune.training.layers import Layer
from spectune.training.prefix import split_model

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
    problem: Problem,
    layer: Layer,
    *,
    iterations: int = 6,
    rounds: int = 6,
    tolerance: float = 0.1,
) -> Attainable:
    """Forecast the target error after re-training one layer, without training it.

        δ ≈ argmin ‖R + J_l δ‖²,        R = f(x; θ) − y on the fit part,

    by a few conjugate-gradient iterations with Jacobian products, preconditioned by the whitening
    of the layer's inputs (`input_whitening`); few iterations regularise as a penalty λ‖δ‖² would.
    Then θ_l ← θ_l + s δ with the step s that is best for the real network on the fit part, and
    again from the new weights. After each round the real network is judged on samples that took no
    part in the fit; the lowest judged error is the forecast. The step is needed because a linear
    model overrates shallow layers, whose full step leaves its range. Rounds go on while they pay:
    deep layers are done after one or two, and a fixed number would stop shallow ones, which need
    more, too early.

    Args:
        problem: see `Problem`.
        layer: the layer whose weights move.
        iterations: conjugate-gradient iterations of a round.
        rounds: linearisations at most.
        tolerance: relative fall of the judged error below which a round is the last.

    Source: Björck 1996, Numerical Methods for Least Squares Problems, algorithm 7.4.1 (CGLS);
    Martens 2010 (ICML) for truncation.
    """
    model = copy.deepcopy(problem.model).eval()
    prefix, suffix = split_model(model, layer.parameters)
    fit_inputs = predict(prefix, problem.fit_inputs)
    judge_inputs = predict(prefix, problem.judge_inputs)
    moving = list(layer.parameters)
    precondition = input_whitening(suffix, moving, fit_inputs)
    best = _judge(suffix, judge_inputs, problem, layer.name, 0)
    for round_ in range(1, rounds + 1):
        jacobian = linearize(suffix, moving, fit_inputs, keep_graph=True)
        residual = jacobian.output - problem.fit_targets
        delta = _least_squares(jacobian, residual, iterations, precondition)
        error = float(residual.square().mean())
        change = jacobian.unflatten(delta)
        if not _step(suffix, change, error, fit_inputs, problem.fit_targets):
            break
        judged = _judge(suffix, judge_inputs, problem, layer.name, round_)
        enough = judged.error > (1 - tolerance) * best.error
        best = min(best, judged, key=lambda forecast: forecast.error)
        if enough:
            break
    return best


def _least_squares(
    jacobian: LayerMap, residual: Tensor, iterations: int, precondition: Preconditioner
) -> Tensor:
    """Minimise ‖R + Jδ‖² by preconditioned conjugate gradients on the normal equations (CGLS)."""

    def descent(unfitted: Tensor) -> tuple[Tensor, Tensor]:
        gradient = jacobian.vjp(unfitted)
        return jacobian.flatten(gradient), jacobian.flatten(precondition(gradient))

    unfitted = -residual
    gradient, step = descent(unfitted)
    delta, direction = torch.zeros_like(gradient), step.clone()
    norm = start = gradient.dot(step)
    for iteration in range(1, iterations + 1):
        image = jacobian.jvp(jacobian.unflatten(direction))
        length = norm / image.square().sum().clamp(min=1e-30)
        delta = delta + length * direction
        unfitted = unfitted - length * image
        if iteration == iterations:
            break
        gradient, step = descent(unfitted)
        previous, norm = norm, gradient.dot(step)
        if norm <= 1e-12 * start:
            break
        direction = step + (norm / previous) * direction
    return delta


def _step(
    suffix: nn.Module, delta: dict[str, Tensor], error: float, inputs: Tensor, targets: Tensor
) -> bool:
    """Move the weights by the best of a few steps along δ; False where none lowers the error."""
    parameters = dict(suffix.named_parameters())
    start = {name: parameters[name].detach().clone() for name in delta}

    def move(step: float) -> None:
        with torch.no_grad():
            for name, change in delta.items():
                parameters[name].copy_(start[name] + step * change)

    best, lowest = 0.0, error
    for step in (1.0, 0.5, 0.25, 0.125, 0.0625):
        move(step)
        with torch.no_grad():
            error = float(nn.functional.mse_loss(suffix(inputs), targets))
        if error < lowest:
            best, lowest = step, error
        elif best:
            break
    move(best)
    return best > 0


def _judge(
    suffix: nn.Module, inputs: Tensor, problem: Problem, name: str, rounds: int
) -> Attainable:
    with torch.no_grad():
        error = suffix(inputs) - problem.judge_targets
    spectrum = mean_spectrum(error, problem.grid).power.sum(0)
    return Attainable(name, error.square().flatten(1).mean(1), spectrum, rounds)
