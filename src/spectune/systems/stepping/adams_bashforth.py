"""Adams–Bashforth with Crank–Nicolson."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from spectune.systems.stepping.scheme import in_double

__all__ = ["AdamsBashforth2CrankNicolson"]


class AdamsBashforth2CrankNicolson:
    """The scheme of Subel et al.: AB2 for N, Crank–Nicolson for L, one evaluation of N a step.

        (1 − C Δt/2 − B Δt) xⁿ⁺¹ = (1 + C Δt/2) xⁿ + Δt (3/2 N(xⁿ) − 1/2 N(xⁿ⁻¹)),   L = C + B

    B is the part of L that is stepped by backward Euler. With B = 0, the default, the scheme is of
    second order. The authors step the drag so, B = −r (``partial(AdamsBashforth2CrankNicolson,
    backward=-r)``), which makes the drag, and with it the run, first-order accurate. The first step
    is forward Euler, N(x⁻¹) = N(x⁰), as theirs; its error O(Δt²) leaves the order at two. (Their
    solvers step Π by forward Euler; here it is part of N.)

    Stability. AB2 is unstable on the whole imaginary axis, so `stability_limit` is 0: an undamped
    oscillation of frequency λ grows by 1 + (λΔt)⁴/4 a step to leading order (Durran 1991). What
    saves a run is viscosity: the mode k stays bounded where (U k Δt)⁴/4 < νk²Δt, to the same
    order, that is, where (U k Δt)³ < 4νk/U. `courant_limit` = 0.5 is therefore a rule, not a
    theorem: it is a bound for every mode where U/(νk_max) ≤ 23, while U, the largest speed, is
    reached at one point only. In forced runs on 64² points with U/(νk_max) = 40 … 370, CFL numbers
    up to 0.5 gave the enstrophy of `IntegratingFactorRK4` to 2 % or better after 5 time units, and
    blow-ups began at 0.7 to 0.9. At 0.5 an undamped mode grows by 2.7 % a step: a flow without
    viscosity needs less, and then only the check for finite values watches it.

    Crank–Nicolson damps no mode with |L|Δt ≫ 1: it flips its sign every step.

    A run resumes with the same bytes from its state and `state_dict()`: N(xⁿ⁻¹) and Δt.

    Args:
        linear: L (*half_shape), real or complex.
        nonlinear: N, from coefficients to coefficients.
        dt: time step.
        backward: B, a number or a tensor that broadcasts to L.

    Source: Guan et al. 2022 (J. Comput. Phys. 458), section 2, and the solvers of
    github.com/envfluids/py2d; Peyret 2002, Spectral Methods for Incompressible Viscous Flow,
    section 4.5.1; Durran 1991 (Mon. Weather Rev. 119) for the growth.
    """

    name = "AB2CN"
    order = 2
    stages = 1
    stability_limit = 0.0
    courant_limit = 0.5

    def __init__(
        self,
        linear: Tensor,
        nonlinear: Callable[[Tensor], Tensor],
        dt: float,
        backward: float | Tensor = 0.0,
    ) -> None:
        self.dt = dt
        self._nonlinear = nonlinear
        z = in_double(linear) * dt
        euler = backward * dt
        denominator = 1 - (z - euler) / 2 - euler
        self._keep = ((1 + (z - euler) / 2) / denominator).to(linear.dtype)
        self._gain = (dt / denominator).to(linear.dtype)
        self._previous: Tensor | None = None

    def step(self, state: Tensor) -> Tensor:
        """Return the state one Δt later."""
        tendency = self._nonlinear(state)
        previous = tendency if self._previous is None else self._previous
        self._previous = tendency
        return self._keep * state + self._gain * (1.5 * tendency - 0.5 * previous)

    def state_dict(self) -> dict[str, Tensor]:
        """Return N(xⁿ⁻¹) and Δt (float64); empty before the first step."""
        if self._previous is None:
            return {}
        return {"tendency": self._previous, "dt": torch.tensor(self.dt, dtype=torch.float64)}

    def load(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from a `state_dict`; an empty one starts with an Euler step.

        Raises:
            ValueError: the memory is that of another scheme or of another Δt, for which the
                weights 3/2 and −1/2 are wrong.
        """
        if not memory:
            self._previous = None
            return
        if set(memory) != {"tendency", "dt"}:
            raise ValueError(f"expected the memory 'dt' and 'tendency', found {sorted(memory)}")
        if float(memory["dt"]) != self.dt:
            raise ValueError(
                f"the previous tendency belongs to Δt = {float(memory['dt']):g}, this run has "
                f"Δt = {self.dt:g}; drop the memory to start with an Euler step"
            )
        self._previous = memory["tendency"]
