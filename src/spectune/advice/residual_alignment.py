"""How much more a layer sees of the error than of white noise."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["residual_alignment"]


def residual_alignment(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return the alignment of the tangent kernel of each layer with the error.

        a_l = (Rᵀ K_l R / ‖R‖²) / (tr K_l / M),      K_l = J_l J_lᵀ,    R = f(x; θ) − y

    over the M entries of the output: 1 for a layer to which R is like white noise, up to M for one
    whose kernel consists of R alone. Under gradient flow of layer l the loss starts to fall at the
    rate 4 RᵀK_lR/M²; divided by the trace it does not depend on the scale of the weights, which
    decides over gradient norms.

    Args:
        problem: see `Problem`.
        shared: gradients and squared norms of the Jacobians.

    Source: kernel–target alignment of Cristianini et al. 2001 (NeurIPS), with the trace in place of
    the Frobenius norm of K, which is not known without K.
    """
    moments, norms = shared.gradients, shared.jacobian_norms
    scale = problem.entries**2 / (4 * max(moments.loss, 1e-30))
    return {
        layer.name: scale * moments.squared_mean(layer) / norms[layer.name]
        if norms[layer.name] > 0
        else 0.0
        for layer in problem.layers
    }
