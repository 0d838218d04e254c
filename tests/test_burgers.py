"""The Burgers solver and its subgrid term against the Cole–Hopf solution and identities."""

import math

import pytest
import torch
from scipy.special import ive

from spectune.coarse import box_filter, gaussian_filter, sharp_filter
from spectune.coarse.one_dimensional import OneDimensionalCoarseGraining
from spectune.grid import Grid, resize
from spectune.systems import (
    Burgers1D,
    IntegratingFactorRK4,
    Simulation,
    Snapshot,
    random_forcing,
)


def ring(n, length=2 * math.pi):
    return Grid((n,), (length,), ("x",))


def smooth(grid, seed, modes=10):
    """A random field of a few modes, rms of order one."""
    generator = torch.manual_seed(seed)
    return random_forcing(grid, amplitude=1.0, interval=1.0, modes=modes, generator=generator)


def run(system, field, dt, steps):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    state = system.project(field)
    for _ in range(steps):
        state = scheme.step(state)
    return state


def cole_hopf(x, time, viscosity):
    """u(x, 0) = sin x: u = −2ν θ_x/θ with θ = I₀ + 2Σ Iₙ cos(nx) exp(−νn²t), z = 1/(2ν)."""
    n = torch.arange(1, 80, dtype=torch.float64)
    z = 1 / (2 * viscosity)
    weights = 2 * torch.as_tensor(ive(n.numpy(), z)) * torch.exp(-viscosity * n**2 * time)
    theta = ive(0, z) + torch.cos(x[:, None] * n) @ weights
    slope = -torch.sin(x[:, None] * n) @ (n * weights)
    return -2 * viscosity * slope / theta


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_a_steepening_wave_is_the_cole_hopf_solution(dealiasing):
    system = Burgers1D(ring(192), viscosity=0.1, dealiasing=dealiasing)
    (x,) = system.grid.coordinates()
    state = run(system, torch.sin(x), 0.0025, 600)
    expected = cole_hopf(x, 1.5, 0.1)
    assert expected.diff().abs().max() / (x[1] - x[0]) > 2  # the front is there
    torch.testing.assert_close(system.grid.inverse(state), expected, atol=1e-9, rtol=0)


def test_a_moving_frame_changes_nothing_but_the_place():
    """u(x, t) → c + u(x − ct, t)."""
    system = Burgers1D(ring(192), viscosity=0.1)
    (x,) = system.grid.coordinates()
    state = run(system, torch.sin(x) + 0.7, 0.0025, 400)
    expected = 0.7 + cole_hopf(x - 0.7, 1.0, 0.1)
    torch.testing.assert_close(system.grid.inverse(state), expected, atol=1e-9, rtol=0)


def test_a_balanced_forcing_holds_the_flow_steady():
    """With f = u u_x − ν u_xx for u = A sin kx, u is steady."""
    system = Burgers1D(ring(48, length=3.0), viscosity=0.2)
    (x,) = system.grid.coordinates()
    k = 2 * math.pi / 3.0
    field = 0.5 * torch.sin(k * x)
    system.force(0.5 * 0.25 * k * torch.sin(2 * k * x) + 0.2 * k**2 * field)
    torch.testing.assert_close(
        system.grid.inverse(run(system, field, 0.01, 40)), field, atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
@pytest.mark.parametrize("n", [48, 33])
def test_advection_conserves_energy_and_has_no_aliasing(dealiasing, n):
    grid, fine = ring(n), ring(192)
    system = Burgers1D(grid, viscosity=0.0, dealiasing=dealiasing)
    state = system.project(smooth(grid, 1, modes=16))
    advection = system.advection(state)
    u, J = grid.inverse(state), grid.inverse(advection)
    assert abs((u * J).mean()) < 1e-14 * (u.std() * J.std())
    exact = Burgers1D(fine, viscosity=0.0).advection(resize(state, grid, fine))
    torch.testing.assert_close(advection, resize(exact, fine, grid) * system.mask)


def test_time_scheme_is_of_fourth_order():
    system = Burgers1D(ring(96), viscosity=0.05)
    field = smooth(system.grid, 2, modes=3)
    system.force(smooth(system.grid, 3, modes=3))
    reference = run(system, field, 0.0025, 160)
    errors = [
        float((run(system, field, dt, round(0.4 / dt)) - reference).abs().max())
        for dt in (0.02, 0.01)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_random_forcing_feeds_its_energy_and_keeps_its_seed():
    """Starting from rest for a time τ, f feeds ½⟨(fτ)²⟩ on average: the rate A²M/4."""
    grid = ring(32, length=5.0)

    def draw(members):
        generator = torch.manual_seed(4)
        return random_forcing(
            grid, amplitude=0.6, interval=0.01, members=members, generator=generator
        )

    rate = 0.5 * 0.01 * (draw((20000,)) ** 2).mean()
    assert float(rate) == pytest.approx(0.6**2 * 3 / 4, rel=0.03)
    assert draw((2, 3)).shape == (2, 3, 32)
    assert grid.transform(draw((5,)))[:, [0, *range(4, 17)]].abs().max() < 1e-13
    assert torch.equal(draw((3,)), draw((3,)))


def test_ensemble_members_do_not_see_each_other():
    system = Burgers1D(ring(48), viscosity=0.05, dealiasing="3/2")
    forcings = torch.stack([smooth(system.grid, seed, 3) for seed in (5, 6)])
    fields = torch.stack([smooth(system.grid, seed, 5) for seed in (7, 8)])
    system.force(forcings)
    together = run(system, fields, 0.01, 10)
    for member, field, forcing in zip(together, fields, forcings, strict=True):
        system.force(forcing)
        torch.testing.assert_close(run(system, field, 0.01, 10), member)


def test_single_precision_agrees_with_double():
    states = []
    for dtype in (torch.float32, torch.float64):
        system = Burgers1D(ring(96), viscosity=0.05, dtype=dtype)
        system.force(smooth(system.grid, 9, 3))
        states.append(run(system, smooth(system.grid, 10, 3).to(dtype), 0.01, 50))
    assert states[0].dtype == torch.complex64
    assert (states[0] - states[1]).abs().max() < 1e-6 * states[1].abs().max()


@pytest.mark.parametrize("kernel", [gaussian_filter, box_filter, sharp_filter])
@pytest.mark.parametrize("coarse_points", [32, 31])
def test_filtered_dns_plus_subgrid_term_has_the_filtered_tendency(kernel, coarse_points):
    dns = Burgers1D(ring(192), viscosity=0.02)
    dns.force(smooth(dns.grid, 11, 20))
    coarse = OneDimensionalCoarseGraining(dns, ring(coarse_points), kernel)
    u = dns.project(smooth(dns.grid, 12, 60))
    truth = coarse.filtered(dns.tendency(u) + dns.linear * u)
    filtered, subgrid = coarse.pair(u)
    les, state = coarse.les, coarse.les.project(filtered)
    model = les.tendency(state) + les.linear * state + les.project(subgrid)
    assert les.project(subgrid).abs().max() > 0.1  # there is something to close
    torch.testing.assert_close(model, truth, atol=1e-13 * float(truth.abs().max()), rtol=0)


def test_a_new_forcing_reaches_the_large_eddy_simulation():
    dns, small = Burgers1D(ring(96), viscosity=0.02), ring(16)
    coarse = OneDimensionalCoarseGraining(dns, small)
    dns.force(smooth(dns.grid, 13, 3))
    coarse.hold()
    torch.testing.assert_close(coarse.les.forcing, coarse.filtered(dns.forcing))
    torch.testing.assert_close(dns.on(small, "3/2").forcing, resize(dns.forcing, dns.grid, small))


def test_subgrid_term_of_one_wave_by_hand():
    """u = sin mx: Π = (Ĝ(m)² − Ĝ(2m)) (m/2) sin 2mx."""
    dns = Burgers1D(ring(96), viscosity=0.02)
    coarse = OneDimensionalCoarseGraining(dns, ring(32))
    (x,) = dns.grid.coordinates()
    _, subgrid = coarse.pair(dns.project(torch.sin(5 * x)))
    g = gaussian_filter(dns.grid, coarse.width)
    (x,) = coarse.grid.coordinates()
    expected = (g[5] ** 2 - g[10]) * 2.5 * torch.sin(10 * x)
    torch.testing.assert_close(subgrid, expected)


def test_the_run_watches_the_courant_number():
    system = Burgers1D(ring(96), viscosity=0.05)
    (x,) = system.grid.coordinates()
    state = system.project(2 * torch.sin(x))
    assert system.courant_rate(state) == pytest.approx(2 * 31)
    snapshot = next(Simulation(system, Snapshot(0, 0.0, state), 0.01).snapshots(5))
    assert snapshot.step == 5


def test_other_grids_and_dealiasings_are_refused():
    with pytest.raises(ValueError, match="one dimension"):
        Burgers1D(Grid.square(16), viscosity=1.0)
    with pytest.raises(ValueError, match="ν ≥ 0"):
        Burgers1D(ring(16), viscosity=-1.0)
    with pytest.raises(ValueError, match="found 'none'"):
        Burgers1D(ring(16), viscosity=1.0, dealiasing="none")
