"""Recorded steps against the plain ones.

There is no GPU here. In place of a CUDA graph, `make_fx` records the operations of a step with the
tensors that they read and write, and replays them on the same tensors; like a CUDA graph, it fails
where Python asks for a value.
"""

import math
from contextlib import nullcontext

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from spectune.grid import Grid
from spectune.systems import (
    SCHEMES,
    AdamsBashforth2CrankNicolson,
    Burgers1D,
    IntegratingFactorRK4,
    KuramotoSivashinsky1D,
    Lorenz96,
    NavierStokes2D,
    Simulation,
    Snapshot,
    TwoLayerQG,
    graphed,
    random_forcing,
)
from spectune.systems.graphed import GraphedSteps, graphed_steps

DT = 1e-3
RING = Grid((64,), (2 * math.pi,), ("x",))
BOX = Grid.square(32)


@pytest.fixture(autouse=True)
def recordings(monkeypatch):
    """Record with `make_fx`; the list grows by one at each recording."""
    made = []

    def record(work):
        made.append(make_fx(lambda: work())())
        return made[-1]

    monkeypatch.setattr(graphed, "record", record)
    monkeypatch.setattr(graphed, "DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    return made


def flow(device="cpu", **parameters):
    parameters = {"reynolds": 100, "forcing_wavenumber": 3, "beta": 1.0} | parameters
    return NavierStokes2D(BOX, device=device, **parameters)


SYSTEMS = {
    "dealiased": flow,
    "padded": lambda device: flow(device, dealiasing="3/2"),
    "aliased": lambda device: flow(device, dealiasing="none"),
    "two layers": lambda device: TwoLayerQG(Grid.square(32, 1e6), device=device),
    "Burgers": lambda device: Burgers1D(RING, viscosity=0.1, device=device),
    "Kuramoto-Sivashinsky": lambda device: KuramotoSivashinsky1D(RING, device=device),
    "Lorenz 96": lambda device: Lorenz96(8, 4, device=device),
}
every_system = pytest.mark.parametrize("name", SYSTEMS)
every_one_step = pytest.mark.parametrize("scheme", graphed.SCHEMES)


def shape(system):
    if isinstance(system, Lorenz96):
        return 2, 8, 5
    return (2, 2, *system.grid.shape) if isinstance(system, TwoLayerQG) else (2, *system.grid.shape)


def states(system, count=1):
    generator = torch.manual_seed(0)
    return [
        system.project(torch.randn(shape(system), dtype=torch.float64, generator=generator))
        for _ in range(count)
    ]


def plain(system, scheme, state, steps, held=None):
    def tendency(x):
        return system.tendency(x) if held is None else system.tendency(x) + held

    stepper = scheme(system.linear, tendency, DT)
    for _ in range(steps):
        state = stepper.step(state)
    return state


@every_system
@every_one_step
def test_gives_the_bytes_of_the_plain_scheme(name, scheme, recordings):
    system = SYSTEMS[name]("cpu")
    start, held, other = states(system, 3)
    steps = GraphedSteps(system, scheme, DT)
    first = steps.advance(start, 2)
    assert torch.equal(first, plain(system, scheme, start, 2))
    second = steps.advance(first, 1)
    assert torch.equal(second, plain(system, scheme, start, 3))
    assert torch.equal(first, plain(system, scheme, start, 2))  # not overwritten
    assert len(recordings) == 1
    for term in (held, other):
        with_it = steps.advance(start, 2, term)
        assert torch.equal(with_it, plain(system, scheme, start, 2, term))
    assert len(recordings) == 2
    assert not torch.equal(with_it, first)


@every_system
@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_a_step_stays_on_its_device(name, scheme):
    """The device "meta" refuses operands from the CPU, and has no values to wait for."""
    system = SYSTEMS[name]("meta")
    here = SYSTEMS[name]("cpu")
    (state,) = states(here)
    step = scheme(system.linear, system.tendency, DT).step(state.to("meta"))
    assert step.device.type == "meta"
    assert step.shape == state.shape


def test_a_forcing_that_is_replaced_is_recorded_anew(recordings):
    system = flow()
    (start,) = states(system)
    steps = GraphedSteps(system, IntegratingFactorRK4, DT)
    before = steps.advance(start, 1)
    system.forcing = 100 * system.forcing
    after = steps.advance(start, 1)
    assert torch.equal(after, plain(system, IntegratingFactorRK4, start, 1))
    assert not torch.equal(after, before)
    assert len(recordings) == 2


def test_a_forcing_that_is_redrawn_is_found_where_it_was(recordings):
    system = Burgers1D(RING, viscosity=0.1)
    (start,) = states(system)
    steps = GraphedSteps(system, IntegratingFactorRK4, DT)
    generator = torch.manual_seed(1)
    ends = []
    for _ in range(3):
        system.force(random_forcing(RING, amplitude=1.0, interval=0.1, generator=generator))
        ends.append(steps.advance(start, 1))
        assert torch.equal(ends[-1], plain(system, IntegratingFactorRK4, start, 1))
    assert not torch.equal(ends[0], ends[1])
    assert len(recordings) == 1


def test_another_number_of_members_is_another_recording(recordings):
    system = flow()
    (start,) = states(system)
    steps = GraphedSteps(system, IntegratingFactorRK4, DT)
    for state in (start, start[:1], start[0]):
        end = steps.advance(state, 1)
        assert torch.equal(end, plain(system, IntegratingFactorRK4, state, 1))
    assert len(recordings) == 3


@pytest.mark.parametrize("closure_steps", [1, 5])
def test_a_simulation_takes_them(closure_steps, recordings, monkeypatch):
    system = flow(dealiasing="3/2")
    (start,) = states(system)

    def end():
        simulation = Simulation(
            system, Snapshot(0, 0.0, start), DT, lambda x: -x, closure_steps=closure_steps
        )
        return next(simulation.snapshots(20)).state

    monkeypatch.setattr("spectune.systems.simulation.fused_rk4", lambda *_: None)
    recorded = end()
    assert len(recordings) == 1
    monkeypatch.setattr(graphed, "DEVICE", "another")
    assert torch.equal(recorded, end())
    assert len(recordings) == 1


def test_only_what_replays_alike_is_recorded(monkeypatch):
    class Counting(NavierStokes2D):
        steps = 0

        def tendency(self, vorticity):
            self.steps += 1
            return self.steps * super().tendency(vorticity)

    system = flow()
    assert graphed_steps(system, IntegratingFactorRK4, DT) is not None
    assert graphed_steps(system, AdamsBashforth2CrankNicolson, DT) is None
    assert graphed_steps(Counting(BOX, reynolds=100), IntegratingFactorRK4, DT) is None
    monkeypatch.setattr(graphed, "DEVICE", "cuda")
    assert graphed_steps(system, IntegratingFactorRK4, DT) is None
