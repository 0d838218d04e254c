"""Exponential time differencing."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import torch
from torch import Tensor

from spectune.systems.stepping.scheme import OneStep, in_double

__all__ = ["ETDRK4"]

# Points of the trapezoidal rule on the circle: its error is of the order of radius**POINTS/POINTS!.
POINTS = 32


class ETDRK4(OneStep):
    """Fourth-order exponential time differencing: steady states and the linear part are exact.

    With z = LΔt:

        a = N(x),  b = N(y),  c = N(e^{z/2} x + Q b),  d = N(e^{z/2} y + Q (2c − a)),
        y = e^{z/2} x + Q a,   Q = Δt (e^{z/2} − 1)/z
        x ← e^z x + f₁ a + 2 f₂ (b + c) + f₃ d
        f₁ = Δt [−4 − z + e^z (4 − 3z + z²)]/z³
        f₂ = Δt [2 + z + e^z (z − 2)]/z³
        f₃ = Δt [−4 − 3z − z² + e^z (4 − z)]/z³

    The fractions lose all digits as z → 0; their values are means over a circle around z (Cauchy's
    formula), computed in float64 whatever the precision of the run.

    Where L = 0 this is the classical Runge–Kutta scheme, stable for oscillations of frequency λ up
    to λΔt = 2√2; damping (L < 0) raises that limit.

    Args:
        linear: L (*half_shape), real or complex.
        nonlinear: N, from coefficients to coefficients.
        dt: time step.

    Source: Cox & Matthews 2002 (J. Comput. Phys. 176), eq. 26–29; Kassam & Trefethen 2005 (SIAM J.
    Sci. Comput. 26), section 3, for the contour.
    """

    name = "ETDRK4"
    order = 4
    stages = 4
    stability_limit = 2.0 * 2.0**0.5
    courant_limit = stability_limit

    def __init__(self, linear: Tensor, nonlinear: Callable[[Tensor], Tensor], dt: float) -> None:
        self.dt = dt
        self._nonlinear = nonlinear
        z = in_double(linear) * dt
        self._half = torch.exp(z / 2).to(linear.dtype)
        self._full = torch.exp(z).to(linear.dtype)
        weights = [dt * weight for weight in _weights(z)]
        self._Q, self._f1, self._f2, self._f3 = (weight.to(linear.dtype) for weight in weights)

    def step(self, state: Tensor) -> Tensor:
        """Return the state one Δt later."""
        a = self._nonlinear(state)
        decayed = self._half * state
        y = decayed + self._Q * a
        b = self._nonlinear(y)
        c = self._nonlinear(decayed + self._Q * b)
        d = self._nonlinear(self._half * y + self._Q * (2 * c - a))
        return self._full * state + self._f1 * a + 2 * self._f2 * (b + c) + self._f3 * d


def _weights(z: Tensor) -> list[Tensor]:
    """Return Q, f₁, f₂ and f₃ over Δt at z (float64 or complex128)."""
    # Real z: the lower half of the circle gives the conjugates of the upper half.
    count = POINTS if z.is_complex() else POINTS // 2
    # No point of the circle may come near 0, which the unit circle around |z| = 1 passes through.
    radius = torch.where(z.abs() < 1.5, 2.5, 1.0).double()
    sums = [torch.zeros_like(z) for _ in range(4)]
    # One point at a time: all at once would need POINTS times the memory of a state.
    for j in range(count):
        r = z + radius * cmath.exp(2j * math.pi * (j + 0.5) / POINTS)
        e, r3 = torch.exp(r), r**3
        values = (
            torch.expm1(r / 2) / r,
            (-4 - r + e * (4 - 3 * r + r**2)) / r3,
            (2 + r + e * (r - 2)) / r3,
            (-4 - 3 * r - r**2 + e * (4 - r)) / r3,
        )
        for total, value in zip(sums, values, strict=True):
            total += value if z.is_complex() else value.real
    return [total / count for total in sums]
