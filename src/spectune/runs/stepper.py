"""From one snapshot of a run to the next."""

from __future__ import annotations

from torch import Tensor

from spectune.runs.catalog import Redraw, Setup
from spectune.runs.settings import RunSettings, multiple
from spectune.systems import SCHEMES, ControlledSimulation, Simulation, Snapshot

__all__ = ["Stepper", "divided"]


def divided(redraw: Redraw | None, settings: RunSettings) -> tuple[int, int]:
    """Return how often forcing is held in an interval, and the steps (dt) or walks (CFL) of each.

    Raises:
        CaseError: the times do not divide.
    """
    holds, held = 1, "every"
    if redraw is not None:
        held = "redraw"
        holds = multiple(settings.every, redraw.interval, "every", held)
    if settings.dt is None:
        return holds, 1
    return holds, multiple(settings.every / holds, settings.dt, held, "dt")


class Stepper:
    """A group of members that moves in intervals of length `every`.

    A forcing that is redrawn is drawn at the beginning of each time for which it is held, by the
    number of that time, so that a run goes on anywhere with the same forcing.

    Args:
        setup: the system with the forcing of these members.
        settings: of the run.
        start: the state to go on from; None for the initial state.
        first_member: number of the first member of the group.

    Raises:
        CaseError: the times of the run do not divide, or the CFL number is beyond the scheme's.
    """

    def __init__(
        self, setup: Setup, settings: RunSettings, start: Snapshot | None, first_member: int
    ) -> None:
        self._setup = setup
        self._holds, self._steps = divided(setup.redraw, settings)
        hold = settings.every / self._holds
        scheme = SCHEMES[settings.scheme]
        if start is None:
            start = Snapshot(0, 0.0, setup.initial())
        self._simulation: Simulation | ControlledSimulation
        if settings.dt is None:
            self._simulation = ControlledSimulation(
                setup.system,
                start,
                hold,
                courant=settings.courant,
                scheme=scheme,
                first_member=first_member,
            )
        else:
            self._simulation = Simulation(
                setup.system, start, settings.dt, scheme=scheme, first_member=first_member
            )

    @property
    def last_good(self) -> Snapshot:
        """The last state that passed the checks."""
        return self._simulation.last_good

    @property
    def intervals(self) -> int:
        """Number of intervals since the initial state."""
        return self.last_good.step // (self._steps * self._holds)

    def fields(self) -> tuple[Tensor, ...]:
        """Return the physical fields of that state, (members, *dims) each."""
        return self._setup.fields(self.last_good.state)

    def advance(self) -> Snapshot:
        """Return the state one interval later.

        Raises:
            StabilityError: the step is too large or the run has blown up; `last_good` is kept.
        """
        for _ in range(self._holds):
            if self._setup.redraw is not None:
                self._setup.redraw.apply(self.last_good.step // self._steps)
            next(self._simulation.snapshots(self._steps))
        return self.last_good
