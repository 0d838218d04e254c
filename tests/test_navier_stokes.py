"""The 2D solver against closed forms, invariants and convergence orders."""

import math

import pytest
import torch

from spectune.errors import StabilityError
from spectune.grid import Grid, resize
from spectune.systems import (
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
)


def coordinates(grid):
    return torch.meshgrid(*grid.coordinates(), indexing="ij")


def run(system, field, dt, steps):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    state = system.project(field)
    for _ in range(steps):
        state = scheme.step(state)
    return state


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_taylor_green_decays_exactly(dealiasing):
    system = NavierStokes2D(Grid.square(32), reynolds=10.0, dealiasing=dealiasing)
    y, x = coordinates(system.grid)
    field = 2 * torch.cos(3 * x) * torch.cos(3 * y)
    state = run(system, field, 0.05, 20)
    expected = field * math.exp(-18 * 0.1 * 1.0)
    torch.testing.assert_close(system.grid.inverse(state), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_advection_of_a_closed_form(dealiasing):
    """ψ = cos x + cos 2y: u = −2 sin 2y, v = sin x, ω = cos x + 4 cos 2y."""
    system = NavierStokes2D(Grid.square(32), reynolds=1.0, dealiasing=dealiasing)
    y, x = coordinates(system.grid)
    omega = system.project(torch.cos(x) + 4 * torch.cos(2 * y))
    expected = -2 * torch.sin(2 * y) * -torch.sin(x) + torch.sin(x) * -8 * torch.sin(2 * y)
    torch.testing.assert_close(system.grid.inverse(system.advection(omega)), expected)


def test_both_dealiasings_agree_with_a_finer_grid():
    small = Grid.square(32)
    fine = NavierStokes2D(Grid.square(128), reynolds=1.0)
    field = random_vorticity(small, peak=6, generator=torch.manual_seed(1))
    for dealiasing in ("2/3", "3/2"):
        system = NavierStokes2D(small, reynolds=1.0, dealiasing=dealiasing)
        omega = system.project(field)
        expected = resize(fine.advection(resize(omega, small, fine.grid)), fine.grid, small)
        torch.testing.assert_close(system.advection(omega), expected * system.mask)


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_inviscid_tendency_conserves_energy_and_enstrophy(dealiasing):
    grid = Grid.square(48)
    system = NavierStokes2D(grid, reynolds=1.0, dealiasing=dealiasing)
    omega = system.project(random_vorticity(grid, peak=8, generator=torch.manual_seed(2)))
    J = grid.inverse(system.advection(omega))
    psi, field = grid.inverse(system.stream_function(omega)), grid.inverse(omega)
    assert abs((psi * J).mean()) < 1e-14 * (psi.std() * J.std())
    assert abs((field * J).mean()) < 1e-14 * (field.std() * J.std())


def test_time_scheme_is_of_fourth_order():
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=200.0, forcing_wavenumber=4, drag=0.1)
    field = random_vorticity(grid, peak=4, generator=torch.manual_seed(3)) * 2
    reference = run(system, field, 0.0025, 160)
    errors = [
        float((run(system, field, dt, round(0.4 / dt)) - reference).abs().max())
        for dt in (0.04, 0.02)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_forcing_has_the_sign_and_amplitude_of_the_equation():
    grid = Grid.square(32)
    y, x = coordinates(grid)
    system = NavierStokes2D(grid, reynolds=1e6, forcing_wavenumber=5)
    rest = torch.zeros(grid.half_shape, dtype=torch.complex128)
    expected = -5 * (torch.cos(5 * x) + torch.cos(5 * y))
    torch.testing.assert_close(grid.inverse(system.tendency(rest)), expected)
    one_way = NavierStokes2D(
        grid, reynolds=1e6, forcing_wavenumber=5, forcing_directions="x"
    ).tendency(rest)
    torch.testing.assert_close(grid.inverse(one_way), -5 * torch.cos(5 * x))


def test_enstrophy_budget_of_a_forced_run_closes():
    """d/dt ½⟨ω²⟩ = −ν⟨|∇ω|²⟩ − ⟨ωf⟩ − r⟨ω²⟩, integrated over a run."""
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=100.0, forcing_wavenumber=4, drag=0.1)
    dt, steps = 1 / 256, 256
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    state = system.project(random_vorticity(grid, peak=4, generator=torch.manual_seed(4)))
    k2, f = grid.squared_wavenumber(), grid.inverse(system.forcing)

    def enstrophy_and_rate(state):
        omega = grid.inverse(state)
        dissipation = (omega * grid.inverse(k2 * state)).mean() * system.viscosity
        return 0.5 * (omega**2).mean(), -dissipation - (omega * f).mean() - 0.1 * (omega**2).mean()

    values = [enstrophy_and_rate(state)]
    for _ in range(steps):
        state = scheme.step(state)
        values.append(enstrophy_and_rate(state))
    rates = torch.stack([rate for _, rate in values])
    simpson = dt / 3 * (rates[0] + rates[-1] + 4 * rates[1:-1:2].sum() + 2 * rates[2:-1:2].sum())
    assert values[-1][0] - values[0][0] == pytest.approx(float(simpson), rel=1e-6)


def test_rossby_wave_has_its_phase_speed():
    """A single wave is an exact solution: ω ∝ cos(kx + ly − σt), σ = −βk/(k² + l²)."""
    grid = Grid.square(32)
    y, x = coordinates(grid)
    system = NavierStokes2D(grid, reynolds=1e12, beta=3.0)
    state = run(system, torch.cos(2 * x + y), 0.1, 20)
    expected = torch.cos(2 * x + y + 3.0 * 2 / 5 * 2.0)
    torch.testing.assert_close(grid.inverse(state), expected, atol=1e-10, rtol=0)


def test_quarter_turn_of_the_state_turns_the_run():
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=100.0, forcing_wavenumber=4)
    field = random_vorticity(grid, peak=4, generator=torch.manual_seed(5))

    def turned(f):
        return torch.roll(f.flip(-2), 1, -2).transpose(-2, -1)

    straight = turned(grid.inverse(run(system, field, 0.01, 20)))
    torch.testing.assert_close(grid.inverse(run(system, turned(field), 0.01, 20)), straight)


def test_ensemble_members_do_not_see_each_other():
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=100.0, forcing_wavenumber=4, dealiasing="3/2")
    fields = torch.stack(
        [random_vorticity(grid, peak=4, generator=torch.manual_seed(s)) for s in (6, 7)]
    )
    together = run(system, fields, 0.01, 10)
    for member, field in zip(together, fields, strict=True):
        torch.testing.assert_close(run(system, field, 0.01, 10), member)


def test_initial_state_has_its_spectrum_energy_and_seed():
    grid = Grid.square(64)
    field = random_vorticity(grid, peak=8, energy=2.0, generator=torch.manual_seed(8))
    system = NavierStokes2D(grid, reynolds=1.0, dealiasing="3/2")
    u, v = system.velocity(grid.transform(field))
    assert 0.5 * float((u**2 + v**2).mean()) == pytest.approx(2.0, rel=1e-10)
    same = random_vorticity(grid, peak=8, energy=2.0, generator=torch.manual_seed(8))
    assert torch.equal(field, same)


def test_too_large_a_step_is_stopped_with_the_largest_stable_one():
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=1e4, forcing_wavenumber=4)
    state = system.project(random_vorticity(grid, peak=4, generator=torch.manual_seed(9)))
    simulation = Simulation(system, Snapshot(0, 0.0, state), 0.5)
    with pytest.raises(StabilityError, match=r"Δt = 0\.5 .* step 0 .*CFL number .*largest stable"):
        next(simulation.snapshots(10))
    assert simulation.last_good.step == 0
    largest = 2 * math.sqrt(2) / system.courant_rate(state)
    snapshots = Simulation(system, Snapshot(0, 0.0, state), 0.9 * largest).snapshots(10)
    assert torch.isfinite(next(snapshots).state.abs()).all()


def test_a_run_that_goes_on_is_the_run():
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=100.0, forcing_wavenumber=4)
    state = system.project(random_vorticity(grid, peak=4, generator=torch.manual_seed(10)))
    whole = Simulation(system, Snapshot(0, 0.0, state), 0.01).snapshots(7)
    middle, end = next(whole), next(whole)
    resumed = next(Simulation(system, middle, 0.01).snapshots(7))
    assert torch.equal(resumed.state, end.state)
    assert resumed.time == end.time


def test_other_boxes_are_refused():
    with pytest.raises(ValueError, match="2π"):
        NavierStokes2D(Grid.square(32, length=1.0), reynolds=1.0)


def test_products_on_the_grid_itself_alias():
    """Smooth fields see nothing of it, rough ones do."""
    grid = Grid.square(32)
    none = NavierStokes2D(grid, reynolds=1.0, dealiasing="none")
    full = NavierStokes2D(grid, reynolds=1.0, dealiasing="3/2")
    y, x = coordinates(grid)
    smooth = none.project(torch.cos(2 * x + y) + torch.sin(3 * x - 4 * y))
    torch.testing.assert_close(none.advection(smooth), full.advection(smooth))
    rough = none.project(random_vorticity(grid, peak=10, generator=torch.manual_seed(11)))
    difference = none.advection(rough) - full.advection(rough)
    assert difference.abs().max() > 1e-3 * full.advection(rough).abs().max()
    # What aliases is the part of a product beyond Nyquist: modes up to N/4 make none.
    quarter = rough * (grid.squared_wavenumber() < 8**2)
    torch.testing.assert_close(none.advection(quarter), full.advection(quarter))


def test_one_aliased_mode_by_hand():
    """p = (12, 1), q = (11, −3): p + q = (23, −2) lands on (−9, −2), and so does its conjugate."""
    grid = Grid.square(32)
    y, x = coordinates(grid)
    system = NavierStokes2D(grid, reynolds=1.0, dealiasing="none")
    # ω = cos p·r + cos q·r, ψ = ω/k² mode by mode, at the grid points, with exact derivatives.
    (px, py), (qx, qy) = (12, 1), (11, -3)
    a, b = px * x + py * y, qx * x + qy * y
    p2, q2 = px**2 + py**2, qx**2 + qy**2
    u = -py * torch.sin(a) / p2 - qy * torch.sin(b) / q2
    v = px * torch.sin(a) / p2 + qx * torch.sin(b) / q2
    omega = torch.cos(a) + torch.cos(b)
    omega_x, omega_y = (
        -px * torch.sin(a) - qx * torch.sin(b),
        -py * torch.sin(a) - qy * torch.sin(b),
    )
    ky, kx = grid.wavenumbers()
    flux = 1j * kx * grid.transform(u * omega) + 1j * ky * grid.transform(v * omega)
    expected = 0.5 * (flux + grid.transform(u * omega_x + v * omega_y)) * system.mask
    found = system.advection(system.project(omega))
    torch.testing.assert_close(found, expected)
    assert found[2, 9].abs() > 1e-3  # (kx, ky) = (9, 2), where no true interaction is


def test_without_dealiasing_enstrophy_is_conserved_but_not_energy():
    grid = Grid.square(48)
    system = NavierStokes2D(grid, reynolds=1.0, dealiasing="none")
    omega = system.project(random_vorticity(grid, peak=16, generator=torch.manual_seed(2)))
    J = grid.inverse(system.advection(omega))
    psi, field = grid.inverse(system.stream_function(omega)), grid.inverse(omega)
    assert abs((field * J).mean()) < 1e-14 * (field.std() * J.std())
    assert abs((psi * J).mean()) > 1e-6 * (psi.std() * J.std())


def test_unknown_dealiasing_is_refused():
    with pytest.raises(ValueError, match="'2/3' or '3/2', found '1/2'"):
        NavierStokes2D(Grid.square(32), reynolds=1.0, dealiasing="1/2")
