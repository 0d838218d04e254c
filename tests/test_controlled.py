"""Steps that follow the CFL number, snapshots that do not."""

import math
from itertools import islice

import pytest
import torch

from spectune.errors import CaseError, StabilityError
from spectune.grid import Grid
from spectune.systems import (
    SCHEMES,
    ControlledSimulation,
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
)

T = 0.3


def flow(**changes):
    options = {"reynolds": 200.0, "forcing_wavenumber": 4, "drag": 0.1} | changes
    return NavierStokes2D(Grid.square(24), **options)


def noisy():
    return flow(injection_rate=20.0, ring_wavenumber=4.0, forcing_wavenumber=0)


def initial(system, factor=2.0):
    field = random_vorticity(system.grid, peak=4, generator=torch.manual_seed(0))
    return Snapshot(0, 0.0, factor * system.project(field))


def at_rest(system):
    return Snapshot(0, 0.0, torch.zeros(system.grid.half_shape, dtype=torch.complex128))


def walk(simulation, count):
    return islice(simulation.snapshots(), count)


def test_steps_have_the_courant_number_asked_for():
    """Not above it at the start of an interval, and at most a quarter more steps than needed."""
    system = flow()
    simulation = ControlledSimulation(system, initial(system), T, courant=0.4)
    before, seen = simulation.last_good, set()
    for snapshot in walk(simulation, 12):
        courant = system.courant_rate(before.state) * simulation.dt
        assert 0.4 * 4 / 5 * 0.95 < courant <= 0.4
        before = snapshot
        seen.add(round(T / simulation.dt))
    assert len(seen) > 1  # the flow changed its speed
    assert all(n & ((1 << n.bit_length() - 3) - 1) == 0 for n in seen)


def test_times_are_multiples_of_the_interval_to_the_last_bit():
    system = flow()
    snapshots = list(walk(ControlledSimulation(system, initial(system), 0.1), 7))
    assert [s.step for s in snapshots] == list(range(1, 8))
    assert [s.time for s in snapshots] == [n * 0.1 for n in range(1, 8)]


def test_it_is_the_run_with_a_fixed_step_where_the_step_is_fixed():
    system = flow()
    simulation = ControlledSimulation(system, initial(system), T)
    first = next(simulation.snapshots())
    fixed = Simulation(system, initial(system), simulation.dt)
    assert torch.equal(next(fixed.snapshots(round(T / simulation.dt))).state, first.state)


@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_it_converges_to_the_flow(scheme):
    """Against small fixed steps; a scheme with memory starts anew at each change of the step."""
    system = flow()
    reference = Simulation(system, initial(system), T / 200)
    truth = next(reference.snapshots(800)).state
    errors = []
    for courant in (0.4, 0.1):
        run = ControlledSimulation(system, initial(system), T, courant=courant, scheme=scheme)
        errors.append(float((next(run.snapshots(4)).state - truth).abs().max() / truth.abs().max()))
    assert errors[1] < errors[0] / 4 ** (scheme.order - 0.5)


def test_a_flow_that_speeds_up_is_taken_back_to_the_snapshot():
    """From rest the first guess is one step; the forcing makes the flow too fast for it."""
    system = flow(forcing_wavenumber=4, forcing_amplitude=40.0)
    simulation = ControlledSimulation(system, at_rest(system), T)
    first = next(simulation.snapshots())
    steps = round(T / simulation.dt)
    assert steps > 1
    assert steps & (steps - 1) == 0  # one, doubled
    with pytest.raises(StabilityError):
        next(Simulation(system, at_rest(system), 2 * simulation.dt).snapshots(steps // 2))
    expected = next(Simulation(system, at_rest(system), simulation.dt).snapshots(steps))
    assert torch.equal(first.state, expected.state)


def closure(omega):
    return -0.3 * omega


@pytest.mark.parametrize("scheme", SCHEMES.values())
@pytest.mark.parametrize("subgrid", [None, closure])
@pytest.mark.parametrize(("make", "start"), [(flow, initial), (noisy, at_rest)])
def test_a_run_goes_on_with_the_same_bytes_from_every_snapshot(scheme, subgrid, make, start):
    """With decisions that change on the way, intervals walked twice, memory and noise."""

    def simulation(snapshot):
        return ControlledSimulation(make(), snapshot, T, closure=subgrid, scheme=scheme)

    whole = simulation(start(make()))
    snapshots, steps = [], []
    for snapshot in walk(whole, 6):
        snapshots.append(snapshot)
        steps.append(whole.dt)
    assert len(set(steps)) > 1
    for number in (1, 2, 4):
        resumed = simulation(snapshots[number - 1])
        for expected, dt, found in zip(
            snapshots[number:], steps[number:], walk(resumed, 6 - number), strict=True
        ):
            assert torch.equal(found.state, expected.state)
            assert found.time == expected.time
            assert resumed.dt == dt
            assert found.memory.keys() == expected.memory.keys()


def test_noise_does_not_depend_on_the_attempts():
    """The path of an interval that was walked again is that of a run that knew its step."""
    system = noisy()
    simulation = ControlledSimulation(system, at_rest(system), T)
    first = next(simulation.snapshots())
    steps = round(T / simulation.dt)
    assert steps > 1
    knew = Simulation(system, at_rest(system), simulation.dt, substeps=steps)
    assert torch.equal(next(knew.snapshots(steps)).state, first.state)
    finer = Simulation(system, at_rest(system), simulation.dt / 8, substeps=8 * steps)
    truth = next(finer.snapshots(8 * steps)).state
    # Another path would be as far away as the flow is strong.
    assert float((first.state - truth).norm() / truth.norm()) < 0.1


def test_it_gives_up_below_the_smallest_step_and_keeps_the_last_snapshot():
    system = flow()

    def explosive(omega):
        return 2 * omega.abs().max() ** 2 * omega  # infinite in finite time, whatever the step

    simulation = ControlledSimulation(
        system, initial(system), T, closure=explosive, most_substeps=256
    )
    with pytest.raises(
        StabilityError,
        match=r"from time \S+ to \S+ needs a time step of \S+, below the smallest one, 0\.00117",
    ):
        next(simulation.snapshots(50))
    assert torch.isfinite(simulation.last_good.state.abs()).all()
    assert simulation.last_good.time == simulation.last_good.step * T


def test_what_no_step_can_do_is_said_before_it_is_tried():
    system = flow()
    fast = initial(system, 1e9)
    with pytest.raises(StabilityError, match="by the CFL number at its start"):
        next(ControlledSimulation(system, fast, T).snapshots())
    broken = Snapshot(3, 3 * T, initial(system).state * math.nan)
    with pytest.raises(StabilityError, match=r"time 0\.9 is not finite"):
        next(ControlledSimulation(system, broken, T).snapshots())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0.0}, "interval T > 0 between snapshots, found 0"),
        ({"courant": 3.0}, r"from 0 to 2\.83, .* found 3"),
        ({"courant": 0.0}, "found 0"),
        ({"courant": 0.6, "scheme": SCHEMES["AB2CN"]}, r"from 0 to 0\.5"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    system = flow()
    with pytest.raises(CaseError, match=message):
        ControlledSimulation(system, initial(system), **{"interval": T} | options)


def test_operators_are_formed_once_a_step_length():
    formed = []

    def scheme(linear, nonlinear, dt):
        formed.append(dt)
        return IntegratingFactorRK4(linear, nonlinear, dt)

    system = flow()
    simulation = ControlledSimulation(system, initial(system), T, courant=0.4, scheme=scheme)
    used = {simulation.dt for _ in walk(simulation, 12)}
    assert len(formed) == len(used | {T})
