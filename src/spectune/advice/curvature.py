"""Curvature of the target loss in each layer, as far as criteria need it."""

from __future__ import annotations

import torch

from spectune.advice.problem import Problem
from spectune.landscape import LayerCurvature, layer_curvatures

__all__ = ["problem_curvatures"]


def problem_curvatures(
    problem: Problem, generator: torch.Generator, *, count: int = 2
) -> list[LayerCurvature]:
    """Return the curvature of the target loss in each layer, on the fit part.

    Args:
        problem: see `Problem`.
        generator: source of random vectors.
        count: eigenpairs of each layer.
    """
    return layer_curvatures(
        problem.model,
        {layer.name: layer.parameters for layer in problem.layers},
        problem.fit_inputs,
        problem.fit_targets,
        generator,
        count=count,
        # Scores that rank layers need no more.
        tolerance=0.03,
        trace_tolerance=0.1,
        max_iterations=20 + 10 * count,
        max_probes=10,
    )
