"""Largest eigenvalue of the Hessian block of each layer."""

from __future__ import annotations

from collections.abc import Sequence

from spectune.landscape import LayerCurvature

__all__ = ["hessian_eigenvalues"]


def hessian_eigenvalues(curvatures: Sequence[LayerCurvature]) -> dict[str, float]:
    """Return the largest eigenvalue of each layer's Hessian block; higher: re-train first.

        λ_l = max_v vᵀH_l v / vᵀv,      H_l = ∂²L/∂θ_l²

    the sharpness of the target loss in the layer: how much a change of given length can matter.

    Args:
        curvatures: see `spectune.advice.quadratic_decrease.problem_curvatures`.

    Source: Keskar et al. 2017 (ICLR) for sharpness; Yao et al. 2020 (IEEE Big Data) by layer.
    """
    return {layer.name: float(layer.hessian.values[0]) for layer in curvatures}
