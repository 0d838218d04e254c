"""What a change of amplitude and offset of the output would reach, without any layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.advice.problem import Problem

__all__ = ["Rescaled", "rescale_output"]


@dataclass(frozen=True)
class Rescaled:
    """The output of the base network, scaled and shifted.

    Attributes:
        factor, offset: (c,) of each channel, standardised.
        sample_errors: (m,) mean squared error after it, averaged over each pair of a fit sample and
            a judge sample, standardised: two numbers a channel do not overfit.
    """

    factor: Tensor
    offset: Tensor
    sample_errors: Tensor


def rescale_output(problem: Problem) -> Rescaled:
    """Fit an amplitude and an offset to each output channel, by least squares.

        a_c, b_c = argmin Σ (a_c f_c(x) + b_c − y_c)²   on the fit part

    A channel that the network predicts as a constant keeps its factor.

    Args:
        problem: see `Problem`.
    """
    f, y = _by_channel(problem.present[0]), _by_channel(problem.fit_targets)
    mean_f, mean_y = f.mean(1, keepdim=True), y.mean(1, keepdim=True)
    variance = (f - mean_f).square().mean(1)
    covariance = ((f - mean_f) * (y - mean_y)).mean(1)
    factor = torch.where(variance > 0, covariance / variance.clamp(min=1e-300), 1.0)
    offset = mean_y.squeeze(1) - factor * mean_f.squeeze(1)
    shape = (-1, *[1] * len(problem.grid.shape))
    errors = [
        (factor.reshape(shape) * outputs + offset.reshape(shape) - targets)
        .square()
        .flatten(1)
        .mean(1)
        for outputs, targets in zip(
            problem.present, (problem.fit_targets, problem.judge_targets), strict=True
        )
    ]
    m = min(map(len, errors))
    return Rescaled(factor, offset, 0.5 * (errors[0][:m] + errors[1][:m]))


def _by_channel(values: Tensor) -> Tensor:
    """Return (c, samples · points), float64."""
    return values.double().movedim(1, 0).flatten(1)
