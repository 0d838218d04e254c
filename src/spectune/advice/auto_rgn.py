"""Relative gradient norm."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["relative_gradient_norm"]


def relative_gradient_norm(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return Auto-RGN = ‖ḡ_l‖ / ‖θ_l‖ of each layer, ḡ the gradient of the target loss.

    Args:
        problem: see `Problem`.
        shared: gradients.

    Source: Lee et al. 2023, Surgical fine-tuning (ICLR), section 4.
    """
    parameters = dict(problem.model.named_parameters())
    scores = {}
    for layer in problem.layers:
        weight = sum(
            float(parameters[name].detach().double().square().sum()) for name in layer.parameters
        )
        scores[layer.name] = (shared.gradients.squared_mean(layer) / max(weight, 1e-30)) ** 0.5
    return scores
