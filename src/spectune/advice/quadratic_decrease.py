"""Decrease of the quadratic model along the leading eigenvectors of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spectune.advice.problem import Problem
from spectune.landscape import LayerCurvature, layer_curvatures

__all__ = ["problem_curvatures", "quadratic_decreases"]


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


def quadratic_decreases(curvatures: Sequence[LayerCurvature]) -> dict[str, float]:
    """Return what a step in the plane of the leading eigenvectors can gain; higher: re-train first.

        D_l = Σ_i (gᵀv_i)² / (2 λ_i),      G_l v_i = λ_i v_i

    the decrease of the Gauss–Newton model L(θ) + gᵀδ + ½ δᵀG_l δ at its minimum over δ in the span
    of the v_i. The Gauss–Newton block has no negative eigenvalues, so that there is a minimum.
    It is what the landscape in that plane promises, and a lower bound on the decrease of the model
    with all directions (`attainable_decrease`), of which stiff directions may be a small part.

    Args:
        curvatures: see `problem_curvatures`.

    Source: Martens 2010 (ICML) for the model; LeCun, Simard and Pearlmutter 1992 (NeurIPS) for the
    steps along leading eigenvectors.
    """
    scores = {}
    for layer in curvatures:
        block = layer.gauss_newton
        stiff = block.values > 1e-12 * block.values.abs().max()
        gains = block.slopes[stiff].square() / (2 * block.values[stiff])
        scores[layer.name] = float(gains.sum())
    return scores
