"""Re-training through the solver: the simulation is that of `run_les`, its gradient is right."""

import math

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

import spectune as st
from les_states import turbulence, vorticity
from spectune.closures import NetworkClosure
from spectune.data import Normalization
from spectune.errors import CaseError, DataError, StabilityError
from spectune.grid import Grid
from spectune.models import CNN, Network
from spectune.online import Coupling, ThroughSolver, run_ensemble, run_les
from spectune.systems import (
    Burgers1D,
    KuramotoSivashinsky1D,
    Lorenz96,
    Simulation,
    Snapshot,
    TwoLayerQG,
    random_potential_vorticity,
)
from spectune.training import FitSettings

SMALL = Grid.square(16)
DT, EVERY, SNAPSHOTS = 0.01, 3, 2


def small_turbulence(**changes):
    return turbulence(SMALL, **changes)


def network(channels=(2, 1), ndim=2, seed=0):
    torch.manual_seed(seed)
    return CNN(*channels, width=4, depth=3, kernel=3, ndim=ndim).double()


NORMALIZATION = Normalization(
    *(torch.tensor(v) for v in ([0.1, -0.2], [0.7, 4.0], [0.3], [2.0])), source="test"
)


def trajectories(grid=SMALL, members=3, snapshots=SNAPSHOTS, dtype=torch.float64):
    """Unrelated fields: what an untrained network is far from."""
    fields = [
        torch.stack([vorticity(grid, seed=10 * i + j, peak=3.0) for j in range(1 + snapshots)])
        for i in range(members)
    ]
    return torch.stack(fields).to(dtype)


def loss(objective, model):
    numbers = torch.arange(len(objective))
    return objective.loss(model, *objective.draw(numbers, torch.Generator()))


def value(objective, model):
    with torch.no_grad():
        return float(loss(objective, model))


# The simulation ----------------------------------------------------------------------------------


def qg_state(grid):
    generator = torch.Generator().manual_seed(0)
    upper = random_potential_vorticity(grid, generator=generator)  # the lower layer is at rest
    return upper + 0.1 * upper.flip(-3).roll(3, -1)


BOX = Grid((16, 16), (1e6, 1e6), ("y", "x"))
LINE = Grid((32,), (2 * math.pi,), ("x",))
LONG = Grid((32,), (22.0,), ("x",))


def wave(grid):
    (x,) = grid.coordinates()
    return torch.sin(2 * math.pi * x / grid.lengths[0]) + 0.3 * torch.cos(
        6 * math.pi * x / grid.lengths[0]
    )


CASES = {
    "navier-stokes": lambda: (small_turbulence(), vorticity(SMALL, peak=3.0), DT, 1.0),
    "two-layer-qg": lambda: (TwoLayerQG(BOX, dealiasing="3/2"), qg_state(BOX), 3600.0, 1e-12),
    "burgers": lambda: (Burgers1D(LINE, viscosity=0.05, dealiasing="3/2"), wave(LINE), DT, 1.0),
    "kuramoto": lambda: (KuramotoSivashinsky1D(LONG, dealiasing="3/2"), wave(LONG), 0.05, 1.0),
    "lorenz96": lambda: (Lorenz96(8, 0), 3 + torch.randn(8, dtype=torch.float64), DT, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_its_steps_are_those_of_the_simulation(name):
    torch.manual_seed(0)
    flow, start, dt, unit = CASES[name]()
    coupling = Coupling(flow)
    states = torch.stack((start, 0.9 * start)).double()
    channels = {"navier-stokes": (2, 1), "two-layer-qg": (4, 2)}.get(name, (1, 1))
    spread = coupling.inputs(coupling.start(states)).std((0, *range(2, 2 + flow.grid.ndim)))
    normalization = Normalization(
        *(torch.zeros(n) for n in channels[:1]),
        spread.float(),
        torch.zeros(channels[1]),
        torch.full((channels[1],), unit),
        source="test",
    )
    net = network(channels, flow.grid.ndim)
    closure = NetworkClosure(net, normalization)
    with torch.no_grad():
        simulation = Simulation(
            flow,
            Snapshot(0, 0.0, coupling.start(states)),
            dt,
            lambda state: coupling.subgrid(closure, state),
        )
        stream = simulation.snapshots(EVERY)
        fields = [coupling.fields(next(stream).state) for _ in range(SNAPSHOTS)]
    later = torch.stack(fields, 1).reshape(2, SNAPSHOTS, *states.shape[1:])
    followed = _behind(states, later)
    settings = {"dt": dt, "every": EVERY, "normalization": normalization}
    objective = ThroughSolver(flow, followed, **settings)
    assert value(objective, net) < 1e-24
    # The test can fail: without the network the simulation goes elsewhere.
    still = network(channels, flow.grid.ndim)
    for parameter in still.parameters():
        parameter.data.zero_()
    assert value(objective, still) > 1e-16
    runs = run_ensemble(
        flow,
        states,
        closure,
        dt=dt,
        every=EVERY,
        snapshots=SNAPSHOTS,
        progress=lambda _: None,
    )
    single = torch.stack([run.omega for run in runs]).double()
    assert value(ThroughSolver(flow, _behind(states, single), **settings), net) < 1e-12


def _behind(states, later):
    return torch.cat((states[:, None], later), 1)


def test_the_loss_is_its_equation():
    """From `run_les` in single precision, for a network with a normalisation inside."""
    flow, data = small_turbulence(), trajectories()
    net = Network(network(), NORMALIZATION)
    errors = []
    for trajectory in data:
        run = run_les(
            flow,
            trajectory[0],
            NetworkClosure(net),
            dt=DT,
            every=EVERY,
            snapshots=SNAPSHOTS,
            progress=lambda _: None,
        )
        errors.append((run.omega - trajectory[1:]).square().mean())
    expected = torch.stack(errors).mean() / data[:, 1:].var(correction=0)
    for model, normalization in ((net, None), (net.module, NORMALIZATION)):
        objective = ThroughSolver(flow, data, dt=DT, every=EVERY, normalization=normalization)
        torch.testing.assert_close(loss(objective, model), expected, rtol=1e-6, atol=0)


# The gradient ------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_finite_differences_with_and_without_checkpoints():
    flow, data, net = small_turbulence(), trajectories(), network()
    found = {}
    for checkpointing in (True, False):
        objective = ThroughSolver(
            flow,
            data,
            dt=DT,
            every=EVERY,
            normalization=NORMALIZATION,
            checkpointing=checkpointing,
        )
        found[checkpointing] = torch.autograd.grad(loss(objective, net), net.parameters())
    for a, b in zip(*found.values(), strict=True):
        assert torch.equal(a, b)
    generator = torch.Generator().manual_seed(0)
    for parameter, gradient in zip(net.parameters(), found[True], strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        home = parameter.data.clone()
        values = []
        for side in (1e-6, -1e-6):
            parameter.data = home + side * direction
            values.append(value(objective, net))
        parameter.data = home
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-5)
        assert slope != 0


@pytest.mark.parametrize("checkpointing", [True, False])
def test_checkpoints_keep_the_activations_of_one_step(checkpointing):
    steps = 12
    objective = ThroughSolver(
        small_turbulence(),
        trajectories(snapshots=1),
        dt=DT,
        every=steps,
        normalization=NORMALIZATION,
        checkpointing=checkpointing,
    )
    net, kept, most = network(), [], []

    def watch(_module, _inputs, output):
        kept.append(StorageWeakRef(output.untyped_storage()))
        most.append(sum(not one.expired() for one in kept))

    net.relu2.register_forward_hook(watch)
    total = loss(objective, net)
    after = sum(not one.expired() for one in kept)
    total.backward()
    assert len(kept) == (2 * steps if checkpointing else steps)
    assert after == (0 if checkpointing else steps)
    assert max(most) == (1 if checkpointing else steps)


# Re-training -------------------------------------------------------------------------------------


class Viscous(nn.Module):
    """Π = c ∇²ω̄ + d ω̄, in physical units."""

    def __init__(self, grid, c=0.0, d=0.0):
        super().__init__()
        self.diffusion, self.friction = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        self.double()
        self.diffusion.weight.data.fill_(c)
        self.friction.weight.data.fill_(d)
        self.grid = grid

    def forward(self, inputs):
        omega = inputs[:, 1:]
        laplacian = -self.grid.squared_wavenumber() * self.grid.transform(omega)
        return self.diffusion.weight * self.grid.inverse(laplacian) + self.friction.weight * omega


def test_a_planted_viscosity_is_found_through_the_solver():
    """Trajectories of a flow that is thicker by c: only the solver says so, there is no Π."""
    grid, c = SMALL, 0.02
    flow, thick = turbulence(grid), turbulence(grid, reynolds=1 / (0.01 + c))
    starts = torch.stack([vorticity(grid, seed=seed, peak=3.0) for seed in range(3)])
    runs = run_ensemble(
        thick, starts, None, dt=0.0025, every=20, snapshots=1, progress=lambda _: None
    )
    data = torch.cat((starts[:, None], torch.stack([run.omega for run in runs])), 1)
    objective = ThroughSolver(flow, data, dt=0.01, every=5)
    settings = FitSettings(50, batch=3, learning_rate=0.001)
    model = Viscous(grid)
    tuned, history = st.transfer(model, None, None, "diffusion", settings, objective=objective)
    assert tuned.diffusion.weight.item() == pytest.approx(c, rel=0.06)  # Adam still swings
    assert _root(objective, 0.015, 0.025) == pytest.approx(c, rel=0.005)
    assert not tuned.friction.weight.any()  # not chosen
    assert not model.diffusion.weight.any()  # a copy was re-trained
    assert history.train[-1] < 0.01 * history.train[0]


def _root(objective, a, b):
    """Where the gradient is zero if it is linear, as between these two nearly it is."""
    slopes = []
    for c in (a, b):
        model = Viscous(SMALL, c)
        loss(objective, model).backward()
        slopes.append(model.diffusion.weight.grad.item())
    return (a * slopes[1] - b * slopes[0]) / (slopes[1] - slopes[0])


def test_a_network_comes_closer_to_its_trajectories():
    flow, data = small_turbulence(dtype=torch.float32), trajectories(dtype=torch.float32)
    objective = ThroughSolver(flow, data, dt=DT, every=EVERY, normalization=NORMALIZATION)
    net = network().float()
    tuned, history = st.transfer(
        net, None, None, "conv2", FitSettings(8, batch=3, learning_rate=0.01), objective=objective
    )
    assert history.train[-1] < history.train[0]
    for (name, a), b in zip(tuned.named_parameters(), net.parameters(), strict=True):
        assert torch.equal(a, b) == (not name.startswith("conv2")), name


# What is refused ---------------------------------------------------------------------------------


def test_a_blow_up_says_which_and_when():
    data = trajectories(members=2)
    objective = ThroughSolver(small_turbulence(), data, dt=DT, every=EVERY)
    with pytest.raises(StabilityError, match=r"trajectory 1: .*finite after step 1 .*time 0\.01"):
        objective.loss(
            Viscous(SMALL, d=math.nan), *objective.draw(torch.tensor([1]), torch.Generator())
        )
    with pytest.raises(StabilityError, match=r"CFL number is .* after step 3 .*time 0\.03"):
        loss(objective, Viscous(SMALL, d=150.0))


def test_unusable_trajectories_are_refused():
    flow, data = small_turbulence(), trajectories()
    settings = {"dt": DT, "every": EVERY}
    gap = data.clone()
    gap[1, 1, 3, 3] = math.nan
    for wrong, match in (
        (data[0], "expected .n, 1 . m, 16, 16."),
        (data[:, :1], "at least one snapshot"),
        (data[..., :8], "found shape"),
        (gap, "NaN"),
        (torch.zeros_like(data), "variances"),
    ):
        with pytest.raises(DataError, match=match):
            ThroughSolver(flow, wrong, **settings)
    noisy = small_turbulence(injection_rate=0.5, ring_wavenumber=3.0)
    with pytest.raises(CaseError, match="noise"):
        ThroughSolver(noisy, data, **settings)
    for none in ({"dt": 0.0, "every": EVERY}, {"dt": DT, "every": 0}):
        with pytest.raises(CaseError, match="at least one"):
            ThroughSolver(flow, data, **none)
