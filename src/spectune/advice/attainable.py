"""Attainable decrease: the error that re-training layers can reach, by Gauss–Newton."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from spectune.advice.least_squares import least_squares
from spectune.advice.problem import Problem
from spectune.landscape import input_whitening, linearize
from spectune.models import predict
from spectune.spectra import mean_spectrum
from spectune.training.layers import Layer
from spectune.training.prefix import split_model

__all__ = [
    "Attainable",
    "attainable_by_samples",
    "attainable_decrease",
    "extrapolated",
    "unchanged",
]

# Of the error that is left, extrapolation takes off this share at the most.
LONGEST = 0.5

# A step is taken if the error falls by this share of what the linear model promises; it is halved
# down to the shortest one.
TRUSTED, SHORTEST = 0.5, 1 / 16

# The network is linearised again where the linear model was wrong by more than this share.
SURPRISE = 0.25


@dataclass(frozen=True)
class Attainable:
    """Forecast of re-training one layer or several.

    Attributes:
        layer: name of the layer, or the names joined by "+".
        sample_errors: (m,) forecast of the mean squared error on each pair of a sample to fit and a
            sample to judge, standardised.
        error_spectrum: (nk,) spectrum of that error, summed over channels.
        rounds: linearisations.
    """

    layer: str
    sample_errors: Tensor
    error_spectrum: Tensor
    rounds: int

    @property
    def error(self) -> float:
        """Mean squared error, standardised."""
        return float(self.sample_errors.mean())


def attainable_decrease(
    problem: Problem, layers: Sequence[Layer], *, iterations: int = 4, rounds: int = 6
) -> Attainable:
    """Forecast the target error after re-training layers, without training them.

        δ_i = argmin ‖R + J δ‖² over the Krylov space of order i,        R = f(x; θ) − y

    on the n samples to fit: conjugate gradients with Jacobian products, preconditioned by the
    whitening of what the layers read (`input_whitening`). The real network is moved by the last two
    of them, each shortened where the linear model promises too much, and judged on samples that
    took no part in the fit. Where the linear model was wrong, the network is linearised again, at
    its new weights. A forecast above the present error is replaced by that: nobody has to re-train.

    Two corrections make an error out of these four that a longer re-training on N samples would
    reach:

        E_i = ½(E_fit + E_judge) + (n/N) ½(E_judge − E_fit)
        E = E_k + (k − 1)(E_k − E_{k−1})

    The first: a fit to n samples is too good on them by as much as it is too bad on others, to
    first order in 1/n, and both shrink as 1/N. Without it a layer with many weights looks worse
    after a fit to six samples than it will be after one to fifty. The second is Richardson's
    extrapolation of an error that falls as 1/i. The curvature of shallow layers is spread over
    many decades; after four iterations they are far from their end, and deep ones are there.

    Args:
        problem: see `Problem`.
        layers: the layers whose weights move together.
        iterations: k, conjugate-gradient iterations of a round, at least 2.
        rounds: linearisations at most.

    Source: Björck 1996, Numerical Methods for Least Squares Problems, algorithm 7.4.1 (CGLS);
    Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, section 7.4, for the
    optimism of the training error; Nemirovskii and Polyak 1984 (Engrg. Cybern. 22) for powers of i.
    """
    (forecast,) = attainable_by_samples(
        problem, layers, [problem.training_samples], iterations=iterations, rounds=rounds
    )
    return forecast


def attainable_by_samples(
    problem: Problem,
    layers: Sequence[Layer],
    training: Sequence[int],
    *,
    iterations: int = 4,
    rounds: int = 6,
) -> list[Attainable]:
    """Return `attainable_decrease` for re-trainings on each of several numbers N of samples.

    Args:
        problem: as for `attainable_decrease`.
        layers: likewise.
        training: the numbers N.
        iterations: as for `attainable_decrease`.
        rounds: likewise.
    """
    moving = list(dict.fromkeys(name for layer in layers for name in layer.parameters))
    model = copy.deepcopy(problem.model).eval()
    prefix, suffix = split_model(model, moving)
    fit, judge = predict(prefix, problem.fit_inputs), predict(prefix, problem.judge_inputs)
    precondition = input_whitening(suffix, moving, fit)
    name = "+".join(layer.name for layer in layers)
    for round_ in range(1, rounds + 1):
        jacobian = linearize(suffix, moving, fit, keep_graph=True)
        residual = jacobian.output - problem.fit_targets
        fits = [*least_squares(jacobian, residual, iterations, precondition)][-2:]
        changes = [(jacobian.unflatten(delta), left) for delta, left in fits]
        error = float(residual.square().mean())
        del jacobian, residual  # and the graph that they keep
        start = {name: suffix.get_parameter(name).detach().clone() for name in moving}
        found = []
        for change, left in changes:
            outputs, surprise = _moved(suffix, start, change, fit, problem.fit_targets, error, left)
            found.append((outputs, predict(suffix, judge), round_))
        if surprise <= SURPRISE:
            break
    present = unchanged(problem, name)
    forecasts = []
    for samples in training:
        share = len(fit) / samples
        before, last = (_expected(problem, name, *outputs, share) for outputs in found)
        forecast = extrapolated(before, last, iterations)
        forecasts.append(min(forecast, present, key=lambda one: one.error))
    return forecasts


def unchanged(problem: Problem, layer: str) -> Attainable:
    """Return the forecast for a layer whose re-training changes nothing."""
    return _expected(problem, layer, *problem.present, 0, 0.0)


def _expected(
    problem: Problem, layer: str, fit: Tensor, judge: Tensor, rounds: int, share: float
) -> Attainable:
    """Return what a fit to N samples would leave, from outputs after one to n; share: n/N."""
    m = min(len(fit), len(judge))
    of_fit = 0.5 * (1 - share), fit[:m] - problem.fit_targets[:m]
    of_judge = 0.5 * (1 + share), judge[:m] - problem.judge_targets[:m]
    sample_errors, spectra = [], []
    for weight, error in (of_fit, of_judge):
        sample_errors.append(weight * error.square().flatten(1).mean(1))
        spectra.append(weight * mean_spectrum(error, problem.grid).power.sum(0))
    return Attainable(layer, sample_errors[0] + sample_errors[1], spectra[0] + spectra[1], rounds)


def extrapolated(before: Attainable, last: Attainable, iterations: int) -> Attainable:
    """Return the end of errors E_k = E + c/k from those after k − 1 and k iterations."""
    fall = before.error - last.error
    reach = float(iterations - 1)
    if fall > 0:
        reach = min(reach, LONGEST * last.error / fall)
    return replace(
        last,
        sample_errors=last.sample_errors + reach * (last.sample_errors - before.sample_errors),
        error_spectrum=(
            last.error_spectrum + reach * (last.error_spectrum - before.error_spectrum)
        ).clamp(min=0),
    )


def _moved(
    suffix: nn.Module,
    start: Mapping[str, Tensor],
    change: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    error: float,
    left: float,
) -> tuple[Tensor, float]:
    """Move the weights along a change as far as the linear model can be trusted.

    Args:
        suffix: from inputs to outputs; its weights are left where they were moved to.
        start: weights at step 0.
        change: of the weights at step 1.
        inputs: of the suffix, of the samples to fit.
        targets: of the network, of the same samples.
        error: at step 0.
        left: error at step 1 by the linear model.

    Returns:
        The outputs, and by how much of their error the linear model was wrong.
    """
    step = 1.0
    while True:
        with torch.no_grad():
            for name, at in start.items():
                suffix.get_parameter(name).copy_(at + step * change[name])
        outputs = predict(suffix, inputs)
        reached = float(nn.functional.mse_loss(outputs, targets))
        promised = error - (2 * step - step**2) * (error - left)
        if step == 0 or error - reached >= TRUSTED * (error - promised):
            return outputs, abs(reached - promised) / max(reached, 1e-30)
        step = step / 2 if step > SHORTEST else 0.0
