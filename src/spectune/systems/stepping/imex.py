"""Implicit–explicit Runge–Kutta."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.systems.stepping.scheme import OneStep, in_double

__all__ = ["ARS343"]

# The root of x³ − 3x² + 3x/2 − 1/6 between 0.4 and 0.5: it makes the implicit part L-stable.
G = 0.43586652150845899942
B1 = -1.5 * G**2 + 4 * G - 0.25
B2 = 1.5 * G**2 - 5 * G + 1.25
# Of the explicit part one number is free; this one, to its ten published digits, gives the
# stability function of the classical Runge–Kutta scheme.
A43 = A42 = 0.5529291479
A31 = (
    (1 - 4.5 * G + 1.5 * G**2) * A42
    + (2.75 - 10.5 * G + 3.75 * G**2) * A43
    + (-3.5 + 13 * G - 4.5 * G**2)
)


class ARS343(OneStep):
    """Third-order implicit–explicit Runge–Kutta: N explicit, L implicit and strongly damped.

        xᵢ = x + Δt Σ_{j<i} Âᵢⱼ N(xⱼ) + Δt Σ_{j≤i} Aᵢⱼ L xⱼ,      i = 1 … 4
        x ← x + Δt Σᵢ bᵢ (N(xᵢ) + L xᵢ)

    The implicit part is L-stable (a mode with LΔt → −∞ is gone after one step), the explicit part
    is stable for oscillations of frequency λ up to λΔt = 2√2.

    Args:
        linear: L (*half_shape), real or complex.
        nonlinear: N, from coefficients to coefficients.
        dt: time step.

    Source: Ascher, Ruuth & Spiteri 1997 (Appl. Numer. Math. 25), section 2.7, scheme (3,4,3).
    """

    name = "ARS343"
    order = 3
    stages = 4
    stability_limit = 2.0 * 2.0**0.5
    courant_limit = stability_limit

    explicit = (
        (),
        (G,),
        (A31, (1 + G) / 2 - A31),
        (1 - A42 - A43, A42, A43),
    )
    """Â, strictly lower triangular."""

    implicit = (
        (0.0,),
        (0.0, G),
        (0.0, (1 - G) / 2, G),
        (0.0, B1, B2, G),
    )
    """A, lower triangular; its last row is b."""

    weights = (0.0, B1, B2, G)
    """b."""

    def __init__(self, linear: Tensor, nonlinear: Callable[[Tensor], Tensor], dt: float) -> None:
        self.dt = dt
        self._nonlinear = nonlinear
        z = in_double(linear) * dt
        self._rate = z.to(linear.dtype)
        self._solve = (1 / (1 - G * z)).to(linear.dtype)

    def step(self, state: Tensor) -> Tensor:
        """Return the state one Δt later."""
        dt = self.dt
        tendencies, decays = [self._nonlinear(state)], [torch.zeros_like(state)]
        current = state
        for row, damping in zip(self.explicit[1:], self.implicit[1:], strict=True):
            right = state
            for a, tendency in zip(row, tendencies, strict=True):
                right = torch.add(right, tendency, alpha=a * dt)
            for a, decay in zip(damping[1:-1], decays[1:], strict=True):
                right = torch.add(right, decay, alpha=a)
            current = self._solve * right
            tendencies.append(self._nonlinear(current))
            decays.append(self._rate * current)
        # b is the last row of A, so x₄ already holds all of L; what remains is to exchange the
        # weights of N. (Adding b₄ L x₄ to x instead would lose digits where |L|Δt is large.)
        for a, b, tendency in zip((*self.explicit[-1], 0.0), self.weights, tendencies, strict=True):
            current = torch.add(current, tendency, alpha=(b - a) * dt)
        return current
