"""Closures, large-eddy simulation with a closure in the loop, and its scores."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from spectune.closures import Smagorinsky
from spectune.coarse import CoarseGraining
from spectune.grid import Grid
from spectune.online import TRUTH, LESRun, online_scores, run_les
from spectune.spectra import mean_spectrum
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity

GRID = Grid.square(32)


def system(grid=GRID, **changes):
    options = {"reynolds": 100.0, "forcing_wavenumber": 3, "drag": 0.1, "dealiasing": "3/2"}
    return NavierStokes2D(grid, **options | changes)


def vorticity(grid=GRID, seed=0, peak=4.0):
    generator = torch.Generator().manual_seed(seed)
    return random_vorticity(grid, peak=peak, generator=generator)


def inputs(omega, grid=GRID):
    psi = grid.transform(omega) / grid.squared_wavenumber().clamp(min=1e-30)
    psi[0, 0] = 0
    return torch.stack((grid.inverse(psi), omega))[None]


def les(omega, closure, flow=None, *, dt=0.01, every=5, snapshots=8):
    options = {"dt": dt, "every": every, "snapshots": snapshots, "progress": lambda _: None}
    return run_les(flow or system(), omega, closure, **options)


# Smagorinsky -----------------------------------------------------------------------------------


def test_smagorinsky_of_a_known_flow():
    """ψ = sin x + sin y: |S̄|² = (sin x − sin y)², worked out by hand and in real space."""
    n, c, width = 64, 0.2, 0.3
    grid = Grid.square(n)
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    psi = torch.sin(x) + torch.sin(y)  # ω = −∇²ψ = ψ
    found = Smagorinsky(grid, coefficient=c, width=width)(torch.stack((psi, psi))[None])[0, 0]

    s = (torch.sin(x) - torch.sin(y)).abs()
    sign = torch.sign(torch.sin(x) - torch.sin(y))
    # ∇·(ν ∇ω) = ν ∇²ω + ∇ν·∇ω
    gradient = sign * torch.cos(x) * torch.cos(x) - sign * torch.cos(y) * torch.cos(y)
    expected = (c * width) ** 2 * (-s * psi + gradient)
    smooth = s > 0.3  # |S| has kinks, where the spectral derivative rings
    error = (found - expected)[smooth].square().mean().sqrt()
    assert error < 0.05 * expected.square().mean().sqrt()


def test_smagorinsky_matches_finite_differences():
    """An independent computation in real space, on a smooth flow, converges to it."""
    errors = []
    for points in (129, 258):
        grid = Grid.square(points)
        y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
        psi = 8 * torch.cos(y) + 8 * torch.sin(2 * x) + torch.sin(x + y)
        omega = 8 * torch.cos(y) + 32 * torch.sin(2 * x) + 2 * torch.sin(x + y)
        # |S̄|² > 0 almost everywhere; compare where it is far from its zeros.
        h = grid.spacing[0]

        def d(f, axis, h=h):
            return (torch.roll(f, -1, axis) - torch.roll(f, 1, axis)) / (2 * h)

        cross = d(d(psi, 0), 1)
        stretch = d(d(psi, 0), 0) - d(d(psi, 1), 1)
        size = torch.sqrt(4 * cross**2 + stretch**2)
        nu = (0.17 * 0.4) ** 2 * size
        expected = d(nu * d(omega, 1), 1) + d(nu * d(omega, 0), 0)
        found = Smagorinsky(grid, width=0.4)(torch.stack((psi, omega))[None])[0, 0]
        far = size > 0.5 * size.mean()
        errors.append(float((found - expected)[far].abs().mean() / expected.abs().mean()))
    assert errors[1] < 0.35 * errors[0], errors
    assert errors[1] < 0.02, errors


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smagorinsky_takes_enstrophy_out_and_keeps_the_mean(seed):
    omega = vorticity(seed=seed)
    pi = Smagorinsky(GRID)(inputs(omega))[0, 0]
    assert float((omega * pi).mean()) < 0
    assert abs(float(pi.mean())) < 1e-12 * float(pi.abs().max())
    batch = Smagorinsky(GRID)(inputs(omega).repeat(3, 1, 1, 1))
    torch.testing.assert_close(batch[2, 0], pi)


def test_smagorinsky_is_quadratic():
    omega = vorticity()
    one, three = (Smagorinsky(GRID)(inputs(a * omega)) for a in (1.0, 3.0))
    torch.testing.assert_close(three, 9 * one)
    # Without a sign: reversing the flow reverses Π.
    torch.testing.assert_close(Smagorinsky(GRID)(inputs(-omega)), -one)


# The simulation --------------------------------------------------------------------------------


def test_without_closure_it_is_the_solver():
    flow, omega = system(), vorticity()
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
    thick = les(omega, None, system(reynolds=1 / (0.01 + extra)), dt=0.002, every=50, snapshots=4)
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
    flow, omega = system(), vorticity()
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
    flow = system(dtype=torch.float64, dealiasing="2/3")
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
