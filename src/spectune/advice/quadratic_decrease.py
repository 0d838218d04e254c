"""Decrease of the quadratic model along the leading eigenvectors of each layer."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["quadratic_decrease"]


def quadratic_decrease(_: Problem, shared: SharedPass) -> dict[str, float]:
    """Return what a step in the plane of the leading eigenvectors can gain; higher: re-train first.

        D_l = Σ_i (gᵀv_i)² / (2 λ_i),      G_l v_i = λ_i v_i

    the decrease of the Gauss–Newton model L(θ) + gᵀδ + ½ δᵀG_l δ at its minimum over δ in the span
    of the v_i. The Gauss–Newton block has no negative eigenvalues, so that there is a minimum.
    It is what the landscape in that plane promises, and a lower bound on the decrease of the model
    with all directions (`attainable_decrease`), of which stiff directions may be a small part.

    Args:
        shared: curvatures.

    Source: Martens 2010 (ICML) for the model; LeCun, Simard and Pearlmutter 1992 (NeurIPS) for the
    steps along leading eigenvectors.
    """
    scores = {}
    for layer in shared.curvatures:
        block = layer.gauss_newton
        stiff = block.values > 1e-12 * block.values.abs().max()
        gains = block.slopes[stiff].square() / (2 * block.values[stiff])
        scores[layer.name] = float(gains.sum())
    return scores
