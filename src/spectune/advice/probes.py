"""Short re-trainings with successive halving."""

from __future__ import annotations

from torch import nn

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass
from spectune.models import predict
from spectune.training.fit import FitSettings
from spectune.training.layers import Layer
from spectune.training.transfer import transfer

__all__ = ["short_retraining"]

# Each rung doubles the epochs and keeps the better half; a rung costs as much as the one before.
EPOCHS, RUNGS, BATCH = 4, 3, 5


def short_retraining(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return rungs survived minus e/(1 + e), e the error after the last; higher: re-train first.

    On each rung the layers that are left are re-trained alone from the base network on the fit
    part, by Adam with a learning rate that falls to zero, and judged on the judge part; the better
    half goes on. A rung is a short but complete re-training, so that what ranks is what is wanted,
    only sooner.

    Args:
        problem: see `Problem`.
        shared: its seed is that of the order of the samples.

    Source: Jamieson and Talwalkar 2016 (AISTATS), algorithm 1.
    """
    scores: dict[str, float] = {}
    left = list(problem.layers)
    for rung in range(RUNGS):
        errors = {
            layer.name: _error(problem, layer, EPOCHS * 2**rung, shared.seed) for layer in left
        }
        scores |= {name: rung - error / (1 + error) for name, error in errors.items()}
        left = sorted(left, key=lambda layer: errors[layer.name])[: max(1, len(left) // 2)]
    return scores


def _error(problem: Problem, layer: Layer, epochs: int, seed: int) -> float:
    tuned, _ = transfer(
        problem.model,
        problem.fit_inputs,
        problem.fit_targets,
        [layer.name],
        FitSettings(epochs, BATCH, seed=seed),
    )
    outputs = predict(tuned, problem.judge_inputs)
    return float(nn.functional.mse_loss(outputs, problem.judge_targets))
