"""Advance a system in time, watching its stability."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from spectune.errors import CaseError, StabilityError
from spectune.systems.fused import fused_rk4
from spectune.systems.graphed import graphed_steps
from spectune.systems.stepping import IntegratingFactorRK4, SchemeFactory
from spectune.systems.system import Stochastic, System

__all__ = ["Simulation", "Snapshot"]

# The advective frequency is checked this often; between checks a run can blow up, but not unseen.
CHECK_EVERY = 50

# Under this name a snapshot keeps the last value of the closure, beside what the scheme keeps.
SUBGRID = "subgrid"


@dataclass(frozen=True)
class Snapshot:
    """State of a run at one time.

    Attributes:
        step: number of steps taken; of intervals, in a `ControlledSimulation`.
        time: simulated time.
        state: ω̂ (..., *half_shape).
        memory: what the scheme and the closure need besides the state to go on with the same
            bytes, plain tensors by name. Empty at a start, and with a one-step scheme and no
            closure always. A run that goes on without it starts its scheme anew, which costs an
            error of order Δt² once.
    """

    step: int
    time: float
    state: Tensor
    memory: Mapping[str, Tensor] = field(default_factory=dict)


class Simulation:
    """A system, a time scheme and a state; stops before a wrong result is used.

    The step is refused when its CFL number, Δt max(|u| + |v|) k_max, exceeds the limit of the
    scheme, and when the state ceases to be finite. The limit is that of stability on the imaginary
    axis; `AdamsBashforth2CrankNicolson`, which has none, says what stands in for it.

    Args:
        system: the equations.
        start: the state to go on from.
        dt: time step.
        closure: subgrid term Π̂ of a state ω̂, added to the tendency. It is evaluated once a step and
            extrapolated to the middle of the step, Π̂ ≈ 3/2 Π̂ⁿ − 1/2 Π̂ⁿ⁻¹ (second order): a network
            costs more than all else, and four calls a step buy nothing that a model's error
            would not hide. A scheme that evaluates the tendency once a step extrapolates it itself.
        closure_steps: steps that share a value of the closure, extrapolated to their middle: the
            error of a closure called every n steps is that of a step n times as long, the stability
            limit of the flow is not.
        scheme: from L, N and Δt to a time scheme, see `spectune.systems.stepping`.
        substeps: steps that share one increment of the noise of a stochastic system, see `Noise`.
        first_member: number of the first member of the state in an ensemble of which this run is
            a part, for its noise.
        courant_limit: largest CFL number to accept, by default that of the scheme. It holds for
            the fastest point and the smallest scale together; where viscosity damps that scale
            within a step, a run can be stable and accurate beyond.

    Attributes:
        courant_limit: largest CFL number that is accepted.

    Raises:
        CaseError: closure steps that are not a divisor of the 50 steps between two checks, or more
            than one with a scheme that calls the closure itself.
    """

    def __init__(
        self,
        system: System,
        start: Snapshot,
        dt: float,
        closure: Callable[[Tensor], Tensor] | None = None,
        scheme: SchemeFactory = IntegratingFactorRK4,
        *,
        closure_steps: int = 1,
        substeps: int = 1,
        first_member: int = 0,
        courant_limit: float | None = None,
    ) -> None:
        self.system = system
        self.last_good = start
        self._scheme = scheme(
            system.linear, system.tendency if closure is None else self._closed_tendency, dt
        )
        self.courant_limit = self._scheme.courant_limit if courant_limit is None else courant_limit
        fused = fused_rk4(system, self._scheme)
        self._faster = fused or graphed_steps(system, scheme, dt)
        self._rate = (fused or system).courant_rate
        self._dt = dt
        noise = system.noise if isinstance(system, Stochastic) else None
        self._kick = (
            None
            if noise is None
            else partial(noise.kick, dt=dt, substeps=substeps, first_member=first_member)
        )
        self._closure = closure
        self._extrapolates = closure is not None and self._scheme.stages > 1
        self._closure_steps = closure_steps
        if closure_steps < 1 or CHECK_EVERY % closure_steps:
            raise CaseError(
                f"found {closure_steps} steps to a call of the closure, expected a divisor of "
                f"{CHECK_EVERY}, the steps between two checks of the state"
            )
        if closure_steps > 1 and closure is not None and not self._extrapolates:
            raise CaseError(
                f"{type(self._scheme).__name__} evaluates the closure at every step; found "
                f"{closure_steps} steps to a call, expected 1, or take a Runge–Kutta scheme"
            )
        self._previous: Tensor | None = None
        self._subgrid: Tensor | None = None

    def snapshots(self, every: int) -> Iterator[Snapshot]:
        """Yield the state after each `every` steps, without end.

        Raises:
            CaseError: a snapshot between two calls of the closure.
            StabilityError: naming step, time, CFL number and the largest stable Δt; the last state
                that passed the check stays in `last_good`.
        """
        if self._extrapolates and every % self._closure_steps:
            raise CaseError(
                f"found a snapshot every {every} steps and the closure called every "
                f"{self._closure_steps}; expected a multiple"
            )
        step, state = self.last_good.step, self.last_good.state
        memory = dict(self.last_good.memory)
        self._previous = memory.pop(SUBGRID, None)
        self._scheme.load(memory)
        self._check(step, state)
        while True:
            stop = step + every
            while step < stop:
                # Nothing but the scheme changes the state up to here.
                ahead = min(stop, step - step % CHECK_EVERY + CHECK_EVERY) - step
                if self._extrapolates:
                    held = step % self._closure_steps
                    if not held:
                        self._extrapolate(state)
                    ahead = self._closure_steps - held
                if self._kick is not None:
                    ahead = 1
                state = self._advance(state, ahead)
                if self._kick is not None:
                    state = self._kick(state, step=step)
                step += ahead
                if step == stop or step % CHECK_EVERY == 0:
                    self._check(step, state)
            yield self.last_good

    def _advance(self, state: Tensor, steps: int) -> Tensor:
        if self._faster is not None:
            return self._faster.advance(state, steps, self._subgrid)
        for _ in range(steps):
            state = self._scheme.step(state)
        return state

    def _extrapolate(self, state: Tensor) -> None:
        assert self._closure is not None
        subgrid = self._closure(state)
        previous = subgrid if self._previous is None else self._previous
        self._subgrid = 1.5 * subgrid - 0.5 * previous
        self._previous = subgrid

    def _closed_tendency(self, state: Tensor) -> Tensor:
        assert self._closure is not None
        # An extrapolated Π̂ belongs to the middle of the step, whatever the stage.
        subgrid = self._subgrid if self._extrapolates else self._closure(state)
        assert subgrid is not None
        return self.system.tendency(state) + subgrid

    def _check(self, step: int, state: Tensor) -> None:
        time = step * self._dt
        finite = bool(torch.isfinite(state).all())
        rate = self._rate(state if finite else self.last_good.state)
        limit = self.courant_limit
        courant, kept = rate * self._dt, f"The last good state (step {self.last_good.step}) is kept"
        if courant > limit:
            found = "the flow became too fast" if finite else "the state is no longer finite"
            raise StabilityError(
                f"time step Δt = {self._dt:g} is too large at step {step} (time {time:g}): "
                f"{found}; CFL number {courant:.3g}, limit {limit:.3g}; largest stable Δt "
                f"{limit / rate:.3g}. {kept}; run again with a smaller Δt"
            )
        if not finite:
            suspect = "of the flow" if self._closure is None else "of the flow or of the closure"
            raise StabilityError(
                f"the state is no longer finite at step {step} (time {time:g}) with Δt = "
                f"{self._dt:g}, although its CFL number at step {self.last_good.step} was "
                f"{courant:.3g}, limit {limit:.3g}: an instability {suspect}; the largest stable "
                f"Δt is below {min(self._dt, limit / rate):.3g}, if there is one. {kept}"
            )
        memory = self._scheme.state_dict()
        if self._previous is not None:
            memory[SUBGRID] = self._previous
        self.last_good = Snapshot(step, time, state, memory)
