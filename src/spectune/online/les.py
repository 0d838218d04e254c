"""Large-eddy simulation with a closure in the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spectune.closures import SubgridModel
from spectune.errors import StabilityError
from spectune.online.coupling import Closure, Coupling, LESSystem
from spectune.systems import Simulation, Snapshot

__all__ = ["LESRun", "run_ensemble", "run_les"]


@dataclass(frozen=True)
class LESRun:
    """What a large-eddy simulation left.

    Attributes:
        time: (nt,) time of each snapshot.
        omega: (nt, *grid) the resolved state, float32: ω̄ of 2D Navier–Stokes, ū, X; q̄ of two-layer
            QG with a layer axis (nt, 2, ny, nx).
        pi: subgrid term that the closure gave, shaped as `omega`; zero without closure.
        stable_until: time at which it blew up, or None where it ran to the end.
        reason: why it stopped, or "".
        limited: what limiters removed, by name; of an ensemble, from all its members together.
    """

    time: Tensor
    omega: Tensor
    pi: Tensor
    stable_until: float | None
    reason: str
    limited: Mapping[str, float] = field(default_factory=dict)


def run_les(
    system: LESSystem,
    omega: Tensor,
    closure: Closure | None,
    *,
    dt: float,
    every: int,
    snapshots: int,
    progress: Callable[[int], Any],
    closure_steps: int = 1,
) -> LESRun:
    """Run a large-eddy simulation from a filtered state.

        ∂x̄/∂t = L x̄ + N(x̄) + Π(x̄)

    A blow-up is a result: the run stops, keeps what it has, and says when and why.

    Args:
        system: the flow on the LES grid, ``dealiasing="3/2"`` (see `CoarseGraining.les`).
        omega: filtered state at the start: ω̄ (ny, nx), ū (nx,), X (K,) or q̄ (2, ny, nx).
        closure: Π of what is resolved, (ψ̄, ω̄) in 2D Navier–Stokes (see `Coupling`), or None.
        dt: time step.
        every: steps between snapshots.
        snapshots: number of snapshots after the start.
        progress: called with the number of snapshots done.
        closure_steps: steps to a call of the closure, see `Simulation`; a divisor of `every`.

    Raises:
        CaseError: a system that no closure can be coupled to, a state of another shape, or a
            snapshot between two calls of the closure.
        ModelError: the closure is not one of this system.
    """
    (run,) = run_ensemble(
        system,
        omega[None],
        closure,
        dt=dt,
        every=every,
        snapshots=snapshots,
        progress=progress,
        closure_steps=closure_steps,
    )
    return run


def run_ensemble(
    system: LESSystem,
    omega: Tensor,
    closure: Closure | None,
    *,
    dt: float,
    every: int,
    snapshots: int,
    progress: Callable[[int], Any],
    closure_steps: int = 1,
) -> list[LESRun]:
    """Run large-eddy simulations from several filtered states, the closure called once for all.

    A member that blows up ends alone: the others go on, and each has its own stability horizon.

    Args:
        system: as for `run_les`; forcing is shared by all members, noise is of each.
        omega: filtered states, with the members first: (n, *state).
        closure: as for `run_les`.
        dt: time step.
        every: steps between snapshots.
        snapshots: number of snapshots after the start.
        progress: called with the number of snapshots done.
        closure_steps: as for `run_les`.

    Returns:
        One run a member.

    Raises:
        CaseError: see `run_les`; or each member has a forcing of its own.
        ModelError: see `run_les`.
    """
    coupling = Coupling(system)
    start = coupling.start(omega)
    if isinstance(closure, SubgridModel):
        closure.reset()
    logs = [_Log() for _ in omega]
    everyone = Snapshot(0, 0.0, start)
    members = [_Members(coupling, closure, everyone, dt, closure_steps, first=0)]
    for done in range(1, snapshots + 1):
        moved = []
        for together in members:
            for survivors, snapshot in _advanced(together, done * every, logs):
                survivors.record(snapshot, logs)
                moved.append(survivors)
        members = moved
        if not members:
            break
        progress(done)
    limited = closure.report() if isinstance(closure, SubgridModel) else {}
    return [log.run(omega.shape[1:], limited) for log in logs]


class _Log:
    """What a member has left so far."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.fields: list[Tensor] = []
        self.terms: list[Tensor] = []
        self.stable_until: float | None = None
        self.reason = ""

    def run(self, shape: tuple[int, ...], limited: Mapping[str, float]) -> LESRun:
        def stacked(values: list[Tensor]) -> Tensor:
            stack = torch.stack(values) if values else torch.zeros(0, *shape)
            return stack.reshape(-1, *shape)

        return LESRun(
            torch.tensor(self.times, dtype=torch.float64),
            stacked(self.fields),
            stacked(self.terms),
            self.stable_until,
            self.reason,
            limited,
        )


class _Members:
    """Members with consecutive numbers that move together; the noise knows them by number."""

    def __init__(
        self,
        coupling: Coupling,
        closure: Closure | None,
        start: Snapshot,
        dt: float,
        closure_steps: int,
        first: int,
    ) -> None:
        self.first, self.count = first, len(start.state)
        self._coupling, self._closure, self._steps = coupling, closure, (dt, closure_steps)
        self.simulation = Simulation(
            coupling.system,
            start,
            dt,
            None if closure is None else self._subgrid,
            closure_steps=closure_steps,
            first_member=first,
        )

    def _subgrid(self, state: Tensor) -> Tensor:
        assert self._closure is not None
        with torch.no_grad():
            return self._coupling.subgrid(self._closure, state)

    def until(self, step: int) -> Snapshot:
        """Return the snapshot at a step."""
        return next(self.simulation.snapshots(step - self.simulation.last_good.step))

    def halves(self) -> Iterator[_Members]:
        """Split the members, at their last good state, into those of smaller and larger number."""
        good = self.simulation.last_good
        middle = self.count // 2
        for part in (slice(0, middle), slice(middle, None)):
            memory = {name: value[part] for name, value in good.memory.items()}
            start = Snapshot(good.step, good.time, good.state[part], memory)
            number = self.first + (part.start or 0)
            yield _Members(self._coupling, self._closure, start, *self._steps, number)

    def record(self, snapshot: Snapshot, logs: list[_Log]) -> None:
        """Add a snapshot to the logs of the members."""
        fields = self._coupling.fields(snapshot.state).float()
        terms = torch.zeros_like(fields)
        if self._closure is not None:
            terms = self._coupling.fields(self._subgrid(snapshot.state)).float()
        for log, one, term in zip(logs[self.first :], fields, terms, strict=False):
            log.times.append(snapshot.time)
            log.fields.append(one)
            log.terms.append(term)


def _advanced(
    together: _Members, step: int, logs: list[_Log]
) -> Iterator[tuple[_Members, Snapshot]]:
    """Yield members that reach a step; close the logs of those that blow up before."""
    try:
        snapshot = together.until(step)
    except StabilityError as error:
        if together.count == 1:
            log = logs[together.first]
            log.stable_until, log.reason = together.simulation.last_good.time, str(error)
            return
        # Who it was is not known; halves that hold nobody unstable go on together.
        for half in together.halves():
            yield from _advanced(half, step, logs)
    else:
        yield together, snapshot
