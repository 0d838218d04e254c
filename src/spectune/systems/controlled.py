"""Advance a system with the step that its speed allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from spectune.errors import CaseError, StabilityError
from spectune.systems.simulation import Simulation, Snapshot
from spectune.systems.stepping import IntegratingFactorRK4, SchemeFactory
from spectune.systems.system import System

__all__ = ["ControlledSimulation"]

# Under this name a snapshot keeps the number of substeps that its other memory belongs to.
SUBSTEPS = "substeps"

# The operators of a scheme are expensive to form; those of so many steps are kept.
SCHEMES_KEPT = 4


class ControlledSimulation:
    """A run whose snapshots are equally spaced and whose steps follow the CFL number.

    Each interval T between snapshots is walked in n equal steps,

        n ≥ T c/C,      c = max(|u| + |v|) k_max at its start,      C the CFL number aimed at,

    with n rounded up to three leading binary digits (… 8, 10, 12, 14, 16, 20 …): few different
    steps occur, and none is shorter than four fifths of what was asked for. Where the flow speeds
    up so much that the check of `Simulation` fails, the interval is walked again from its start in
    2n steps, and so on. What happens in an interval is a function of the snapshot at its start
    alone, so that a run goes on with the same bytes; the time of a snapshot is its number times T.

    All members of a state share the step of the fastest one. Who wants a member to be the same in
    any company takes a `Simulation` with a fixed step, or one run a member.

    Where n changes from one interval to the next, what the scheme and the closure remember belongs
    to another Δt and is dropped: `AdamsBashforth2CrankNicolson` then starts with an Euler step and
    an extrapolated closure with its present value, each an error O(Δt²) once. One-step schemes
    lose nothing. The noise of a stochastic system walks the same path when an interval is walked
    again (see `standard_increment`).

    Args:
        system: the equations.
        start: the state to go on from; its `step` counts intervals.
        interval: T.
        courant: C, by default half the limit of the scheme.
        closure: subgrid term, as for `Simulation`.
        scheme: from L, N and Δt to a time scheme.
        first_member: as for `Simulation`.
        most_substeps: n beyond which the run gives up, that is, the smallest Δt is T over it.

    Attributes:
        last_good: the last snapshot.
        dt: Δt of the last interval; None before the first.

    Raises:
        CaseError: T or C is not positive, or C is above the limit of the scheme.
    """

    def __init__(
        self,
        system: System,
        start: Snapshot,
        interval: float,
        *,
        courant: float | None = None,
        closure: Callable[[Tensor], Tensor] | None = None,
        scheme: SchemeFactory = IntegratingFactorRK4,
        first_member: int = 0,
        most_substeps: int = 2**14,
    ) -> None:
        if not interval > 0:
            raise CaseError(f"expected an interval T > 0 between snapshots, found {interval}")
        self.system = system
        self.last_good = start
        self.dt: float | None = None
        self._interval = interval
        self._most = most_substeps

        @lru_cache(maxsize=SCHEMES_KEPT)
        def simulation(substeps: int) -> Simulation:
            return Simulation(
                system,
                start,
                interval / substeps,
                closure,
                scheme,
                substeps=substeps,
                first_member=first_member,
            )

        self._simulation = simulation
        limit = simulation(1).courant_limit
        self._courant = limit / 2 if courant is None else courant
        if not 0 < self._courant <= limit:
            raise CaseError(
                f"expected a CFL number from 0 to {limit:.3g}, the limit of the time scheme, "
                f"found {courant}"
            )

    def snapshots(self, every: int = 1) -> Iterator[Snapshot]:
        """Yield the state after each `every` intervals, without end.

        Raises:
            StabilityError: the smallest Δt was still too large; `last_good` is the last snapshot
                before that, whether it was yielded or not.
        """
        while True:
            for _ in range(every):
                self.last_good = self._walk(self.last_good)
            yield self.last_good

    def _walk(self, start: Snapshot) -> Snapshot:
        substeps = self._needed(start)
        refusal: StabilityError | None = None
        while substeps <= self._most:
            simulation = self._simulation(substeps)
            simulation.last_good = self._counted(start, substeps)
            try:
                end = next(simulation.snapshots(substeps))
            except StabilityError as error:
                refusal = error
                substeps *= 2
                continue
            step, self.dt = start.step + 1, self._interval / substeps
            memory = dict(end.memory)
            if memory:
                memory[SUBSTEPS] = torch.tensor(substeps)
            return Snapshot(step, step * self._interval, end.state, memory)
        found = f": {refusal}" if refusal else ", by the CFL number at its start"
        raise StabilityError(
            f"the interval from time {start.time:g} to {(start.step + 1) * self._interval:g} needs "
            f"a time step of {self._interval / substeps:.3g}, below the smallest one, "
            f"{self._interval / self._most:.3g}{found}. The snapshot at its start is kept"
        ) from refusal

    def _needed(self, start: Snapshot) -> int:
        rate = self.system.courant_rate(start.state)
        if not math.isfinite(rate):
            raise StabilityError(
                f"the state at time {start.time:g} is not finite: start from an earlier one"
            )
        return _rounded_up(max(1, math.ceil(self._interval * rate / self._courant)))

    def _counted(self, start: Snapshot, substeps: int) -> Snapshot:
        """Return a snapshot that counts substeps, with the memory that is still of use."""
        memory = dict(start.memory)
        belongs_to = memory.pop(SUBSTEPS, None)
        if belongs_to is None or int(belongs_to) != substeps:
            memory = {}
        return Snapshot(start.step * substeps, start.time, start.state, memory)


def _rounded_up(count: int) -> int:
    """Return the next number with at most three leading binary digits."""
    shift = max(count.bit_length() - 3, 0)
    return -(-count >> shift) << shift
