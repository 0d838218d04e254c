"""Large-eddy simulation with a closure in the loop, and its scores."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from les_states import GRID, turbulence, vorticity
from spectune.closures import BackscatterClipping, GradientModel, NetworkClosure, Smagorinsky
from spectune.coarse import CoarseGraining, OneDimensionalCoarseGraining
from spectune.errors import CaseError, ModelError
from spectune.grid import Grid
from spectune.online import TRUTH, Coupling, LESRun, online_scores, run_ensemble, run_les
from spectune.spectra import mean_spectrum
from spectune.systems import (
    Burgers1D,
    KuramotoSivashinsky1D,
    Lorenz96,
    NavierStokes2D,
    Simulation,
    Snapshot,
    TwoLayerQG,
    random_potential_vorticity,
    random_vorticity,
)

CLOSE = {"atol": 2e-3, "rtol": 0.0}


def les(omega, closure, flow=None, *, dt=0.01, every=5, snapshots=8):
    options = {"dt": dt, "every": every, "snapshots": snapshots, "progress": lambda _: None}
    return run_les(flow or turbulence(), omega, closure, **options)


# The simulation --------------------------------------------------------------------------------


def test_without_closure_it_is_the_solver():
    flow, omega = turbulence(), vorticity()
    run = les(omega, None, flow)
    simulation = Simulation(flow, Snapshot(0, 0.0, flow.project(omega)), 0.01)
    stream = simulation.snapshots(5)
    for time, field in zip(run.time, run.omega, strict=True):
        snapshot = next(stream)
        assert snapshot.time == float(time)
        torch.testing.assert_close(field, GRID.inverse(snapshot.state).float())
    assert run.stable_until is None
    assert not run.pi.any()


def test_a_closure_of_zero_changes_nothing():
    omega = vorticity()
    plain, zero = les(omega, None), les(omega, lambda x: 0 * x[:, 1:])
    assert torch.equal(plain.omega, zero.omega)


def test_a_viscous_closure_is_viscosity():
    """Π = ν' ∇²ω̄ must act as if ν were larger by ν'."""
    omega, extra = vorticity(), 0.02

    def closure(x):
        k2 = GRID.squared_wavenumber(x.dtype)
        return GRID.inverse(-extra * k2 * GRID.transform(x[:, 1:]))

    closed = les(omega, closure, dt=0.002, every=50, snapshots=4)
    thick = les(
        omega, None, turbulence(reynolds=1 / (0.01 + extra)), dt=0.002, every=50, snapshots=4
    )
    scale = float(thick.omega.std())
    assert float((closed.omega - thick.omega).abs().max()) < 1e-3 * scale
    plain = les(omega, None, dt=0.002, every=50, snapshots=4)
    assert float((plain.omega - thick.omega).abs().max()) > 0.1 * scale


def test_the_exact_subgrid_term_recovers_the_filtered_flow():
    """Π of the direct simulation, played back, keeps the LES on the filtered DNS."""
    dns = NavierStokes2D(Grid.square(96), reynolds=200.0, forcing_wavenumber=3, drag=0.1)
    coarse = CoarseGraining(dns, GRID)
    generator = torch.Generator().manual_seed(1)
    start = dns.project(random_vorticity(dns.grid, peak=6.0, generator=generator))
    dt, steps = 0.005, 80
    truth, term = [], []
    for snapshot in zip(range(steps + 1), _states(dns, start, dt), strict=False):
        _, omega, pi = coarse.pair(snapshot[1])
        truth.append(omega)
        term.append(pi)
    played = iter(term)

    flow = coarse.les
    state = flow.project(truth[0])
    simulation = Simulation(flow, Snapshot(0, 0.0, state), dt, lambda _: flow.project(next(played)))
    last = next(simulation.snapshots(steps)).state
    without = Simulation(flow, Snapshot(0, 0.0, state), dt)
    missing = GRID.inverse(next(without.snapshots(steps)).state) - truth[-1]
    error = GRID.inverse(last) - truth[-1]
    assert float(error.norm()) < 0.01 * float(missing.norm())
    assert float(missing.norm()) > 0.01 * float(truth[-1].norm())


def _states(flow, start, dt):
    yield start
    stream = Simulation(flow, Snapshot(0, 0.0, start), dt).snapshots(1)
    while True:
        yield next(stream).state


def test_the_coupling_is_of_second_order():
    flow, omega = turbulence(), vorticity()
    closure = Smagorinsky(GRID, coefficient=0.5)

    def end(dt):
        def subgrid(state):
            fields = GRID.inverse(torch.stack((flow.stream_function(state), state)))
            return flow.project(closure(fields[None])[0, 0])

        start = Snapshot(0, 0.0, flow.project(omega))
        return next(Simulation(flow, start, dt, subgrid).snapshots(round(0.4 / dt))).state

    reference = end(0.4 / 1024)
    errors = [float((end(0.4 / n) - reference).abs().norm()) for n in (64, 128, 256)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 1.8, orders
    assert errors[-1] < 1e-3 * float(reference.abs().norm())


def test_a_closure_that_explodes_is_a_result():
    run = les(vorticity(), lambda x: 40 * x[:, 1:], every=5, snapshots=200)
    assert run.stable_until is not None
    assert 0 <= run.stable_until < 10
    assert "step" in run.reason
    assert "CFL number" in run.reason
    assert len(run.time) == len(run.omega) == len(run.pi) < 200
    assert torch.isfinite(run.omega).all()
    nan = les(vorticity(), lambda x: x[:, 1:] * math.nan, snapshots=3)
    assert nan.stable_until == 0
    assert len(nan.time) == 0


# Limiters, ensembles and other systems ------------------------------------------------------------


def test_what_a_limiter_removed_is_reported_with_the_run():
    closure = BackscatterClipping(GradientModel(GRID), GRID) + 0.5 * Smagorinsky(GRID)
    first, again = (les(vorticity(), closure) for _ in range(2))
    assert first.limited == again.limited  # counted by run
    (points, transfer) = first.limited.values()
    assert 0 < transfer < 0.5
    assert 0 < points < 1
    assert les(vorticity(), Smagorinsky(GRID)).limited == {}


def ensemble(omega, closure, flow, *, dt=0.01, every=5, snapshots=8):
    options = {"dt": dt, "every": every, "snapshots": snapshots, "progress": lambda _: None}
    return run_ensemble(flow, omega, closure, **options)


def test_an_ensemble_is_its_members_and_calls_the_closure_once_a_step():
    omega = torch.stack([vorticity(seed=seed) for seed in (0, 1, 2)])
    model, sizes = Smagorinsky(GRID), []

    def closure(x):
        sizes.append(len(x))
        return model(x)

    together = ensemble(omega, closure, turbulence())
    assert sizes == [3] * (8 * 5 + 8)  # once a step and once a snapshot
    for start, run in zip(omega, together, strict=True):
        alone = les(start, model)
        torch.testing.assert_close(run.omega, alone.omega)
        torch.testing.assert_close(run.pi, alone.pi)
        assert torch.equal(run.time, alone.time)
        assert run.stable_until is None


def test_a_member_that_blows_up_takes_no_other_with_it():
    """Its own horizon, and the same noise for the others, who keep their numbers."""
    flow = turbulence(injection_rate=0.5, ring_wavenumber=5.0)
    omega = torch.stack([vorticity(seed=seed) for seed in range(5)])

    model = Smagorinsky(GRID)

    def closure(x):  # feeds what is strong
        return model(x) + 8 * x[:, 1:] * (x[:, 1:].abs().amax((2, 3), keepdim=True) > 60)

    # The others have a past by then, which the scheme must take along.
    calm = ensemble(omega, closure, flow, every=10)
    wild = omega.clone()
    wild[1] *= 61 / wild[1].abs().max()
    wild[4] *= 64 / wild[4].abs().max()
    runs = ensemble(wild, closure, flow, every=10)
    for member in (0, 2, 3):
        torch.testing.assert_close(runs[member].omega, calm[member].omega, atol=1e-5, rtol=1e-5)
        assert runs[member].stable_until is None
        assert len(runs[member].time) == 8
    assert not torch.allclose(calm[0].omega - calm[2].omega, torch.zeros(()), atol=1e-2)
    for member in (1, 4):
        run = runs[member]
        assert run.stable_until is not None
        assert run.stable_until < 8 * 10 * 0.01
        assert "step" in run.reason
        assert 0 < len(run.time) == len(run.omega) < 8
        alone = ensemble(wild[member : member + 1], closure, turbulence(), every=10)[0]
        assert run.stable_until == pytest.approx(alone.stable_until, abs=0.1)


def convolution(weights, ndim):
    """A network of one convolution, (c_out, c_in, …), circular."""
    weights = torch.as_tensor(weights, dtype=torch.float64)
    size = weights.shape[2:]
    kind = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d}[ndim]
    padding = tuple(n // 2 for n in size)
    net = kind(*weights.shape[1::-1], size, padding=padding, padding_mode="circular", bias=False)
    net.double().weight.data = weights
    return NetworkClosure(net)


LINE = Grid((64,), (2 * math.pi,), ("x",))


@pytest.mark.parametrize("kind", ["burgers", "ks"])
def test_a_network_of_second_differences_is_viscosity_in_one_dimension(kind):
    """Π = ν' (ū_{i+1} − 2ū_i + ū_{i−1})/Δx² has the rate −ν' (2 − 2 cos kΔx)/Δx²."""
    viscosity = 0.05
    grid = LINE if kind == "burgers" else Grid((64,), (32.0,), ("x",))
    h = grid.spacing[0]
    make = {
        "burgers": lambda: Burgers1D(grid, viscosity=0.02, dealiasing="3/2"),
        "ks": lambda: KuramotoSivashinsky1D(grid, dealiasing="3/2"),
    }[kind]
    (x,) = grid.coordinates()
    start = torch.sin(2 * math.pi * x / grid.lengths[0]) + 0.3 * torch.cos(
        6 * math.pi * x / grid.lengths[0]
    )
    closure = convolution([[[viscosity / h**2 * w for w in (1.0, -2.0, 1.0)]]], 1)
    options = {"dt": 0.002, "every": 100, "snapshots": 4}
    plain, closed = (les(start, c, make(), **options) for c in (None, closure))
    thick = make()
    (k,) = grid.wavenumbers()
    thick.linear = thick.linear - viscosity * (2 - 2 * torch.cos(k * h)) / h**2
    expected = les(start, None, thick, **options)
    assert plain.omega.shape == (4, 64)
    torch.testing.assert_close(closed.omega, expected.omega, atol=2e-4, rtol=0)
    assert float((plain.omega - expected.omega).abs().max()) > 0.005
    assert torch.isfinite(closed.pi).all()


def test_two_layer_flow_with_a_network():
    """Channels are ψ̄₁, ψ̄₂, q̄₁, q̄₂: Π_i = −s_i q̄_i is a damping of each layer."""
    grid = Grid.square(32, 1e6)
    flow = TwoLayerQG(grid)
    start = 20 * random_potential_vorticity(grid, generator=torch.Generator().manual_seed(0))
    rates = torch.tensor([2e-6, 5e-7], dtype=torch.float64)
    weights = torch.zeros(2, 4, 1, 1)
    weights[0, 2], weights[1, 3] = -rates
    options = {"dt": 3600.0, "every": 20, "snapshots": 3}
    plain = les(start, None, flow, **options)
    closed = les(start, convolution(weights, 2), flow, **options)
    damped = TwoLayerQG(grid)
    damped.linear = damped.linear - rates[:, None, None]
    expected = les(start, None, damped, **options)
    assert closed.omega.shape == closed.pi.shape == (3, 2, 32, 32)
    scale = float(expected.omega.abs().max())
    assert float((closed.omega - expected.omega).abs().max()) < 1e-3 * scale
    assert float((plain.omega - expected.omega).abs().max()) > 0.1 * scale
    torch.testing.assert_close(closed.pi, -rates[:, None, None].float() * closed.omega)
    seen = Coupling(flow).inputs(flow.project(start)[None])
    torch.testing.assert_close(seen[0, 2:], grid.inverse(flow.project(start)))
    psi = grid.inverse(flow.stream_function(flow.project(start)))
    torch.testing.assert_close(seen[0, :2], psi)


def test_exact_subgrid_term_of_burgers_played_back():
    dns = Burgers1D(Grid((256,), (2 * math.pi,), ("x",)), viscosity=0.02)
    coarse = OneDimensionalCoarseGraining(dns, LINE)
    (x,) = dns.grid.coordinates()
    stream = Simulation(
        dns, Snapshot(0, 0.0, dns.project(torch.sin(x) + 0.5 * torch.cos(2 * x))), 0.002
    ).snapshots(1)
    pairs = [coarse.pair(next(stream).state) for _ in range(500)]
    played = iter(pairs)
    run, plain = (
        les(pairs[0][0], closure, coarse.les, dt=0.002, every=499, snapshots=1)
        for closure in (lambda _: next(played)[1][None, None], None)
    )
    truth = pairs[-1][0].float()
    error, missing = ((one.omega[-1] - truth).norm() for one in (run, plain))
    assert float(error) < 0.02 * float(missing)
    assert float(missing) > 1e-3 * float(truth.norm())


def test_slow_variables_of_lorenz_96():
    slow = Lorenz96(8, 0, forcing=8.0)
    start = 8 + torch.sin(torch.arange(8.0)).double()
    options = {"dt": 0.005, "every": 20, "snapshots": 3}
    closed = les(start, lambda x: -0.5 * x, slow, **options)
    damped = Lorenz96(8, 0, forcing=8.0)
    damped.linear = damped.linear - 0.5
    torch.testing.assert_close(closed.omega, les(start, None, damped, **options).omega, **CLOSE)
    with pytest.raises(CaseError, match=r"resolves its 4 fast variables .*`system.slow`"):
        les(start, None, Lorenz96(8, 4))


def test_what_does_not_fit_is_said():
    omega = vorticity()
    with pytest.raises(CaseError, match=r"state of shape \(32, 32\), found \(64, 64\)"):
        les(torch.zeros(64, 64), None)
    with pytest.raises(ModelError, match=r"expected Π of shape \(1, 1, 32, 32\).*\(1, 2, 32, 32\)"):
        les(omega, lambda x: x)
    with pytest.raises(CaseError, match="no closure can be coupled to str"):
        les(omega, None, "flow")
    line = Burgers1D(LINE, viscosity=0.1, dealiasing="3/2")
    line.force(torch.zeros(2, 64))
    with pytest.raises(CaseError, match="one for each member"):
        ensemble(torch.zeros(2, 64), None, line)


# The scores ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs():
    omega = vorticity()
    smagorinsky = Smagorinsky(GRID)
    runs = {
        TRUTH: les(omega, smagorinsky, every=20, snapshots=12),
        "no closure": les(omega, None, every=20, snapshots=12),
        "same": les(omega, smagorinsky, every=20, snapshots=12),
        "wild": les(omega, lambda x: 4 * x[:, 1:], every=20, snapshots=12),
    }
    runs["reversed"] = replace(runs["same"], pi=-runs["same"].pi)
    runs["nothing"] = LESRun(
        torch.zeros(0).double(), torch.zeros(0, 32, 32), torch.zeros(0, 32, 32), 0.0, "at once"
    )
    return runs


@pytest.fixture(scope="module")
def scores(runs):
    return online_scores(runs, GRID)


ERRORS = ("energy_spectrum_error", "enstrophy_spectrum_error", "pdf_distance")


def test_truth_has_no_error(scores):
    for name in (TRUTH, "same"):
        one = scores.sel(closure=name)
        assert [float(one[error]) for error in ERRORS] == [0, 0, 0]
        assert float(one["similarity"]) == 1
    assert float(scores["similarity"].sel(closure="no closure")) == 0
    assert all(float(scores[error].sel(closure="no closure")) > 0 for error in ERRORS)


def test_spectra_hold_energy_and_enstrophy(runs, scores):
    for name in (TRUTH, "no closure"):
        one = scores.sel(closure=name)
        for quantity in ("energy", "enstrophy"):
            total = float(one[f"{quantity}_spectrum"].sum())
            assert total == pytest.approx(float(one[quantity].mean()), rel=1e-10)
        width = float(scores["bin"][1] - scores["bin"][0])
        assert float(one["vorticity_pdf"].sum()) * width == pytest.approx(1, abs=1e-6)
    omega = runs[TRUTH].omega.double()
    expected = 0.5 * mean_spectrum(omega[:, None], GRID).power[0]
    found = scores["enstrophy_spectrum"].sel(closure=TRUTH)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    # ½⟨u² + v²⟩, from velocities and not from ψω.
    flow = turbulence(dtype=torch.float64, dealiasing="2/3")
    u, v = flow.velocity(GRID.transform(omega))
    energy = 0.5 * (u**2 + v**2).mean((1, 2))
    np.testing.assert_allclose(scores["energy"].sel(closure=TRUTH), energy, rtol=1e-10)


def test_spectrum_error_by_hand(runs, scores):
    power = {}
    for name in (TRUTH, "no closure"):
        power[name] = mean_spectrum(runs[name].omega.double()[:, None], GRID).power[0]
    ratio = (power["no closure"] / power[TRUTH] - 1).abs()[1:16]  # k = 1 … below Nyquist
    found = float(scores["enstrophy_spectrum_error"].sel(closure="no closure"))
    assert found == pytest.approx(float(ratio.mean()), rel=1e-9)


def test_backscatter(scores):
    fraction = scores["backscatter_fraction"]
    assert 0 <= float(fraction.sel(closure="same")) < 0.5
    assert float(fraction.sel(closure="reversed")) == pytest.approx(
        1 - float(fraction.sel(closure="same"))
    )


def test_a_run_that_blew_up_has_no_statistics_and_harms_no_other(runs, scores):
    kept = {name: run for name, run in runs.items() if name not in ("wild", "nothing")}
    without = online_scores(kept, GRID)
    for name in ("wild", "nothing"):
        one = scores.sel(closure=name)
        for value in (*ERRORS, "similarity", "energy_spectrum", "vorticity_pdf"):
            assert np.isnan(one[value]).all(), (name, value)
        assert float(one["stable_until"]) == runs[name].stable_until
        assert scores.attrs[f"stopped: {name}"] == runs[name].reason
    lived = len(runs["wild"].time)
    assert 0 < lived < 12
    assert np.isfinite(scores["energy"].sel(closure="wild")[:lived]).all()
    assert np.isnan(scores["energy"].sel(closure="wild")[lived:]).all()
    for name in kept:
        for value in (*ERRORS, "similarity", "energy", "enstrophy_spectrum", "stable_until"):
            np.testing.assert_array_equal(
                scores[value].sel(closure=name), without[value].sel(closure=name)
            )
