"""Trace of the empirical Fisher information of each layer."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["fisher_trace"]


def fisher_trace(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return tr F_l = mean_i ‖g_i‖² of each layer, g_i the gradient of the loss of sample i.

    This is the *empirical* Fisher information, with the true targets; with targets drawn from the
    model it would be the Gauss–Newton trace (`hessian_trace`) up to a factor.

    Args:
        problem: see `Problem`.
        shared: gradients.

    Source: Kunstner et al. 2019 (NeurIPS), Limitations of the empirical Fisher approximation.
    """
    moments = shared.gradients
    return {
        layer.name: moments.squared_mean(layer) + moments.total_scatter(layer) / moments.samples
        for layer in problem.layers
    }
