"""Preconditioned conjugate gradients on the normal equations of a linearised network."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, zeros_like

from spectune.landscape import LayerMap, Preconditioner

__all__ = ["least_squares"]


def least_squares(
    jacobian: LayerMap, residual: Tensor, iterations: int, precondition: Preconditioner
) -> Iterator[tuple[Tensor, float]]:
    """Yield δ and mean((R + J δ)²) after each iteration towards argmin ‖R + J δ‖² (CGLS).

    An exhausted Krylov space repeats its last δ.

    Args:
        jacobian: J.
        residual: R, of the shape of the output.
        iterations: number of them.
        precondition: from a gradient to a step, linear, symmetric and positive.

    Source: Björck 1996, Numerical Methods for Least Squares Problems, algorithm 7.4.1.
    """

    def descent(unfitted: Tensor) -> tuple[Tensor, Tensor]:
        gradient = jacobian.vjp(unfitted)
        return jacobian.flatten(gradient), jacobian.flatten(precondition(gradient))

    unfitted = -residual
    gradient, step = descent(unfitted)
    delta, direction = zeros_like(gradient), step.clone()
    norm = start = gradient.dot(step)
    for iteration in range(1, iterations + 1):
        if norm > 1e-12 * start:
            image = jacobian.jvp(jacobian.unflatten(direction))
            length = norm / image.square().sum().clamp(min=1e-30)
            delta = delta + length * direction
            unfitted = unfitted - length * image
        yield delta, float(unfitted.square().mean())
        if iteration < iterations and norm > 1e-12 * start:
            gradient, step = descent(unfitted)
            previous, norm = norm, gradient.dot(step)
            direction = step + (norm / previous) * direction
