"""Trace of the Hessian block of each layer."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["hessian_trace"]


def hessian_trace(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return the trace of the Gauss–Newton Hessian block of each layer.

        tr G_l = (2/M) tr J_lᵀJ_l

    for L = mean((f − y)²) over M entries. For a piecewise linear network (ReLU) this is the trace
    of the Hessian block itself.

    Args:
        problem: see `Problem`.
        shared: squared norms of the Jacobians.
    """
    scale = 2 / problem.entries
    return {layer.name: scale * shared.jacobian_norms[layer.name] for layer in problem.layers}
