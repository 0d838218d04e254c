"""Runge–Kutta with an integrating factor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.systems.stepping.scheme import OneStep, in_double

__all__ = ["IntegratingFactorRK4"]


class IntegratingFactorRK4(OneStep):
    """Fourth-order Runge–Kutta on exp(−Lt) x̂: the linear part is exact.

    With E = exp(L Δt/2):

        a = N(x),  b = N(E(x + Δt/2 a)),  c = N(E x + Δt/2 b),  d = N(E² x + Δt E c)
        x ← E² x + Δt/6 (E² a + 2E(b + c) + d)

    Stable for oscillations of frequency λ up to λΔt = 2√2. Steady states are not exact: where
    |L|Δt is large, a balance L x + N = 0 is missed.

    Args:
        linear: L (*half_shape), real or complex.
        nonlinear: N, from coefficients to coefficients.
        dt: time step.

    Attributes:
        half: E.

    Source: Canuto et al. 2006, Spectral Methods, appendix D.
    """

    name = "IFRK4"
    order = 4
    stages = 4
    stability_limit = 2.0 * 2.0**0.5
    courant_limit = stability_limit

    def __init__(self, linear: Tensor, nonlinear: Callable[[Tensor], Tensor], dt: float) -> None:
        self.dt = dt
        self._nonlinear = nonlinear
        wide = in_double(linear)
        self.half = torch.exp(wide * (dt / 2)).to(linear.dtype)
        self._full = torch.exp(wide * dt).to(linear.dtype)

    def step(self, state: Tensor) -> Tensor:
        """Return the state one Δt later."""
        dt, half, full = self.dt, self.half, self._full
        a = self._nonlinear(state)
        b = self._nonlinear(half * torch.add(state, a, alpha=dt / 2))
        decayed = half * state
        c = self._nonlinear(torch.add(decayed, b, alpha=dt / 2))
        d = self._nonlinear(torch.add(half * decayed, half * c, alpha=dt))
        middle = half * b.add_(c)
        return torch.add(full * torch.add(state, a, alpha=dt / 6), middle, alpha=dt / 3).add_(
            d, alpha=dt / 6
        )
